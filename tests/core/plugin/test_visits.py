from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
import structlog

from stampcard.plugin import ConnectionContext, PluginSettings, Visits
from stampcard.testing.clock import FakeClock
from stampcard.testing.rules.case import MemoryStore


@pytest.fixture
def context() -> ConnectionContext[PluginSettings]:
    return ConnectionContext(
        name="shop",
        settings=PluginSettings(),
        http=httpx.AsyncClient(),
        clock=FakeClock(),
        log=structlog.get_logger(),
        store=MemoryStore(),
        public_url="https://points.example",
    )


async def test_a_visit_ends_once_in_whichever_process(context: ConnectionContext[PluginSettings]) -> None:
    one, other = Visits(context, timedelta(minutes=5)), Visits(context, timedelta(minutes=5))
    word = await one.begin()
    assert not await other.end(word + "x")
    assert await other.end(word)
    assert not await one.end(word)


async def test_a_visit_that_takes_too_long_does_not_end(context: ConnectionContext[PluginSettings]) -> None:
    visits = Visits(context, timedelta(minutes=5))
    word = await visits.begin()
    assert isinstance(context.clock, FakeClock)
    context.clock.advance(timedelta(minutes=5))
    assert not await visits.end(word)


async def test_of_too_many_the_oldest_begin_again(context: ConnectionContext[PluginSettings]) -> None:
    visits = Visits(context, timedelta(minutes=5), most=2)
    first, second, third = [await visits.begin() for _ in range(3)]
    assert [await visits.end(word) for word in (first, second, third)] == [False, True, True]


async def test_what_people_carry_is_not_kept(context: ConnectionContext[PluginSettings]) -> None:
    word = await Visits(context, timedelta(minutes=5)).begin()
    assert isinstance(context.store, MemoryStore)
    assert word.encode() not in b"".join(context.store.values())


async def test_what_is_damaged_is_begun_anew(context: ConnectionContext[PluginSettings]) -> None:
    await context.store.set("visits", b"\xff")
    visits = Visits(context, timedelta(minutes=5))
    assert await visits.end(await visits.begin())
