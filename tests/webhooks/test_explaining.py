"""Orders explained over HTTP: what they earned and why, in words and in figures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.databases import served_on_sqlite

from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.program.reading import read_program
from stampcard.storage.programming import store_version
from stampcard.testing.building import NOON, order, refund


async def explained(served: Any, reference: str = "A", **more: Any) -> Any:
    return await served.call("GET", f"/orders/shop/{reference}/explanation", **more)


async def test_an_order_is_explained_from_its_placing_to_its_points(served: Any) -> None:
    await served.apply(OrderSeen(reference="A", snapshot=order(60, 40)))
    await served.apply(RefundSeen(order="A", refund=refund("R1", [("L2", 40)])))
    await served.apply(RefundSeen(order="A", refund=refund("R2", money=500)))

    told = (await explained(served)).body

    member = (await served.call("GET", "/members?identity=shop:1")).body["items"][0]
    assert member["balances"]["points"]["active"] == 70
    assert (told["source"], told["reference"], told["member"]) == ("shop", "A", member["id"])
    assert told["state"] == {
        "number": "#1", "occurred_at": "2026-03-10T12:00:00Z", "currency": "EUR", "total": "100", "paid": True,
        "cancelled": False, "lines": 2,
    }  # fmt: skip
    (pin,) = told["pins"]
    assert (pin["program"], pin["version"], pin["refused"]) == ("main", 1, None)
    assert pin["words"] == "Version 1 of program 'main' decides it."
    assert [(rule["rule"], rule["reason"]["code"]) for rule in told["rules"]] == [("purchase", "matched")]
    assert [(one["reference"], one["money"], one["status"]) for one in told["refunds"]] == [
        ("R1", "40", "counted"),
        ("R2", "500", "refused"),
    ]
    (award,) = told["awards"]
    assert {key: award[key] for key in ("rule", "wallet", "granted", "taken", "written_off", "due", "scale")} == {
        "rule": "purchase", "wallet": "points", "granted": 100, "taken": 40, "written_off": 0, "due": 60, "scale": 0,
    }  # fmt: skip
    (lot,) = told["lots"]
    assert (lot["amount"], lot["remaining"], lot["taken"], lot["subject"]) == (100, 60, 40, "order:shop:A")
    assert [event["kind"] for event in told["history"]] == ["refund_seen", "refund_seen", "order_seen"]
    assert told["decision"] == told["history"][0]["reasons"]
    assert {reason["code"] for reason in told["decision"]} == {"matched", "refund_above_order"}
    assert all(isinstance(event["id"], str) and isinstance(event["delivery"], str) for event in told["history"])
    assert told["words"] == [
        "Order #1 of 100 EUR, placed 2026-03-10 12:00 UTC, is paid.",
        f"It belongs to member {member['id']}.",
        "Version 1 of program 'main', valid since 30 Nov 2025, decides it.",
        "Refund R1 of 40 EUR counts.",
        "Refund R2 of 500 EUR does not count: it exceeds the order.",
        f"Rule 'purchase' owes member {member['id']} 60 points: 100 granted, 40 taken back.",
        "Lot 2 of 'points': 60 points expire on 9 Apr 2026.",
    ]


async def test_an_order_that_earns_nothing_says_why(served: Any) -> None:
    await served.apply(
        OrderSeen(reference="A", snapshot=order(60, customer=None)),
        OrderSeen(reference="B", snapshot=order(60, paid=False)),
        RefundSeen(order="C", refund=refund("R", money=5)),
        OrderSeen(reference="D", snapshot=order(60, currency="USD")),
    )

    words = {name: "\n".join((await explained(served, name)).body["words"]) for name in "ABCD"}

    assert "It names no customer, so nothing is awarded." in words["A"]
    assert "It is not paid yet, so nothing is awarded." in words["B"]
    assert words["C"] == "Only refunds of this order are known yet, so nothing is awarded."
    assert "Rule 'purchase' does not apply: the order is in USD, the program in EUR" in words["D"]
    assert (await explained(served, "C")).body["state"] is None


LIMITED = """
program: main
currency: EUR
timezone: Europe/Berlin
attributes: {colour: string, cups: integer}
wallets: {points: {}}
groups: {both: {limits: 50 points per month}}
campaigns: {all: {control: 100 %}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR, groups: both}
  - {id: big, on: purchase, when: order.total >= 500, award: 10}
  - {id: red, on: purchase, when: member.attributes.colour == 'red', award: 10}
  - {id: tried, on: purchase, award: 10, campaign: all}
  - {id: off, on: purchase, award: 10, enabled: false}
  - {id: sorry, on: refund, award: 1}
"""


@served_on_sqlite
async def test_each_rule_of_the_pinned_version_says_why_and_what_it_uses_of_which_limit(served: Any) -> None:
    now = served.clock.now() - timedelta(days=90)
    program = read_program(LIMITED, "test")
    await served.application.database.write(lambda c: store_version(c, "main", program, LIMITED, "me", "", now))
    await served.application.refresh()
    await served.apply(OrderSeen(reference="A", snapshot=order(60)))

    told = (await explained(served)).body

    assert {rule["rule"]: rule["reason"] and rule["reason"]["code"] for rule in told["rules"]} == {
        "purchase": "limit", "big": "condition", "red": "condition_failed", "tried": "control_group", "off": "stopped",
        "sorry": None,
    }  # fmt: skip
    assert {rule["version"] for rule in told["rules"]} == {2}
    (award,) = told["awards"]
    assert (award["desired"], award["allowed"], award["due"]) == (60, 50, 50)
    assert [charge["words"] for charge in award["charges"]] == ["50 of 50 points per month (group 'both') in 2026-03"]
    assert told["undecided"] == ["main/red"]
    words = "\n".join(told["words"])
    assert "Rule 'purchase' would pay 60 points and pays 50 points: a limit leaves less" in words
    assert "Rule 'sorry' was not asked: there is no refund." in words
    assert "It uses 50 of 50 points per month (group 'both') in 2026-03." in words
    assert "the member is in the control group, whom the campaign pays nothing: campaign all." in words


@served_on_sqlite
async def test_a_reference_may_hold_what_paths_do_not(served: Any) -> None:
    await served.apply(OrderSeen(reference="gid://shop/Order/1", snapshot=order(5)))

    assert (await explained(served, "gid:%2F%2Fshop%2FOrder%2F1")).status == 200


async def test_another_merchants_key_finds_no_order(served: Any) -> None:
    await served.apply(OrderSeen(reference="A", snapshot=order(5)))

    assert (await explained(served, merchant="other")).status == 404
    assert (await served.call("GET", "/orders", merchant="other")).body["items"] == []
    assert (await explained(served, "unknown")).status == 404
    assert (await explained(served)).body["first_seen_at"] == NOON.isoformat().replace("+00:00", "Z")
