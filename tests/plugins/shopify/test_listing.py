from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
import respx

from stampcard.plugin import ConnectionContext, Listing, PluginError
from stampcard.testing.clock import FakeClock
from stampcard_shopify.client import Client
from stampcard_shopify.listing import ShopifyOrders
from stampcard_shopify.simulator import ShopifySimulator

API = "https://acme.myshopify.com/admin/api/2026-10/graphql.json"


@pytest.fixture
def orders(at_shop: Callable[..., ConnectionContext[Any]]) -> ShopifyOrders:
    """The list of a simulated shop."""
    return ShopifyOrders(Client(at_shop()))


async def test_orders_are_listed_page_by_page_the_longest_ago_first(
    orders: ShopifyOrders, simulated: ShopifySimulator, member: str, clock: FakeClock
) -> None:
    since = clock.now()
    for _ in range(230):
        simulated.buy(member)
    found, place, pages = list[Listing](), "", 0
    while True:
        page = await orders.changed(since, place)
        found += page.orders
        pages, place = pages + 1, page.place
        if not place:
            break
    assert pages == 3
    assert len({one.reference for one in found}) == len(found) >= 230
    assert [one.changed_at for one in found] == sorted(one.changed_at for one in found)
    assert (await orders.changed(found[-1].changed_at + timedelta(seconds=2))).orders == ()


async def test_a_shop_in_trouble_is_an_error(
    connection: Callable[..., ConnectionContext[Any]], router: respx.Router, clock: FakeClock
) -> None:
    router.post(API).mock(return_value=httpx.Response(503))
    with pytest.raises(PluginError, match="Shopify answered 503"):
        await ShopifyOrders(Client(connection())).changed(clock.now())
