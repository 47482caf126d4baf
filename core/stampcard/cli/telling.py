"""What a member's points are and how they came about; commands of `stampcard member`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from stampcard.cli.invocation import settings_of
from stampcard.cli.naming import Member, find_member
from stampcard.cli.printing import say, show, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection

    from stampcard.app import Application
    from stampcard.applying.setting import Setting
    from stampcard_webhooks.chronicling import HappeningView

T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]


def explain(context: typer.Context, member: Member, json: Json = False) -> None:
    """Say what a member has: lot by lot what waits for what and what expires when, and how much of each limit is used."""
    from stampcard_webhooks.portraying import portrait_view

    view = _read(context, member, portrait_view)
    if json:
        show_json(view.model_dump(mode="json"))
        return
    for line in view.words:
        show(line)
    if not view.words:
        say("There is nothing in any wallet, and nothing is limited.")


def timeline(
    context: typer.Context,
    member: Member,
    limit: Annotated[int, typer.Option(min=1, max=200, help="So many at most.")] = 50,
    cursor: Annotated[
        str | None, typer.Option(help="Go on from here: `next` or `previous` of another page.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """List what happened to a member, newest first: orders, events, and every entry of the ledger."""
    from stampcard_webhooks.chronicling import timeline_page
    from stampcard_webhooks.paging import PageQuery

    query = PageQuery(limit=limit, cursor=cursor)
    page = _read(context, member, lambda connection, setting, id_, _: timeline_page(connection, setting, id_, query))
    if json:
        show_json(page.model_dump(mode="json"))
        return
    show_table([("AT", "KIND", "WHAT"), *((item.at, item.kind, _what(item)) for item in page.items)])
    if page.next:
        say(f"There is more: stampcard member timeline {member} --cursor {page.next}")


def _what(item: HappeningView) -> str:
    """What happened, and why it paid nothing; what it paid stands in the entries beside it."""
    return " ".join([item.words, *(reason.words for reason in item.reasons if reason.outcome != "paid")])


def _read(context: typer.Context, named: str, work: Callable[[Connection, Setting, str, datetime], T]) -> T:
    from stampcard.cli.acting import acting

    settings = settings_of(context)

    async def use(application: Application) -> T:
        now = application.clock.now()
        return await application.database.read(
            lambda connection: work(connection, application.setting, find_member(connection, settings, named), now)
        )

    return acting(settings, use)
