"""Asking plugins what they know of the world, before anything is decided: together, within one deadline, remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection as DatabaseConnection

from stampcard.applying.deliveries import Prepared
from stampcard.applying.resolving import customer_of
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Sourced
from stampcard.clock import Clock
from stampcard.domain.events import CustomEvent, Event
from stampcard.domain.members import Member
from stampcard.domain.value import Value, replace
from stampcard.engine.world import NO_FACTS, Facts
from stampcard.errors import place_of
from stampcard.host.connecting import Connection
from stampcard.plugin.capabilities import FactSource
from stampcard.program.events import REWARD
from stampcard.storage import loading
from stampcard.storage.database import Database

log = structlog.get_logger()

#: Seconds that all facts of a batch may take together.
DEADLINE = 2.0
#: How long what could not be found out is not asked for again.
PATIENCE = timedelta(seconds=15)
#: The most that is remembered of one source.
REMEMBERED = 10_000
#: Hooks that are told facts when a reward is wanted.
_ASKING = ("redemption_veto", "reward_price")
_NOTHING_TO_ASK = "there was nothing to ask by"


class Told(Value, frozen=True):
    """What a source said for a key, or why it did not, and until when that counts."""

    until: datetime
    known: Mapping[str, Any] | None = None
    why: str = ""


class Gatherer:
    """The fact sources of all connections, with what they said."""

    def __init__(self, database: Database, clock: Clock, connections: Mapping[str, Connection]) -> None:
        self._database = database
        self._clock = clock
        self._told: dict[str, dict[str, Told]] = {}
        self.know(connections)

    def know(self, connections: Mapping[str, Connection]) -> None:
        """Ask these connections from now on; what others said counts no more."""
        self._sources = [
            (name, source)
            for name, one in sorted(connections.items())
            if one.capabilities is not None
            for source in one.capabilities.facts
        ]
        self._told = {source.name: self._told.get(source.name, {}) for _, source in self._sources}

    async def gather(self, setting: Setting, batch: Sequence[Prepared]) -> Sequence[Prepared]:
        """The batch with facts on its events, where any condition asks for them."""
        if not self._wanted(setting):
            return batch
        events = [sourced for prepared in batch for sourced in prepared.events]
        facts = iter(await self.facts_of(setting, events))
        return [
            replace(prepared, events=tuple(replace(sourced, facts=next(facts)) for sourced in prepared.events))
            for prepared in batch
        ]

    async def facts_of(self, setting: Setting, events: Sequence[Sourced]) -> list[Facts]:
        """The facts of each event, in order."""
        if not self._wanted(setting):
            return [NO_FACTS] * len(events)
        members = await self._database.read(lambda connection: _members(connection, setting, events))
        asked = [dict(self._keys(one.event, members.get(customer_of(one) or ("", "")), setting)) for one in events]
        await self._ask({(name, key) for keys in asked for name, key in keys.items() if key is not None})
        return [self._facts(keys) for keys in asked]

    async def facts_for(self, setting: Setting, member: str) -> Facts:
        """What is known for a member who looks at rewards, where a reward's condition or a plugin's word may ask for it."""
        hooks = setting.hooks
        wanted = "facts" in setting.programs.reward_reads or any(map(hooks.implements, _ASKING))
        if not (self._sources and wanted):
            return NO_FACTS
        return (await self._about(setting, lambda id_: _day(REWARD, id_, self._clock.now()), [member]))[member]

    async def facts_about(self, setting: Setting, event: Event, member: str) -> Facts:
        """What is known for an event of a member whom no connection names, where a condition may ask."""
        if not self._wanted(setting):
            return NO_FACTS
        return (await self._about(setting, lambda _: event, [member]))[member]

    async def facts_on(self, setting: Setting, on: str, at: datetime, members: Collection[str]) -> Mapping[str, Facts]:
        """What is known for each of these members, whose day of the calendar (`on`) has come, where a condition may ask."""
        if not self._sources or not (setting.programs.asks(on, "facts") or _gives(setting)):
            return dict.fromkeys(members, NO_FACTS)
        return await self._about(setting, lambda id_: _day(on, id_, at), members)

    async def _about(
        self, setting: Setting, event_of: Callable[[str], Event], members: Collection[str]
    ) -> Mapping[str, Facts]:
        """What is known for members to whom something happens that no source tells."""
        found = await self._database.read(
            lambda connection: loading.load_members(
                connection, setting.merchant, members, setting.sealer, attributes=True, lock=False
            )
        )
        asked = {id_: dict(self._keys(event_of(id_), found.get(id_), setting)) for id_ in members}
        await self._ask({(name, key) for keys in asked.values() for name, key in keys.items() if key is not None})
        return {id_: self._facts(keys) for id_, keys in asked.items()}

    def _wanted(self, setting: Setting) -> bool:
        """Whether anybody asks for facts of an event: a condition, or a plugin that has a say in the rewards that rules give."""
        return bool(self._sources) and ("facts" in setting.programs.reads or _gives(setting))

    def _keys(self, event: Event, member: Member | None, setting: Setting) -> Iterator[tuple[str, str | None]]:
        """Source → what to ask it for this event."""
        for connection, source in self._sources:
            if connection not in setting.active:
                continue
            try:
                yield source.name, source.key(event, member)
            except Exception as error:  # noqa: BLE001 - a plugin's mistake is its own
                log.error("fact_key_failed", connection=connection, fact=source.name, error=place_of(error))
                yield source.name, None

    async def _ask(self, wanted: set[tuple[str, str]]) -> None:
        """Ask all sources at once for what is not remembered; what takes too long is not waited for."""
        now = self._clock.now()
        new = [(name, key) for name, key in wanted if not self._is_remembered(name, key, now)]
        if not new:
            return
        sources = {source.name: (connection, source) for connection, source in self._sources}
        tasks = {asyncio.create_task(_said(*sources[name], key)): (name, key) for name, key in sorted(new)}
        await asyncio.wait(tasks, timeout=DEADLINE)
        for task, (name, key) in tasks.items():
            source = sources[name][1]
            if not task.done():
                task.cancel()
                told = Told(until=now + PATIENCE, why=f"no answer within {DEADLINE:g} s")
            else:
                known, why = task.result()
                told = Told(until=now + (PATIENCE if known is None else source.keep), known=known, why=why)
            self._remember(name, key, told)

    def _is_remembered(self, name: str, key: str, now: datetime) -> bool:
        told = self._told[name].get(key)
        return told is not None and now < told.until

    def _remember(self, name: str, key: str, told: Told) -> None:
        known = self._told[name]
        if len(known) >= REMEMBERED:
            known.clear()
        known[key] = told

    def _facts(self, keys: Mapping[str, str | None]) -> Facts:
        known: dict[str, Any] = {}
        lacking: dict[str, str] = {}
        for name, key in keys.items():
            told = self._told[name].get(key) if key is not None else None
            if told is not None and told.known is not None:
                known[name] = dict(told.known)
            else:
                lacking[name] = told.why if told is not None else _NOTHING_TO_ASK
        return Facts(known=known, lacking=lacking)


def _day(name: str, member: str, at: datetime) -> Event:
    return CustomEvent(name=name, customer="", key=member, occurred_at=at)


def _gives(setting: Setting) -> bool:
    """Whether rules give rewards that a plugin may be against."""
    return setting.programs.gives and setting.hooks.implements("redemption_veto")


async def _said(connection: str, source: FactSource, key: str) -> tuple[Mapping[str, Any] | None, str]:
    """What a source says, or why it does not."""
    try:
        known = await source.facts(key)
        if not isinstance(known, Mapping):
            raise TypeError(f"facts gave a {type(known).__name__}")  # noqa: TRY301 - told like any failure of the plugin
    except Exception as error:  # noqa: BLE001 - a plugin's mistake is its own
        log.warning("fact_failed", connection=connection, fact=source.name, error=place_of(error))
        return None, f"{connection} could not tell: {type(error).__name__}"
    return known, ""


def _members(
    connection: DatabaseConnection, setting: Setting, events: Sequence[Sourced]
) -> dict[tuple[str, str], Member]:
    """The events' customers who are members already, with their attributes."""
    keys = {key for one in events if (key := customer_of(one)) is not None}
    known = loading.load_identities(connection, setting.merchant, keys)
    ids = {row.member for row in known.values()}
    members = loading.load_members(connection, setting.merchant, ids, setting.sealer, attributes=True, lock=False)
    return {key: members[row.member] for key, row in known.items() if row.member in members}
