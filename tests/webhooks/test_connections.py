"""Connections over HTTP: how they are, and their switch."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.databases import served_on_sqlite

from stampcard.plugin import Health, Listings, OrderList
from stampcard.storage.reconciling import reconciled_until
from stampcard_webhooks import wellbeing

SHOPS = {"shop": {"plugin": "shopping"}, "till": {"plugin": "shopping", "broken": True}}


class NoOrders(OrderList):
    async def changed(self, since: Any, place: str = "") -> Listings:  # noqa: ARG002 - there is none
        return Listings()


async def test_a_connection_shows_its_health_and_what_waits(served: Any) -> None:
    await served.call("POST", "/members", {"identity": {"connection": "shop", "reference": "1"}})
    await served.take_in("a")

    shown = (await served.call("GET", "/connections/shop")).body

    assert {key: shown[key] for key in ("name", "plugin", "state", "problem", "due", "dead", "health")} == {
        "name": "shop", "plugin": "shopping", "state": "active", "problem": "", "due": 1, "dead": 0,
        "health": {"ok": True, "problem": "", "open": ""},
    }  # fmt: skip
    assert shown["last_received_at"] == "2026-03-10T12:00:00Z"
    assert shown["oldest_due_at"] is not None
    assert [(sink["kind"], sink["breaker"], sink["calls"], sink["last_success_at"]) for sink in shown["sinks"]] == [
        ("balance", "closed", 0, None),
        ("note", "closed", 0, None),
        *((f"reward_{what}", "closed", 0, None) for what in ("issue", "withdraw", "restore")),
    ]


async def test_a_failed_connection_says_why(serve: Any, sqlite_url: str) -> None:
    served = await serve(sqlite_url, connections=SHOPS)

    listed = (await served.call("GET", "/connections")).body["items"]
    till = (await served.call("GET", "/connections/till")).body

    assert [(item["name"], item["state"]) for item in listed] == [("shop", "active"), ("till", "failed")]
    assert "the shop is closed" in till["problem"]
    assert till["health"]["ok"] is False


async def test_health_is_asked_once_for_a_while_however_many_want_to_know(api: Any) -> None:
    api.shop.health = Health(ok=False, problem="the token is wrong")

    replies = await asyncio.gather(*(api.call("GET", "/connections/shop") for _ in range(5)))

    assert {reply.body["health"]["problem"] for reply in replies} == {"the token is wrong"}
    assert api.shop.asked == 1


async def test_a_check_that_hangs_or_fails_is_told(
    serve: Any, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wellbeing, "WITHIN", 0.01)
    monkeypatch.setattr(wellbeing, "GOOD_FOR", 0.0)
    served = await serve(sqlite_url)
    served.shop.answers = lambda: asyncio.sleep(60)
    hanging = (await served.call("GET", "/connections/shop")).body["health"]

    async def fail() -> None:
        raise LookupError

    served.shop.answers = fail
    failing = (await served.call("GET", "/connections/shop")).body["health"]

    assert hanging == {"ok": False, "problem": "its check did not end within 0.01 seconds", "open": ""}
    assert failing == {"ok": False, "problem": "its check failed: LookupError", "open": ""}


@served_on_sqlite
async def test_a_connection_is_paused_and_resumed(served: Any) -> None:
    assert "shop" in served.application.setting.active

    paused = await served.call("POST", "/connections/shop/pause", {"reason": "moving house"})

    assert (paused.status, paused.body["state"], paused.body["reason"]) == (200, "paused", "moving house")
    assert paused.body["since"] == "2026-03-10T12:00:00Z"
    assert "shop" not in served.application.setting.active
    resumed = await served.call("POST", "/connections/shop/resume")
    assert (resumed.body["state"], resumed.body["since"]) == ("active", None)
    assert "shop" in served.application.setting.active


async def test_a_connection_of_which_nothing_is_heard_any_more_is_not_well(api: Any) -> None:
    async def health() -> Any:
        return (await api.call("GET", "/connections/shop")).body["health"]

    assert (await health())["ok"]
    await api.take_in("one")
    api.clock.advance(timedelta(hours=71))
    assert (await health())["ok"]
    api.clock.advance(timedelta(hours=2))
    said = await health()
    assert (said["ok"], "no webhook came for 73 hours" in said["problem"]) == (False, True)
    verbose = await api.call("GET", "/readyz?verbose")
    found = {one["name"]: one["detail"] for one in verbose.body["checks"] if not one["ok"]}
    assert "connection webhooks shop" in found["webhooks of shop"]
    await api.take_in("two")
    assert (await health())["ok"]


async def test_orders_are_looked_at_again_as_far_back_as_somebody_wants(api: Any) -> None:
    async def mark() -> Any:
        return await api.application.database.read(lambda c: reconciled_until(c, "main", "till"))

    api.shop.orders, now = NoOrders(), api.clock.now()
    await api.call("POST", "/connections", {"name": "till", "plugin": "shopping"})
    for days, expected in ((7, 7), (3, 7), (30, 30), (-5, 30)):
        since = (now - timedelta(days=days)).isoformat()
        answer = await api.call("POST", "/connections/till/reconcile", {"since": since})
        assert (answer.status, answer.body["connection"]) == (202, "till")
        assert await mark() == now - timedelta(days=expected)
    refused = await api.call("POST", "/connections/shop/reconcile", {"since": now.isoformat()})
    assert (refused.status, refused.body["code"]) == (422, "no_orders")


async def test_what_ended_cannot_be_paused_but_resumed(api: Any) -> None:
    await api.store("connection_state", {"connection": "shop", "state": "ended", "reason": "removed", "since": 0})

    refused = await api.call("POST", "/connections/shop/pause")

    assert (refused.status, refused.body["code"]) == (409, "connection_ended")
    assert (await api.call("POST", "/connections/shop/resume")).body["state"] == "active"


async def test_another_merchants_key_sees_no_connection(api: Any) -> None:
    other = {"merchant": "other"}
    assert (await api.call("GET", "/connections", **other)).body["items"] == []
    for method, path in (("GET", ""), ("POST", "/pause"), ("POST", "/resume")):
        assert (await api.call(method, f"/connections/shop{path}", **other)).status == 404
        assert (await api.call(method, f"/connections/crm{path}")).status == 404


async def test_programs_are_listed_for_each_merchant(api: Any) -> None:
    for merchant in ("main", "other"):
        (program,) = (await api.call("GET", "/programs", merchant=merchant)).body["items"]
        assert {key: program[key] for key in ("id", "name", "version", "wallets", "currency")} == {
            "id": "main", "name": "Beans", "version": 1, "wallets": ["points"], "currency": "EUR",
        }  # fmt: skip
    assert (await api.call("GET", "/programs", merchant="nobody")).body["items"] == []
