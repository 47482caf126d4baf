"""People who asked for what is stored of them, from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.printing import moment, say, show, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stampcard.storage.data_requests import DataRequest

MOST = 1000


def requests(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Also those that were answered.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False,
) -> None:
    """List people who asked a shop for what is stored of them, the longest ago first."""
    from stampcard.storage.data_requests import list_data_requests

    settings = settings_of(context)
    with opened(settings) as database:
        found: Sequence[DataRequest] = database.read_now(
            lambda c: list_data_requests(c, settings.merchant, answered=all_, after=None, limit=MOST)
        )
    if json:
        show_json([
            {"connection": one.connection, "request": one.request, "member": one.member, "asked_at": one.asked_at,
             "answered_at": one.answered_at, "answered_by": one.answered_by, "note": one.note}
            for one in found
        ])  # fmt: skip
    elif not found:
        say("Nobody waits for their data.")
    else:
        show_table([
            ("CONNECTION", "REQUEST", "MEMBER", "ASKED", "ANSWERED"),
            *((one.connection, one.request, one.member or "unknown here", moment(one.asked_at),
               moment(one.answered_at) if one.answered_at else "") for one in found),
        ])  # fmt: skip
        if any(one.answered_at is None for one in found):
            say(
                "What is stored of one: stampcard member export MEMBER. Then: stampcard member answered CONNECTION REQUEST"
            )


def answered(
    context: typer.Context,
    connection: Annotated[str, typer.Argument(metavar="CONNECTION", help="Where they asked.", show_default=False)],
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="Its number there.", show_default=False)],
    note: Annotated[str, typer.Option(help="How, for those who ask later.")] = "",
) -> None:
    """Write down that somebody got what is stored of them."""
    from stampcard.cli.people import user
    from stampcard.clock import SystemClock
    from stampcard.storage.data_requests import answer_request

    settings, by, now = settings_of(context), user(), SystemClock().now()
    with opened(settings) as database:
        database.write_now(lambda c: answer_request(c, settings.merchant, connection, request, now, by, note))
    show(f"request {request} of {connection} is answered")
