"""One sink's line to its vendor: its pace, its breaker, one attempt with a time limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from stampcard.calling.breaking import Breaker, State, allow, record
from stampcard.calling.limiting import full, owing, take
from stampcard.domain.commands import STATES
from stampcard.errors import CallRefused, place_of
from stampcard.plugin.capabilities import Sink
from stampcard.plugin.outcomes import Delivered, Outcome, Rejected, RetryLater, Unknown

log = structlog.get_logger()

#: Seconds that one attempt may take, with the plugin's own quick retries; ten more fit into a lease.
ATTEMPT = 25.0


class Line:
    """Who may call now, and what came of it. State of this process only: a restart probes the vendor anew."""

    def __init__(self, connection: str, sink: Sink[Any]) -> None:
        self.connection = connection
        self.sink = sink
        self._breaker = Breaker()
        self._bucket = full(sink.rate, time.monotonic()) if sink.rate else None
        self._held_until = 0.0
        self.calls = 0
        self.last_success_at: float | None = None

    @property
    def state(self) -> State:
        """Of the breaker."""
        return self._breaker.state(time.monotonic())

    def wait(self) -> float:
        """Seconds until a call may leave; 0 when one may now, and then it is counted."""
        now = time.monotonic()
        pause = max(self._held_until - now, self._pace())
        if pause > 0:
            return pause
        if self._bucket is not None and self.sink.rate is not None:
            bucket, pause = take(self._bucket, now, self.sink.rate)
            if pause > 0:
                return pause
            self._breaker, allowed = allow(self._breaker, now)
            if not allowed:
                return 1.0
            self._bucket = bucket
            return 0.0
        self._breaker, allowed = allow(self._breaker, now)
        return 0.0 if allowed else 1.0

    def charge(self, more: int) -> None:
        """Count a call that takes as much of the rate as so many more."""
        if self._bucket is not None:
            self._bucket = owing(self._bucket, more)

    def _pace(self) -> float:
        """What the vendor wants to pass, if the plugin can tell."""
        try:
            return self.sink.pace()
        except Exception as error:  # noqa: BLE001 - a plugin's mistake is its own
            log.error("pace_failed", connection=self.connection, kind=self.sink.kind, error=place_of(error))
            return 1.0

    async def attempt(self, items: Sequence[Any]) -> list[Outcome]:
        """Send items in one call; an outcome for each, whatever the plugin does."""
        self.calls += 1
        outcomes = await self._outcomes(lambda: self.sink.deliver(items), len(items))
        answered = any(isinstance(outcome, Delivered | Rejected) for outcome in outcomes)
        afters = [outcome.after for outcome in outcomes if isinstance(outcome, RetryLater) and outcome.after]
        now = time.monotonic()
        if answered:
            self.last_success_at = now
        elif afters:
            # The vendor is well and asks for patience: that is pace, not failure.
            self._held_until = now + min(max(afters), 60.0)
        self._breaker = record(self._breaker, answered or bool(afters), now)
        return outcomes

    async def _outcomes(self, call: Callable[[], Awaitable[Sequence[Outcome]]], count: int) -> list[Outcome]:
        try:
            async with asyncio.timeout(ATTEMPT):
                outcomes = list(await call())
        except CallRefused as error:
            # Of several that count once each, the first may have left before the rules refused the next call.
            safe = count == 1 or self.sink.idempotent or self.sink.kind in STATES
            return [RetryLater(reason=str(error)) if safe else Unknown(reason=str(error))] * count
        except TimeoutError:
            return [Unknown(reason=f"no answer within {ATTEMPT:g} s")] * count
        except Exception as error:  # noqa: BLE001 - a plugin's mistake is its own
            log.error("sink_failed", connection=self.connection, kind=self.sink.kind, error=place_of(error))
            return [Unknown(reason=f"the plugin failed: {type(error).__name__}")] * count
        if len(outcomes) != count:
            log.error(
                "sink_miscounted", connection=self.connection, kind=self.sink.kind, items=count, got=len(outcomes)
            )
            return [Unknown(reason=f"the plugin gave {len(outcomes)} outcomes for {count} items")] * count
        return outcomes
