"""Members who are one person, over HTTP on both databases."""

from __future__ import annotations

from typing import Any

from tests.databases import served_on_sqlite

from stampcard.domain.events import OrderSeen
from stampcard.testing.building import order

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
"""


async def two(served: Any) -> tuple[str, str]:
    """Two members with 30 and 12 points."""
    await served.prepare(PROGRAM)
    await served.apply(OrderSeen(reference="A", snapshot=order(30, customer="1")))
    await served.apply(OrderSeen(reference="B", snapshot=order(12, customer="2")))
    found = (await served.call("GET", "/members")).body["items"]
    ids = {one["identities"][0]["reference"]: one["id"] for one in found}
    return ids["1"], ids["2"]


async def active(served: Any, member: str) -> int:
    return int((await served.call("GET", f"/members/{member}")).body["balances"]["points"]["active"])


async def test_a_merge_is_made_listed_shown_and_undone(served: Any) -> None:
    ann, bob = await two(served)

    made = await served.call("POST", f"/members/{bob}/merge", {"into": ann, "note": "two accounts"})

    assert (made.status, made.body["source"], made.body["target"]) == (201, bob, ann)
    assert await active(served, ann) == 42
    assert [one["id"] for one in (await served.call("GET", "/members")).body["items"]] == [ann]
    assert (await served.call("GET", "/merges")).body["items"] == [made.body]
    assert (await served.call("GET", "/merges?member=m_other")).body["items"] == []
    assert (await served.call("GET", f"/merges/{made.body['id']}")).body == made.body
    assert (await served.call("GET", "/merges/x_none")).status == 404
    words = [one["words"] for one in (await served.call("GET", f"/members/{ann}/timeline")).body["items"]]
    assert f"{bob} was merged into this member." in words
    assert [one for one in words if "merge" in one and "12" in one] == ["12 points came by a merge."]
    assert len([one for one in words if one.startswith("Order ")]) == 2

    undone = await served.call("DELETE", f"/merges/{made.body['id']}")

    assert (undone.status, undone.body["spent"], undone.body["orders"]) == (200, {}, 0)
    assert undone.body["merge"]["undone_at"] is not None
    assert (await active(served, ann), await active(served, bob)) == (30, 12)
    again = await served.call("DELETE", f"/merges/{made.body['id']}")
    assert (again.status, again.body["code"]) == (409, "undone")


@served_on_sqlite
async def test_whoever_was_merged_is_not_found_and_the_answer_names_the_other(served: Any) -> None:
    ann, bob = await two(served)
    await served.call("POST", f"/members/{bob}/merge", {"into": ann})
    for method, path, body in (
        ("GET", f"/members/{bob}", None),
        ("GET", f"/members/{bob}/timeline", None),
        ("POST", f"/members/{bob}/spends", {"wallet": "points", "points": 1}),
        ("POST", f"/members/{bob}/merge", {"into": ann}),
        ("POST", f"/members/{ann}/merge", {"into": bob}),
    ):
        answer = await served.call(method, path, body)
        assert (answer.status, answer.body["code"]) == (404, "merged"), path
        assert ann in answer.body["detail"]
    itself = await served.call("POST", f"/members/{ann}/merge", {"into": ann})
    assert (itself.status, itself.body["code"]) == (422, "same_member")
    nobody = await served.call("POST", f"/members/{ann}/merge", {"into": "m_none"})
    assert (nobody.status, nobody.body["code"]) == (404, "not_found")


async def test_an_export_has_what_was_booked_for_both(served: Any) -> None:
    ann, bob = await two(served)
    await served.call("POST", f"/members/{bob}/merge", {"into": ann})
    tables = (await served.call("GET", f"/members/{ann}/export")).body["tables"]
    assert {row["member"] for row in tables["entry"]} == {ann, bob}
    assert {row["id"] for row in tables["member"]} == {ann, bob}
    assert (await served.call("DELETE", f"/members/{ann}")).status == 204
    assert (await served.call("GET", f"/members/{bob}")).body["code"] == "not_found"
