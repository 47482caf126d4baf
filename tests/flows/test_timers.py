"""What time alone brings about: booked at local midnights, pushed, and the same for readers when the timer is late."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from sqlalchemy import Connection, select, update

from stampcard.clock import from_micros
from stampcard.inbox.timing import Timer
from stampcard.settings import DeliverSettings, Settings
from stampcard.storage.reading import balances
from stampcard.storage.tables import entry, member, push
from stampcard.storage.verifying import verify
from stampcard.testing.clock import FakeClock
from stampcard.testing.demonstration import RATE, Demonstration
from stampcard.testing.waiting import eventually
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulator import ShopifySimulator

PROGRAM = """
program: main
currency: USD
timezone: Europe/Berlin
wallets: {points: {pending: 20 days, expire: 3 months}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 USD}
"""
#: In Berlin it is still winter, and summer when the points become active: their midnight is an hour earlier in UTC.
BOUGHT = datetime(2026, 3, 10, 12, tzinfo=UTC)
ACTIVE = datetime(2026, 3, 30, 22, tzinfo=UTC)
EXPIRED = datetime(2026, 6, 30, 22, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
#: The simulated shop places a sample two seconds before it is paid.
BOUGHT_AT = BOUGHT - timedelta(seconds=2)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(BOUGHT, hurried=True)


def move(clock: FakeClock, to: datetime) -> None:
    clock.advance(to - clock.now())


@pytest.fixture
async def bought(
    clock: FakeClock, demonstrate: Callable[..., AbstractAsyncContextManager[Demonstration]], database_url: str
) -> AsyncIterator[Demonstration]:
    """One order was paid just now, and the shop knows that its points are pending."""
    shop = ShopifySimulator(5, ShopPlan(api_failures=0.0, gift_cards=0.0), clock)

    def adapt(settings: Settings) -> Settings:
        return settings.model_copy(update={"deliver": DeliverSettings(coalesce=0.0)})

    async with demonstrate(shop, PROGRAM, database=database_url, adapt=adapt) as demonstration:
        async with aiohttp.ClientSession() as session:
            request = shop.sample("order.paid")
            async with session.post(demonstration.target, data=request.body, headers=request.headers) as answer:
                assert answer.status == 200
        await eventually("the shop knows", lambda: shows(demonstration, {"active": 0, "pending": due(demonstration)}))
        assert await demonstration.settled(30), "what a test marks must not meet the end of this push"
        yield demonstration


def due(demonstration: Demonstration) -> int:
    """The points of the order, by the shop's own books."""
    (points,) = demonstration.simulator.expected(RATE, 0).values()
    assert points > 0
    return points


async def shows(demonstration: Demonstration, figures: Mapping[str, int]) -> bool:
    """Whether the shop shows these figures."""
    shop = demonstration.simulator
    assert isinstance(shop, ShopifySimulator)
    shown = [value["wallets"]["points"] for value in shop._shelf._balances().values()]
    return len(shown) == 1 and figures.items() <= shown[0].items()


async def entries(demonstration: Demonstration) -> list[tuple[str, datetime]]:
    """The kinds of all entries, with when they happened."""
    statement = select(entry.c.kind, entry.c.occurred_at).order_by(entry.c.number)
    found = await demonstration.application.database.read(lambda connection: connection.execute(statement).all())
    return [(row.kind, from_micros(row.occurred_at)) for row in found]


async def figures(demonstration: Demonstration) -> dict[str, int]:
    """What a reader sees now."""
    application = demonstration.application

    def work(connection: Connection) -> dict[str, int]:
        (id_,) = connection.execute(select(member.c.id)).scalars()
        found = balances(connection, "main", [id_], application.setting.programs, application.clock.now())
        points = found[id_]["points"]
        return {name: getattr(points, name) for name in ("active", "pending", "expired")}

    return await application.database.read(work)


async def test_points_become_active_and_expire_at_local_midnights_and_the_shop_is_told(
    bought: Demonstration, clock: FakeClock
) -> None:
    points = due(bought)
    move(clock, ACTIVE - MOMENT)
    assert await bought.application.timer.tick() == 0
    move(clock, ACTIVE)
    await eventually("the shop shows them active", lambda: shows(bought, {"active": points, "pending": 0}))

    move(clock, EXPIRED - MOMENT)
    assert await bought.application.timer.tick() == 0
    move(clock, EXPIRED)
    await eventually("the shop shows them expired", lambda: shows(bought, {"active": 0, "expired": points}))

    assert await entries(bought) == [("earn", BOUGHT_AT), ("activate", ACTIVE), ("expire", EXPIRED)]
    await assert_right(bought)


async def test_a_late_timer_shows_the_same_figures_and_books_each_midnight(
    bought: Demonstration, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = due(bought)

    async def late(_: Timer) -> int:
        return 0

    with monkeypatch.context() as patched:
        patched.setattr(Timer, "tick", late)
        seen = []
        for moment in (ACTIVE - MOMENT, ACTIVE, EXPIRED - MOMENT, EXPIRED):
            move(clock, moment)
            seen.append(await figures(bought))
        assert [kind for kind, _ in await entries(bought)] == ["earn"], "nothing was booked meanwhile"
    pending = {"active": 0, "pending": points, "expired": 0}
    active = {"active": points, "pending": 0, "expired": 0}
    expired = {"active": 0, "pending": 0, "expired": points}
    assert seen == [pending, active, active, expired]

    await eventually("the shop is told", lambda: shows(bought, expired))
    assert await figures(bought) == expired
    assert await entries(bought) == [("earn", BOUGHT_AT), ("activate", ACTIVE), ("expire", EXPIRED)]
    await assert_right(bought)


async def test_what_is_pushed_while_the_timer_is_late_is_as_of_now(
    bought: Demonstration, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(_: Timer) -> int:
        return 0

    points = due(bought)
    monkeypatch.setattr(Timer, "tick", late)
    move(clock, ACTIVE)
    again = update(push).values(sent=0, due_at=0)
    await bought.application.database.write(lambda connection: connection.execute(again))
    await eventually("the shop shows them active", lambda: shows(bought, {"active": points, "pending": 0}))
    assert [kind for kind, _ in await entries(bought)] == ["earn"]


async def assert_right(demonstration: Demonstration) -> None:
    """The ledger is without a difference."""
    verified = await demonstration.application.database.read(lambda connection: verify(connection, "main"))
    assert (verified.total, verified.findings) == (0, ())
