"""Members on hold, and orders that are decided again, over HTTP on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from tests.databases import served_on_sqlite

from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.testing.building import order, refund

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {pay: {rate: 1 EUR per 10}, refunds: {policy: within_balance}}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR, limits: 500 points ever, base: {paid_with_points: excluded}}
  - {id: review, on: review, award: 5}
rewards:
  five: {gives: 5 EUR off, price: 20, by: own}
"""


async def points(served: Any, member: str) -> int:
    return int((await served.call("GET", f"/members/{member}")).body["balances"]["points"]["active"])


@served_on_sqlite
async def test_a_member_on_hold_earns_and_redeems_nothing_and_is_listed(served: Any) -> None:
    await served.prepare(PROGRAM)
    member = await served.rich(100)

    held = await served.call("POST", f"/members/{member}/hold", {"reason": "returns everything"})

    assert (held.status, held.body["reason"]) == (201, "returns everything")
    assert (await served.call("GET", "/holds")).body["items"] == [held.body]
    assert (await served.call("GET", f"/members/{member}")).body["held"] == "returns everything"
    await served.apply(OrderSeen(reference="A", snapshot=order(40)))
    reported = {"name": "review", "connection": "shop", "customer": "1", "key": "k1"}
    assert (await served.call("POST", "/events", reported)).status == 200
    assert await points(served, member) == 100
    taken = await served.call("POST", f"/members/{member}/redemptions", {"reward": "five"})
    assert (taken.status, taken.body["code"]) == (422, "on_hold")
    spent = await served.call("POST", f"/members/{member}/spends", {"wallet": "points", "points": 5})
    assert (spent.status, spent.body["code"]) == (422, "on_hold")
    explained = (await served.call("GET", f"/members/{member}/explanation")).body["words"]
    assert "Is on hold: returns everything. Earns and redeems nothing." in explained
    again = await served.call("POST", f"/members/{member}/hold", {"reason": "twice"})
    assert (again.status, again.body["code"]) == (409, "on_hold")


async def test_what_was_bought_meanwhile_is_paid_once_when_the_hold_ends(served: Any) -> None:
    await served.prepare(PROGRAM)
    member = await served.rich(100)
    await served.apply(OrderSeen(reference="A", snapshot=order(10)))
    await served.call("POST", f"/members/{member}/hold", {"reason": "a check"})
    await served.apply(OrderSeen(reference="B", snapshot=order(40)))
    await served.apply(RefundSeen(order="B", refund=refund("R", [("L1", 15)])))
    await served.apply(RefundSeen(order="A", refund=refund("R", [("L1", 4)])))  # refunds go on
    assert await points(served, member) == 106

    released = await served.call("DELETE", f"/members/{member}/hold")

    assert (released.status, released.body) == (200, {"member": member, "orders": 1})
    assert await points(served, member) == 106 + 25
    assert (await served.call("DELETE", f"/members/{member}/hold")).status == 409
    await served.apply(OrderSeen(reference="B", snapshot=order(40)))
    assert await points(served, member) == 131
    lines = [one["words"] for one in (await served.call("GET", f"/members/{member}/timeline")).body["items"]]
    assert {"Was put on hold.", "The hold ended."} <= set(lines)


@pytest.mark.parametrize("body", [{"reason": "  "}, {}])
async def test_a_hold_needs_a_reason(api: Any, body: Any) -> None:
    await api.prepare(PROGRAM)
    member = await api.rich(1)
    assert (await api.call("POST", f"/members/{member}/hold", body)).status == 422
    assert (await api.call("GET", "/holds")).body["items"] == []


async def test_nobody_else_can_be_held_or_let_go(api: Any) -> None:
    await api.prepare(PROGRAM)
    assert (await api.call("POST", "/members/m_x/hold", {"reason": "why"})).status == 404
    assert (await api.call("DELETE", "/members/m_x/hold")).status == 404


async def test_the_list_goes_page_by_page(api: Any) -> None:
    await api.prepare(PROGRAM)
    members = [await api.rich(1, reference=str(number)) for number in range(3)]
    for member in members:
        await api.call("POST", f"/members/{member}/hold", {"reason": "a check"})
    first = (await api.call("GET", "/holds", params={"limit": "2"})).body
    second = (await api.call("GET", "/holds", params={"limit": "2", "cursor": first["next"]})).body
    assert {one["member"] for one in [*first["items"], *second["items"]]} == set(members)
    assert second["next"] is None


async def test_an_erased_member_is_on_no_list(api: Any) -> None:
    await api.prepare(PROGRAM)
    member = await api.rich(1)
    await api.call("POST", f"/members/{member}/hold", {"reason": "a check of Ann"})
    await api.call("DELETE", f"/members/{member}")
    assert (await api.call("GET", "/holds")).body["items"] == []


# A payment after its order


@served_on_sqlite
async def test_points_that_pay_an_order_later_lower_what_it_earns(served: Any) -> None:
    await served.prepare(PROGRAM)
    member = await served.rich(100)
    await served.apply(OrderSeen(reference="A", snapshot=order(40)))
    assert await points(served, member) == 140

    wanted = {"wallet": "points", "total": "40", "money": "10", "order": "shop:A", "reference": "receipt"}
    paid = await served.call("POST", f"/members/{member}/payments", wanted)

    assert (paid.status, paid.body["points"]) == (201, 100)
    assert await points(served, member) == 30
    await served.call("POST", "/spends/receipt/cancel", {"note": "changed their mind"})
    assert await points(served, member) == 140
