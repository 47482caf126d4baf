"""Health for machines, and in detail for whoever may see it."""

from __future__ import annotations

from typing import Any

import pytest

from stampcard.testing.waiting import eventually

SHOPS = {"shop": {"plugin": "shopping"}, "till": {"plugin": "shopping", "broken": True}}


@pytest.fixture
async def running(serve: Any, sqlite_url: str) -> Any:
    """An installation whose loops run."""
    served = await serve(sqlite_url, loops=True, connections=SHOPS)

    async def is_ready() -> bool:
        return bool((await served.call("GET", "/readyz", key="")).status == 200)

    await eventually("the timers tick", is_ready)
    return served


def findings(reply: Any) -> dict[str, Any]:
    return {one["name"]: one for one in reply.body["checks"]}


async def test_ready_is_told_to_everybody_and_the_details_to_whom_may(running: Any) -> None:
    plain = await running.call("GET", "/readyz", key="")
    assert (plain.status, plain.body) == (200, {"status": "ok"})
    assert (await running.call("GET", "/readyz?verbose", key="")).status == 401
    refused = await running.call("GET", "/readyz?verbose", scopes=["members:read"])
    assert (refused.status, refused.body["scope"]) == (403, "health:read")

    verbose = await running.call("GET", "/readyz?verbose", scopes=["health:read"])

    found = findings(verbose)
    assert (verbose.status, verbose.body["status"]) == (200, "ok")
    assert found["database"] == {"name": "database", "ok": True, "detail": ""}
    assert found["timers"]["ok"]
    assert found["plugin shopping"]["ok"]
    assert found["connection shop"]["ok"]
    assert found["connection till"]["ok"] is False
    assert "the shop is closed" in found["connection till"]["detail"]
    assert found["program file program.yaml"]["ok"]


async def test_a_program_file_that_is_only_a_draft_is_told(running: Any, tmp_path: Any) -> None:
    (tmp_path / "program.yaml").write_text((tmp_path / "program.yaml").read_text() + "# changed\n")

    found = findings(await running.call("GET", "/readyz?verbose"))["program file program.yaml"]

    assert (found["ok"], "stampcard program diff" in found["detail"]) == (False, True)
    (tmp_path / "program.yaml").write_text("program: [")
    assert findings(await running.call("GET", "/readyz?verbose"))["program file program.yaml"]["ok"] is False


async def test_another_merchants_key_sees_only_that_work_can_be_taken(running: Any) -> None:
    reply = await running.call("GET", "/readyz?verbose", merchant="other")
    assert findings(reply).keys() == {"database", "migrations", "timers"}


async def test_where_no_timer_ticks_it_is_not_ready(api: Any) -> None:
    reply = await api.call("GET", "/readyz", key="")
    assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    verbose = await api.call("GET", "/readyz?verbose")
    assert (verbose.status, findings(verbose)["timers"]["ok"]) == (503, False)
