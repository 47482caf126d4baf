from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


class FakeClock:
    """A clock that stands still until somebody moves it; a hurried one is moved by whoever sleeps."""

    def __init__(self, now: datetime = NOON, *, hurried: bool = False) -> None:
        self._now = now
        self._hurried = hurried
        self._asleep: list[tuple[datetime, asyncio.Event]] = []

    def now(self) -> datetime:
        return self._now

    @property
    def sleepers(self) -> int:
        """How many wait for time to pass."""
        return len(self._asleep)

    def advance(self, by: float | timedelta) -> None:
        """Let time pass (seconds, or any span); wakes whoever has slept long enough."""
        self._now += by if isinstance(by, timedelta) else timedelta(seconds=by)
        for due, woken in self._asleep:
            if due <= self._now:
                woken.set()

    async def sleep(self, seconds: float) -> None:
        """Return once that much time has passed on this clock."""
        due = self._now + timedelta(seconds=seconds)
        if self._hurried and due > self._now:
            self.advance(seconds)
        if due <= self._now:
            await asyncio.sleep(0)
            return
        entry = (due, asyncio.Event())
        self._asleep.append(entry)
        try:
            await entry[1].wait()
        finally:
            self._asleep.remove(entry)
