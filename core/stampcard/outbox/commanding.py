"""Doing things once: an attempt is committed before the call, and an unknown outcome is found out, never repeated."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from stampcard.calling.lines import ATTEMPT, Line
from stampcard.clock import Clock
from stampcard.domain.rewards import ACTIONS
from stampcard.outbox.retrying import next_attempt
from stampcard.plugin.outcomes import Absent, Delivered, Done, Lookup, Outcome, Rejected, RetryLater, Unknown
from stampcard.sealing import Sealer
from stampcard.storage import leasing
from stampcard.storage.commanding import (
    CommandResult,
    DueCommand,
    due_commands,
    mark_attempting,
    settle_commands,
    tell,
    told_of,
)
from stampcard.storage.database import Database
from stampcard.storage.numbering import Numbering


class Commanding:
    """The commands of one sink of one connection."""

    def __init__(
        self, database: Database, clock: Clock, merchant: str, sealer: Sealer, line: Line, numbering: Numbering
    ) -> None:
        self._database = database
        self._clock = clock
        self._merchant = merchant
        self._sealer = sealer
        self._numbering = numbering
        self.line = line
        self._flying: set[int] = set()
        self._looking = asyncio.Lock()

    async def due(self) -> list[DueCommand]:
        """The next batch; ours until `release` it."""
        async with self._looking:  # two flights that look at once must not find the same
            now, sink, flying = self._clock.now(), self.line.sink, set(self._flying)
            commands = await self._database.write(
                lambda connection: due_commands(
                    connection,
                    self._merchant,
                    self.line.connection,
                    sink.kind,
                    self._sealer,
                    now,
                    sink.batch_size,
                    flying,
                    sink.visible_after,
                )
            )
            self._flying |= {command.id for command in commands}
            return commands

    def release(self, commands: Sequence[DueCommand]) -> None:
        """Let go of a batch."""
        self._flying -= {command.id for command in commands}

    async def send(self, commands: Sequence[DueCommand], lease: str, token: int) -> list[Outcome]:
        """Find out about the unknown ones, send the others, and write down what became of all."""
        unknown = [command for command in commands if command.unknown]
        fresh = [command for command in commands if not command.unknown]
        results = [await self._find_out(command) for command in unknown]
        outcomes: list[Outcome] = []
        if fresh:
            leaving = await self._announce(fresh, lease, token)
            fresh = [command for command in fresh if command.id in leaving]
        if fresh:
            outcomes = await self.line.attempt([command.command for command in fresh])
            now = self._clock.now()
            results += [self._result(c, outcome, now) for c, outcome in zip(fresh, outcomes, strict=True)]
        await self._settle(results)
        return outcomes

    async def _announce(self, commands: Sequence[DueCommand], lease: str, token: int) -> set[int]:
        """Commit `attempting` while the lease is ours; answers which may leave, none when another process took over."""
        now = self._clock.now()

        def work(connection: Connection) -> set[int]:
            if not leasing.holds(connection, self._merchant, lease, token):
                return set()
            return mark_attempting(connection, self._merchant, [command.id for command in commands], now)

        return await self._database.write(work)

    async def _settle(self, results: Sequence[CommandResult]) -> None:
        kind, now = self.line.sink.kind, self._clock.now()

        def work(connection: Connection) -> None:
            settled = settle_commands(connection, self._merchant, self.line.connection, self._sealer, results)
            if kind in ACTIONS:
                told = [told_of(kind, result, now) for result in settled]
                tell(connection, self._merchant, self._sealer, self._numbering, [one for one in told if one])

        await self._database.write(work)

    async def _find_out(self, command: DueCommand) -> CommandResult:
        try:
            async with asyncio.timeout(ATTEMPT):
                lookup: Lookup = await self.line.sink.lookup(command.command)
        except Exception as error:  # noqa: BLE001 - a lookup that fails tells nothing
            lookup = Unknown(reason=f"the lookup failed: {type(error).__name__}")
        return self._looked(command, lookup, self._clock.now())

    def _looked(self, command: DueCommand, lookup: Lookup, now: datetime) -> CommandResult:
        match lookup:
            case Done(result=result):
                return _settled(command, "done", now, result=dict(result))
            case Absent():
                return _settled(command, "ready", now)
        patience = max(self.line.sink.visible_after, timedelta(seconds=30))
        return _settled(command, "unknown", now + patience, error=lookup.reason)

    def _result(self, command: DueCommand, outcome: Outcome, now: datetime) -> CommandResult:
        match outcome:
            case Delivered(result=result):
                return _settled(command, "done", now, result=dict(result), tried=True)
            case Rejected(reason=reason):
                return _settled(command, "dead", now, error=reason, tried=True)
            case Unknown(reason=reason) if not self.line.sink.idempotent:
                return _settled(command, "unknown", now + self.line.sink.visible_after, error=reason, tried=True)
        later = outcome if isinstance(outcome, RetryLater) else RetryLater(reason=outcome.reason)
        at = next_attempt(later, command.attempts + 1, self.line.sink.retry, now, random.random())
        return _settled(command, "ready" if at else "dead", at or now, error=later.reason, tried=True)


def _settled(
    command: DueCommand,
    status: str,
    due_at: datetime,
    *,
    error: str | None = None,
    result: dict[str, object] | None = None,
    tried: bool = False,
) -> CommandResult:
    return CommandResult(
        id=command.id,
        key=command.command.key,
        status=status,
        attempts=command.attempts,
        tried=command.attempts + tried,
        was="attempting" if tried else "unknown",
        due_at=due_at,
        error=error,
        result=result,
    )
