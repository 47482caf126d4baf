"""Orders of which no webhook told are found by asking the shop, and earn once, as if they had been told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from stampcard.inbox import reconciling
from stampcard.inbox.reconciling import reconcile
from stampcard.storage.reconciling import reconciled_until
from stampcard.storage.tables import order_state
from stampcard.testing.demonstration import Demonstration
from stampcard_shopify.listing import ShopifyOrders
from stampcard_shopify.simulator import ShopifySimulator

Demonstrating = Callable[..., AbstractAsyncContextManager[Demonstration]]


async def looked(demonstration: Demonstration, hours: int) -> tuple[int, int]:
    application = demonstration.application
    orders = application.connections["shop"].capabilities
    assert orders is not None
    assert orders.orders is not None
    since = application.clock.now() - timedelta(hours=hours)
    return await reconcile(application.database, application.clock, "main", "shop", "shop", orders.orders, since)


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
