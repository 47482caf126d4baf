from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.people import user
from stampcard.cli.printing import moment, say, show, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from stampcard.settings import Settings
    from stampcard.storage.switching import Switch

app = typer.Typer(no_args_is_help=True, help="What is stopped for now; see also `stop` and `start`.")

Kind = Annotated[
    Literal["program", "campaign", "rule", "reward", "message", "plugin", "connection"],
    typer.Argument(help="What kind of thing.", show_default=False),
]
Id = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="Its name; PROGRAM/ID for a rule, reward or campaign that several programs have.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="For other programs.")]


def stop(
    context: typer.Context,
    kind: Kind,
    id_: Id,
    note: Annotated[str, typer.Option(help="Why, for those who wonder later.", show_default=False)],
    author: Annotated[str, typer.Option(help="Who; by default the user of this machine.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Stop something for now, on every running process within a second, and say what goes on."""
    from stampcard.clock import SystemClock
    from stampcard.storage import switching

    settings, by = settings_of(context), author or user()

    def work(connection: Connection, target: str) -> bool:
        return switching.stop(connection, settings.merchant, target, note, by, SystemClock())

    target, changed, found = _switch(settings, kind, id_, work)
    if json:
        show_json(_row(found) | {"changed": changed} if found else {"changed": changed})
        return
    named = target.replace(":", " ", 1)
    if not changed and found:
        show(f"{named} was stopped already, since {moment(found.since)}{_why(found)}")
        return
    show(f"{named} is stopped")
    show(switching.GOES_ON[kind])
    show(f"Start it again: stampcard start {named}")


def start(context: typer.Context, kind: Kind, id_: Id, json: Json = False) -> None:
    """Start again what was stopped, on every running process within a second."""
    from stampcard.clock import SystemClock
    from stampcard.storage import switching

    settings = settings_of(context)
    target, changed, _ = _switch(
        settings,
        kind,
        id_,
        lambda connection, target: switching.start(connection, settings.merchant, target, SystemClock()),
    )
    if json:
        show_json({"target": target, "changed": changed})
    else:
        show(f"{target.replace(':', ' ', 1)} {'works again' if changed else 'was not stopped'}")


@app.callback()
def switch() -> None:
    """Keep `list` a command of its own."""


@app.command("list")
def list_stopped(context: typer.Context, json: Json = False) -> None:
    """Show everything that is stopped, since when, by whom and why."""
    from stampcard.storage.switching import list_switches

    settings = settings_of(context)
    with opened(settings) as database:
        found = database.read_now(lambda connection: list_switches(connection, settings.merchant))
    if json:
        show_json([_row(one) for one in found])
    elif not found:
        say("Nothing is stopped")
    else:
        rows = [(one.kind, one.name, one.since, one.author, one.note) for one in found]
        show_table([("KIND", "ID", "SINCE", "AUTHOR", "NOTE"), *rows])


def _switch(
    settings: Settings, kind: str, id_: str, work: Callable[[Connection, str], bool]
) -> tuple[str, bool, Switch | None]:
    """The target, whether anything changed, and how it stands now; all in one transaction."""
    from stampcard.cli.plugging import with_plugged
    from stampcard.host.discovering import discover
    from stampcard.storage.programming import load_programs
    from stampcard.storage.switching import find_target, known_targets, list_switches, switch_of

    table = discover()
    plugins = [*table.ready, *(failed.name for failed in table.failed)]
    connections = [spec.name for spec in with_plugged(settings).specs()]

    def both(connection: Connection) -> tuple[str, bool, Switch | None]:
        merchant = settings.merchant
        known = known_targets(load_programs(connection, merchant), plugins, connections)
        # What is gone since it was stopped can still be started.
        known |= {one.target for one in list_switches(connection, merchant)}
        target = find_target(kind, id_, known)
        return target, work(connection, target), switch_of(connection, merchant, target)

    with opened(settings) as database:
        return database.write_now(both)


def _row(one: Switch) -> dict[str, Any]:
    return {
        "target": one.target,
        "kind": one.kind,
        "id": one.name,
        "since": one.since,
        "author": one.author,
        "note": one.note,
    }


def _why(one: Switch) -> str:
    by = f" by {one.author}" if one.author else ""
    return f"{by}: {one.note}" if one.note else by
