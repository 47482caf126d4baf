"""Connections that are added, changed and removed over HTTP, while others work, on both databases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select
from tests.databases import served_on_sqlite

from stampcard.app import Application
from stampcard.plugin import Health
from stampcard.storage.tables import connection, fetch, push

TILL = {"name": "till", "plugin": "shopping"}


@served_on_sqlite
async def test_a_connection_is_added_works_at_once_and_is_removed(served: Any) -> None:
    added = await served.call("POST", "/connections", TILL)

    assert (added.status, added.body["name"], added.body["plugin"]) == (201, "till", "shopping")
    assert added.body["webhook"].endswith("/webhooks/till")
    assert served.application.setting.active == {"shop", "till"}
    assert set(served.application.dispatchers) == {"shop", "till"}
    assert (await served.call("GET", "/connections/till")).body["state"] == "active"
    made = await served.call("POST", "/members", {"identity": {"connection": "till", "reference": "7"}})
    assert made.status == 201
    waits = (await served.call("GET", "/connections/till")).body["due"]
    assert waits > 0
    gone = await served.call("DELETE", "/connections/till")
    assert (gone.status, gone.body) == (200, {"name": "till", "unsent": waits, "ended": 0, "stays": []})
    assert set(served.application.connections) == set(served.application.dispatchers) == {"shop"}
    assert (await served.call("GET", "/connections/till")).status == 404
    assert (await served.call("GET", f"/members/{made.body['id']}")).status == 200


@served_on_sqlite
async def test_changed_settings_count_at_once_and_what_fails_changes_nothing(served: Any) -> None:
    await served.call("POST", "/connections", TILL)
    before = served.application.dispatchers["till"]
    refused = await served.call("PATCH", "/connections/till", {"settings": {"broken": True}})
    assert (refused.status, refused.body["code"]) == (422, "unreachable")
    assert "the shop is closed" in refused.body["detail"]
    assert served.application.dispatchers["till"] is before
    kept = await served.call("PATCH", "/connections/till", {"settings": {"broken": True}, "test": False})
    assert (kept.status, kept.body["settings"]) == (200, {"broken": True, "token": None, "api_url": ""})
    shown = (await served.call("GET", "/connections/till")).body
    assert (shown["state"], "the shop is closed" in shown["problem"]) == ("failed", True)
    mended = await served.call("PATCH", "/connections/till", {"unset": ["broken"]})
    assert (mended.status, (await served.call("GET", "/connections/till")).body["state"]) == (200, "active")
    assert (await served.call("GET", "/connections/till/settings")).body["settings"]["broken"] is False


@served_on_sqlite
async def test_another_process_plugs_it_in_when_it_looks_again(served: Any) -> None:
    other = Application(served.application.settings, clock=served.clock, plugins={"shopping": served.shop})
    await other.open(loops=False)
    try:
        await served.call("POST", "/connections", {**TILL, "orders_of": "shop"})
        assert set(other.connections) == {"shop"}
        await other.refresh()
        assert set(other.connections) == set(other.dispatchers) == {"shop", "till"}
        assert other.sources == {"shop": "shop", "till": "shop"}
        await served.call("DELETE", "/connections/till")
        await other.refresh()
        assert set(other.connections) == set(other.dispatchers) == {"shop"}
    finally:
        await other.close()


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ({**TILL, "name": "shop"}, 409, "connection_exists", "in the settings file"),
        ({**TILL, "name": "A shop"}, 422, "bad_name", "lower-case letters"),
        ({**TILL, "plugin": "shoping"}, 422, "settings", "Did you mean 'shopping'?"),
        ({**TILL, "settings": {"brokn": True}}, 422, "settings", "Did you mean 'broken'?"),
        ({**TILL, "settings": {"broken": "maybe"}}, 422, "settings", "broken"),
        ({**TILL, "orders_of": "nobody"}, 422, "unknown_connection", "there is: shop"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_kept(
    api: Any, body: dict[str, Any], status: int, code: str, said: str
) -> None:
    refused = await api.call("POST", "/connections", body)
    assert (refused.status, refused.body["code"]) == (status, code)
    assert said in refused.body["detail"]
    assert await api.read(select(connection)) == []


@served_on_sqlite
async def test_connections_of_the_file_are_not_changed_here_and_unknown_ones_are_not_found(served: Any) -> None:
    for method, body in (("PATCH", {"unset": ["broken"]}), ("DELETE", None)):
        of_file = await served.call(method, "/connections/shop", body)
        assert (of_file.status, of_file.body["code"]) == (422, "of_the_file")
        assert (await served.call(method, "/connections/nobody", body)).status == 404
    await served.call("POST", "/connections", TILL)
    assert (await served.call("POST", "/connections", TILL)).status == 409
    assert (await served.call("PATCH", "/connections/till", {})).body["code"] == "nothing_to_change"
    assert (await served.call("PATCH", "/connections/till", {"unset": ["broken"]})).body["code"] == "not_set"
    stranger = await served.call("POST", "/connections", {**TILL, "name": "other"}, merchant="other")
    assert (stranger.status, stranger.body["code"]) == (422, "elsewhere")


@served_on_sqlite
async def test_a_key_needs_a_scope_of_its_own_and_a_connection_that_is_not_well_is_not_added(served: Any) -> None:
    assert (await served.call("POST", "/connections", TILL, scopes=("connections:write",))).status == 403
    served.shop.health = Health(ok=False, problem="the token is wrong")
    refused = await served.call("POST", "/connections", TILL, scopes=("connections:plug",))
    assert (refused.status, refused.body["detail"]) == (422, "the token is wrong; or leave the test out")
    assert (await served.call("POST", "/connections", {**TILL, "test": False})).status == 201


@served_on_sqlite
async def test_secrets_lie_sealed_and_are_shown_to_nobody(served: Any) -> None:
    secret = "a-secret-that-nobody-reads"
    body = {"name": "books", "plugin": "shopping", "settings": {"token": secret}}
    shown = [await served.call("POST", "/connections", body)]
    shown += [await served.call("GET", f"/connections/books{path}") for path in ("", "/settings")]
    assert [reply.status for reply in shown] == [201, 200, 200]
    assert shown[0].body["settings"]["token"] == "…"
    assert secret not in json.dumps([reply.body for reply in shown], ensure_ascii=False)
    (row,) = await served.read(select(connection))
    assert secret.encode() not in row.settings_sealed


async def test_what_the_vendor_sends_is_looked_at_and_set_right(served: Any) -> None:
    refused = await served.call("GET", "/connections/shop/webhooks")
    assert (refused.status, refused.body["code"]) == (422, "no_public_url")
    served.application.public_url = "https://points.example"
    looked = await served.call("GET", "/connections/shop/webhooks")
    assert (looked.status, looked.body) == (200, {
        "address": "https://points.example/webhooks/shop", "good": [], "missing": ["a", "b"], "heard": [], "wrong": [],
        "foreign": [], "by_hand": ["ring the bell"],
    })  # fmt: skip
    await served.take_in("one")  # a delivery of the topic t
    mended = await served.call("POST", "/connections/shop/webhooks")
    assert (mended.status, mended.body["good"], mended.body["missing"]) == (200, ["a", "b"], [])
    served.shop.mailing.closed = True
    assert (await served.call("GET", "/connections/shop/webhooks")).body["code"] == "unreachable"
    assert (await served.call("GET", "/connections/nobody/webhooks")).status == 404
    few = await served.call("POST", "/connections/shop/webhooks", scopes=("connections:read",))
    assert few.status == 403


async def test_with_a_connection_goes_what_was_to_be_sent_and_rewards_come_back(served: Any) -> None:
    await served.call("POST", "/connections", TILL)
    body = {"identity": {"connection": "till", "reference": "7"}}
    member = (await served.call("POST", "/members", body)).body["id"]
    await served.call("POST", f"/members/{member}/adjustments", {"wallet": "points", "points": 100, "reason": "a gift"})
    await served.prepare()
    before = await served.figures(member)
    held = await served.call("POST", f"/members/{member}/redemptions", {"reward": "five-off"})
    assert (held.status, (await served.figures(member))[1]) == (201, 50)
    await served.store("fetch", {"connection": "till", "kind": "order", "reference": "1", "wanted_at": 0, "due_at": 0})
    gone = await served.call("DELETE", "/connections/till")
    assert gone.body["unsent"] >= 2
    while await served.application.worker.work_once():
        pass
    assert await served.figures(member) == before
    for table in (push, fetch):
        assert await served.read(select(table).where(table.c.connection == "till")) == []


@served_on_sqlite
async def test_a_secret_never_reaches_a_host_that_it_was_not_given_for(served: Any) -> None:
    ours, theirs = {"api_url": "https://shop.example", "token": "ours"}, {"api_url": "https://elsewhere.example"}
    await served.call("POST", "/connections", {**TILL, "settings": ours})
    asked = served.shop.asked
    for body in ({"settings": theirs}, {"settings": {**theirs, "broken": False}, "test": False}):
        refused = await served.call("PATCH", "/connections/till", body)
        assert (refused.status, refused.body["code"]) == (422, "secrets_anew")
        assert "give token anew" in refused.body["detail"]
    assert served.shop.asked == asked
    shown = (await served.call("GET", "/connections/till/settings")).body["settings"]
    assert (shown["api_url"], shown["token"]) == ("https://shop.example", "…")
    for settings in ({**theirs, "token": "theirs"}, {"broken": False}):
        assert (await served.call("PATCH", "/connections/till", {"settings": settings})).status == 200
    assert (await served.call("PATCH", "/connections/till", {"settings": ours, "unset": ["token"]})).status == 200
