"""Orders of which no webhook told are found by asking the shop, and earn once, as if they had been told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from stampcard.clock import SystemClock
from stampcard.inbox import reconciling
from stampcard.inbox.reconciling import reconcile
from stampcard.settings import Settings
from stampcard.storage.reconciling import reconciled_until
from stampcard.storage.tables import order_state
from stampcard.testing.demonstration import RATE, WELCOME, Demonstration
from stampcard_shopify.listing import ShopifyOrders
from stampcard_shopify.simulated_book import Order
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulator import ShopifySimulator

Demonstrating = Callable[..., AbstractAsyncContextManager[Demonstration]]


class ShiftedClock(SystemClock):
    """The machine's clock, ahead by what a test lets pass at once."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


async def looked(demonstration: Demonstration, hours: int, name: str = "shop") -> tuple[int, int]:
    application = demonstration.application
    orders = application.connections[name].capabilities
    assert orders is not None
    assert orders.orders is not None
    since = application.clock.now() - timedelta(hours=hours)
    return await reconcile(application.database, application.clock, "main", name, "shop", orders.orders, since)


def live_through(shop: ShopifySimulator, clock: ShiftedClock, hours: int) -> list[Order]:
    """Hours in which every webhook is lost: what is bought then, and what of the new and the older is given back."""
    older = [order for order in shop.book.orders.values() if order.customer and order.paid and not order.refunds]
    customers, changed = list(shop.book.customers), list[Order]()
    for hour in range(hours):
        clock.ahead += timedelta(hours=1)
        before = set(shop.book.orders)
        for customer in (customers[hour], customers[-1 - hour]):
            shop.buy(str(customer))
        bought = [order for id_, order in shop.book.orders.items() if id_ not in before]
        for place, order in enumerate((bought[0], older[hour])):
            if (hour + place) % 3 == 0:
                shop.cancel(str(order.id))
            else:
                shop.give_back(str(order.id), all_of_it=(hour + place) % 3 == 1)
        changed += [*bought, older[hour]]
    return changed


async def known(demonstration: Demonstration) -> set[str]:
    found = await demonstration.application.database.read(
        lambda connection: connection.execute(select(order_state.c.reference)).scalars().all()
    )
    return set(found)


async def test_after_an_outage_every_order_is_there_once(demonstrate: Demonstrating, shop: ShopifySimulator) -> None:
    async with demonstrate(shop) as demonstration:
        await shop.trade(demonstration.target, 12)
        assert await demonstration.settled(60)
        customers = list(shop.book.customers)[:5]
        for customer in customers:  # webhooks that nobody ever gets
            shop.buy(str(customer))
            shop.buy(str(customer))
        told = await known(demonstration)
        assert len(told) < len(shop.book.orders)

        looked_at, wanted = await looked(demonstration, 6)

        assert looked_at >= wanted >= 2 * len(customers)
        assert await demonstration.settled(60)
        assert await known(demonstration) == {str(order) for order in shop.book.orders}
        assert (await looked(demonstration, 6))[1] == 0
        assert all(check.holds for check in await demonstration.prove()), demonstration.checks


async def test_a_server_looks_by_itself_from_where_it_was(
    demonstrate: Demonstrating, shop: ShopifySimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ShopifyOrders, "every", timedelta(seconds=1))
    monkeypatch.setattr(reconciling, "REST", 0.05)
    async with demonstrate(shop) as demonstration:
        await shop.trade(demonstration.target, 3)
        assert await demonstration.settled(60)
        application = demonstration.application

        async def mark() -> Any:
            return await application.database.read(lambda connection: reconciled_until(connection, "main", "shop"))

        while await mark() is None:
            await demonstration.settled(1)
        shop.buy(str(next(iter(shop.book.customers))))
        missed = {str(order) for order in shop.book.orders} - await known(demonstration)
        assert missed
        for _ in range(100):
            await demonstration.settled(1)
            if not missed - await known(demonstration):
                break
        assert not missed - await known(demonstration)


@pytest.mark.parametrize("by", ["itself", "till"])
async def test_after_six_hours_without_a_webhook_all_is_known_and_no_point_is_there_twice(
    demonstrate: Demonstrating, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr(reconciling, "REST", 0.05)
    monkeypatch.setattr(ShopifyOrders, "every", timedelta(minutes=15) if by == "itself" else timedelta(days=9))
    clock = ShiftedClock()
    shop = ShopifySimulator(7, ShopPlan(api_failures=0.0), clock)

    def with_till(settings: Settings) -> Settings:
        till = {"plugin": "shopify", "orders_of": "shop", **shop.settings()}
        return settings.model_copy(update={"connections": {**settings.connections, "till": till}})

    async with demonstrate(shop, adapt=with_till) as demonstration:
        application = demonstration.application
        await shop.trade(demonstration.target, 24)
        assert await demonstration.settled(60)
        while await application.database.read(lambda c: reconciled_until(c, "main", "shop")) is None:
            await demonstration.settled(1)
        changed = live_through(shop, clock, 6)
        assert len({order.id for order in changed}) == 18
        due = shop.expected(RATE, WELCOME)
        assert shop.shown() != due

        if by != "itself":
            looked_at, wanted = await looked(demonstration, 7, by)
            assert looked_at >= wanted >= len(changed)
        for _ in range(100):
            assert await demonstration.settled(60)
            if shop.shown() == due:
                break
        assert all(check.holds for check in await demonstration.prove()), demonstration.checks
        points = await demonstration.points()
        for name in ("shop", "till"):
            assert (await looked(demonstration, 7, name))[1] == 0
        assert await demonstration.settled(60)
        assert await demonstration.points() == points
        sources = await application.database.read(lambda c: c.execute(select(order_state.c.source).distinct()).all())
        assert [row.source for row in sources] == ["shop"]
