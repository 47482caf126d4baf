"""Perks over HTTP, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from stampcard.domain.events import OrderSeen
from stampcard.testing.building import order

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
perks:
  shipping: {name: Free shipping, when: history.spend.ever >= 100, uses: 2 per year, tag: two-day}
  french: {when: member.attributes.country == 'FR'}
  dinner: {during: {weekdays: [sun]}, plans: plus}
plans: {plus: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
"""


async def test_perks_are_listed_checked_used_and_given_back(served: Any) -> None:
    await served.prepare(PROGRAM)
    member = await served.rich(10)
    path = f"/members/{member}/perks/shipping"
    assert (await served.call("GET", path)).body["code"] == "not_theirs"
    await served.apply(OrderSeen(reference="A", snapshot=order(120)))

    listed = (await served.call("GET", "/perks")).body["items"]
    assert [(one["perk"], one["uses"], one["tag"], one["plans"], one["members"]) for one in listed] == [
        ("shipping", "2 per year", "two-day", [], 1),
        ("french", None, "", [], 0),
        ("dinner", None, "", ["plus"], 0),
    ]
    assert (await served.call("GET", "/perks/main/shipping/members")).body["items"] == [{"member": member}]
    first = await served.call("POST", f"{path}/use", {"key": "order-1", "note": "parcel"})
    again = await served.call("POST", f"{path}/use", {"key": "order-1"})
    assert [(one.status, one.body["left"], one.body["key"]) for one in (first, again)] == [(201, 1, "order-1")] * 2
    assert (await served.call("POST", f"{path}/use")).body["left"] == 0
    refused = await served.call("POST", f"{path}/use")
    assert (refused.status, refused.body["code"]) == (422, "used_up")
    uses = (await served.call("GET", f"{path}/uses")).body["items"]
    assert {one["key"] for one in uses} >= {"order-1"}
    back = await served.call("DELETE", f"{path}/uses/order-1")
    assert (back.status, back.body["left"], back.body["usable"]) == (200, 1, True)

    told = {one["perk"]: one for one in (await served.call("GET", f"/members/{member}/perks")).body["items"]}
    assert "country" in told["french"]["error"]
    lines = [one["words"] for one in (await served.call("GET", f"/members/{member}/timeline")).body["items"]]
    assert "Got the perk 'shipping' of main." in lines
    assert "Used the perk 'shipping' of main (order-1; 1 left)." in lines
    assert "Did not use after all the perk 'shipping' of main (order-1; 1 left)." in lines
    words = (await served.call("GET", f"/members/{member}/explanation")).body["words"]
    assert "Has the perk 'shipping', 1 of 2 per year left." in words


async def test_an_idempotency_key_makes_one_use_where_no_key_is_named(api: Any) -> None:
    await api.prepare(PROGRAM)
    member = await api.rich(10)
    await api.apply(OrderSeen(reference="A", snapshot=order(120)))
    path, headers = f"/members/{member}/perks/shipping/use", {"Idempotency-Key": "abc"}
    first = await api.call("POST", path, {}, headers=headers)
    again = await api.call("POST", path, {}, headers=headers)
    assert first.body == again.body
    assert first.body["left"] == 1


async def test_people_give_and_take_perks(api: Any) -> None:
    await api.prepare(PROGRAM)
    member = await api.rich(10)
    path = f"/members/{member}/perks/dinner"
    given = await api.call("PUT", path, {"hand": "given", "reason": "a friend", "until": "2026-12-31T23:00:00Z"})
    assert (given.body["has"], given.body["until"], given.body["reason"]) == (True, "2026-12-31T23:00:00Z", "a friend")
    assert (given.body["usable"], given.body["code"]) == (False, "not_now")
    assert (await api.call("PUT", path, {"hand": ""})).body["has"] is False


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("PUT", "/perks/dinner", {"hand": "given"}, 422, "reason_missing"),
        ("PUT", "/perks/dinner", {"hand": "given", "reason": "x", "until": "2020-01-01T00:00:00Z"}, 422, "in_the_past"),
        ("PUT", "/perks/diner", {"hand": "given", "reason": "x"}, 404, "not_found"),
        ("PUT", "/perks/dinner", {"hand": "stolen", "reason": "x"}, 422, "invalid"),
        ("POST", "/perks/dinner/use", {"key": "a b"}, 422, "invalid"),
        ("POST", "/perks/dinner/use", {"program": "other"}, 404, "not_found"),
        ("POST", "/perks/dinner/use", {}, 422, "not_theirs"),
        ("DELETE", "/perks/dinner/uses/x", None, 404, "not_found"),
        ("GET", "/perks/diner", None, 404, "not_found"),
    ],
)
async def test_what_cannot_be_is_refused(api: Any, method: str, path: str, body: Any, status: int, code: str) -> None:
    await api.prepare(PROGRAM)
    member = await api.rich(1)
    refused = await api.call(method, f"/members/{member}{path}", body)
    assert (refused.status, refused.body["code"]) == (status, code)


async def test_a_shopper_sees_what_is_theirs_and_not_why(api: Any) -> None:
    await api.prepare(PROGRAM)
    member = await api.rich(10)
    await api.call("PUT", f"/members/{member}/perks/dinner", {"hand": "given", "reason": "a friend"})
    token = (await api.call("POST", f"/members/{member}/links")).body["token"]
    async with api.session.get(
        f"{api.address}/shopper/stampcard/me", headers={"Authorization": f"Bearer {token}"}
    ) as response:
        (mine,) = (await response.json())["perks"]
    assert (mine["perk"], mine["usable"], mine["code"], mine["during"]) == ("dinner", False, "not_now", "on sun")
    assert "reason" not in mine
