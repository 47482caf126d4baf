"""Points over HTTP, on both databases: nobody spends a point twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.databases import served_on_sqlite

from stampcard.storage.revising import bump
from stampcard.storage.tables import entry
from stampcard.storage.verifying import verify


async def rich(served: Any, points: int, reference: str = "1") -> str:
    """A member with so many points, the welcome points included."""
    made = await served.call("POST", "/members", {"identity": {"connection": "shop", "reference": reference}})
    member = str(made.body["id"])
    body = {"wallet": "points", "points": points - 10, "reason": "a gift"}
    assert (await served.call("POST", f"/members/{member}/adjustments", body)).status == 201
    return member


async def balance(served: Any, member: str) -> Any:
    return (await served.call("GET", f"/members/{member}")).body["balances"]["points"]


async def spend(served: Any, member: str, points: int, **more: Any) -> Any:
    headers = more.pop("headers", {})
    body = {"wallet": "points", "points": points, **more}
    return await served.call("POST", f"/members/{member}/spends", body, headers=headers)


@served_on_sqlite
async def test_a_spend_takes_points_and_cancelling_puts_them_back(served: Any) -> None:
    member = await rich(served, 100)

    spent = await spend(served, member, 30, reference="receipt-7", note="coffee")

    assert spent.status == 201
    assert {key: spent.body[key] for key in ("key", "member", "wallet", "points", "cancelled")} == {
        "key": "receipt-7", "member": member, "wallet": "points", "points": 30, "cancelled": False,
    }  # fmt: skip
    assert (spent.body["balance"]["active"], spent.body["balance"]["spent"]) == (70, 30)
    cancelled = await served.call("POST", "/spends/receipt-7/cancel", {"note": "spilt"})
    assert (cancelled.status, cancelled.body["cancelled"]) == (200, True)
    assert cancelled.body["balance"] == await balance(served, member)
    assert (await balance(served, member))["active"] == 100
    again = await served.call("POST", "/spends/receipt-7/cancel")
    assert (again.status, again.body["code"]) == (409, "already_cancelled")


async def test_too_large_a_spend_is_refused_and_leaves_no_trace(served: Any) -> None:
    member = await rich(served, 20)
    header = {"Idempotency-Key": "1"}

    refused = await spend(served, member, 21, reference="r", headers=header)

    assert (refused.status, refused.body["code"]) == (409, "insufficient_points")
    assert (await spend(served, member, 20, reference="r", headers=header)).status == 201


@served_on_sqlite
async def test_a_reference_names_one_spend_of_one_member(served: Any) -> None:
    ann, bob = await rich(served, 20), await rich(served, 20, "2")
    assert (await spend(served, ann, 5, reference="r")).status == 201

    for member in (ann, bob):
        reply = await spend(served, member, 5, reference="r")
        assert (reply.status, reply.body["code"]) == (409, "spend_exists")
    assert (await balance(served, bob))["active"] == 20


async def test_one_reference_at_once_for_two_members_is_one_spend(served: Any) -> None:
    people = [await rich(served, 20, str(number)) for number in range(4)]

    replies = await asyncio.gather(*(spend(served, member, 5, reference="r") for member in people))

    assert sorted(reply.status for reply in replies) == [201, 409, 409, 409]
    assert sorted([(await balance(served, member))["active"] for member in people]) == [15, 20, 20, 20]


@served_on_sqlite
async def test_adjusting_needs_a_reason_and_enough_points(served: Any) -> None:
    member = await rich(served, 20)
    path = f"/members/{member}/adjustments"

    taken = await served.call("POST", path, {"wallet": "points", "points": -5, "reason": "a mistake"})

    assert (taken.status, taken.body["points"], taken.body["balance"]["active"]) == (201, -5, 15)
    for points, reason, status in ((5, " ", 422), (0, "x", 422), (-16, "x", 409)):
        body = {"wallet": "points", "points": points, "reason": reason}
        assert (await served.call("POST", path, body)).status == status
    assert (await served.call("POST", path, {"wallet": "stars", "points": 1, "reason": "x"})).status == 404
    assert (await balance(served, member))["active"] == 15


async def test_the_same_key_at_once_has_one_effect_and_one_answer(served: Any) -> None:
    member = await rich(served, 100)
    header = {"Idempotency-Key": "till-1"}

    replies = await asyncio.gather(*(spend(served, member, 10, headers=header) for _ in range(8)))

    assert {reply.status for reply in replies} == {201}
    assert len({str(reply.body) for reply in replies}) == 1
    assert (await balance(served, member))["active"] == 90
    other = await spend(served, member, 11, headers=header)
    assert (other.status, other.body["code"]) == (409, "idempotency_key_reused")


@served_on_sqlite
async def test_an_idempotency_key_belongs_to_one_caller_and_one_path(served: Any) -> None:
    ann, bob = await rich(served, 50), await rich(served, 50, "2")
    header = {"Idempotency-Key": "1"}
    body = {"wallet": "points", "points": 1}
    for member in (ann, bob):
        assert (await spend(served, member, 1, headers=header)).status == 201

    mine = await served.call("POST", f"/members/{ann}/spends", body, headers=header)
    theirs = await served.call("POST", f"/members/{ann}/spends", body, scopes=["points:write"], headers=header)

    assert mine.status == theirs.status == 201
    assert mine.body["key"] != theirs.body["key"]
    assert (await balance(served, ann))["active"] == 48


@served_on_sqlite
async def test_a_key_of_another_merchant_cancels_nothing(served: Any) -> None:
    member = await rich(served, 50)
    await spend(served, member, 5, reference="r")

    assert (await served.call("POST", "/spends/r/cancel", merchant="other")).status == 404


@served_on_sqlite
async def test_a_change_of_program_in_between_is_no_trouble(served: Any) -> None:
    member = await rich(served, 50)
    await served.application.database.write(lambda connection: bump(connection, "main"))

    assert (await spend(served, member, 5)).status == 201


@pytest.mark.timeout(60)
async def test_of_200_spends_of_5_from_500_exactly_100_succeed(served: Any) -> None:
    member = await rich(served, 500)
    busy = asyncio.Semaphore(32)

    async def one() -> int:
        async with busy:
            return int((await spend(served, member, 5)).status)

    statuses = Counter(await asyncio.gather(*(one() for _ in range(200))))

    assert statuses == {201: 100, 409: 100}
    shown = await balance(served, member)
    assert (shown["active"], shown["spent"]) == (0, 500)
    ((spends,),) = await served.read(select(func.count()).where(entry.c.kind == "spend"))
    assert spends == 100
    assert (await served.application.database.read(lambda connection: verify(connection, "main"))).findings == ()


async def test_points_may_wait_and_be_freed_cancelled_or_told_to_wait_longer(served: Any) -> None:
    member = await rich(served, 100)
    for points in (30, 20, 10):
        body = {"wallet": "points", "points": points, "reason": "later", "pending_until": "2036-01-01T00:00:00Z"}
        assert (await served.call("POST", f"/members/{member}/adjustments", body)).status == 201
    lots = (await served.call("GET", f"/members/{member}/lots")).body["items"]
    waiting = {lot["amount"]: lot["number"] for lot in lots if not lot["active"]}
    path = f"/members/{member}/lots/points"

    freed = await served.call("POST", f"{path}/{waiting[30]}/activate")
    cancelled = await served.call("POST", f"{path}/{waiting[20]}/cancel", {"note": "a mistake"})
    later = await served.call("POST", f"{path}/{waiting[10]}/reschedule", {"until": "2037-01-01T00:00:00Z"})

    assert (freed.status, cancelled.status, later.status) == (200, 200, 200)
    figures = await balance(served, member)
    assert (figures["active"], figures["pending"], figures["expired"]) == (130, 10, 20)
    again = await served.call("POST", f"{path}/{waiting[30]}/activate")
    assert (again.status, again.body["code"]) == (409, "not_pending")
    unknown = await served.call("POST", f"{path}/77/cancel")
    assert unknown.status == 404


@served_on_sqlite
async def test_a_spend_may_name_the_order_it_pays_for(served: Any) -> None:
    member = await rich(served, 100)
    spent = await spend(served, member, 30, order="shop:1001")
    assert spent.status == 201
    refused = await spend(served, member, 30, order="1001")
    assert refused.status == 422
