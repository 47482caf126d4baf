"""Paying with points over HTTP, on both databases."""

from __future__ import annotations

from typing import Any

from tests.databases import served_on_sqlite

from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.testing.building import order, refund

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets:
  points: {pay: {rate: 1 EUR per 10, minimum: 20, share: 50 %}, refunds: {spent: return_on_full}}
  miles: {}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR, wallet: points, base: {paid_with_points: excluded}}
"""


async def pay(served: Any, member: str, **wanted: Any) -> Any:
    return await served.call("POST", f"/members/{member}/payments", {"wallet": "points", "total": "40", **wanted})


@served_on_sqlite
async def test_a_dry_run_says_what_points_could_pay_and_changes_nothing(served: Any) -> None:
    await served.prepare(PROGRAM)
    member = await served.rich(150)

    tried = await pay(served, member, dry_run=True)

    shown = {name: tried.body[name] for name in ("key", "points", "money", "most_points", "most_money", "least_points")}
    assert shown == {
        "key": None, "points": 150, "money": "15.00", "most_points": 150, "most_money": "15.00", "least_points": 20,
    }  # fmt: skip
    assert await served.figures(member) == (150, 0, 0)


async def test_what_was_paid_with_points_earns_nothing_and_comes_back_with_the_refund(served: Any) -> None:
    await served.prepare(PROGRAM)
    member = await served.rich(150)

    paid = await pay(served, member, money="10", order="shop:A", reference="receipt-1")
    await served.apply(OrderSeen(reference="A", snapshot=order(40)))

    assert (paid.status, paid.body["points"], paid.body["money"], paid.body["key"]) == (201, 100, "10.00", "receipt-1")
    assert await served.figures(member) == (80, 0, 100)
    await served.apply(RefundSeen(order="A", refund=refund("R", [("L1", 40)])))
    assert await served.figures(member) == (150, 0, 0)


@served_on_sqlite
async def test_a_payment_is_cancelled_as_a_spend(served: Any) -> None:
    await served.prepare(PROGRAM)
    member = await served.rich(150)
    key = (await pay(served, member, points=50)).body["key"]
    assert (await served.call("POST", f"/spends/{key}/cancel")).status == 200
    assert await served.figures(member) == (150, 0, 0)


@served_on_sqlite
async def test_what_the_terms_forbid_is_refused(served: Any) -> None:
    await served.prepare(PROGRAM)
    member = await served.rich(1000)
    cases: list[tuple[dict[str, object], str]] = [
        ({"money": "20.01"}, "above_share"),
        ({"points": 19}, "below_minimum"),
        ({"wallet": "miles"}, "not_for_paying"),
        ({"wallet": "gems"}, "not_found"),
        ({"reference": "redemption:r_1"}, "reference"),
        ({"total": "-1"}, "invalid"),
    ]
    for wanted, code in cases:
        assert (await pay(served, member, **wanted)).body["code"] == code, wanted
    assert await served.figures(member) == (1000, 0, 0)


@served_on_sqlite
async def test_points_and_money_are_not_both_said(served: Any) -> None:
    await served.prepare(PROGRAM)
    member = await served.rich(150)

    refused = await pay(served, member, points=20, money="10", dry_run=True)

    assert (refused.status, "not both" in str(refused.body)) == (422, True)
