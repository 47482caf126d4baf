"""Paid memberships over HTTP, on both databases."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from stampcard.domain.events import OrderSeen
from stampcard.domain.orders import OrderLine
from stampcard.testing.building import order

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
plans:
  plus: {name: Plus, skus: PLUS, lasts: 1 year, price: 59 EUR, price_kept: until lapse, trial: 14 days}
  life: {lasts: for good}
  first: {skus: FIRST, lasts: 1 month, price: 1 EUR, renewal_price: 9 EUR}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
"""
PLUS = (OrderLine(reference="L1", quantity=1, gross=Decimal(49), sku="PLUS"),)


async def test_plans_are_listed_bought_shown_and_told_of(served: Any) -> None:
    await served.prepare(PROGRAM)
    member = await served.rich(10)
    await served.apply(OrderSeen(reference="A", snapshot=order(lines=PLUS)))

    listed = (await served.call("GET", "/plans")).body["items"]
    assert [(one["plan"], one["price"], one["renewal_price"], one["lasts"], one["members"]) for one in listed] == [
        ("plus", "59 EUR", None, "1 year", 1),
        ("life", None, None, "for good", 0),
        ("first", "1 EUR", "9 EUR", "1 month", 0),
    ]
    plus, life, _ = (await served.call("GET", f"/members/{member}/plans")).body["items"]
    assert (plus["active"], plus["price"], plus["renewal_price"], plus["can_try"]) == (True, "49 EUR", "49 EUR", False)
    assert [term["kind"] for term in plus["terms"]] == ["bought"]
    assert life["active"] is False
    lines = [one["words"] for one in (await served.call("GET", f"/members/{member}/timeline")).body["items"]]
    assert any(line.startswith("Began the plan 'plus' of main until 2027-") for line in lines)
    words = (await served.call("GET", f"/members/{member}/explanation")).body["words"]
    assert any(line.startswith("Has the plan 'plus', paid up to ") for line in words)


async def test_a_shopper_tries_a_plan_once(api: Any) -> None:
    await api.prepare(PROGRAM)
    member = await api.rich(10)
    token = (await api.call("POST", f"/members/{member}/links")).body["token"]
    headers = {"Authorization": f"Bearer {token}"}

    async def asks(method: str, path: str) -> tuple[int, Any]:
        url = f"{api.address}/shopper/stampcard{path}"
        async with api.session.request(method, url, headers=headers) as response:
            return response.status, await response.json()

    (mine,) = (await asks("GET", "/me"))[1]["plans"]
    assert (mine["plan"], mine["can_try"]) == ("plus", True)
    status, tried = await asks("POST", "/plans/plus/trial")
    assert (status, tried["active"], tried["trial"], "terms" in tried) == (201, True, True, False)
    status, refused = await asks("POST", "/plans/plus/trial")
    assert (status, refused["code"]) == (422, "tried_already")


async def test_people_give_and_end_plans(api: Any) -> None:
    await api.prepare(PROGRAM)
    member = await api.rich(10)
    path = f"/members/{member}/plans/life"
    for _ in range(2):
        assert (await api.call("POST", f"{path}/give", {"key": "k", "note": "a friend"})).body["active"] is True
    ended = (await api.call("POST", f"{path}/end", {"note": "asked us"})).body
    assert (ended["active"], [term["kind"] for term in ended["terms"]]) == (False, ["hand", "ended"])


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/plans/life/trial", {}, 422, "no_trial"),
        ("/plans/live/trial", {}, 404, "not_found"),
        ("/plans/life/end", {}, 422, "not_theirs"),
        ("/plans/life/give", {"until": "2020-01-01T00:00:00Z"}, 422, "in_the_past"),
        ("/plans/life/give", {"program": "other"}, 404, "not_found"),
    ],
)
async def test_what_cannot_be_is_refused(api: Any, path: str, body: Any, status: int, code: str) -> None:
    await api.prepare(PROGRAM)
    member = await api.rich(1)
    refused = await api.call("POST", f"/members/{member}{path}", body)
    assert (refused.status, refused.body["code"]) == (status, code)
