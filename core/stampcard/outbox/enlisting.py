"""Audiences elsewhere: who joins and who leaves is told in the vendor's batches, after it was noted that it may be so."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as DatabaseConnection
from sqlalchemy import Row

from stampcard.applying.enlisting import places_of, terms_of
from stampcard.applying.setting import Setting
from stampcard.calling.lines import Line
from stampcard.clock import Clock
from stampcard.domain.audiences import AudiencePush, Place
from stampcard.domain.commands import AUDIENCE
from stampcard.domain.value import Value, replace
from stampcard.engine.enlisting import Step, next_step
from stampcard.host.connecting import Connection
from stampcard.outbox.retrying import not_taken
from stampcard.plugin.audiences import AudienceSettings, AudienceSink
from stampcard.plugin.outcomes import Delivered, Outcome, Rejected
from stampcard.storage import audiences, leasing
from stampcard.storage.database import Database
from stampcard.storage.listing import members_after
from stampcard.storage.looks import Look
from stampcard.storage.pushing import PushResult, settle_pushes

#: How many members are looked at in one go, where nobody has to be told of most of them.
LOOKED = 500


class DueStep(Value, frozen=True):
    """What is to be told of one member now, and what is known of their push."""

    member: str
    version: int
    sent: int
    due_at: int
    attempts: int
    step: Step


class Enlisting:
    """The audiences of one connection. One call at a time: who is out by one may be in by the next."""

    def __init__(
        self, database: Database, clock: Clock, line: Line, connection: Connection, setting: Callable[[], Setting]
    ) -> None:
        self._database, self._clock, self.line = database, clock, line
        self._connection, self._setting = connection, setting
        self._flying: set[str] = set()
        self._looking = asyncio.Lock()

    async def due(self) -> list[DueStep]:
        """The next batch; its members are ours until `release` them."""
        settings, sink = self._connection.settings, self.line.sink
        if not isinstance(settings, AudienceSettings) or not isinstance(sink, AudienceSink):
            return []
        async with self._looking:
            if self._flying:
                return []
            await self._look_on(settings, sink)
            now = self._clock.now()
            due = await self._database.read(lambda connection: self._load(connection, settings, sink, now))
            self._flying = {one.member for one in due}
            return due

    def release(self, batch: Sequence[DueStep]) -> None:
        """Let go of a batch."""
        self._flying -= {one.member for one in batch}

    async def _look_on(self, settings: AudienceSettings, sink: AudienceSink) -> None:
        """Let the next members be looked at, where it changed what the audiences are."""
        setting, now = self._setting(), self._clock.now()
        terms = terms_of(setting, settings, sink.hashes, now)
        look = Look(setting.merchant, AUDIENCE, self._connection.name)
        place = await self._database.read(lambda connection: look.behind(connection, terms))
        if place is None:
            return

        def go_on(connection: DatabaseConnection) -> None:
            members = members_after(connection, setting.merchant, place, LOOKED)
            audiences.owe(connection, setting.merchant, [self._connection.name], members, now)
            look.save(connection, terms, members[-1] if members else "", now, ended=not members)

        await self._database.write(go_on)

    def _load(
        self, connection: DatabaseConnection, settings: AudienceSettings, sink: AudienceSink, now: datetime
    ) -> list[DueStep]:
        setting, name = self._setting(), self._connection.name
        merchant, sealer = setting.merchant, setting.sealer
        rows = audiences.due_members(connection, merchant, name, now, max(sink.batch_size, LOOKED))
        members = [row.member for row in rows]
        told = audiences.load_told(connection, merchant, sealer, name, members)
        wanted = places_of(connection, setting, settings, sink.hashes, told, members, now)
        gone = {place for id_ in members for place in told.get(id_, {}).keys() - wanted.get(id_, frozenset())}
        held = audiences.others_in(connection, merchant, sealer, name, gone)
        return _batch(rows, told, wanted, held, sink.batch_size)

    async def send(self, batch: Sequence[DueStep], lease: str, token: int) -> list[Outcome]:
        """Tell the vendor, and write down what became of each, unless another process took the connection over meanwhile."""
        if not await self._note(batch, lease, token):
            return []
        items = [item for one in batch for item in one.step.items]
        outcomes = await self.line.attempt(items) if items else []
        left = iter(outcomes)
        became = [[next(left) for _ in one.step.items] for one in batch]
        setting, name, now = self._setting(), self._connection.name, self._clock.now()
        results = [self._result(one, of, now) for one, of in zip(batch, became, strict=True)]
        done = [
            (one.member, item)
            for one, of in zip(batch, became, strict=True)
            for item, outcome in zip(one.step.items, of, strict=True)
            if _is_done(item, outcome)
        ]

        def settle(connection: DatabaseConnection) -> None:
            if not leasing.holds(connection, setting.merchant, lease, token):
                return
            come = [(id_, place) for id_, item in done for place in item.joining]
            gone = [(id_, place) for id_, item in done for place in item.leaving]
            audiences.be_sure(connection, setting.merchant, setting.sealer, name, come)
            audiences.drop(connection, setting.merchant, setting.sealer, name, gone)
            settle_pushes(connection, setting.merchant, name, AUDIENCE, results)

        await self._database.write(settle)
        return outcomes

    async def _note(self, batch: Sequence[DueStep], lease: str, token: int) -> bool:
        """Commit where each may be once the call has left, whatever becomes of it; False when another process took over."""
        setting, name = self._setting(), self._connection.name
        open_ = [
            (one.member, place)
            for one in batch
            for place in one.step.shaken.union(*(item.joining | item.leaving for item in one.step.items))
        ]
        dropped = [(one.member, place) for one in batch for place in one.step.dropped]
        if not open_ and not dropped:
            return True

        def work(connection: DatabaseConnection) -> bool:
            if not leasing.holds(connection, setting.merchant, lease, token):
                return False
            audiences.doubt(connection, setting.merchant, setting.sealer, name, open_)
            audiences.drop(connection, setting.merchant, setting.sealer, name, dropped)
            return True

        return await self._database.write(work)

    def _result(self, one: DueStep, outcomes: Sequence[Outcome], now: datetime) -> PushResult:
        """One result for each member: whoever has two items is up to date only when both are taken."""
        pairs = zip(one.step.items, outcomes, strict=True)
        failed = next((outcome for item, outcome in pairs if not _is_done(item, outcome)), Delivered())
        if isinstance(failed, Delivered):
            sent = one.sent if one.step.goes_on else one.version
            return PushResult(member=one.member, sent=sent, due_at=now, since=now, was_due=one.due_at)
        policy = self.line.sink.retry
        result = not_taken(failed, one.attempts, policy, now, random.random(), member=one.member, sent=one.sent)
        return replace(result, was_due=one.due_at)


def _is_done(item: AudiencePush, outcome: Outcome) -> bool:
    """Whether it is so now; an audience that is gone has nobody in it, and nobody comes into it."""
    return isinstance(outcome, Delivered) or (isinstance(outcome, Rejected) and outcome.gone and not item.joins)


def _batch(
    rows: Sequence[Row[Any]],
    told: Mapping[str, Mapping[Place, bool]],
    wanted: Mapping[str, frozenset[Place]],
    held: Mapping[Place, set[str]],
    most: int,
) -> list[DueStep]:
    """What is told in one call: of no audience the same hash twice, and of nobody more than fits into it."""
    batch: list[DueStep] = []
    room, moving, dropped = most, set[Place](), set[tuple[str, Place]]()
    for row in rows:
        mine, belongs = told.get(row.member, {}), wanted.get(row.member, frozenset())
        of_others = [
            place
            for place in mine.keys() - belongs
            if place in moving or any((id_, place) not in dropped for id_ in held.get(place, set()) - {row.member})
        ]
        step = next_step(row.member, row.version, belongs, mine, of_others, room)
        moves = {place for item in step.items for place in item.joining | item.leaving}
        if moves & moving or (step.goes_on and not step.items):
            break
        batch.append(
            DueStep(
                member=row.member,
                version=row.version,
                sent=row.sent,
                due_at=row.due_at,
                attempts=row.attempts,
                step=step,
            )
        )
        room, moving = room - len(step.items), moving | moves
        dropped |= {(row.member, place) for place in step.dropped}
    return batch
