"""A past is begun, watched and stopped over HTTP, on both databases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.databases import served_on_sqlite

from stampcard.plugin import HistoryPage, OrderHistory

TILL = {"name": "till", "plugin": "shopping"}
PATH = "/connections/till/backfill"


class Past(OrderHistory):
    async def count(self, since: datetime | None) -> int | None:  # noqa: ARG002
        return 3

    async def read(self, since: datetime | None, place: str = "") -> HistoryPage:  # noqa: ARG002
        return HistoryPage(wait=600.0, place="gathering", note="the till gathers")


async def test_a_past_is_begun_watched_stopped_and_begun_again(served: Any) -> None:
    served.shop.history = Past()
    await served.call("POST", "/connections", TILL)
    assert (await served.call("GET", PATH)).status == 404
    assert (await served.call("DELETE", PATH)).status == 404
    begun = await served.call("POST", PATH, {"since": "2026-01-01T00:00:00Z"})
    assert (begun.status, begun.body["state"], begun.body["orders"], begun.body["of"]) == (202, "reading", 0, None)
    assert (await served.call("POST", PATH, {})).body == begun.body
    stopped = await served.call("DELETE", PATH)
    assert (stopped.status, stopped.body["state"]) == (200, "stopped")
    assert (await served.call("GET", PATH)).body == stopped.body
    assert (await served.call("POST", PATH, {})).body["since"] == "2026-01-01T00:00:00Z"
    anew = await served.call("POST", PATH, {"anew": True})
    assert (anew.body["since"], anew.body["state"]) == (None, "reading")
    await served.call("DELETE", "/connections/till")
    await served.call("POST", "/connections", TILL)
    assert (await served.call("GET", PATH)).status == 404  # with the connection it went


@served_on_sqlite
async def test_what_has_no_past_and_who_may_not_begin_it_are_told(served: Any) -> None:
    refused = await served.call("POST", "/connections/shop/backfill", {})
    assert (refused.status, refused.body["code"]) == (422, "no_history")
    assert (await served.call("POST", "/connections/nobody/backfill", {})).status == 404
    served.shop.history = Past()
    await served.call("POST", "/connections", TILL)
    for method, body in (("POST", {}), ("DELETE", None)):
        assert (await served.call(method, PATH, body, scopes=("connections:write",))).status == 403
    assert (await served.call("POST", PATH, {}, merchant="other")).status == 404
    assert (await served.call("POST", PATH, {"since": "2026-01-01T00:00:00"})).status == 422
    await served.call("POST", "/connections/till/pause", {"reason": "for a test"})
    await served.application.refresh()
    paused = await served.call("POST", PATH, {})
    assert (paused.status, paused.body["code"]) == (409, "connection_stopped")
