"""Bringing vendors up to date: the newest figures of everybody whose push is due."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from stampcard.calling.lines import Line
from stampcard.clock import Clock
from stampcard.engine.versions import Programs
from stampcard.outbox.retrying import not_taken, worst
from stampcard.plugin.outcomes import Delivered, Outcome
from stampcard.storage import leasing
from stampcard.storage.database import Database
from stampcard.storage.pushing import DuePush, PushResult, due_pushes, settle_pushes


class Pushing:
    """The pushes of one sink of one connection."""

    def __init__(self, database: Database, clock: Clock, merchant: str, line: Line, coalesce: timedelta) -> None:
        """`coalesce`: how long what changes during a call waits for a further change."""
        self._database = database
        self._clock = clock
        self._merchant = merchant
        self.line = line
        self._coalesce = coalesce
        self._flying: set[str] = set()
        self._looking = asyncio.Lock()

    async def due(self, programs: Programs) -> list[DuePush]:
        """The next batch; its members are ours until `release` them."""
        async with self._looking:  # two flights that look at once must not find the same
            now, kind, flying = self._clock.now(), self.line.sink.kind, set(self._flying)
            pushes = await self._database.read(
                lambda connection: due_pushes(
                    connection,
                    self._merchant,
                    self.line.connection,
                    kind,
                    programs,
                    now,
                    self.line.sink.batch_size,
                    flying,
                )
            )
            self._flying |= {push.item.member for push in pushes}
            return pushes

    def release(self, pushes: Sequence[DuePush]) -> None:
        """Let go of a batch."""
        self._flying -= {push.item.member for push in pushes}

    async def send(self, pushes: Sequence[DuePush], lease: str, token: int) -> list[Outcome]:
        """Send a batch and write down what became of it, unless another process took the connection over meanwhile."""
        outcomes = await self.line.attempt([push.item for push in pushes])
        now = self._clock.now()
        results = worst(self._result(push, outcome, now) for push, outcome in zip(pushes, outcomes, strict=True))

        def settle(connection: Connection) -> None:
            if leasing.holds(connection, self._merchant, lease, token):
                settle_pushes(connection, self._merchant, self.line.connection, self.line.sink.kind, results)

        await self._database.write(settle)
        return outcomes

    def _result(self, push: DuePush, outcome: Outcome, now: datetime) -> PushResult:
        member = push.item.member
        if isinstance(outcome, Delivered):
            return PushResult(member=member, sent=push.item.version, due_at=now + self._coalesce, since=now)
        policy = self.line.sink.retry
        return not_taken(outcome, push.attempts, policy, now, random.random(), member=member, sent=push.sent)
