"""Which orders the shop has, while it goes on trading."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as trial
from hypothesis import strategies as st

from stampcard.plugin import Listing
from stampcard_woocommerce import listing
from stampcard_woocommerce.calling import CallFailed
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.listing import Place, WooCommerceOrders, behind
from stampcard_woocommerce.simulator import WooCommerceSimulator

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
AGO = NOW - timedelta(minutes=15)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 4)
    monkeypatch.setattr(listing, "AGAIN", 1)


async def all_of(orders: WooCommerceOrders, since: datetime = AGO) -> list[Listing]:
    found: list[Listing] = []
    place = ""
    for _ in range(100):
        page = await orders.changed(since, place)
        found += page.orders
        place = page.place
        if not place:
            return found
    raise AssertionError("without end")


async def test_orders_that_changed_are_listed_with_when(
    simulated: WooCommerceSimulator, client: Client, clock: Any
) -> None:
    customer = simulated.register()
    old = simulated.buy(customer)
    clock.moment += timedelta(hours=1)
    orders = [simulated.buy(customer) for _ in range(3)]
    simulated.turn(old, "send")
    listed = await all_of(WooCommerceOrders(client), clock.moment)
    assert listed == [Listing(reference=str(order.id), changed_at=order.modified_at) for order in (old, *orders)]


async def test_the_very_moment_that_is_asked_for_belongs_to_it(simulated: Any, client: Client) -> None:
    order = simulated.buy(simulated.register())
    assert len(await all_of(WooCommerceOrders(client), order.modified_at)) == 1
    assert await all_of(WooCommerceOrders(client), order.modified_at + timedelta(seconds=1)) == []


async def test_what_lies_in_the_bin_is_listed_and_drafts_are_not(simulated: Any, client: Client) -> None:
    binned, draft = (simulated.buy(simulated.register()) for _ in range(2))
    simulated.turn(binned, "bin")
    draft.status = "checkout-draft"
    assert [one.reference for one in await all_of(WooCommerceOrders(client))] == [str(binned.id)]


@pytest.mark.usefixtures("small_pages")
async def test_orders_that_change_while_we_look_hide_no_other(simulated: Any, client: Client, clock: Any) -> None:
    customer = simulated.register()
    orders = [simulated.buy(customer) for _ in range(13)]
    source = WooCommerceOrders(client)
    found, place = set[str](), ""
    for turn in range(30):
        page = await source.changed(AGO, place)
        found |= {one.reference for one in page.orders}
        place = page.place
        if not place:
            break
        clock.moment += timedelta(seconds=1)
        simulated.turn(orders[turn % 3], "send")  # by time of change these would move to the end
        simulated.buy(customer)
    assert place == ""
    assert {str(order.id) for order in orders} <= found


@pytest.mark.usefixtures("small_pages")
async def test_orders_that_vanish_while_we_look_hide_no_other(simulated: Any, client: Client) -> None:
    customer = simulated.register()
    orders = [simulated.buy(customer) for _ in range(14)]
    source = WooCommerceOrders(client)
    page = await source.changed(AGO)
    found = {one.reference for one in page.orders}
    for order in orders[:3]:
        simulated.delete(order)
    while page.place:
        page = await source.changed(AGO, page.place)
        found |= {one.reference for one in page.orders}
    assert {str(order.id) for order in orders} <= found


@trial(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_way_through_pages_skips_nobody_who_stays_and_ends(data: st.DataObject) -> None:
    """Of rows by number, some vanish and some are added between two pages; of those that are made up for, ten at most."""
    rows = list(range(data.draw(st.integers(0, 450))))
    staying, seen, place, added = set(rows), set[int](), Place(), 10_000
    for _ in range(60):
        page = rows[place.offset : place.offset + 100]
        seen |= set(page)
        place = behind(place, len(page), len(rows))
        if place.bin:
            break
        many = data.draw(st.sampled_from([10, 60]))
        gone = set(data.draw(st.lists(st.sampled_from(rows), max_size=many))) if rows else set()
        rows = [row for row in rows if row not in gone]
        staying -= gone
        more = data.draw(st.integers(0, 12)) if many == 10 else 0
        rows += range(added, added + more)
        added += more
    assert place.bin == 1
    assert staying <= seen


@pytest.mark.parametrize("place", ["x", "1.x.0", "9.0.0", "0.-5.0", "1.2.3.4"])
async def test_a_place_that_is_none_is_refused(client: Client, place: str) -> None:
    with pytest.raises(CallFailed, match="no such place"):
        await WooCommerceOrders(client).changed(AGO, place)
