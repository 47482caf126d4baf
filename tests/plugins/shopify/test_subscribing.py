from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import respx

from stampcard.plugin import ConnectionContext, PluginError
from stampcard_shopify.client import Client
from stampcard_shopify.simulator import ShopifySimulator
from stampcard_shopify.subscribing import COMPLIANCE, TOPICS, ShopifySubscriptions

HERE = "https://points.example/webhooks/shop"
API = "https://acme.myshopify.com/admin/api/2026-10/graphql.json"


@pytest.fixture
def subscriptions(at_shop: Callable[..., ConnectionContext[Any]]) -> ShopifySubscriptions:
    """Those of an app at a simulated shop."""
    context = at_shop()
    return ShopifySubscriptions(Client(context), context.settings)


def standing(simulated: ShopifySimulator) -> list[tuple[str, str]]:
    return sorted((node["topic"], node["uri"]) for node in simulated.subscriptions.nodes.values())


async def test_what_is_missing_is_subscribed_once_and_is_good_then(
    subscriptions: ShopifySubscriptions, simulated: ShopifySimulator
) -> None:
    before = await subscriptions.look(HERE)
    assert (before.good, before.missing) == ((), tuple(topic for topic in TOPICS if topic != "customers/merge"))
    assert any("without customers/merge" in text for text in before.by_hand)
    assert standing(simulated) == []
    for _ in range(2):
        after = await subscriptions.mend(HERE)
        assert {one.topic for one in after.good} == set(TOPICS)
        assert (after.missing, after.wrong, after.foreign) == ((), (), ())
    assert len(standing(simulated)) == len(TOPICS)
    assert ("ORDERS_PAID", HERE) in standing(simulated)
    assert [text for text in after.by_hand if all(topic in text for topic in COMPLIANCE)] != []


async def test_what_comes_already_is_not_subscribed_a_second_time(
    subscriptions: ShopifySubscriptions, simulated: ShopifySimulator
) -> None:
    after = await subscriptions.mend(HERE, but=set(TOPICS) - {"orders/paid"})
    assert standing(simulated) == [("ORDERS_PAID", HERE)]
    assert set(after.missing) == set(TOPICS) - {"orders/paid", "customers/merge"}


async def test_what_comes_otherwise_is_set_right_and_what_goes_elsewhere_is_left_alone(
    subscriptions: ShopifySubscriptions, simulated: ShopifySimulator
) -> None:
    topics = simulated.subscriptions
    topics.put("ORDERS_CREATE", HERE, format="XML")
    topics.put("ORDERS_PAID", HERE + "/", filter="total_price:>=100")
    topics.put("ORDERS_UPDATED", HERE, includeFields=["id", "total_price"])
    topics.put("REFUNDS_CREATE", HERE)
    topics.put("REFUNDS_CREATE", HERE + "/")
    topics.put("CUSTOMERS_CREATE", "https://elsewhere.example/hooks")
    topics.put("PRODUCTS_CREATE", HERE)
    audit = await subscriptions.look(HERE)
    assert {one.topic: one.problem for one in audit.wrong} == {
        "orders/create": "comes as XML, not as JSON",
        "orders/paid": "comes only where total_price:>=100",
        "orders/updated": "has only the fields id, total_price",
        "refunds/create": "comes twice",
    }
    assert [(one.topic, one.address) for one in audit.foreign] == [
        ("customers/create", "https://elsewhere.example/hooks")
    ]
    after = await subscriptions.mend(HERE)
    assert (after.wrong, after.missing) == ((), ())
    assert ("CUSTOMERS_CREATE", "https://elsewhere.example/hooks") in standing(simulated)
    assert ("PRODUCTS_CREATE", HERE) in standing(simulated)
    assert sum(topic == "REFUNDS_CREATE" for topic, _ in standing(simulated)) == 1


async def test_a_topic_that_needs_another_scope_is_told_and_holds_nothing_up(
    subscriptions: ShopifySubscriptions, simulated: ShopifySimulator
) -> None:
    simulated.subscriptions.refused = frozenset({"CUSTOMERS_MERGE"})
    after = await subscriptions.mend(HERE)
    assert after.missing == ()
    assert any(text.startswith("customers/merge: no code: You do not have permission") for text in after.by_hand)
    assert any("read_customer_merge" in text for text in after.by_hand)


async def test_another_api_version_is_told(subscriptions: ShopifySubscriptions, simulated: ShopifySimulator) -> None:
    simulated.subscriptions.put("ORDERS_PAID", HERE, apiVersion={"handle": "2026-04"})
    (first, *_) = (await subscriptions.look(HERE)).by_hand
    assert first == "webhooks come as of API version 2026-04: set 2026-10 for the app"


async def test_all_pages_are_read_and_at_the_end_nothing_of_ours_is_left(
    subscriptions: ShopifySubscriptions, simulated: ShopifySimulator
) -> None:
    for number in range(130):
        simulated.subscriptions.put("PRODUCTS_CREATE", f"https://elsewhere.example/{number}")
    await subscriptions.mend(HERE)
    assert await subscriptions.end(HERE) == len(TOPICS)
    assert len(standing(simulated)) == 130
    assert await subscriptions.end(HERE) == 0


async def test_a_shop_that_does_not_answer_is_an_error_without_a_secret(
    connection: Callable[..., ConnectionContext[Any]], settings: Callable[..., Any], router: respx.Router
) -> None:
    router.post(API).mock(side_effect=httpx.ConnectError("no route"))
    subscriptions = ShopifySubscriptions(Client(connection()), settings())
    for work in (subscriptions.look, subscriptions.mend, subscriptions.end):
        with pytest.raises(PluginError, match="no answer from Shopify: ConnectError"):
            await work(HERE)
