from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
import respx

from stampcard.plugin import ConnectionContext, Health, OrderSeen, Refetch
from stampcard_shopify.client import Client
from stampcard_shopify.fetching import LARGE, SMALL, OrderFetch
from stampcard_shopify.plugin import connect
from stampcard_shopify.posting import CallFailed
from stampcard_shopify.webhooks import ShopifyWebhooks

API = "https://acme.myshopify.com/admin/api/2026-10/graphql.json"
ORDER = Refetch(kind="order", reference="820982911946154508")
Load = Callable[[str], Any]
Connection = Callable[..., ConnectionContext[Any]]


class Shop:
    """Answers the query for orders from a table, with pages of lines as the test cut them."""

    def __init__(self, router: respx.Router) -> None:
        self.pages: dict[tuple[str, str | None], Any] = {}
        self.asked: list[dict[str, Any]] = []
        self.route = router.post(API).mock(side_effect=self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        variables = msgspec.json.decode(request.content)["variables"]
        self.asked.append(variables)
        nodes = [self.pages.get((gid, variables["after"])) for gid in variables["ids"]]
        return httpx.Response(200, json={"data": {"nodes": nodes}})


@pytest.fixture
def shop(router: respx.Router) -> Shop:
    return Shop(router)


@pytest.fixture
def fetch(connection: Connection) -> OrderFetch:
    context = connection()
    return OrderFetch(Client(context), context)


async def test_an_order_is_read_and_told(shop: Shop, fetch: OrderFetch, load: Load, settings: Any, clock: Any) -> None:
    shop.pages["gid://shopify/Order/820982911946154508", None] = load("fetched_order__refunded")
    (delivery,) = await fetch([ORDER, ORDER, Refetch(kind="weather", reference="1")])
    assert len(shop.asked) == 1
    assert (delivery.connection, delivery.topic) == ("acme", "fetched/order")
    assert delivery.received_at == clock.now()
    assert delivery.read_at == 1_773_144_000_000_000
    assert delivery.key == f"fetch:order:820982911946154508:{delivery.read_at}"
    (event,) = ShopifyWebhooks(settings()).events(delivery)
    assert isinstance(event, OrderSeen)
    assert event.snapshot.stamp.read_at == delivery.read_at
    assert [refund.reference for refund in event.refunds] == ["890088186047892319"]


@pytest.mark.parametrize("node", [None, {}])
async def test_an_order_that_is_not_there_brings_nothing(shop: Shop, fetch: OrderFetch, node: Any) -> None:
    shop.pages["gid://shopify/Order/820982911946154508", None] = node
    assert await fetch([ORDER]) == []


async def test_all_pages_of_lines_are_read(shop: Shop, fetch: OrderFetch, load: Load, decode: Any) -> None:
    whole = load("fetched_order__refunded")
    first, second = copy.deepcopy(whole), copy.deepcopy(whole)
    first["lineItems"] = {
        "pageInfo": {"hasNextPage": True, "endCursor": "c1"},
        "nodes": whole["lineItems"]["nodes"][:1],
    }
    second["lineItems"]["nodes"] = whole["lineItems"]["nodes"][1:]
    shop.pages[whole["id"], None], shop.pages[whole["id"], "c1"] = first, second
    (delivery,) = await fetch([ORDER])
    told = decode("fetched_order__refunded", delivery.body, read_at=5)
    assert told == decode("fetched_order__refunded", whole, read_at=5)


async def test_more_is_asked_for_when_refunds_were_cut_off(shop: Shop, fetch: OrderFetch, load: Load) -> None:
    node = load("fetched_order__refunded")
    node["refunds"][0]["refundLineItems"]["pageInfo"]["hasNextPage"] = True
    shop.pages[node["id"], None] = node
    assert len(await fetch([ORDER])) == 1
    assert [variables["size"] for variables in shop.asked] == [SMALL, LARGE]


async def test_a_shop_that_does_not_answer_fails_the_fetch(router: respx.Router, fetch: OrderFetch) -> None:
    router.post(API).mock(return_value=httpx.Response(503))
    with pytest.raises(CallFailed, match="503"):
        await fetch([ORDER])


async def test_an_answer_of_another_shape_fails_the_fetch(shop: Shop, fetch: OrderFetch, load: Load) -> None:
    node = load("fetched_order__refunded")
    shop.pages[node["id"], None] = node | {"refunds": None}
    with pytest.raises(CallFailed, match="published shape"):
        await fetch([ORDER])


async def test_a_fetch_waits_for_points(router: respx.Router, fetch: OrderFetch, load: Load, clock: Any) -> None:
    status = {"maximumAvailable": 1000, "currentlyAvailable": 100, "restoreRate": 100}
    cost = {"requestedQueryCost": 600, "actualQueryCost": 60, "throttleStatus": status}
    body = {"data": {"nodes": [load("fetched_order__refunded")]}, "extensions": {"cost": cost}}
    router.post(API).mock(return_value=httpx.Response(200, json=body))
    started = clock.now()
    await fetch([ORDER, Refetch(kind="order", reference="2")])
    assert (clock.now() - started).total_seconds() == pytest.approx(5.0)


async def test_a_connection_can_all_that_the_plugin_promises(connection: Connection, router: respx.Router) -> None:
    capabilities = await connect(connection())
    assert capabilities.webhook is not None
    assert [sink.kind for sink in capabilities.sinks] == ["balance", "tags"]
    assert capabilities.fetch is not None
    assert capabilities.check_health is not None
    route = router.post(API).mock(return_value=httpx.Response(200, json={"data": {"shop": {"name": "Acme"}}}))
    assert await capabilities.check_health() == Health(ok=True)
    route.mock(return_value=httpx.Response(401))
    assert "access_token" in (await capabilities.check_health()).problem
