"""Cards in phones: each pass whose card shows something else than before is brought up to date, in the vendor's batches."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from stampcard.applying.passes import Pictured, pictured, terms_of
from stampcard.applying.setting import Setting, Stale, check_revision
from stampcard.calling.lines import Line
from stampcard.clock import Clock
from stampcard.domain.commands import PASS
from stampcard.domain.value import Value, replace
from stampcard.outbox.retrying import not_taken, worst
from stampcard.plugin.outcomes import Delivered, Outcome, Rejected
from stampcard.storage import leasing
from stampcard.storage.database import Database
from stampcard.storage.looks import Look
from stampcard.storage.passes import note_shown, owe_next
from stampcard.storage.pushing import PushResult, due_rows, settle_pushes

#: How many members are looked at in one go, where most of their passes show the same as before.
LOOKED = 200
#: How many members wait at most because cards look different now: whoever buys something meanwhile waits behind so many.
WAITING = 50


class DuePass(Value, frozen=True):
    """One member whose passes are due, with those of them that show something new."""

    member: str
    version: int
    sent: int
    due_at: int
    attempts: int
    passes: tuple[Pictured, ...]


class Presenting:
    """The passes of one connection."""

    def __init__(self, database: Database, clock: Clock, line: Line, setting: Callable[[], Setting]) -> None:
        self._database, self._clock, self.line, self._setting = database, clock, line, setting
        self._flying: set[str] = set()
        self._looking = asyncio.Lock()
        self._looked = ""

    async def due(self) -> list[DuePass]:
        """The next batch; its members are ours until `release` them. Those whose passes show the same cost no call."""
        async with self._looking:  # two flights that look at once must not find the same
            flying, now = set(self._flying), self._clock.now()
            try:
                due = await self._database.read(lambda connection: self._load(connection, flying, now))
                room = WAITING - len(due) - len(flying)
                if room >= WAITING // 2 and await self._look_on(now, room):
                    due = await self._database.read(lambda connection: self._load(connection, flying, now))
            except Stale:  # what a card looks like is known to us again in a moment
                return []
            batch, room = list[DuePass](), self.line.sink.batch_size
            for one in due:
                if len(one.passes) > room and any(known.passes for known in batch):
                    break
                batch.append(one)
                room -= len(one.passes)
            idle = [
                PushResult(member=one.member, sent=one.version, due_at=now, since=now, was_due=one.due_at)
                for one in batch
                if not one.passes
            ]
            if idle:
                await self._database.write(lambda connection: self._settle(connection, idle))
            batch = [one for one in batch if one.passes]
            self._flying |= {one.member for one in batch}
            return batch

    def release(self, batch: Sequence[DuePass]) -> None:
        """Let go of a batch."""
        self._flying -= {one.member for one in batch}

    async def _look_on(self, now: datetime, room: int) -> bool:
        """Let so many members' cards be looked at next, where it changed how cards look; whether there was anybody."""
        setting, name = self._setting(), self.line.connection
        phone = setting.phones.get(name)
        terms = terms_of(setting, phone, now) if phone is not None else ""
        looked = f"{setting.programs.revision} {terms}"
        if not terms or looked == self._looked:
            return False
        look = Look(setting.merchant, PASS, name)

        def go_on(connection: Connection) -> bool:
            check_revision(connection, setting)
            look.hold(connection, now)
            place = look.behind(connection, terms)
            if place is None:
                return False
            members = owe_next(connection, setting.merchant, name, place, room, now)
            look.save(connection, terms, members[-1] if members else "", now, ended=not members)
            return bool(members)

        went_on = await self._database.write(go_on)
        if not went_on:
            self._looked = looked
        return went_on

    def _load(self, connection: Connection, flying: set[str], now: datetime) -> list[DuePass]:
        setting, name = self._setting(), self.line.connection
        phone = setting.phones.get(name)
        if phone is None or not terms_of(setting, phone, now):
            return []
        check_revision(connection, setting)
        rows = due_rows(connection, setting.merchant, name, PASS, now, LOOKED, flying)
        shown = pictured(connection, setting, name, [row.member for row in rows], now) if rows else []
        return [
            DuePass(
                member=row.member,
                version=row.version,
                sent=row.sent,
                due_at=row.due_at,
                attempts=row.attempts,
                passes=tuple(one for one in shown if one.of.member == row.member and one.is_new),
            )
            for row in rows
        ]

    async def send(self, batch: Sequence[DuePass], lease: str, token: int) -> list[Outcome]:
        """Bring them up to date, and write down what is shown, unless another process took the connection over meanwhile."""
        shown = [(due, one) for due in batch for one in due.passes]
        outcomes = await self.line.attempt([one.push for _, one in shown])
        now, merchant = self._clock.now(), self._setting().merchant
        answered = list(zip(shown, outcomes, strict=True))
        results = worst(self._result(due, outcome, now) for (due, _), outcome in answered)
        done = [
            one.shown(now, noticed=bool(outcome.result.get("noticed", one.push.notify)))
            for (_, one), outcome in answered
            if isinstance(outcome, Delivered)
        ]

        def settle(connection: Connection) -> None:
            if leasing.holds(connection, merchant, lease, token):
                note_shown(connection, merchant, done)
                self._settle(connection, results)

        await self._database.write(settle)
        return outcomes

    def _settle(self, connection: Connection, results: Sequence[PushResult]) -> None:
        settle_pushes(connection, self._setting().merchant, self.line.connection, PASS, results)

    def _result(self, due: DuePass, outcome: Outcome, now: datetime) -> PushResult:
        wait = min(self._setting().coalesce, self._setting().longest)
        if isinstance(outcome, Delivered) or (isinstance(outcome, Rejected) and outcome.gone):
            return PushResult(member=due.member, sent=due.version, due_at=now + wait, since=now, was_due=due.due_at)
        policy = self.line.sink.retry
        result = not_taken(outcome, due.attempts, policy, now, random.random(), member=due.member, sent=due.sent)
        return replace(result, was_due=due.due_at)
