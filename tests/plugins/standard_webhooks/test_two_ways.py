"""A shop and a till that tell of the same orders: each earns once, whichever is heard first; on both databases."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest
from tests.databases import on_sqlite

from stampcard.testing.clock import FakeClock
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulator import ShopifySimulator

WHSEC = "whsec_ZnJvbSB0aGUgdGlsbCwgb25lIG9mIDMwIGJ5dGVz"
PROGRAM = """
program: main
currency: USD
timezone: America/New_York
accept_late: 60 days
wallets: {points: {}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 USD}
"""
#: Each order is paid, and then refunded in part.
PLAN = ShopPlan(
    api_failures=0.0,
    fates={"partial": 100},
    ties=0.0,
    guests=0.0,
    test_orders=0.0,
    gift_cards=0.0,
    discounted=0.0,
    foreign_buyers=0.0,
)
Parcel = tuple[str, bytes, dict[str, str]]


@pytest.fixture
async def shop(clock: FakeClock) -> AsyncIterator[ShopifySimulator]:
    simulator = ShopifySimulator(7, PLAN, clock)
    await simulator.start()
    yield simulator
    await simulator.stop()


@pytest.fixture
def story(
    shop: ShopifySimulator, signed: Callable[..., dict[str, str]]
) -> Callable[[Callable[[str], str]], list[Parcel]]:
    """What the shop and the till tell of the same orders; `naming`: what the till calls a refund of the shop."""

    def tell(naming: Callable[[str], str]) -> list[Parcel]:
        parcels: list[Parcel] = []
        for request in shop.history(3):
            parcels.append(("shop", request.body, dict(request.headers)))
            topic, body = request.headers["X-Shopify-Topic"], json.loads(request.body)
            told = (
                _order(body) if topic == "orders/paid" else _refund(body, naming) if topic == "refunds/create" else None
            )
            if told is not None:
                raw = json.dumps(told).encode()
                parcels.append(("till", raw, signed({}, raw, f"msg_{len(parcels)}")))
        return parcels

    return tell


def _order(body: Any) -> dict[str, Any]:
    lines = [
        {
            "reference": str(line["id"]),
            "quantity": line["quantity"],
            "price": line["price"],
            "tax": str(sum(Decimal(tax["price"]) for tax in line["tax_lines"])),
        }
        for line in body["line_items"]
    ]
    data = {
        "reference": str(body["id"]),
        "placed_at": body["processed_at"],
        "currency": body["currency"],
        "total": body["total_price"],
        "paid": True,
        "customer": {"reference": str(body["customer"]["id"])},
        "tax_included": body["taxes_included"],
        "lines": lines,
        "shipping": str(sum(Decimal(line["discounted_price"]) for line in body["shipping_lines"])),
        "channel": "pos",
    }
    return {"type": "order.updated", "timestamp": body["updated_at"], "data": data}


def _refund(body: Any, naming: Callable[[str], str]) -> dict[str, Any]:
    lines = [
        {
            "line": str(one["line_item_id"]),
            "quantity": one["quantity"],
            "subtotal": one["subtotal"],
            "tax": one["total_tax"],
        }
        for one in body["refund_line_items"]
    ]
    money = str(sum(Decimal(one["amount"]) for one in body["transactions"]))
    data = {"order": str(body["order_id"]), "reference": naming(str(body["id"])), "lines": lines, "money": money}
    return {"type": "refund.updated", "timestamp": body["processed_at"], "data": data}


async def heard(install: Any, shop: ShopifySimulator, parcels: list[Parcel], **till: Any) -> int:
    """The points in the end, when all of it came in that order."""
    connections = {
        "shop": {"plugin": "shopify", **shop.settings()},
        "till": {"plugin": "standard_webhooks", "webhook_secrets": WHSEC, "orders_of": "shop", **till},
    }
    async with install(PROGRAM, connections) as one:
        for name, body, headers in parcels:
            assert await one.post(name, body, headers) == 200
        await one.work()
        assert await one.troubles() == []
        subjects = [subject for subject, _ in await one.awards()]
        assert len(subjects) == len(set(subjects)), "one award for each order"
        assert {subject.split(":")[1] for subject in subjects} == {"shop"}
        assert {name.partition(":")[0] for name in await one.names()} == {"shop"}
        return int(await one.points())


@on_sqlite
@pytest.mark.parametrize("seed", range(3))
async def test_an_order_that_both_tell_earns_once_in_any_order(
    install: Any, shop: ShopifySimulator, story: Any, seed: int
) -> None:
    parcels = story(lambda reference: f"till-{reference}")
    random.Random(seed).shuffle(parcels)
    due = sum(shop.expected(Decimal(1), 0).values())
    assert due > 0
    assert await heard(install, shop, parcels, refunds="ignore") == due


@on_sqlite
async def test_a_refund_that_both_call_the_same_counts_once(install: Any, shop: ShopifySimulator, story: Any) -> None:
    parcels = story(lambda reference: reference)
    random.Random(5).shuffle(parcels)
    assert await heard(install, shop, parcels) == sum(shop.expected(Decimal(1), 0).values())


async def test_a_refund_that_each_calls_otherwise_takes_points_twice(
    install: Any, shop: ShopifySimulator, story: Any
) -> None:
    """Why the guide wants refunds from one of the two alone: nobody can tell that both speak of the same one."""
    parcels = story(lambda reference: f"till-{reference}")
    assert await heard(install, shop, parcels) < sum(shop.expected(Decimal(1), 0).values())
