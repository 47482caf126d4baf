"""Events of the merchant's own over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

REVIEW = {"name": "review", "connection": "shop", "customer": "1", "key": "r1", "data": {"stars": 5}}


async def known(served: Any) -> str:
    made = await served.call("POST", "/members", {"identity": {"connection": "shop", "reference": "1"}})
    return str(made.body["id"])


async def active(served: Any, member: str) -> int:
    return int((await served.call("GET", f"/members/{member}")).body["balances"]["points"]["active"])


async def test_an_event_pays_once_by_its_key(served: Any) -> None:
    member = await known(served)

    replies = await asyncio.gather(*(served.call("POST", "/events", REVIEW) for _ in range(4)))

    assert [(reply.status, reply.body) for reply in replies] == [
        (200, {"name": "review", "key": "r1", "member": member})
    ] * 4
    assert await active(served, member) == 15
    changed = await served.call("POST", "/events", {**REVIEW, "data": {"stars": 4}})
    assert (changed.status, changed.body["code"]) == (409, "event_exists")


async def test_one_key_at_once_for_several_customers_counts_for_one(served: Any) -> None:
    for reference in "1234":
        await served.call("POST", "/members", {"identity": {"connection": "shop", "reference": reference}})

    replies = await asyncio.gather(
        *(served.call("POST", "/events", {**REVIEW, "customer": reference}) for reference in "1234")
    )

    assert sorted(reply.status for reply in replies) == [200, 409, 409, 409]


WRONG: list[tuple[dict[str, Any], int]] = [
    ({"name": "visited"}, 404),
    ({"customer": "2"}, 404),
    ({"connection": "crm"}, 404),
    ({"data": {"stars": "five"}}, 422),
    ({"data": {"size": 5}}, 422),
    ({"occurred_at": "2026-03-11T12:00:00Z"}, 422),
    ({"occurred_at": "2026-03-10T12:00:00"}, 422),
    ({"occurred_at": "0001-01-01T00:00:00+05:00"}, 422),
    ({"occurred_at": "9999-12-31T23:59:59-05:00"}, 422),
    ({"occurred_at": 5}, 422),
]


async def test_what_the_program_does_not_know_is_refused(api: Any) -> None:
    member = await known(api)

    for change, status in WRONG:
        assert (await api.call("POST", "/events", {**REVIEW, **change})).status == status, change
    assert await active(api, member) == 10


async def test_a_time_with_an_offset_is_a_moment(api: Any) -> None:
    await known(api)
    assert (await api.call("POST", "/events", {**REVIEW, "occurred_at": "2026-03-10T12:30:00+01:00"})).status == 200
