"""Reading a connection's orders of the past, from the command line: here, or followed where a server does it."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli.invocation import INTERRUPTED, opened, settings_of
from stampcard.cli.printing import moment, say, show, show_json
from stampcard.errors import Conflict, NotFound, PluginError, RequestRefused

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection

    from stampcard.app import Application
    from stampcard.host.connecting import ConnectionSpec
    from stampcard.host.discovering import PluginTable
    from stampcard.plugin import OrderHistory
    from stampcard.settings import Settings
    from stampcard.storage.database import Database
    from stampcard_webhooks.backfills import BackfillView

#: Seconds between two looks at how far it is, and between two lines where nobody draws a bar.
LOOK, LINE = 0.3, 5.0


def backfill(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="CONNECTION", help="One of the connections.", show_default=False)],
    since: Annotated[
        str,
        typer.Option(metavar="DATE|SPAN", help="How far back: 2024-01-31, 90d, 52w. Begins anew.", show_default=False),
    ] = "",
    anew: Annotated[bool, typer.Option("--anew", help="From the beginning, also where all was read.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Read nothing more until it is begun again.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Say how far it is, and no more.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False,
) -> None:
    """Read all orders that the vendor has from before, or since a day; they earn as if they had been told when they were placed.

    A running server reads them, and this follows it; else they are read and applied here. Typed again, it goes on where it
    stopped.
    """
    from stampcard.storage.backfilling import stop_backfill

    settings = settings_of(context)
    if status or stop:
        with opened(settings) as database:
            if stop:
                database.write_now(lambda connection: stop_backfill(connection, settings.merchant, name))
            view = _look(database, settings, name)
        _show(view, json=json)
        return
    if not _begin(settings, name, since, anew=anew or bool(since)):
        with opened(settings) as database:
            _show(_look(database, settings, name), json=json)
        say("All was read before. Read it again: --anew, or --since")
        return
    try:
        view = _follow(settings, name)
    except KeyboardInterrupt:
        say(f"Not all is read yet. Go on: stampcard connection backfill {name}; stop a server's reading: --stop")
        raise typer.Exit(INTERRUPTED) from None
    _show(view, json=json)


def _begin(settings: Settings, name: str, since: str, *, anew: bool) -> bool:
    """Let it begin or go on; False where it has ended and is not to begin anew."""
    from stampcard.cli.acting import acting
    from stampcard.cli.spans import moment_of
    from stampcard.storage.backfilling import begin_backfill, load_backfill

    async def use(application: Application) -> bool:
        connection = application.connections.get(name)
        if connection is None:
            raise NotFound("connection", name)
        if connection.capabilities is None:
            raise PluginError(connection.plugin, connection.problem)
        if connection.capabilities.history is None:
            raise RequestRefused("no_history", f"the plugin {connection.plugin!r} cannot read orders of the past")
        if name not in application.setting.active:
            raise Conflict("connection_stopped", f"{name} is paused or ended: stampcard connection resume {name}")
        now = application.clock.now()
        begin, merchant = moment_of(since, now) if since else None, settings.merchant
        known = await application.database.read(lambda database: load_backfill(database, merchant, name))
        if known is not None and known.ended_at is not None and not anew:
            return False
        if connection.capabilities.history.hint:
            say(connection.capabilities.history.hint)
        await application.database.write(
            lambda database: begin_backfill(database, merchant, name, now, begin, anew=anew)
        )
        return True

    return acting(settings, use, calls=True)


def _follow(settings: Settings, name: str) -> BackfillView:
    """Watch a server, or be one until all is read and applied."""
    from stampcard.cli.logging import quiet
    from stampcard.cli.serving import is_served

    quiet()
    with opened(settings) as database:
        served = is_served(database, settings.merchant)
        if served:
            say("A running server reads them; this only follows it")
            return asyncio.run(_watch(database, settings, name))
    return asyncio.run(_read_here(settings, name))


async def _read_here(settings: Settings, name: str) -> BackfillView:
    from stampcard.app import Application

    async with Application(settings) as application:
        return await _watch(application.database, settings, name)


async def _watch(database: Database, settings: Settings, name: str) -> BackfillView:
    """Tell how far it is until nothing is left to read and apply, or somebody stopped it."""
    from stampcard.cli.progressing import progress

    told = ""
    view = await asyncio.to_thread(_look, database, settings, name)
    with progress("reading orders", view.of) as report:
        report_ = report if sys.stderr.isatty() else _lines()
        while view.state == "reading" or (view.state == "ended" and view.waiting):
            report_(view.orders, view.of)
            news = f"{view.trouble}; it is tried again" if view.trouble else view.note
            if news and news != told:
                say(f"{name}: {news}")
                told = news
            await asyncio.sleep(LOOK)
            view = await asyncio.to_thread(_look, database, settings, name)
        report_(view.orders, view.of)
    return view


def _lines() -> Callable[[int, int | None], None]:
    """Tells how far it is in plain lines, now and then."""
    loop, next_ = asyncio.get_running_loop(), 0.0

    def tell(done: int, total: int | None) -> None:
        nonlocal next_
        if loop.time() >= next_:
            next_ = loop.time() + LINE
            say(f"{done}{f' of about {total}' if total else ''} orders are read")

    return tell


def _look(database: Database, settings: Settings, name: str) -> BackfillView:
    from stampcard.storage.backfilling import load_backfill
    from stampcard_webhooks.backfills import backfill_view

    def work(connection: Connection) -> BackfillView:
        found = load_backfill(connection, settings.merchant, name)
        if found is None:
            raise NotFound("backfill of the connection", name)
        return backfill_view(connection, settings.merchant, found)

    return database.read_now(work)


def _show(view: BackfillView, *, json: bool) -> None:
    if json:
        show_json(view.model_dump(mode="json"))
        return
    since = f" since {moment(view.since)}" if view.since else ""
    of = f" of about {view.of}" if view.of else ""
    show(f"{view.connection}: {view.state}; {view.orders}{of} orders{since} are read")
    known = max(0, view.orders - view.applied - view.waiting - view.quarantined)
    show(
        f"{view.applied} are applied, {view.waiting} wait, {view.quarantined} are in quarantine, {known} were known so"
    )
    if view.trouble:
        show(f"The last try brought nothing: {view.trouble}")
    elif view.note and view.state != "ended":
        show(view.note)
    if view.quarantined:
        show("Why: stampcard quarantine list")
    if view.state == "stopped":
        show(f"Go on: stampcard connection backfill {view.connection}")


def offer(settings: Settings, table: PluginTable, spec: ConnectionSpec) -> None:
    """Ask whoever adds a connection how much of its past is to be read, and say what that will mean."""
    from stampcard.cli.spans import moment_of
    from stampcard.clock import SystemClock
    from stampcard.storage.backfilling import begin_backfill

    now, later = SystemClock().now(), f"Its orders of the past: stampcard connection backfill {spec.name}"
    hint = asyncio.run(_asked(settings, table, spec, _hint))
    if hint is None:
        return
    days = _first_days(settings)
    if not days:
        show(f"{later}, once a program is there: without one they earn nothing")
        return
    if hint:
        say(hint)
    written = typer.prompt(
        "Read its orders of the past? How far back: 90d, 2024-01-31 or all (empty: none)",
        default="", show_default=False, err=True,
    ).strip()  # fmt: skip
    if not written:
        show(later)
        return
    try:
        since = None if written == "all" else moment_of(written, now)
        count = asyncio.run(_asked(settings, table, spec, lambda history: history.count(since)))
    except PluginError as error:
        say(f"They could not be counted: {error}")
        count = None
    except typer.BadParameter as error:
        say(str(error))
        show(later)
        return
    say(f"{f'About {count}' if count is not None else 'An unknown number of'} orders; those before "
        f"{' and '.join(f'the first day of {name} ({day})' for name, day in days.items())} earn nothing")  # fmt: skip
    if not typer.confirm("Read them?", default=True, err=True):
        show(later)
    else:
        with opened(settings) as database:
            database.write_now(lambda c: begin_backfill(c, settings.merchant, spec.name, now, since, anew=True))
        show(
            f"A running server reads them. Follow it, or read them without one: stampcard connection backfill {spec.name}"
        )


async def _hint(history: OrderHistory) -> str:
    return history.hint


async def _asked(
    settings: Settings, table: PluginTable, spec: ConnectionSpec, ask: Callable[[OrderHistory], Any]
) -> Any:
    """What a question to its history brings; None where it has none. Raises PluginError."""
    from stampcard.cli.findings import connected

    async with connected(settings, table, spec) as able:
        return None if able.history is None else await ask(able.history)


def _first_days(settings: Settings) -> dict[str, str]:
    """Each program with its first day."""
    from stampcard.storage.programming import load_programs

    with opened(settings) as database:
        programs = database.read_now(lambda connection: load_programs(connection, settings.merchant))
    found: dict[str, datetime] = {
        name: min(of.valid_from for of in all_) for name, all_ in programs.versions.items() if all_
    }
    return {name: f"{at.astimezone(programs.versions[name][0].program.zone):%Y-%m-%d}" for name, at in found.items()}
