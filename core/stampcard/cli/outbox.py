from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from stampcard.cli.invocation import USAGE, opened, settings_of
from stampcard.cli.printing import say, show, show_json, show_table
from stampcard.cli.spans import span

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from stampcard.storage.database import Database
    from stampcard.storage.requeueing import PushKey

app = typer.Typer(no_args_is_help=True, help="What leaves: balances that must arrive, and commands that are done once.")

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Id = Annotated[
    str, typer.Argument(metavar="ID", help="As `outbox list` shows it: a number, or CONNECTION/KIND/MEMBER.")
]
Status = Literal["ready", "attempting", "unknown", "done", "dead", "dropped"]

#: What is shown unless a status is asked for.
OPEN = ("ready", "attempting", "unknown", "dead")
#: What to do about a row in a status that may not pass by itself.
WHAT_TO_DO = {
    "unknown": "unknown: the vendor may have done it; it is asked again when DUE. If that does not help, look there; then "
    "`outbox retry ID` if it was not done, `outbox drop ID --reason …` if it was",
    "dead": "dead: given up. Mend the cause; then `outbox retry ID` or `outbox retry --all`",
}


@app.command("list")
def list_outbox(
    context: typer.Context,
    status: Annotated[Status | None, typer.Option(help="Only these; pushes are ready or dead.")] = None,
    connection: Annotated[str | None, typer.Option(help="Only of this connection.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many commands and pushes each at most.")] = 100,
    json: Json = False,
) -> None:
    """Show commands that are not done and pushes that were given up; with --status others too."""
    settings = settings_of(context)
    with opened(settings) as database:
        rows = database.read_now(lambda opened: _rows(opened, settings.merchant, status, connection, limit))
    if json:
        show_json(rows)
    elif not rows:
        say(
            f"Nothing in the outbox is {status}."
            if status
            else "Nothing waits in the outbox, and nothing was given up."
        )
    else:
        keys = ("id", "connection", "kind", "member", "status", "attempts", "due_at", "error")
        show_table(
            [tuple(key.upper().replace("_AT", "") for key in keys), *([row[key] for key in keys] for row in rows)]
        )
        for name, advice in WHAT_TO_DO.items():
            if any(row["status"] == name for row in rows):
                say(advice)


def _rows(
    connection: Connection, merchant: str, status: str | None, name: str | None, limit: int
) -> list[dict[str, Any]]:
    from stampcard.storage.listing import commands_before, pushes_after

    wanted = OPEN if status is None else (status,)
    commands = [
        {"id": str(row.id), **_common(row), "key": row.key, "status": row.status}
        for one in wanted
        for row in commands_before(connection, merchant, one, name, None, limit)
    ]
    dead = {None: True, "dead": True, "ready": False}
    pushes = (
        [
            {
                "id": f"{row.connection}/{row.kind}/{row.member}",
                **_common(row),
                "key": "",
                "status": "dead" if row.dead else "ready",
            }
            for row in pushes_after(connection, merchant, name, dead[status], None, limit)
        ]
        if status in dead
        else []
    )
    return commands + pushes


def _common(row: Any) -> dict[str, Any]:
    from stampcard.clock import from_micros

    return {
        "connection": row.connection,
        "kind": row.kind,
        "member": row.member,
        "attempts": row.attempts,
        "due_at": from_micros(row.due_at),
        "error": row.error or "",
    }


@app.command()
def retry(
    context: typer.Context,
    id_: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="As `outbox list` shows it.", show_default=False)
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Everything that was given up; nothing that is unknown.")] = False,
    since: Annotated[
        timedelta | None,
        typer.Option(parser=span, metavar="SPAN", help="With --all: tried within 2h, 3d …", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Try again what was given up, or, by its ID, what is unknown."""
    if (id_ is None) is not all_ or (since is not None and not all_):
        say("error: name one ID, or say --all, to which --since may be added")
        raise typer.Exit(USAGE)
    settings = settings_of(context)
    with opened(settings) as database:
        retried = (
            _retry_all(database, settings.merchant, since)
            if id_ is None
            else _retry_one(database, settings.merchant, id_)
        )
    if json:
        show_json({"retried": retried})
    elif not retried:
        say("Nothing was given up" + (" in that time." if since else "."))
    else:
        show(f"{retried} will be tried again")


@app.command()
def replay(
    context: typer.Context,
    connection: Annotated[str, typer.Argument(metavar="CONNECTION", help="Whoever lost it.", show_default=False)],
    since: Annotated[timedelta, typer.Option(parser=span, metavar="SPAN", help="What was to be told within 2h, 3d …")],
    kind: Annotated[str, typer.Option(help="The kind of commands.")] = "webhook",
    json: Json = False,
) -> None:
    """Send again what arrived, under the same ids, for a receiver that lost it."""
    from stampcard.clock import SystemClock, to_micros
    from stampcard.storage.requeueing import replay_commands

    settings, now = settings_of(context), SystemClock().now()
    start, at, after, count, total = to_micros(now - since), to_micros(now), 0, 1, 0
    with opened(settings) as database:
        while count:
            count, after = database.write_now(
                lambda c: replay_commands(c, settings.merchant, connection, kind, start, after, at)  # noqa: B023 - runs at once
            )
            total += count
    if json:
        show_json({"replayed": total})
    elif not total:
        say(f"Nothing of kind {kind} was told to {connection!r} in that time.")
    else:
        show(f"{total} will be sent again")


def _retry_one(database: Database, merchant: str, id_: str) -> int:
    from stampcard.clock import SystemClock, to_micros
    from stampcard.errors import NotFound
    from stampcard.storage.requeueing import retry_command, retry_pushes

    now = to_micros(SystemClock().now())
    if (key := _push_key(id_)) is None:
        database.write_now(lambda c: retry_command(c, merchant, _number(id_), now))
        return 1
    count, _ = database.write_now(lambda c: retry_pushes(c, merchant, key[0], key[2], ("", "", ""), now))
    if not count:
        raise NotFound("push that was given up", id_)
    return count


def _retry_all(database: Database, merchant: str, within: timedelta | None) -> int:
    from stampcard.clock import SystemClock, to_micros
    from stampcard.storage.requeueing import retry_dead_commands, retry_pushes

    now = SystemClock().now()
    at, since = to_micros(now), to_micros(now - within) if within else 0
    retried, count, last = 0, 1, 0
    while count:
        count, last = database.write_now(lambda c: retry_dead_commands(c, merchant, None, last, at, since))  # noqa: B023
        retried += count
    count, place = 1, ("", "", "")
    while count:
        count, place = database.write_now(lambda c: retry_pushes(c, merchant, None, None, place, at, since))  # noqa: B023
        retried += count
    return retried


@app.command()
def drop(
    context: typer.Context,
    id_: Id,
    reason: Annotated[str, typer.Option(help="Why, for those who read the list later.", show_default=False)],
) -> None:
    """Never send a command; of a push, wait for the member's next change."""
    from stampcard.app import open_sealer
    from stampcard.clock import SystemClock
    from stampcard.storage.commanding import tell
    from stampcard.storage.numbering import Numbering
    from stampcard.storage.requeueing import drop_command, drop_push

    settings, key = settings_of(context), _push_key(id_)
    merchant = settings.merchant

    def work(connection: Connection) -> None:
        told = drop_command(connection, merchant, _number(id_), reason, SystemClock().now())
        if told is not None:
            tell(connection, merchant, open_sealer(settings), Numbering(), [told])

    with opened(settings) as database:
        if key is None:
            database.write_now(work)
        else:
            database.write_now(lambda c: drop_push(c, merchant, key, f"dropped: {reason}"))
    show(f"{id_} is dropped")


def _push_key(id_: str) -> PushKey | None:
    name, _, rest = id_.partition("/")
    kind, slash, member = rest.partition("/")
    return (name, kind, member) if slash else None


def _number(id_: str) -> int:
    from stampcard.errors import NotFound

    if not (id_.isascii() and id_.isdecimal()) or int(id_) >= 2**63:
        raise NotFound("command", id_)
    return int(id_)
