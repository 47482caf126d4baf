from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
import respx

from stampcard.plugin import ConnectionContext, Delivered, Rejected, RetryLater, TagPush
from stampcard_shopify.client import Client
from stampcard_shopify.simulator import ShopifySimulator
from stampcard_shopify.tagging import TagSink

API = "https://acme.myshopify.com/admin/api/2026-10/graphql.json"


def push(reference: str, tags: tuple[str, ...] = (), stale: tuple[str, ...] = ()) -> TagPush:
    return TagPush(member=f"m{reference}", reference=reference, version=3, tags=tags, stale=stale)


@pytest.fixture
def sink(connection: Callable[..., ConnectionContext[Any]], settings: Callable[..., Any]) -> TagSink:
    return TagSink(Client(connection()), settings())


@pytest.fixture
def over_network(at_shop: Callable[..., ConnectionContext[Any]]) -> TagSink:
    """The sink at a simulated shop."""
    context = at_shop()
    return TagSink(Client(context), context.settings)


async def test_marks_come_and_go_and_those_of_others_stay(
    over_network: TagSink, simulated: ShopifySimulator, member: str
) -> None:
    simulated.tags.put(int(member), "VIP", "early-access", "wholesale")
    first = push(member, ("early-access", "two-day"), ("old",))
    assert await over_network.deliver([first]) == [Delivered()]
    theirs = {"VIP", "early-access", "wholesale"}
    assert simulated.tags.of(int(member)) == {*theirs, "stampcard-early-access", "stampcard-two-day"}
    for _ in range(2):
        assert await over_network.deliver([push(member, (), ("early-access", "two-day"))]) == [Delivered()]
    assert simulated.tags.of(int(member)) == theirs


async def test_one_call_does_for_many_and_each_has_its_own_outcome(
    over_network: TagSink, simulated: ShopifySimulator, member: str
) -> None:
    items = [push("999999", ("a",)), push(member, ("a",)), push("shop-7", ("a",)), push(member)]
    gone, done, unfit, nothing = await over_network.deliver(items)
    assert isinstance(gone, Rejected)
    assert gone.gone
    assert "999999" not in gone.reason
    assert (done, nothing) == (Delivered(), Delivered())
    assert unfit == Rejected(reason="the reference is not a Shopify customer id", gone=True)
    assert simulated.tags.of(int(member)) == {"stampcard-a"}


async def test_what_has_no_marks_needs_no_call(sink: TagSink, router: respx.Router) -> None:
    assert await sink.deliver([push("7"), push("8")]) == [Delivered(), Delivered()]
    assert not router.calls


async def test_each_customer_is_asked_for_under_names_of_its_own(sink: TagSink, router: respx.Router) -> None:
    made: dict[str, Any] = {"userErrors": []}
    answer = {"data": {"c0_add": made, "c0_remove": made, "c1_remove": made}}
    route = router.post(API).mock(return_value=httpx.Response(200, json=answer))
    assert await sink.deliver([push("7", ("a", "b"), ("c",)), push("8", (), ("a",))]) == [Delivered()] * 2
    variables = msgspec.json.decode(route.calls.last.request.content)["variables"]
    assert variables["c0_add_tags"] == ["stampcard-a", "stampcard-b"]
    assert variables["c1_remove_id"] == "gid://shopify/Customer/8"


async def test_an_answer_that_leaves_somebody_out_is_tried_again(sink: TagSink, router: respx.Router) -> None:
    answer: dict[str, Any] = {"data": {"c0_add": {"userErrors": []}}}
    router.post(API).mock(return_value=httpx.Response(200, json=answer))
    first, second = await sink.deliver([push("7", ("a",)), push("8", ("a",))])
    assert (first, isinstance(second, RetryLater)) == (Delivered(), True)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_shop_in_trouble_is_asked_later(sink: TagSink, router: respx.Router, status: int) -> None:
    router.post(API).mock(return_value=httpx.Response(status))
    outcomes = await sink.deliver([push("7", ("a",)), push("shop-7")])
    assert [type(one) for one in outcomes] == [RetryLater, Rejected]
