"""Bringing vendors up to date: the newest figures of everybody whose push is due."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from stampcard.calling.lines import Line
from stampcard.clock import Clock
from stampcard.engine.versions import Programs
from stampcard.outbox.retrying import next_attempt
from stampcard.plugin.outcomes import Delivered, Outcome, Rejected, RetryLater
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
        results = _worst(self._result(push, outcome, now) for push, outcome in zip(pushes, outcomes, strict=True))

        def settle(connection: Connection) -> None:
            if leasing.holds(connection, self._merchant, lease, token):
                settle_pushes(connection, self._merchant, self.line.connection, self.line.sink.kind, results)

        await self._database.write(settle)
        return outcomes

    def _result(self, push: DuePush, outcome: Outcome, now: datetime) -> PushResult:
        member, attempts = push.item.member, push.attempts + 1
        match outcome:
            case Delivered():
                return PushResult(member=member, sent=push.item.version, due_at=now + self._coalesce, since=now)
            case Rejected(reason=reason):
                return PushResult(member=member, sent=push.sent, due_at=now, attempts=attempts, error=reason, dead=True)
        # Sending state twice does no harm, so an unknown outcome is simply tried again.
        later = outcome if isinstance(outcome, RetryLater) else RetryLater(reason=outcome.reason)
        if later.after is not None:
            # A vendor that names a time is well and only busy: that alone never makes a dead letter.
            attempts = push.attempts
        at = next_attempt(later, max(attempts, 1), self.line.sink.retry, now, random.random())
        return PushResult(
            member=member,
            sent=push.sent,
            due_at=at or now + timedelta(days=1),
            attempts=attempts,
            error=later.reason,
            dead=at is None,
        )


def _worst(results: Iterable[PushResult]) -> list[PushResult]:
    """One result per member: whoever has two references at a vendor is up to date only when both are."""
    by_member: dict[str, PushResult] = {}
    for result in results:
        known = by_member.get(result.member)
        if known is None or result.error is not None:
            by_member[result.member] = result
    return list(by_member.values())
