"""Deliveries and the quarantine over HTTP, on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from tests.databases import served_on_sqlite

from stampcard.storage.requeueing import CHUNK
from stampcard.storage.tables import inbox


async def settle(served: Any, ids: list[str], status: str, **more: Any) -> None:
    rows = [
        {"id": int(id_), "connection": "shop", "key": id_, "body_hash": "", "topic": "", "received_at": 0,
         "status": status, "attempts": 3, "settled_at": 1, **more}
        for id_ in ids
    ]  # fmt: skip
    changed = ("id", "status", "attempts", "settled_at", *more)
    stored = {row.id: row for row in await served.read(select(inbox))}
    await served.store("inbox", *({**stored[row["id"]]._mapping, **{key: row[key] for key in changed}} for row in rows))


async def statuses(served: Any) -> list[str]:
    return [row.status for row in await served.read(select(inbox.c.status).order_by(inbox.c.id))]


async def test_deliveries_are_listed_newest_first_and_narrowed(served: Any) -> None:
    ids = await served.take_in("a", "b", "c")
    await settle(served, ids[:1], "done")
    newest_first = sorted(ids, key=int, reverse=True)

    everything = (await served.call("GET", "/deliveries")).body
    first = (await served.call("GET", "/deliveries?limit=2")).body
    second = (await served.call("GET", f"/deliveries?limit=2&cursor={first['next']}")).body

    assert [item["id"] for item in everything["items"]] == newest_first
    assert first["items"] + second["items"] == everything["items"]
    assert everything["next"] is second["next"] is None
    done = (await served.call("GET", "/deliveries?status=done&connection=shop")).body["items"]
    assert [item["id"] for item in done] == ids[:1]
    assert (await served.call("GET", "/deliveries?connection=crm")).body["items"] == []
    assert (await served.call("GET", "/deliveries?status=lost")).status == 422


@served_on_sqlite
async def test_a_body_is_shown_only_to_whom_may_see_bodies(served: Any) -> None:
    (id_,) = await served.take_in("hello")

    plain = (await served.call("GET", f"/deliveries/{id_}", scopes=["deliveries:read"])).body
    whole = (await served.call("GET", f"/deliveries/{id_}", scopes=["deliveries:read", "deliveries:body"])).body

    assert (plain["body"], plain["body_encoding"], plain["has_body"]) == (None, None, True)
    assert plain["headers"] == {"x-key": "hello"}
    assert (plain["key"], plain["topic"], plain["received_at"]) == ("hello", "t", "2026-03-10T12:00:00Z")
    assert (whole["body"], whole["body_encoding"]) == ("hello", "utf-8")


async def test_a_replayed_delivery_waits_again(api: Any) -> None:
    (id_,) = await api.take_in("a")
    for status in ("done", "quarantined", "dropped"):
        await settle(api, [id_], status, code="odd", detail="very odd")
        api.application.worker.wake.clear()

        reply = await api.call("POST", f"/deliveries/{id_}/replay")

        assert reply.status == 200
        assert {key: reply.body[key] for key in ("status", "attempts", "code", "detail", "settled_at")} == {
            "status": "ready", "attempts": 0, "code": None, "detail": None, "settled_at": None,
        }  # fmt: skip
        assert api.application.worker.wake.is_set()
    again = await api.call("POST", f"/deliveries/{id_}/replay")
    assert (again.status, again.body["code"]) == (409, "delivery_waits")


async def test_without_its_body_a_delivery_cannot_be_replayed(api: Any) -> None:
    (id_,) = await api.take_in("a")
    await settle(api, [id_], "dropped", body_sealed=None)

    reply = await api.call("POST", f"/deliveries/{id_}/replay")

    assert (reply.status, reply.body["code"]) == (409, "body_deleted")
    assert (await api.call("GET", f"/deliveries/{id_}")).body["body"] is None


async def test_the_quarantine_is_counted_and_replayed_in_part_or_whole(served: Any) -> None:
    ids = await served.take_in("a", "b", "c", "d")
    await settle(served, ids[:2], "quarantined", code="odd")
    await settle(served, ids[2:3], "quarantined", code="future")

    shown = (await served.call("GET", "/quarantine")).body

    assert [(group["connection"], group["code"], group["count"]) for group in shown["groups"]] == [
        ("shop", "future", 1),
        ("shop", "odd", 2),
    ]
    assert {item["id"] for item in shown["items"]} == set(ids[:3])
    assert (await served.call("POST", "/quarantine/replay", {"code": "future"})).body == {"count": 1}
    assert (await served.call("POST", "/quarantine/replay", {"connection": "crm"})).body == {"count": 0}
    assert (await served.call("POST", "/quarantine/replay")).body == {"count": 2}
    assert await statuses(served) == ["ready"] * 4


async def test_a_large_quarantine_is_replayed_whole_and_once_for_a_key(api: Any) -> None:
    ids = await api.take_in(*(f"k{number}" for number in range(CHUNK + 1)))
    await settle(api, ids, "quarantined", code="odd")
    header = {"Idempotency-Key": "1"}

    first = await api.call("POST", "/quarantine/replay", headers=header)
    await settle(api, ids[:1], "quarantined", code="odd")
    second = await api.call("POST", "/quarantine/replay", headers=header)

    assert first.body == second.body == {"count": CHUNK + 1}
    assert (await statuses(api)).count("quarantined") == 1


async def test_another_merchants_key_finds_no_delivery(served: Any) -> None:
    (id_,) = await served.take_in("a")
    await settle(served, [id_], "quarantined", code="odd")
    other = {"merchant": "other"}

    assert (await served.call("GET", f"/deliveries/{id_}", **other)).status == 404
    assert (await served.call("POST", f"/deliveries/{id_}/replay", **other)).status == 404
    assert (await served.call("GET", "/deliveries", **other)).body["items"] == []
    assert (await served.call("GET", "/quarantine", **other)).body == {"items": [], "next": None, "groups": []}
    assert (await served.call("POST", "/quarantine/replay", **other)).body == {"count": 0}
    assert await statuses(served) == ["quarantined"]
