from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import settings_of
from stampcard.cli.printing import say, show, show_json

if TYPE_CHECKING:
    from datetime import datetime

    from stampcard.app import Application
    from stampcard.storage.database import Database


def resync(
    context: typer.Context,
    connection: Annotated[
        str, typer.Argument(metavar="CONNECTION", help="A connection of the settings.", show_default=False)
    ],
    member: Annotated[str | None, typer.Option(metavar="ID", help="Only this member.", show_default=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False,
) -> None:
    """Bring everybody whom a connection knows up to date there, even if nothing changed since the last push."""
    from stampcard.cli.acting import acting

    async def use(application: Application) -> int:
        return await _mark(application, connection, member)

    marked = acting(settings_of(context), use)
    if json:
        show_json({"connection": connection, "members": marked})
    elif not marked:
        say(f"{connection} does not know {'this member' if member else 'anybody yet'}, so there is nothing to send.")
    else:
        show(f"{marked} member{'s' * (marked != 1)} will be sent to {connection}")
        say("A running server begins within a second: stampcard connection show " + connection)


async def _mark(application: Application, name: str, member: str | None) -> int:
    """Mark them in chunks, so that webhooks never wait long; answers how many."""
    from stampcard.cli.acting import setting_of
    from stampcard.cli.progressing import progress
    from stampcard.clock import to_micros
    from stampcard.domain.commands import AUDIENCE
    from stampcard.errors import NotFound, RequestRefused
    from stampcard.storage.listing import count_references
    from stampcard.storage.requeueing import push_anew

    database, merchant = application.database, application.setting.merchant
    kinds = (await setting_of(application)).targets.get(name)
    if kinds is None:
        raise NotFound("connection", name)
    if not kinds:
        raise RequestRefused("nothing_pushed", f"the connection {name!r} takes no balances")
    now = application.clock.now()
    at = to_micros(now)
    told_anew = await _tell_anew(database, merchant, name, member, now) if AUDIENCE in kinds else 0
    kinds = tuple(kind for kind in kinds if kind != AUDIENCE)
    if not kinds:
        return told_anew
    total = await database.read(lambda c: count_references(c, merchant, name, member))
    marked, after, count = 0, "", 1
    with progress("marking members", total) as told:
        while count:
            count, after = await database.write(
                lambda c: push_anew(c, merchant, name, kinds, member, after, at)  # noqa: B023 - runs before the next turn
            )
            marked += count
            told(marked)
    return marked


async def _tell_anew(database: Database, merchant: str, name: str, member: str | None, now: datetime) -> int:
    """Let an audience be told of everybody who belongs there; answers how many are looked at."""
    from functools import partial

    from stampcard.storage.audiences import tell_anew

    marked, after, count = 0, "", 1
    while count:
        tell = partial(tell_anew, merchant=merchant, name=name, of=member, after=after, now=now)
        count, after = await database.write(tell)
        marked += count
    return marked
