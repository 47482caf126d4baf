"""What members take part in, over HTTP on both databases."""

from __future__ import annotations

from typing import Any

from tests.databases import served_on_sqlite

from stampcard.domain.events import OrderSeen
from stampcard.testing.building import order

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
enrolment: {how: request, confirm: 30 days}
wallets: {points: {}}
rules:
  - {id: hello, on: sign_up, award: 10}
"""


async def test_a_member_joins_confirms_leaves_and_comes_back(served: Any) -> None:
    await served.prepare(PROGRAM)
    await served.apply(OrderSeen(reference="A", snapshot=order(30)))
    member = (await served.call("GET", "/members")).body["items"][0]["id"]
    path = f"/members/{member}/memberships"
    assert (await served.call("GET", path)).body == {"member": member, "items": []}

    joined = await served.call("POST", path, {"program": "main"})

    assert (joined.status, joined.body["program"], joined.body["state"]) == (201, "main", "unconfirmed")
    assert (await served.call("GET", path)).body["items"] == [joined.body]
    assert (await served.call("GET", f"/members/{member}")).body["balances"]["points"]["pending"] == 10
    again = await served.call("POST", path, {"program": "main"})
    assert (again.status, again.body["code"]) == (409, "takes_part")
    confirmed = await served.call("POST", f"{path}/main/confirm")
    assert (confirmed.status, confirmed.body["state"]) == (200, "active")
    assert (await served.call("GET", f"/members/{member}")).body["balances"]["points"]["active"] == 10
    twice = await served.call("POST", f"{path}/main/confirm")
    assert (twice.status, twice.body["code"]) == (409, "nothing_to_confirm")
    left = await served.call("DELETE", f"{path}/main")
    assert (left.status, left.body["state"]) == (200, "left")
    assert (await served.call("GET", f"/members/{member}")).body["balances"]["points"]["active"] == 0
    back = await served.call("POST", path, {"program": "main"})
    assert (back.status, back.body["state"]) == (201, "unconfirmed")
    words = [one["words"] for one in (await served.call("GET", f"/members/{member}/timeline")).body["items"]]
    assert words.count("Takes part in main, confirmed or back again.") == 1
    assert "Left main." in words


@served_on_sqlite
async def test_an_unknown_program_or_member_is_said(served: Any) -> None:
    await served.prepare(PROGRAM)
    nobody = await served.call("POST", "/members/m_none/memberships", {"program": "main"})
    assert (nobody.status, nobody.body["code"]) == (404, "not_found")
    await served.apply(OrderSeen(reference="A", snapshot=order(30)))
    member = (await served.call("GET", "/members")).body["items"][0]["id"]
    unknown = await served.call("POST", f"/members/{member}/memberships", {"program": "other"})
    assert "there is no program 'other'" in unknown.body["detail"]
    none = await served.call("DELETE", f"/members/{member}/memberships/main")
    assert (none.status, none.body["code"]) == (409, "takes_no_part")
