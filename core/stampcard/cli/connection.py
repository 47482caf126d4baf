from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli import backfilling, plugging, reconciling, removing, subscribing, syncing
from stampcard.cli.invocation import UNREACHABLE, opened, settings_of
from stampcard.cli.plugging import with_plugged
from stampcard.cli.printing import moment, say, show, show_json, show_table
from stampcard.errors import ConfigurationError, Conflict, InvalidSettings, NotFound

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from stampcard.host.connecting import ConnectionSpec
    from stampcard.host.discovering import PluginTable
    from stampcard.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Connections: your shop and whatever else is plugged in.")

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Name = Annotated[str, typer.Argument(metavar="CONNECTION", help="One of the connections.", show_default=False)]

app.command("add")(plugging.add)
app.command("set")(plugging.change)
app.command("remove")(removing.remove)
app.command("webhooks")(subscribing.webhooks)
app.command("reconcile")(reconciling.reconcile)
app.command("backfill")(backfilling.backfill)
app.command("sync")(syncing.sync)


@app.command("list")
def list_connections(context: typer.Context, json: Json = False) -> None:
    """Show every connection with its state and what waits for it."""
    rows = _rows(with_plugged(settings_of(context)))
    if json:
        show_json(rows)
    elif not rows:
        say("There is no connection yet. Add one: stampcard connection add PLUGIN")
    else:
        keys = ("name", "plugin", "state", "due", "dead", "quarantined", "reason")
        show_table([tuple(map(str.upper, keys)), *([row[key] for key in keys] for row in rows)])


@app.command("show")
def show_connection(context: typer.Context, name: Name, json: Json = False) -> None:
    """Show one connection: state, what waits since when, what was given up, and when it last sent something."""
    settings = with_plugged(settings_of(context))
    _spec(settings, name)
    (row,) = [row for row in _rows(settings) if row["name"] == name]
    if json:
        show_json(row)
        return
    for key, value in row.items():
        shown = moment(value) if hasattr(value, "isoformat") else value
        show(f"{key.replace('_', ' '):<16}  {'(none)' if shown in (None, '') else shown}")


@app.command()
def pause(
    context: typer.Context,
    name: Name,
    note: Annotated[str, typer.Option(help="Why, for those who wonder later.", show_default=False)],
) -> None:
    """Take in what a connection sends, but neither apply it nor send anything there, until it is resumed."""
    settings = with_plugged(settings_of(context))
    _spec(settings, name)

    def work(connection: Connection) -> None:
        if _states(connection, settings.merchant).get(name, ("active",))[0] == "ended":
            raise Conflict("connection_ended", f"the connection {name!r} ended, so there is nothing to pause")
        _set(connection, settings.merchant, name, "paused", note)

    with opened(settings) as database:
        database.write_now(work)
    show(f"{name} is paused. Resume: stampcard connection resume {name}")


@app.command()
def resume(context: typer.Context, name: Name) -> None:
    """Let a connection that was paused, or that ended, work again; every process does so within a second."""
    settings = with_plugged(settings_of(context))
    _spec(settings, name)
    with opened(settings) as database:
        before = database.read_now(lambda connection: _states(connection, settings.merchant)).get(name)
        if before is not None:
            database.write_now(lambda connection: _set(connection, settings.merchant, name, "active", ""))
    show(f"{name} works again" if before else f"{name} was active already")


@app.command("test")
def try_connection(
    context: typer.Context,
    name: Name,
    payload: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Say what would become of this webhook's body instead.", show_default=False),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME: VALUE'", help="A header of that webhook; give it once for each.", show_default=False
        ),
    ] = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Look at no signature of that webhook.")] = False,
    json: Json = False,
) -> None:
    """Connect and ask the vendor whether all is well; ends with 4 when not.

    With --payload nothing is asked and nothing written: it says whether the webhook would be let in, what it tells, and what
    that would earn; ends with 1 when it would not be let in or understood.
    """
    from stampcard.cli.findings import connection_findings
    from stampcard.cli.logging import quiet
    from stampcard.cli.rehearsing import rehearsed
    from stampcard.host.discovering import discover

    quiet()
    settings, table = with_plugged(settings_of(context)), discover()
    spec = _spec(settings, name)
    problems = _problems(spec, table)
    if problems:
        raise InvalidSettings(problems)
    if payload is not None:
        rehearsed(settings, spec, payload, header or [], unsigned=unsigned, json=json)
        return
    if header or unsigned:
        raise typer.BadParameter("say which webhook by --payload", param_hint="--header" if header else "--unsigned")
    finding, *others = asyncio.run(connection_findings(settings, table, [spec]))
    ok = finding.works
    if json:
        show_json({"name": name, "ok": ok, "text": finding.text, "missing": [one.text for one in others]})
    else:
        (show if ok else say)(f"{name}: {finding.text}")
        for one in others:
            say(f"{name}: {one.text}")
    if not ok:
        raise typer.Exit(UNREACHABLE)


def _spec(settings: Settings, name: str) -> ConnectionSpec:
    for spec in settings.specs():
        if spec.name == name:
            return spec
    raise NotFound("connection", name)


def _problems(spec: ConnectionSpec, table: PluginTable) -> tuple[ConfigurationError, ...]:
    """What is wrong with a connection's section."""
    from stampcard.host.sections import plugin_for, read_settings

    try:
        manifest = plugin_for(spec.name, spec.plugin, table).manifest
    except ConfigurationError as error:
        return (error,)
    return read_settings(spec.name, manifest, spec.settings)[1]


def _rows(settings: Settings) -> list[dict[str, Any]]:
    from stampcard.host.discovering import discover

    table = discover()
    with opened(settings) as database:
        known = database.read_now(lambda connection: _known(connection, settings))
    return [
        {
            "name": spec.name,
            "plugin": spec.plugin,
            **known[spec.name],
            "problem": "; ".join(map(str, _problems(spec, table))),
        }
        for spec in sorted(settings.specs(), key=lambda spec: spec.name)
    ]


def _known(connection: Connection, settings: Settings) -> dict[str, dict[str, Any]]:
    """What the database knows of each connection."""
    from stampcard.storage.depths import load_depths
    from stampcard.storage.listing import last_received, quarantine_groups
    from stampcard.storage.rows import moment as moment_of

    merchant = settings.merchant
    states, depths = _states(connection, merchant), load_depths(connection, merchant)
    quarantined: dict[str, int] = {}
    for owner, _, count, *_ in quarantine_groups(connection, merchant):
        quarantined[owner] = quarantined.get(owner, 0) + count
    rows = {}
    for spec in settings.specs():
        state, reason, since = states.get(spec.name, ("active", "", None))
        rows[spec.name] = {
            "state": state,
            "reason": reason,
            "since": since,
            "due": depths.pending.get(spec.name, 0),
            "oldest_due_at": depths.oldest.get(spec.name),
            "dead": depths.dead.get(spec.name, 0),
            "quarantined": quarantined.get(spec.name, 0),
            "last_delivery_at": moment_of(last_received(connection, merchant, spec.name)),
        }
    return rows


def _states(connection: Connection, merchant: str) -> dict[str, tuple[str, str, Any]]:
    from stampcard.clock import from_micros
    from stampcard.storage.stating import load_states

    return {
        row.connection: (row.state, row.reason, from_micros(row.since)) for row in load_states(connection, merchant)
    }


def _set(connection: Connection, merchant: str, name: str, state: str, reason: str) -> None:
    from stampcard.clock import SystemClock
    from stampcard.storage.stating import set_state

    set_state(connection, merchant, name, state, reason, SystemClock())
