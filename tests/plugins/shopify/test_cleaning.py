"""A shop that is left keeps nothing of ours, and all of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import respx

from stampcard.plugin import Balance, BalancePush, ConnectionContext, Delivered, Rejected, RetryLater
from stampcard_shopify.balances import BalanceSink
from stampcard_shopify.cleaning import ShopifyCleaner
from stampcard_shopify.client import Client
from stampcard_shopify.simulator import ShopifySimulator

At = Callable[..., ConnectionContext[Any]]
API = "https://acme.myshopify.com/admin/api/2026-10/graphql.json"


@pytest.fixture
def cleaner(at_shop: At) -> ShopifyCleaner:
    context = at_shop()
    return ShopifyCleaner(Client(context), context.settings)


async def test_what_is_ours_goes_and_what_is_the_shops_stays(
    cleaner: ShopifyCleaner, at_shop: At, simulated: ShopifySimulator
) -> None:
    context, customers = at_shop(), [str(customer) for customer in simulated.book.customers]
    pushes = [
        BalancePush(member=who, reference=who, version=1, balances={"points": Balance(active=5)}) for who in customers
    ]
    assert all(one == Delivered() for one in await BalanceSink(Client(context), context.settings).deliver(pushes[:25]))
    first = int(customers[0])
    simulated.tags.put(first, "VIP", "Stampcard-Early", "wholesale-stampcard-x")
    for _ in range(2):
        assert all(one == Delivered() for one in await cleaner.clean(customers[:25]))
    assert simulated.shown() == {}
    assert simulated.tags.of(first) == {"VIP", "wholesale-stampcard-x"}


async def test_who_is_gone_and_who_is_no_customer_needs_no_cleaning(cleaner: ShopifyCleaner) -> None:
    assert await cleaner.clean(["1", "nobody"]) == [Delivered(), Delivered()]
    assert await cleaner.clean(["nobody"]) == [Delivered()]


FOUND = httpx.Response(200, json={"data": {"nodes": [{"id": "gid://shopify/Customer/1", "tags": ["VIP"]}]}})
REFUSED = httpx.Response(200, json={"data": {"shown": {"userErrors": [{"field": None, "message": "no"}]}}})


@pytest.mark.parametrize(
    ("responses", "kind"),
    [([httpx.Response(503)], RetryLater), ([httpx.Response(404)], Rejected), ([FOUND, REFUSED], Rejected)],
)
async def test_what_the_shop_says_instead_is_told(
    connection: At, router: respx.Router, responses: list[httpx.Response], kind: type
) -> None:
    router.post(API).mock(side_effect=responses)
    context = connection()
    (outcome,) = await ShopifyCleaner(Client(context), context.settings).clean(["1"])
    assert isinstance(outcome, kind)
