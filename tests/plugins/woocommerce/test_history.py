"""Orders of the past, read whole over a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stampcard.plugin import Delivery, OrderSeen
from stampcard_woocommerce import history, listing
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.fetching import OrderFetch
from stampcard_woocommerce.history import WooCommerceHistory
from stampcard_woocommerce.simulator import WooCommerceSimulator
from stampcard_woocommerce.webhooks import WooCommerceWebhooks

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


async def test_the_past_is_read_whole_page_by_page(
    simulated: WooCommerceSimulator, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (history, listing):
        monkeypatch.setattr(module, "PAGE", 4)
    monkeypatch.setattr(listing, "AGAIN", 0)
    customer = simulated.register()
    orders = [simulated.buy(customer) for _ in range(6)] + [simulated.buy(email="uno@mail.example") for _ in range(3)]
    simulated.turn(orders[1], "return_some")
    simulated.turn(orders[8], "cancel")
    past = WooCommerceHistory(client, OrderFetch(client, client.context))
    since = NOW - timedelta(days=1)

    assert await past.count(since) == 9
    assert (await past.count(None), await past.count(NOW + timedelta(days=1))) == (9, 0)
    deliveries: list[Delivery] = []
    place = ""
    while True:
        page = await past.read(since, place)
        again = await past.read(since, place)
        assert [(one.key, one.body) for one in again.deliveries] == [(one.key, one.body) for one in page.deliveries]
        deliveries += page.deliveries
        place = page.place
        if not place:
            break
    source = WooCommerceWebhooks(client.context.settings)
    told = [event for one in deliveries for event in source.events(one)]
    seen = {event.reference: event for event in told if isinstance(event, OrderSeen)}
    assert list(seen) == [str(order.id) for order in orders]
    assert all(delivery.read_at for delivery in deliveries)
    assert len(seen[str(orders[1].id)].refunds) == 1
    assert seen[str(orders[8].id)].snapshot.cancelled
    looked_up = [call for call in simulated.api.calls if "/customers?" in call]
    assert len(looked_up) == 2 * 2  # one address on two pages, each read twice


async def test_a_page_that_takes_too_long_ends_early_and_goes_on_behind(
    simulated: WooCommerceSimulator, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = simulated.register()
    orders = [simulated.buy(customer) for _ in range(5)]
    monkeypatch.setattr(history, "BUDGET", timedelta(seconds=-1))
    past = WooCommerceHistory(client, OrderFetch(client, client.context))
    keys, place = list[str](), ""
    for _ in orders:
        page = await past.read(None, place)
        keys += [one.key for one in page.deliveries]
        place = page.place
    assert keys == [f"past:order:{order.id}" for order in orders]
    assert place == ""


async def test_a_page_that_ends_early_misses_none_where_others_vanished(
    simulated: WooCommerceSimulator, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = simulated.register()
    orders = [simulated.buy(customer) for _ in range(6)]
    monkeypatch.setattr(history, "BUDGET", timedelta(seconds=-1))
    past = WooCommerceHistory(client, OrderFetch(client, client.context))
    first = await past.read(None)
    second = await past.read(None, first.place)
    simulated.turn(orders[0], "bin")
    seen, place = {one.key for one in (*first.deliveries, *second.deliveries)}, second.place
    while place:
        page = await past.read(None, place)
        seen |= {one.key for one in page.deliveries}
        place = page.place
    assert seen == {f"past:order:{order.id}" for order in orders}
