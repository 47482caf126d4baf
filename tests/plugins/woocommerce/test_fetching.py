"""Orders read at the shop, over a network."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from stampcard.plugin import OrderSeen, Refetch, RetryLater
from stampcard_woocommerce.calling import CallFailed
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.fetching import OrderFetch
from stampcard_woocommerce.history import WooCommerceHistory
from stampcard_woocommerce.simulator import WooCommerceSimulator
from stampcard_woocommerce.webhooks import WooCommerceWebhooks


@pytest.fixture
def fetch(client: Client) -> OrderFetch:
    return OrderFetch(client, client.context)


@pytest.fixture
def read(fetch: OrderFetch, client: Client) -> Any:
    async def run(reference: object) -> OrderSeen:
        (delivery,) = await fetch([Refetch(kind="order", reference=str(reference))])
        event = list(WooCommerceWebhooks(client.context.settings).events(delivery))[-1]
        assert isinstance(event, OrderSeen)
        return event

    return run


async def test_what_is_fetched_carries_the_lines_of_all_refunds(simulated: WooCommerceSimulator, read: Any) -> None:
    order = simulated.buy(simulated.register())
    for _ in range(2):
        simulated.turn(order, "return_some")
    simulated.turn(order, "give_money_back")
    seen = await read(order.id)
    assert len(seen.refunds) == 3
    assert [len(refund.lines) for refund in seen.refunds] == [1, 1, 0]
    assert sum(refund.money for refund in seen.refunds) == sum(refund.amount for refund in order.refunds)
    assert sorted(seen.snapshot.refund_references) == sorted(refund.reference for refund in seen.refunds)


async def test_more_refunds_than_fit_on_a_page_are_all_read(
    simulated: WooCommerceSimulator, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stampcard_woocommerce.fetching.PAGE", 2)
    order = simulated.buy(simulated.register())
    for _ in range(5):
        simulated.turn(order, "give_money_back")
    assert len((await read(order.id)).refunds) == 5


async def test_a_refund_that_was_deleted_counts_no_more(simulated: WooCommerceSimulator, read: Any, clock: Any) -> None:
    order = simulated.buy(simulated.register())
    simulated.turn(order, "return_some")
    before = await read(order.id)
    order.refunds.clear()  # WooCommerce leaves the time of change as it was
    clock.moment += timedelta(seconds=1)
    after = await read(order.id)
    assert before.snapshot.stamp < after.snapshot.stamp
    assert (len(before.snapshot.refund_references), after.snapshot.refund_references) == (1, ())


async def test_an_order_in_the_bin_is_cancelled_and_out_of_it_it_is_not(
    simulated: WooCommerceSimulator, read: Any
) -> None:
    order = simulated.buy(simulated.register())
    simulated.turn(order, "bin")
    assert (await read(order.id)).snapshot.cancelled
    simulated.turn(order, "restore")
    back = (await read(order.id)).snapshot
    assert (back.cancelled, back.paid) == (False, True)


async def test_an_order_that_is_no_more_is_worth_nothing(simulated: WooCommerceSimulator, read: Any) -> None:
    order = simulated.buy(simulated.register())
    simulated.delete(order)
    gone = (await read(order.id)).snapshot
    assert (gone.cancelled, gone.total, gone.currency) == (True, 0, "USD")


async def test_a_404_that_woocommerce_did_not_write_deletes_nothing(
    simulated: WooCommerceSimulator, fetch: OrderFetch
) -> None:
    order = simulated.buy(simulated.register())
    simulated.fail("orders/", 404)
    with pytest.raises(CallFailed, match="no WooCommerce REST API") as raised:
        await fetch([Refetch(kind="order", reference=str(order.id))])
    assert isinstance(raised.value.outcome, RetryLater)


async def test_what_is_no_order_of_the_shops_is_not_asked_for(
    simulated: WooCommerceSimulator, fetch: OrderFetch
) -> None:
    assert await fetch([Refetch(kind="customer", reference="7"), Refetch(kind="order", reference="../7")]) == []
    assert simulated.api.calls == []


async def test_a_busy_shop_is_left_alone_for_as_long_as_it_says(
    simulated: WooCommerceSimulator, fetch: OrderFetch, client: Client, clock: Any
) -> None:
    order = simulated.buy(simulated.register())
    for status in (429, 503):
        simulated.fail("orders/", status, retry_after=40)
        with pytest.raises(CallFailed) as raised:
            await fetch([Refetch(kind="order", reference=str(order.id))])
        assert raised.value.outcome == RetryLater(reason=f"WooCommerce answered {status}", after=40)
        assert client.pace() == 40
        before = clock.now()
        assert await fetch([Refetch(kind="order", reference=str(order.id))])
        assert clock.now() - before == timedelta(seconds=40)


async def test_a_lost_connection_is_tried_again_at_once(simulated: WooCommerceSimulator, fetch: OrderFetch) -> None:
    order = simulated.buy(simulated.register())
    simulated.fail("orders/", 0)
    assert len(await fetch([Refetch(kind="order", reference=str(order.id))])) == 1


async def test_wrong_keys_are_told_by_their_setting_and_not_shown(connection: Any, simulated: Any) -> None:
    context = connection(consumer_secret="cs_of-somebody-else")
    with pytest.raises(CallFailed, match="consumer_key and consumer_secret") as raised:
        await Client(context).ping()
    assert "cs_of" not in str(raised.value)


async def test_a_shop_that_sends_us_elsewhere_is_not_followed(simulated: Any, client: Client) -> None:
    simulated.fail("orders", 301)
    with pytest.raises(CallFailed, match="set shop to its own address"):
        await client.ping()


async def test_what_a_delivery_keeps_is_the_shops_own_json(simulated: Any, fetch: OrderFetch) -> None:
    order = simulated.buy(simulated.register())
    (delivery,) = await fetch([Refetch(kind="order", reference=str(order.id))])
    body = msgspec.json.decode(delivery.body)
    assert body["order"]["payment_method"] == "cod"
    assert delivery.key == f"fetch:order:{order.id}:{delivery.read_at}"


@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"[" * 50_000,
        b'{"id":' * 50_000,
        b'{"id": 7}',
        b"<html></html>",
        b'{"code": 5}',
    ],
)
async def test_whatever_the_shop_answers_only_what_the_contract_allows_is_raised(
    connection: Any, clock: Any, status: int, content: bytes
) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=content, headers={"x-wp-total": "1"}))
    async with httpx.AsyncClient(transport=transport) as http:
        context = dataclasses.replace(connection(), http=http)
        client = Client(context)
        fetch = OrderFetch(client, context)
        history = WooCommerceHistory(client, fetch)
        with pytest.raises(CallFailed) as raised:
            await fetch([Refetch(kind="order", reference="7")])
        assert len(str(raised.value)) < 500
        for ask in (history.count, history.read):
            with suppress(CallFailed):
                await ask(clock.now())
