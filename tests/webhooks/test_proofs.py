"""Verifications over HTTP, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
proofs:
  coach: {name: Coaches, evidence: {licence: The number of your licence}, valid: 12 months}
  nurse: {ask: false}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
"""
GIVEN = {"evidence": {"licence": "A-123"}}


async def test_requests_are_asked_queued_decided_and_told_of(served: Any) -> None:
    await served.prepare(PROGRAM)
    members = [await served.rich(1, reference=str(number)) for number in range(3)]
    for member in members:
        asked = await served.call("POST", f"/members/{member}/proofs/coach/ask", GIVEN)
        assert (asked.status, asked.body["status"], asked.body["verified"]) == (201, "asked", False)

    first = (await served.call("GET", "/proof-requests", params={"limit": "2"})).body
    second = (await served.call("GET", "/proof-requests", params={"limit": "2", "cursor": first["next"]})).body
    queue = [one for page in (first, second) for one in page["items"]]
    assert {one["member"] for one in queue} == set(members)
    assert queue[0]["evidence"] == GIVEN["evidence"]

    one, two, _ = (f"/proof-requests/{one['id']}" for one in queue)
    approved = await served.call("POST", f"{one}/approve")
    assert (approved.body["status"], approved.body["verified"]) == ("approved", True)
    refused = await served.call("POST", f"{two}/refuse", {"reason": "not in the register"})
    assert (refused.body["status"], refused.body["reason"]) == ("refused", "not in the register")
    again = await served.call("POST", f"{one}/refuse", {"reason": "no"})
    assert (again.status, again.body["code"]) == (409, "decided")
    assert (await served.call("GET", one)).body["by"]
    offered = (await served.call("GET", "/proofs")).body["items"]
    assert [(item["proof"], item["valid"], item["members"]) for item in offered] == [
        ("coach", "12 months", 1),
        ("nurse", None, 0),
    ]
    member = queue[0]["member"]
    lines = [item["words"] for item in (await served.call("GET", f"/members/{member}/timeline")).body["items"]]
    assert "Asked to be verified as 'coach' in main." in lines
    assert any(line.startswith("Is verified as 'coach' in main until ") for line in lines)
    assert "Is verified as 'coach'." in (await served.call("GET", f"/members/{member}/explanation")).body["words"]
    gone = await served.call("POST", f"/members/{member}/proofs/coach/revoke", {"reason": "the licence ended"})
    assert (gone.body["status"], gone.body["can_ask"]) == ("revoked", True)


async def test_a_shopper_asks_and_sees_how_it_stands(api: Any) -> None:
    await api.prepare(PROGRAM)
    member = await api.rich(10)
    token = (await api.call("POST", f"/members/{member}/links")).body["token"]
    headers = {"Authorization": f"Bearer {token}"}

    async def asks(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        url = f"{api.address}/shopper/stampcard{path}"
        async with api.session.request(method, url, headers=headers, json=body) as response:
            return response.status, await response.json()

    coach, nurse = (await asks("GET", "/proofs"))[1]["items"]
    assert (coach["status"], coach["can_ask"], nurse["can_ask"]) == ("none", True, False)
    status, missing = await asks("POST", "/proofs/coach", {})
    assert (status, missing["code"]) == (422, "evidence")
    status, asked = await asks("POST", "/proofs/coach", GIVEN)
    assert (status, asked["status"]) == (201, "asked")
    assert [one["status"] for one in (await asks("GET", "/me"))[1]["proofs"]] == ["asked", "none"]
    status, refused = await asks("POST", "/proofs/nurse", {})
    assert (status, refused["code"]) == (422, "not_to_be_asked")


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/proofs/couch/ask", {}, 404, "not_found"),
        ("/proofs/coach/ask", {"evidence": {"licence": 7}}, 422, "invalid"),
        ("/proofs/coach/ask", {"evidence": {"licence": " "}}, 422, "evidence"),
        ("/proofs/nurse/revoke", {"reason": "x"}, 422, "not_verified"),
        ("/proofs/nurse/revoke", {}, 422, "invalid"),
        ("/proofs/nurse/verify", {"until": "2020-01-01T00:00:00Z"}, 422, "in_the_past"),
    ],
)
async def test_what_cannot_be_is_refused(api: Any, path: str, body: Any, status: int, code: str) -> None:
    await api.prepare(PROGRAM)
    member = await api.rich(1)
    refused = await api.call("POST", f"/members/{member}{path}", body)
    assert (refused.status, refused.body["code"]) == (status, code)
