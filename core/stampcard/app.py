"""The composition root: opens everything in order, closes it in reverse."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace as replaced
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy import Connection as DatabaseConnection
from sqlalchemy.exc import SQLAlchemyError

from stampcard.applying.deliveries import Applied, Prepared
from stampcard.applying.passes import StoredPasses
from stampcard.applying.setting import Setting
from stampcard.calling.looping import Loop
from stampcard.clock import EPOCH, Clock, SystemClock, to_micros
from stampcard.domain.commands import AUDIENCE, PASS, STATES
from stampcard.domain.decisions import Change
from stampcard.domain.deliveries import Delivery
from stampcard.domain.rewards import ACTIONS
from stampcard.engine.world import Facts
from stampcard.errors import ConfigurationError, Unavailable, place_of, trace_of
from stampcard.host.addresses import outbound_rules
from stampcard.host.channels import ways_of
from stampcard.host.connecting import Connection, Resources
from stampcard.host.dialling import guarded_dial
from stampcard.host.discovering import PluginTable, discover
from stampcard.host.guarding import closed_client, guarded_client
from stampcard.host.hooks import Hooks
from stampcard.inbox.backfilling import Backfiller
from stampcard.inbox.batching import Batcher
from stampcard.inbox.fetching import Fetcher
from stampcard.inbox.gathering import Gatherer
from stampcard.inbox.polling import Poller
from stampcard.inbox.reconciling import Reconciler
from stampcard.inbox.sweeping import Sweeper
from stampcard.inbox.timing import Timer
from stampcard.inbox.working import Worker
from stampcard.observing import Metrics
from stampcard.outbox.dispatching import Dispatcher
from stampcard.plugin.audiences import AudienceSettings
from stampcard.plugin.connections import closed_dial
from stampcard.plugin.outcomes import Outcome
from stampcard.plugin.passes import PassSettings
from stampcard.sealing import Sealer, read_keys
from stampcard.settings import Settings
from stampcard.storage import leasing, migrating
from stampcard.storage.database import LONG_PATIENCE, PATIENCE, Database
from stampcard.storage.depths import load_depths
from stampcard.storage.numbering import Numbering
from stampcard.storage.plugging import load_plugged
from stampcard.storage.programming import load_programs, take_first_programs
from stampcard.storage.pushing import pushed_targets
from stampcard.storage.requeueing import retry_pushes
from stampcard.storage.revising import current
from stampcard.storage.stating import SealedStore, load_states, set_state
from stampcard.storage.sweeping import Sweep, begun_sweeps
from stampcard.switchboard import Switchboard

log = structlog.get_logger()

#: How often (seconds) the revision is asked for, so that a switch works everywhere within a second.
POLL = 0.5
#: How long (seconds) closing waits for what is under way.
DRAIN = 30.0
#: How long it is remembered which connections a merchant has who is configured elsewhere.
REMEMBERED = timedelta(minutes=1)


class Application:
    """A running Stampcard: the database, the plugins with their connections, and the loops between them."""

    def __init__(
        self, settings: Settings, *, clock: Clock | None = None, plugins: Mapping[str, object] | None = None
    ) -> None:
        """`plugins`: modules or objects with hooks, beside those that are installed."""
        self._told = settings
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.metrics = Metrics()
        self.owner = os.urandom(8).hex()
        self.public_url = settings.http.base_url
        self.table: PluginTable
        self.switchboard: Switchboard
        self.resources: Resources
        self.database: Database
        self.batcher: Batcher
        self.gatherer: Gatherer
        self.worker: Worker
        self.timer: Timer
        self._plugins = plugins
        self._tasks: list[asyncio.Task[None]] = []
        self._setting: Setting | None = None
        self._refreshed_at = EPOCH
        self._stopped: frozenset[str] = frozenset()
        self._begun: Mapping[str, Sweep] = {}
        self._replugging = asyncio.Lock()
        self._plugs: set[asyncio.Task[None]] = set()
        self._elsewhere: dict[str, tuple[datetime, Mapping[str, tuple[str, ...]]]] = {}

    @property
    def setting(self) -> Setting:
        """What units of work need, as of the last refresh."""
        assert self._setting is not None, "open the application first"
        return self._setting

    @property
    def connections(self) -> Mapping[str, Connection]:
        """The connections that stand, or failed to, by name."""
        return self.switchboard.connections

    @property
    def dispatchers(self) -> Mapping[str, Dispatcher]:
        """What sends, by connection."""
        return self.switchboard.dispatchers

    def stands_in_file(self, name: str) -> bool:
        """Whether a connection is one of the settings file or the environment: those win."""
        return name in self._told.connections

    @property
    def sources(self) -> Mapping[str, str]:
        """Each connection with the one that owns the order references it reports."""
        return self.settings.sources()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self, *, loops: bool = True, calls: bool = True) -> None:
        """Open everything. One-off commands want no `loops`, then nothing works by itself, and no `calls` to vendors."""
        outbound_rules(self.settings.security.outbound_allow, ())
        sealer = open_sealer(self.settings)
        self.database = Database(self.settings.database, patience=PATIENCE if loops else LONG_PATIENCE)
        try:
            if loops:
                self.database.claim_file()
            await asyncio.to_thread(_migrate, self.database)
            if loops and self.database.is_sqlite:
                # The file is ours alone: whoever still holds a lease was killed.
                await self.database.write(lambda connection: leasing.end_all(connection, self.settings.merchant))
            await self._connect(sealer, calls=calls)
        except BaseException:
            self.database.close()
            raise
        if loops:
            self._start()

    async def _connect(self, sealer: Sealer, *, calls: bool) -> None:
        settings, merchant = self.settings, self.settings.merchant
        self.table = discover(self._plugins)
        hooks = Hooks(self.table)
        await self.database.write(
            lambda connection: take_first_programs(connection, merchant, settings.program_files(), self.clock.now())
        )
        self.resources = resources = Resources(
            clock=self.clock,
            log=log,
            public_url=self.public_url,
            open_store=lambda name: SealedStore(self.database, merchant, name, sealer),
            open_http=lambda hosts: (
                guarded_client(settings.security.outbound_allow, hosts) if calls else closed_client()
            ),
            open_passes=lambda name: StoredPasses(self.database, self.clock, lambda: self.setting, name),
            open_dial=lambda hosts: guarded_dial(settings.security.outbound_allow, hosts) if calls else closed_dial,
        )
        self.switchboard = Switchboard(self.table, resources, self._dispatcher, self._workers)
        self.settings = settings = await self._with_plugged(sealer)
        await self.switchboard.plug(settings.specs())
        programs = await self.database.read(lambda connection: load_programs(connection, merchant))
        self._setting = self._wired(
            Setting(
                merchant=merchant,
                sealer=sealer,
                numbering=Numbering(),
                hooks=hooks,
                programs=programs,
                targets={},
                plugins={},
                active=frozenset(),
                fetching=frozenset(),
                fulfilling={},
                coalesce=timedelta(seconds=settings.deliver.coalesce),
                longest=timedelta(seconds=settings.deliver.longest),
                matching=frozenset(settings.members.match),
            )
        )
        await self.refresh()
        self.batcher = Batcher(self.database, merchant, sealer, self.setting.numbering, self._stored)
        self.gatherer = Gatherer(self.database, self.clock, self.connections)
        self.worker = Worker(self.database, self.clock, self.owner, self, self._applied)
        keep = (timedelta(days=settings.keep.bodies_days), timedelta(days=settings.keep.quarantine_days))
        self.timer = Timer(self.database, self.clock, self.owner, self, self.announce, keep)
        self.switchboard.equip()

    def _dispatcher(self, connection: Connection) -> Dispatcher:
        return Dispatcher(
            self.database, self.clock, self.owner, connection, lambda: self.setting, self._sent, self.worker.wake.set
        )

    def _workers(self, connection: Connection) -> list[Loop]:
        """What fetches from a connection, finds what it did not tell, and reads its past."""
        of, found = connection.capabilities, list[Loop]()
        about = (self.database, self.clock, self.owner, connection, lambda: self.setting)
        if of is not None and of.fetch is not None:
            found.append(Fetcher(*about, self.worker.wake.set))
        if of is not None and of.orders is not None:
            found.append(Reconciler(*about, lambda name: self.sources.get(name, name)))
        if of is not None and of.history is not None:
            found.append(Backfiller(*about, self.worker.wake.set))
        if of is not None and of.contacts is not None:
            found.append(Poller(*about, self.worker.wake.set))
            found.append(Sweeper(*about, self.worker.wake.set))
        return found

    async def _with_plugged(self, sealer: Sealer) -> Settings:
        """The settings with the connections that the database has beside those of the file."""
        merchant = self.settings.merchant
        plugged = await self.database.read(lambda connection: load_plugged(connection, merchant, sealer))
        return self._told.with_plugged({one.name: one.section for one in plugged})

    def _wired(self, setting: Setting) -> Setting:
        """What units of work need to know of the connections."""
        connections = self.connections
        able = {name: one.capabilities for name, one in connections.items() if one.capabilities is not None}
        return replaced(
            setting,
            active=frozenset(connections) - self._stopped,
            targets={name: _kinds(connection) for name, connection in connections.items()},
            plugins={
                name: one.plugin
                for name, one in connections.items()
                if _is_commanded(one) and (one.crm is None or name in self._begun)
            },
            fetching=frozenset(name for name, of in able.items() if of.fetch is not None),
            fulfilling={name: frozenset(of.fulfil.kinds) for name, of in able.items() if of.fulfil is not None},
            ways=ways_of(connections),
            public_url=self.public_url,
            phones={name: phone for name, one in connections.items() if (phone := one.phone) is not None},
            # Nothing is read from a CRM or written to it before people had its contacts looked through.
            crms={
                name: replaced(crm, looking=self._begun[name].ended_at is None, halted=self._begun[name].is_halted)
                for name, one in connections.items()
                if name in self._begun and (crm := one.crm) is not None
            },
        )

    def _start(self) -> None:
        loops = [self._poll, self.worker.run, self.timer.run]
        self._tasks = [asyncio.create_task(_kept_alive(loop)) for loop in loops]
        self.switchboard.start(_kept_alive)

    async def close(self) -> None:
        """Commit what was taken in, end the batch and the calls at hand, give the leases back, close the database."""
        await self.batcher.close()
        self.worker.stop()
        self.timer.stop()
        for task in self._plugs:
            task.cancel()
        tasks = [*self._tasks, *self._plugs, *self.switchboard.stop()]
        if self._tasks:
            self._tasks[0].cancel()
            _, late = await asyncio.wait(tasks, timeout=DRAIN)
            for task in late:
                task.cancel()
        await self.switchboard.close()
        self.database.close()

    async def resume(self, name: str) -> None:
        """Let a connection that has access again work, and send at once what waited; one that people paused stays so."""
        merchant, now = self.setting.merchant, to_micros(self.clock.now())

        def work(connection: DatabaseConnection) -> None:
            states = {row.connection: row.state for row in load_states(connection, merchant)}
            if states.get(name) != "paused":
                set_state(connection, merchant, name, "active", "", self.clock)

        await self.database.write(work)
        count, place = 1, ("", "", "")
        while count:
            again = partial(retry_pushes, merchant=merchant, name=name, member=None, after=place, now=now)
            count, place = await self.database.write(again)
        await self.refresh()
        self.wake()

    async def receive(self, delivery: Delivery) -> None:
        """Store one verified delivery; returns once it is committed, raises Unavailable otherwise."""
        await self.batcher.add(delivery)

    async def find(self, name: str) -> Connection | None:
        """A connection by its name, looked for once more when it is unknown, at most once a second."""
        if name not in self.connections and self.clock.now() - self._refreshed_at > timedelta(seconds=1):
            await self.refresh()
        return self.connections.get(name)

    async def measure(self) -> None:
        """Bring the gauges up to date."""
        depths = await self.database.read(lambda connection: load_depths(connection, self.setting.merchant))
        now = self.clock.now()
        self.metrics.inbox_ready.set(depths.ready)
        self.metrics.quarantined.set(depths.quarantined)
        for name in self.connections:
            self.metrics.pending.labels(connection=name).set(depths.pending.get(name, 0))
            self.metrics.dead.labels(connection=name).set(depths.dead.get(name, 0))
            oldest = depths.oldest.get(name)
            self.metrics.oldest.labels(connection=name).set(max(0.0, (now - oldest).total_seconds()) if oldest else 0)
        for (plugin, hook), stats in self.setting.hooks.stats.items():
            self.metrics.hook_failures.labels(plugin=plugin, hook=hook).set(stats.failures)
        for plugin in self.table.ready:
            self.metrics.plugin_up.labels(plugin=plugin).set(1)
        for failed in self.table.failed:
            self.metrics.plugin_up.labels(plugin=failed.name).set(0)

    async def refresh(self) -> None:
        """Load the program versions, the switches, the connections' states and the connections anew."""
        await self._look_again()
        await self._replug()

    async def _look_again(self) -> None:
        # What knows the revision comes first: whatever changes after that is a reason to look again.
        merchant = self.setting.merchant
        self._refreshed_at = self.clock.now()
        try:
            await asyncio.to_thread(self.setting.sealer.renew)
        except ConfigurationError as error:
            log.error("keys_not_renewed", setting=error.setting, problem=error.problem)
        programs = await self.database.read(lambda connection: load_programs(connection, merchant))
        states = await self.database.read(lambda connection: load_states(connection, merchant))
        self._stopped = frozenset(row.connection for row in states)
        self._begun = await self.database.read(lambda connection: begun_sweeps(connection, merchant))
        silent = (target for target in programs.stopped if target.startswith("plugin:"))
        self.setting.hooks.stop(frozenset(target.removeprefix("plugin:") for target in silent))
        self._setting = replaced(self._wired(self.setting), programs=programs)

    async def _replug(self) -> None:
        """Plug in and out what was added, changed and removed meanwhile."""
        async with self._replugging:
            settings = await self._with_plugged(self.setting.sealer)
            if settings.connections == self.settings.connections:
                return
            self.settings = settings
            if await self.switchboard.plug(settings.specs()):
                self._setting = self._wired(self.setting)
                self.gatherer.know(self.connections)
                self.switchboard.equip()

    async def setting_for(self, merchant: str) -> Setting:
        """What units of work of a merchant need; the connections of one who is configured elsewhere are pushed to there."""
        if merchant == self.setting.merchant:
            return self.setting
        programs = await self.database.read(lambda connection: load_programs(connection, merchant))
        nothing: frozenset[str] = frozenset()
        return replaced(
            self.setting,
            merchant=merchant,
            programs=programs,
            targets=await self._targets_of(merchant),
            plugins={},
            active=nothing,
            fetching=nothing,
            fulfilling={},
            phones={},
            crms={},
            ways={},
        )

    async def _targets_of(self, merchant: str) -> Mapping[str, tuple[str, ...]]:
        """What the connections of a merchant take who is configured elsewhere: what was ever pushed to them."""
        now, known = self.clock.now(), self._elsewhere.get(merchant)
        if known is None or now - known[0] > REMEMBERED:
            known = (now, await self.database.read(lambda connection: pushed_targets(connection, merchant)))
            self._elsewhere[merchant] = known
        return known[1]

    async def gather(self, setting: Setting, batch: Sequence[Prepared]) -> Sequence[Prepared]:
        """Ask plugins what they know of the world for these events."""
        return await self.gatherer.gather(setting, batch)

    async def gather_day(
        self, setting: Setting, on: str, at: datetime, members: Collection[str]
    ) -> Mapping[str, Facts]:
        """Ask plugins what they know for members whose birthday or anniversary it is."""
        return await self.gatherer.facts_on(setting, on, at, members)

    def wake(self) -> None:
        """Let the loops look at once for what was made due."""
        self.worker.wake.set()
        self.switchboard.wake()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            with suppress(Unavailable, SQLAlchemyError):
                number = await self.database.read(lambda connection: current(connection, self.setting.merchant))
                if number != self.setting.programs.revision:
                    await self._look_again()
                    # A vendor that is slow to connect must not keep switches waiting.
                    self._plugs.add(asyncio.create_task(_kept_alive(self._replug)))
                    self.worker.wake.set()
            self._plugs = {task for task in self._plugs if not task.done()}

    def _stored(self, new: int, duplicates: int) -> None:
        self.metrics.duplicates.inc(duplicates)
        if new:
            self.worker.wake.set()

    async def _applied(self, batch: Sequence[Prepared], applied: Applied) -> None:
        now = self.clock.now()
        for one in applied.settled:
            self.metrics.applied.labels(outcome=one.status).inc()
        for prepared in batch:
            for sourced in prepared.events[:1]:
                self.metrics.processing.observe(max(0.0, (now - sourced.received_at).total_seconds()))
        await self.announce(applied.changes)

    async def announce(self, changes: Sequence[Change]) -> None:
        """Tell everybody who wants to know what a committed unit of work changed."""
        for change in changes:
            for kind in change.kinds:
                if not kind.startswith("redemption_"):
                    self.metrics.points.labels(kind=kind).inc()
            for one in change.redemptions:
                self.metrics.redemptions.labels(status=one.status).inc()
            await self.setting.hooks.event_committed(change)
        if changes:
            self.switchboard.wake()

    def _sent(self, connection: str, kind: str, outcomes: Sequence[Outcome]) -> None:
        self.metrics.calls.labels(connection=connection, kind=kind).inc()
        if kind in ACTIONS:
            self.worker.wake.set()
        for outcome in outcomes:
            name = type(outcome).__name__.lower()
            self.metrics.attempts.labels(connection=connection, kind=kind, outcome=name).inc()


async def _kept_alive(loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop until it ends by itself; one that fails for a mistake of ours is started again, loudly."""
    while True:
        try:
            return await loop()
        except Exception as error:  # noqa: BLE001 - whatever it is, the loop goes on
            name = getattr(loop, "__qualname__", "?")
            log.error("loop_failed", loop=name, error=place_of(error), trace=trace_of(error))
            await asyncio.sleep(1.0)


def open_sealer(settings: Settings) -> Sealer:
    """The keys of this installation, from the environment or the key file; raises ConfigurationError."""
    if settings.keys is not None:
        return read_keys(settings.keys.get_secret_value().replace(";", "\n"), "keys")
    try:
        text = settings.key_file.read_text(encoding="utf8")
    except OSError as error:
        problem = f"{settings.key_file} cannot be read ({error.strerror})"
        raise ConfigurationError("key_file", problem, "Make one by: stampcard init") from None
    return read_keys(text).kept(lambda: open_sealer(settings))


def _migrate(database: Database) -> None:
    """Bring an SQLite file to the newest shape; a PostgreSQL database must be there already."""
    if database.is_sqlite:
        migrating.upgrade(database)
        return
    found = database.read_now(migrating.current)
    if found != migrating.head():
        problem = f"the database has shape {found or 'none'}, this version needs {migrating.head()}"
        raise ConfigurationError("database", problem, "Run: stampcard db upgrade")


def _kinds(connection: Connection) -> tuple[str, ...]:
    """The kinds of state that a connection wants to be pushed; one that could not connect is told later what it missed."""
    if connection.capabilities is None:
        special = {AUDIENCE: AudienceSettings, PASS: PassSettings}
        return tuple(kind for kind in STATES if isinstance(connection.settings, special.get(kind, object)))
    return tuple(sink.kind for sink in connection.capabilities.sinks if sink.kind in STATES)


def _is_commanded(connection: Connection) -> bool:
    """Whether things may be done once at a connection; one that could not connect is told later what it missed."""
    return connection.capabilities is None or any(sink.kind not in STATES for sink in connection.sinks)
