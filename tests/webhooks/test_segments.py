"""Segments over HTTP, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from tests.databases import served_on_sqlite

from stampcard.domain.events import OrderSeen
from stampcard.testing.building import order

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
segments:
  spenders: {name: Big spenders, when: history.spend.ever >= 100}
  french: {when: member.attributes.country == 'FR'}
  staff: {}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
"""


@served_on_sqlite
async def test_segments_are_counted_listed_and_explained(served: Any) -> None:
    await served.prepare(PROGRAM)
    member = await served.rich(10)
    await served.apply(OrderSeen(reference="A", snapshot=order(120)))

    listed = (await served.call("GET", "/segments")).body["items"]

    assert [(one["segment"], one["name"], one["members"]) for one in listed] == [
        ("spenders", "Big spenders", 1),
        ("french", "french", 0),
        ("staff", "staff", 0),
    ]
    inside = await served.call("GET", "/segments/main/spenders/members")
    assert inside.body["items"] == [{"member": member}]
    told = {one["segment"]: one for one in (await served.call("GET", f"/members/{member}/segments")).body["items"]}
    assert (told["spenders"]["inside"], told["spenders"]["when"]) == (True, "history.spend.ever >= 100")
    assert (told["french"]["inside"], "country" in told["french"]["error"]) == (False, True)
    lines = [one["words"] for one in (await served.call("GET", f"/members/{member}/timeline")).body["items"]]
    assert "Came into the segment 'spenders' of main." in lines


async def test_members_are_put_in_and_taken_out_by_hand(served: Any) -> None:
    await served.prepare(PROGRAM)
    members = [await served.rich(1, reference=str(number)) for number in range(3)]
    path = "/segments/main/staff/members"

    assert (await served.call("POST", path, {"add": members})).body == {"count": 3}
    assert (await served.call("POST", path, {"remove": members[:1], "add": members[1:]})).body == {"count": 1}

    first = (await served.call("GET", path, params={"limit": "1"})).body
    second = (await served.call("GET", path, params={"limit": "1", "cursor": first["next"]})).body
    assert [one["member"] for page in (first, second) for one in page["items"]] == sorted(members[1:])


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/segments/main/spenders/members", {"add": ["MEMBER"]}, 422, "has_condition"),
        ("/segments/main/stuff/members", {"add": ["MEMBER"]}, 404, "not_found"),
        ("/segments/other/staff/members", {"add": ["MEMBER"]}, 404, "not_found"),
        ("/segments/main/staff/members", {"add": ["m_nobody"]}, 404, "not_found"),
        ("/segments/main/staff/members", {"add": ["MEMBER"], "remove": ["MEMBER"]}, 422, "both"),
        ("/segments/main/staff/members", {}, 422, "invalid"),
    ],
)
async def test_what_cannot_be_is_refused(api: Any, path: str, body: Any, status: int, code: str) -> None:
    await api.prepare(PROGRAM)
    member = await api.rich(1)
    body = {key: [member if one == "MEMBER" else one for one in of] for key, of in body.items()}
    refused = await api.call("POST", path, body)
    assert (refused.status, refused.body["code"]) == (status, code)


async def test_unknown_segments_and_members_are_not_found(api: Any) -> None:
    await api.prepare(PROGRAM)
    assert (await api.call("GET", "/segments/main/stuff/members")).status == 404
    assert (await api.call("GET", "/members/m_nobody/segments")).status == 404
