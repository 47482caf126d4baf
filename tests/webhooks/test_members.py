"""Members over HTTP, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from tests.databases import served_on_sqlite

from stampcard.storage.tables import idempotency, member


async def made(served: Any, reference: str = "1", **attributes: Any) -> Any:
    body = {"identity": {"connection": "shop", "reference": reference}, "attributes": attributes}
    reply = await served.call("POST", "/members", body)
    assert reply.status == 201, reply
    return reply.body


@served_on_sqlite
async def test_a_new_member_has_the_welcome_points_and_is_found_by_identity(served: Any) -> None:
    ann = await made(served, email="ann@shop.example", cups=3)

    assert ann["attributes"] == {"email": "ann@shop.example", "cups": 3}
    assert ann["identities"] == [{"connection": "shop", "reference": "1"}]
    assert ann["programs"] == ["main"]
    assert ann["version"] == 1
    assert ann["joined_at"] == "2026-03-10T12:00:00Z"
    assert ann["balances"]["points"] == {
        "active": 10, "pending": 0, "held": 0, "spent": 0, "expired": 0, "negative": 0, "lifetime": 10, "scale": 0,
    }  # fmt: skip
    found = await served.call("GET", "/members?identity=shop:1")
    assert found.body == {"items": [ann], "next": None}
    assert (await served.call("GET", f"/members/{ann['id']}")).body == ann
    assert (await served.call("GET", "/members?identity=shop:2")).body == {"items": [], "next": None}


@served_on_sqlite
async def test_an_identity_belongs_to_one_member(served: Any) -> None:
    await made(served)

    reply = await served.call("POST", "/members", {"identity": {"connection": "shop", "reference": "1"}})

    assert (reply.status, reply.body["code"]) == (409, "member_exists")


@served_on_sqlite
async def test_attributes_are_merged_and_null_removes_one(served: Any) -> None:
    ann = await made(served, email="ann@shop.example", colour="red")

    reply = await served.call("PATCH", f"/members/{ann['id']}", {"attributes": {"colour": None, "cups": 2}})

    assert reply.status == 200
    assert reply.body["attributes"] == {"email": "ann@shop.example", "cups": 2}


async def test_undeclared_and_wrong_attributes_are_refused(api: Any) -> None:
    for attributes in ({"shoe": "42"}, {"cups": "three"}, {"cups": [1]}, {"cups": 2**60}):
        assert (await api.call("POST", "/members", {"attributes": attributes})).status == 422
    assert await count(api, member) == 0


async def test_a_batch_changes_all_or_nobody(served: Any) -> None:
    one, two = await made(served, "1"), await made(served, "2")
    bad = [
        {"id": one["id"], "attributes": {"cups": 1}},
        {"id": two["id"], "attributes": {"cups": "x"}},
        {"id": "m_nobody", "attributes": {}},
    ]

    refused = await served.call("PATCH", "/members", {"items": bad})

    assert refused.status == 422
    assert [error["path"] for error in refused.body["errors"]] == ["items.1", "items.2"]
    assert (await served.call("GET", f"/members/{one['id']}")).body["attributes"] == {}

    good = [{"id": who["id"], "attributes": {"cups": 7}} for who in (one, two)]
    assert (await served.call("PATCH", "/members", {"items": good})).body == {"count": 2}
    assert (await served.call("GET", f"/members/{two['id']}")).body["attributes"] == {"cups": 7}


async def test_a_batch_names_everybody_once_and_is_not_too_long(api: Any) -> None:
    change = {"id": "m_1", "attributes": {}}
    for items in ([change, change], [], [{"id": f"m_{n}", "attributes": {}} for n in range(101)]):
        assert (await api.call("PATCH", "/members", {"items": items})).status == 422


async def test_pages_show_everybody_once(served: Any) -> None:
    ids = {(await made(served, str(number)))["id"] for number in range(7)}
    seen: list[str] = []
    cursor = ""
    for _ in range(4):
        page = (await served.call("GET", f"/members?limit=2{cursor}")).body
        seen += [item["id"] for item in page["items"]]
        cursor = f"&cursor={page['next']}"

    assert page["next"] is None
    assert len(seen) == 7
    assert set(seen) == ids


async def test_entries_and_lots_show_what_happened(served: Any) -> None:
    ann = await made(served)
    path = f"/members/{ann['id']}"
    await served.call("POST", f"{path}/spends", {"wallet": "points", "points": 4})

    entries = (await served.call("GET", f"{path}/entries")).body["items"]
    lots = (await served.call("GET", f"{path}/lots?wallet=points")).body["items"]

    assert [(entry["kind"], entry["postings"]) for entry in entries] == [
        ("spend", {"active": -4, "redeemed": 4}),
        ("earn", {"active": 10, "issued": -10}),
    ]
    assert [(lot["amount"], lot["remaining"], lot["rule"]) for lot in lots] == [(10, 6, "welcome")]
    first = (await served.call("GET", f"{path}/entries?limit=1")).body
    second = (await served.call("GET", f"{path}/entries?limit=1&cursor={first['next']}")).body
    assert first["items"] + second["items"] == entries
    assert second["next"] is None


async def test_points_that_lapsed_are_shown_as_lapsed_before_any_timer_ran(served: Any) -> None:
    ann = await made(served)
    served.clock.advance(timedelta(days=40))

    shown = (await served.call("GET", f"/members/{ann['id']}")).body["balances"]["points"]
    (lot,) = (await served.call("GET", f"/members/{ann['id']}/lots")).body["items"]

    assert (shown["active"], shown["expired"]) == (0, 10)
    assert (lot["remaining"], lot["expired"]) == (0, 10)


async def test_erasing_forgets_the_person_and_the_stored_answers(served: Any) -> None:
    header = {"Idempotency-Key": "till-1"}
    body = {"identity": {"connection": "shop", "reference": "1"}, "attributes": {"email": "ann@shop.example"}}
    ann = (await served.call("POST", "/members", body, headers=header)).body
    assert (await served.call("POST", "/members", body, headers=header)).body == ann

    erased = await served.call("DELETE", f"/members/{ann['id']}", headers=header)

    assert (erased.status, erased.body) == (204, None)
    assert (await served.call("DELETE", f"/members/{ann['id']}", headers=header)).status == 204
    assert (await served.call("DELETE", f"/members/{ann['id']}")).status == 404
    for path in ("", "/entries", "/lots"):
        assert (await served.call("GET", f"/members/{ann['id']}{path}")).status == 404
    assert (await served.call("GET", "/members?identity=shop:1")).body["items"] == []
    assert (await served.call("GET", "/members")).body["items"] == []
    replayed = await served.call("POST", "/members", body, headers=header)
    assert (replayed.status, replayed.body["code"]) == (409, "answer_erased")
    sealed = select(func.count()).where(idempotency.c.member == ann["id"], idempotency.c.answer_sealed.is_not(None))
    assert await served.application.database.read(lambda connection: connection.execute(sealed).scalar()) == 0


@served_on_sqlite
async def test_another_merchants_key_finds_nobody(served: Any) -> None:
    ann = await made(served)
    other = {"merchant": "other"}

    calls: list[tuple[str, str, Any]] = [
        ("GET", f"/members/{ann['id']}", None),
        ("GET", f"/members/{ann['id']}/entries", None),
        ("GET", f"/members/{ann['id']}/lots", None),
        ("PATCH", f"/members/{ann['id']}", {"attributes": {}}),
        ("DELETE", f"/members/{ann['id']}", None),
        ("POST", f"/members/{ann['id']}/spends", {"wallet": "points", "points": 1}),
        ("POST", f"/members/{ann['id']}/adjustments", {"wallet": "points", "points": 1, "reason": "x"}),
    ]
    for method, path, body in calls:
        assert (await served.call(method, path, body, **other)).status == 404, path
    assert (await served.call("GET", "/members", **other)).body["items"] == []
    assert (await served.call("GET", "/members?identity=shop:1", **other)).body["items"] == []
    theirs = await served.call("POST", "/members", {"identity": {"connection": "shop", "reference": "1"}}, **other)
    assert theirs.status == 201
    assert (await served.call("GET", "/members")).body["items"] == [ann]


async def count(served: Any, table: Any) -> int:
    statement = select(func.count()).select_from(table)
    return int(await served.application.database.read(lambda connection: connection.execute(statement).scalar() or 0))
