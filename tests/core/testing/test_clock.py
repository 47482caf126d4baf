from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from stampcard.clock import Clock
from stampcard.testing.clock import NOON, FakeClock


async def asleep(clock: FakeClock, count: int) -> None:
    """Return once so many sleep on the clock."""
    while clock.sleepers != count:  # noqa: ASYNC110 - the others run meanwhile
        await asyncio.sleep(0)


async def test_whoever_sleeps_wakes_when_enough_time_has_passed() -> None:
    clock = FakeClock()
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("late", 60))
        group.create_task(sleeper("early", 10))
        await asleep(clock, 2)
        clock.advance(9.5)
        await asyncio.sleep(0)
        assert woken == []
        clock.advance(timedelta(seconds=1))
        await asleep(clock, 1)
        assert woken == ["early"]
        clock.advance(3600)
    assert woken == ["early", "late"]
    assert clock.now() == NOON + timedelta(seconds=3610.5)


async def test_a_sleeper_that_is_cancelled_is_forgotten() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(5))
    await asleep(clock, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clock.sleepers == 0


async def test_a_hurried_clock_is_moved_by_whoever_sleeps() -> None:
    clock: Clock = FakeClock(hurried=True)
    await clock.sleep(7200)
    await clock.sleep(-1)
    assert clock.now() == NOON + timedelta(hours=2)
