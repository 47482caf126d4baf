"""A shop's past is read into a running installation: every order once, whatever happens meanwhile, and nobody is disturbed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from stampcard.storage.backfilling import Backfill, begin_backfill, load_backfill, outcomes
from stampcard.storage.tables import order_state
from stampcard.testing.demonstration import Demonstration
from stampcard_shopify import exporting, history
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulator import ShopifySimulator

Demonstrating = Callable[..., AbstractAsyncContextManager[Demonstration]]
#: Of what a demonstration proves, that which holds whether or not any webhook was sent.
PROVEN = (
    "the shop's own books expect points",
    "every balance in the shop equals what its books expect",
    "the ledger sums to 0",
    "every balance is rebuilt from its entries",
    "no push went back in time",
    "nothing was set aside or given up",
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a few orders are exported, and read in small pieces."""
    monkeypatch.setattr(history, "FEW", 20)
    monkeypatch.setattr(exporting, "SOME", 64 * 1024)
    monkeypatch.setattr(exporting, "LOOKING", 0.1)


async def begin(demonstration: Demonstration, since: datetime | None = None) -> Backfill:
    now = demonstration.application.clock.now()
    return await demonstration.application.database.write(
        lambda connection: begin_backfill(connection, "main", "shop", now, since, anew=True)
    )


async def ended(demonstration: Demonstration, within: float = 60.0) -> Backfill:
    """The backfill once it has ended and all of it is applied and pushed."""
    async with asyncio.timeout(within):
        while True:
            known = await demonstration.application.database.read(lambda c: load_backfill(c, "main", "shop"))
            if known is not None and known.ended_at is not None:
                break
            await asyncio.sleep(0.05)
    assert await demonstration.settled(within)
    return known


async def ask(demonstration: Demonstration, statement: Any) -> Any:
    return await demonstration.application.database.read(lambda connection: connection.execute(statement).all())


async def check(demonstration: Demonstration) -> None:
    found = {check.claim: check for check in await demonstration.prove()}
    assert all(found[claim].holds for claim in PROVEN), demonstration.checks


async def test_a_shops_past_is_there_once_beside_what_comes_live(
    demonstrate: Demonstrating, shop: ShopifySimulator
) -> None:
    list(shop.history(150))  # webhooks that nobody ever got
    shop.exports.takes, before = 0.5, set(shop.book.orders)
    async with demonstrate(shop) as demonstration:
        await begin(demonstration)
        await shop.trade(demonstration.target, 12)
        done = await ended(demonstration)
        assert (done.terms.trouble, done.terms.tries) == ("", 0)
        assert len(shop.book.orders) >= done.total >= len(before)
        assert done.done >= len(before)
        known = {row.reference for row in await ask(demonstration, select(order_state.c.reference))}
        assert known == {str(order.id) for order in shop.book.orders.values() if not order.test}
        await check(demonstration)
        # Asked for once more, there is nothing new but what came live before.
        points = await demonstration.points()
        again = await begin(demonstration)
        await ended(demonstration)
        assert await demonstration.points() == points
        stored = await demonstration.application.database.read(lambda c: outcomes(c, "main", again))
        assert sum(stored.values()) <= len(shop.book.orders) - len(before)


async def test_a_shop_in_trouble_is_asked_again_and_loses_no_order(
    demonstrate: Demonstrating, new_postgresql: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stampcard.inbox.backfilling.PATIENCE", 0.2)
    monkeypatch.setattr(exporting, "AGAIN", 0.2)
    shop = ShopifySimulator(11, ShopPlan(api_failures=0.1, slowness=0.05, bucket=500.0))
    list(shop.history(50))
    shop.exports.failing.append("TIMEOUT")
    async with demonstrate(shop, database=new_postgresql()) as demonstration:
        await begin(demonstration)
        await ended(demonstration)
        await check(demonstration)


async def test_of_orders_before_the_program_nothing_is_earned_and_nobody_joins(
    demonstrate: Demonstrating,
) -> None:
    shop = ShopifySimulator(5, ShopPlan(api_failures=0.0, days=200))
    list(shop.history(60))
    async with demonstrate(shop) as demonstration:
        await begin(demonstration)
        await ended(demonstration)
        began = demonstration.application.clock.now() - timedelta(days=60)
        counting = [
            order
            for order in shop.book.orders.values()
            if order.created_at >= began and order.customer and not order.test
        ]
        joined = {str(order.customer.id) for order in counting if order.customer and order.is_settled}
        shown = shop.shown()
        assert 0 < len(joined) < len({order.customer.id for order in shop.book.orders.values() if order.customer})
        assert joined <= shown.keys()
        assert all(points == 0 for who, points in shown.items() if who not in joined)
