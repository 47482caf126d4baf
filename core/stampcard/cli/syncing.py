"""A CRM's contacts looked through from the command line: tried first, then done here or followed at a server, and taken back."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import INTERRUPTED, opened, settings_of
from stampcard.cli.printing import moment, say, show, show_json, show_table
from stampcard.errors import Conflict, NotFound, PluginError, RequestRefused

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from stampcard.app import Application
    from stampcard.applying.supposing import Supposed
    from stampcard.host.connecting import Connection as Plugged
    from stampcard.host.connecting import ConnectionSpec
    from stampcard.host.discovering import PluginTable
    from stampcard.settings import Settings
    from stampcard.storage.database import Database
    from stampcard.storage.sweeping import Sweep
    from stampcard_webhooks.contacts import SweepView

#: Seconds between two looks at how far it is, and between two lines where nobody draws a bar.
LOOK, LINE = 1.0, 5.0
#: How many rows one step of an undo takes back.
STEP = 200
_WORDS = {
    "linked": "are linked to members",
    "linked there": "of these were made there for members",
    "linked here": "of these are people who became members",
    "gone": "were put away there",
    "several": "may be several members: stampcard contact list",
    "unverified": "have an address that no shop verified: stampcard contact list, or trust_addresses",
    "another_contact": "are somebody who has another contact there: stampcard contact list",
    "nobody": "are nobody here",
    "excluded": "take no part, as `only` says",
    "erased": "were erased here",
    "by_hand": "are nobody here, as people said",
    "undone": "were taken back",
}


def sync(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="CONNECTION", help="A connection to a CRM.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would come to, and write nothing.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what it made, there and here.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Go on with nothing until it is typed again.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Say how far it is, and no more.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False,
) -> None:
    """Look through all contacts of a CRM, find out who is a member, and show every member there.

    A running server does it, and this follows it; else it is done here. Typed again, it goes on where it stopped, or looks
    anew. What happens later needs no command.
    """
    from stampcard.storage.sweeping import stop_sweep

    settings = settings_of(context)
    if dry_run:
        _rehearse(settings, name, json=json)
        return
    if undo:
        _undo(settings, name, yes=yes)
        return
    if status or stop:
        with opened(settings) as database:
            if stop:
                database.write_now(lambda connection: stop_sweep(connection, settings.merchant, name, "sync"))
            view, nightly = _look(database, settings, name), _nightly(database, settings, name)
        _show(view, json=json)
        if nightly is not None and not json:
            ended = f"ended on {moment(nightly.ended_at)}" if nightly.ended_at else "is under way"
            show(f"The nightly look {ended}: {nightly.done} contacts read, {nightly.progress.different} of them not known "
                 f"as they were, {nightly.progress.missing} known ones not found")  # fmt: skip
        return
    _begin(settings, name)
    try:
        view = _follow(settings, name)
    except KeyboardInterrupt:
        say(f"Not all is done yet. Go on: stampcard connection sync {name}; stop a server: --stop")
        raise typer.Exit(INTERRUPTED) from None
    _show(view, json=json)


def announce(settings: Settings, table: PluginTable, spec: ConnectionSpec) -> None:
    """Say to whoever adds a CRM that nothing happens there until its contacts are looked through."""

    async def has_contacts() -> bool:
        from stampcard.cli.findings import connected

        async with connected(settings, table, spec) as able:
            return able.contacts is not None

    if asyncio.run(has_contacts()):
        show(
            f"Nothing is read or written there until its contacts are looked through: stampcard connection sync {spec.name}"
        )
        show(f"See first what that would come to: stampcard connection sync {spec.name} --dry-run")


def _crm(application: Application, name: str) -> Plugged:
    """The connection; raises NotFound, PluginError for one that does not stand, RequestRefused for one without contacts."""
    one = application.connections.get(name)
    if one is None:
        raise NotFound("connection", name)
    if one.capabilities is None:
        raise PluginError(one.plugin, one.problem)
    if one.crm is None or one.capabilities.contacts is None:
        raise RequestRefused("no_contacts", f"the plugin {one.plugin!r} has no contacts: it is no CRM")
    return one


def _begin(settings: Settings, name: str) -> None:
    """Let it begin or go on, once the fields that it needs are there."""
    from stampcard.cli.acting import acting
    from stampcard.storage.contacts import undone_anew
    from stampcard.storage.sweeping import begin_sweep

    async def use(application: Application) -> None:
        one = _crm(application, name)
        assert one.crm is not None
        assert one.capabilities is not None
        assert one.capabilities.contacts is not None
        if name not in application.setting.active:
            raise Conflict("connection_stopped", f"{name} is paused or ended: stampcard connection resume {name}")
        for made in await one.capabilities.contacts.prepare(one.crm.pairs):
            say(f"made at {name}: {made}")
        now, merchant = application.clock.now(), settings.merchant

        def work(connection: Connection) -> None:
            undone_anew(connection, merchant, name)
            begin_sweep(connection, merchant, name, "sync", now)

        await application.database.write(work)

    acting(settings, use, calls=True)


def _follow(settings: Settings, name: str) -> SweepView:
    """Watch a server, or be one until all is done."""
    from stampcard.cli.logging import quiet
    from stampcard.cli.serving import is_served

    quiet()
    with opened(settings) as database:
        if is_served(database, settings.merchant):
            say("A running server does it; this only follows it")
            return asyncio.run(_watch(database, settings, name))
    return asyncio.run(_do_here(settings, name))


async def _do_here(settings: Settings, name: str) -> SweepView:
    from stampcard.app import Application

    async with Application(settings) as application:
        return await _watch(application.database, settings, name)


async def _watch(database: Database, settings: Settings, name: str) -> SweepView:
    """Tell how far it is until nothing is left to do, or somebody stopped it."""
    from stampcard.cli.progressing import progress

    told, phase, loop, line = "", "", asyncio.get_running_loop(), 0.0
    view = await asyncio.to_thread(_look, database, settings, name)
    with progress("reading contacts", view.of) as report:
        while view.ended_at is None and not view.stopped:
            if view.phase != phase:
                phase = view.phase
                say(_PHASES[phase])
            if sys.stderr.isatty():
                report(view.read, view.of)
            elif loop.time() >= line:
                line = loop.time() + LINE
                say(f"{view.read}{f' of about {view.of}' if view.of else ''} contacts read, {view.shown} members shown")
            if view.trouble and view.trouble != told:
                told = view.trouble
                say(f"{name}: {told}; it is tried again")
            await asyncio.sleep(LOOK)
            view = await asyncio.to_thread(_look, database, settings, name)
        if sys.stderr.isatty():
            report(view.read, view.of)
    return view


_PHASES = {
    "preparing": "Making the fields that are missing there …",
    "reading": "Reading contacts …",
    "applying": "Finding out whose they are …",
    "showing": "Showing every member there …",
    "sending": "Waiting until all of that is sent …",
    "ended": "",
    "undone": "",
}


def _look(database: Database, settings: Settings, name: str) -> SweepView:
    from stampcard.storage.sweeping import load_sweep
    from stampcard_webhooks.contacts import sweep_view

    def work(connection: Connection) -> SweepView:
        found = load_sweep(connection, settings.merchant, name, "sync")
        if found is None:
            raise NotFound("sync of the connection", name)
        return sweep_view(connection, settings.merchant, found)

    return database.read_now(work)


def _nightly(database: Database, settings: Settings, name: str) -> Sweep | None:
    from stampcard.storage.sweeping import load_sweep

    return database.read_now(lambda connection: load_sweep(connection, settings.merchant, name, "compare"))


def _show(view: SweepView, *, json: bool) -> None:
    if json:
        show_json(view.model_dump(mode="json"))
        return
    phase = "stopped" if view.stopped else view.phase
    ended = f" on {moment(view.ended_at)}" if view.ended_at else ""
    show(f"{view.connection}: {phase}{ended}; {view.read} contacts read, {view.shown} members shown")
    for state, number in _summed(view):
        show(f"{number:>8} {_WORDS.get(state, state)}")
    if view.waiting:
        show(f"{view.waiting} members are still to be shown")
    if view.given_up:
        show(f"{view.given_up} members could not be shown; why: stampcard outbox list --status dead")
    if view.trouble:
        show(f"The last try brought nothing: {view.trouble}")
    if view.stopped:
        show(f"Go on: stampcard connection sync {view.connection}")


def _summed(view: SweepView) -> list[tuple[str, int]]:
    """What is known of the contacts, in the order of the words."""
    found: dict[str, int] = {}
    for one in view.contacts:
        state = one.state if one.state in {"linked", "gone"} else one.why
        found[state] = found.get(state, 0) + one.contacts
        if one.state == "linked" and one.made:
            found[f"linked {one.made}"] = found.get(f"linked {one.made}", 0) + one.contacts
    return [(state, found[state]) for state in _WORDS if state in found]


def _rehearse(settings: Settings, name: str, *, json: bool) -> None:
    """Say what a sync would come to."""
    from stampcard.cli.acting import acting

    async def use(application: Application) -> Supposed:
        return await supposing(application, name)

    found = acting(settings, use, calls=True)
    if json:
        show_json(
            {
                "contacts": found.contacts,
                "outcomes": dict(found.outcomes),
                "examples": found.examples,
                "contacts_to_make": found.to_make,
                "taken": {field: n for field, n in found.taken.items() if n},
                "written": {field: n for field, n in found.written.items() if n},
            }
        )
        return
    show(f"{found.contacts} contacts were read; nothing was written")
    rows = [(str(n), outcome, ", ".join(found.examples[outcome])) for outcome, n in found.outcomes.most_common()]
    if rows:
        show_table([("CONTACTS", "WOULD BE", "SUCH AS"), *rows])
    show(f"{found.to_make} members have no contact and would get one")
    for way, counted in (("here, as the CRM has it", found.taken), ("there, as we have it", found.written)):
        told = ", ".join(f"{field} of {n}" for field, n in sorted(counted.items()) if n)
        if told:
            show(f"Changed {way}: {told}")


async def supposing(application: Application, name: str) -> Supposed:
    """Read everybody, a page at a time."""
    from dataclasses import replace

    from stampcard.applying.supposing import Supposed, suppose_contacts, suppose_members
    from stampcard.cli.progressing import progress
    from stampcard.plugin import ContactSeen
    from stampcard.storage.listing import members_after

    one, found = _crm(application, name), Supposed()
    assert one.crm is not None
    assert one.capabilities is not None
    able, crm, webhook = one.capabilities.contacts, one.crm, one.capabilities.webhook
    assert able is not None
    assert webhook is not None
    # As if it had begun already.
    setting = replace(application.setting, crms={**application.setting.crms, name: crm})
    now, database = application.clock.now(), application.database
    for missing in await able.prepare(crm.pairs, dry_run=True):
        say(f"would be made at {name}: {missing}")
    with progress("reading contacts", await able.count()) as report:
        place, more = "", True
        while more:
            await application.clock.sleep(able.pace())
            page = await able.read(place)
            seen = [e for d in page.deliveries for e in webhook.events(d) if isinstance(e, ContactSeen)]
            await database.read(lambda c, seen=seen: suppose_contacts(c, setting, crm, seen, now, found))  # type: ignore[misc]
            report(found.contacts, None)
            more, place = bool(page.place and page.place != place), page.place
    after = ""
    while ids := await database.read(lambda c, after=after: members_after(c, setting.merchant, after, 500)):  # type: ignore[misc]
        await database.read(lambda c, ids=ids: suppose_members(c, setting, crm, ids, now, found))  # type: ignore[misc]
        after = ids[-1]
    return found


def _undo(settings: Settings, name: str, *, yes: bool) -> None:
    """Take back what a sync made: contacts there, and members here who did nothing since."""
    from stampcard.applying.linking import take_back
    from stampcard.cli.acting import acting
    from stampcard.storage.sweeping import load_sweep, stop_sweep, take_sweep_back

    with opened(settings) as database:
        view = _look(database, settings, name)
    made = {way: sum(one.contacts for one in view.contacts if one.made == way) for way in ("there", "here")}
    if view.phase == "undone":
        say(f"The sync of {name} was taken back before")
        return
    if not yes:
        say(
            f"Up to {made['there']} contacts that were made at {name} are put away there, and up to {made['here']} members"
        )
        say("who came from there and did nothing since are removed. What is shown at other contacts stays.")
        typer.confirm("Take it back?", abort=True, err=True)

    async def use(application: Application) -> tuple[int, int]:
        database, merchant = application.database, settings.merchant
        sweep = await database.write(lambda c: stop_sweep(c, merchant, name, "sync"))
        if sweep is None:
            raise NotFound("sync of the connection", name)
        await application.refresh()
        setting = application.setting
        there = here = 0
        until = sweep.ended_at or application.clock.now()
        left = True
        while left:
            now = application.clock.now()
            done = await database.write(
                lambda c, now=now: take_back(c, setting, now, name, sweep.started_at, until, STEP)  # type: ignore[misc]
            )
            there, here, left = there + done.there, here + done.here, done.left > 0
        stands = await database.read(lambda c: load_sweep(c, merchant, name, "sync"))
        if stands is not None:
            now = application.clock.now()
            await database.write(lambda c: take_sweep_back(c, merchant, stands, there, here, now))
        return there, here

    there, here = acting(settings, use)
    show(f"{there} contacts at {name} are put away by whoever serves, {here} members are removed")
    say(f"Look through all contacts anew: stampcard connection sync {name}")
