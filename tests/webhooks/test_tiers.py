"""Tiers over HTTP, on both databases."""

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
wallets: {points: {}}
tiers:
  by: spend
  within: calendar year
  levels: {green: 0, silver: {from: 100, name: Silver stars}, gold: 500}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
  - {id: welcome, on: tier_up, when: event.data.tier == 'gold', award: 30}
"""
NONE = PROGRAM.partition("tiers:")[0] + "rules: [{id: buy, on: purchase, award: 1 per 1 EUR}]\n"


async def shopper(served: Any, *amounts: Any) -> str:
    """A member who bought for that."""
    for number, amount in enumerate(amounts):
        await served.apply(OrderSeen(reference=f"A{number}", snapshot=order(amount, at=served.clock.now())))
    found = await served.call("GET", "/members", params={"identity": "shop:1"})
    return str(found.body["items"][0]["id"])


@served_on_sqlite
async def test_a_member_shows_the_tier_and_what_is_missing(served: Any) -> None:
    await served.prepare(PROGRAM)
    member = await shopper(served, "120.50")

    (tier,) = (await served.call("GET", f"/members/{member}/tiers")).body["items"]
    assert {name: tier[name] for name in ("tier", "name", "by", "amount", "to_keep", "next", "missing")} == {
        "tier": "silver", "name": "Silver stars", "by": "spend", "amount": "120.50", "to_keep": "0.00", "next": "gold",
        "missing": "379.50",
    }  # fmt: skip
    assert (tier["until"][:10], tier["counts_until"][:10]) == ("2027-12-31", "2026-12-31")
    assert (await served.call("GET", f"/members/{member}")).body["tiers"] == {"main": "silver"}
    explained = (await served.call("GET", f"/members/{member}/explanation")).body
    assert explained["tiers"] == [tier]
    assert "Is silver in main up to 31 Dec 2027." in explained["words"]
    assert "379.50 spend are missing for gold by 31 Dec 2026." in explained["words"]


async def test_the_list_of_tiers_counts_members(served: Any) -> None:
    await served.prepare(PROGRAM)
    await shopper(served, 500)
    levels = (await served.call("GET", "/tiers")).body["items"]
    assert [(one["tier"], one["least"], one["members"]) for one in levels] == [
        ("green", "0.00", 0),
        ("silver", "100.00", 0),
        ("gold", "500.00", 1),
    ]


@served_on_sqlite
async def test_a_tier_is_given_and_taken_by_hand(served: Any) -> None:
    await served.prepare(PROGRAM)
    member = await shopper(served, 120)

    async def give(tier: str, **more: Any) -> Any:
        return await served.call("POST", f"/members/{member}/tiers", {"program": "main", "tier": tier, **more})

    gold = await give("gold", until="2026-09-01T00:00:00Z")
    assert (gold.status, gold.body["tier"], gold.body["by_hand"]) == (200, "gold", True)
    assert await served.figures(member) == (150, 0, 0)  # what rises is paid for, whoever raised it
    await served.apply(RefundSeen(order="A0", refund=refund("R", [("L1", 60)])))
    assert (await served.call("GET", f"/members/{member}")).body["tiers"] == {"main": "gold"}
    taken = await give("")
    assert (taken.body["tier"], taken.body["by_hand"]) == ("green", False)  # what everybody has
    lines = [one["words"] for one in (await served.call("GET", f"/members/{member}/timeline")).body["items"]]
    assert any(line.startswith("Rose to gold until 2026-09-01 00:00Z in main (by hand)") for line in lines)
    assert "Fell from gold to green in main (by hand)." in lines


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"program": "other", "tier": "gold"}, 404, "not_found"),
        ({"program": "main", "tier": "golden"}, 422, "unknown_tier"),
        ({"program": "main", "tier": "gold", "until": "2020-01-01T00:00:00Z"}, 422, "in_the_past"),
        ({"program": "main"}, 422, "invalid"),
    ],
)
async def test_what_cannot_be_given_is_refused(api: Any, body: Any, status: int, code: str) -> None:
    await api.prepare(PROGRAM)
    member = await shopper(api, 10)
    refused = await api.call("POST", f"/members/{member}/tiers", body)
    assert (refused.status, refused.body["code"]) == (status, code)
    assert (await api.call("POST", "/members/m_nobody/tiers", {"program": "main", "tier": "gold"})).status == 404


async def test_a_program_without_tiers_shows_none(api: Any) -> None:
    await api.prepare(NONE)
    member = await shopper(api, 10)
    assert (await api.call("GET", "/tiers")).body["items"] == []
    assert (await api.call("GET", f"/members/{member}/tiers")).body["items"] == []
    assert (await api.call("GET", f"/members/{member}")).body["tiers"] == {}
    assert (await api.call("GET", "/members/m_nobody/tiers")).status == 404
