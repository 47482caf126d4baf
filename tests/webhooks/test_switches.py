"""Switches over HTTP, and that every process and every order keeps to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from tests.databases import served_on_sqlite

from stampcard.app import Application
from stampcard.domain.events import OrderSeen
from stampcard.errors import PluginSuspended
from stampcard.storage.packing import unpack_reasons
from stampcard.storage.switching import stop
from stampcard.storage.tables import event
from stampcard.testing.building import order
from stampcard.testing.waiting import eventually
from stampcard_webhooks.problems import of_error

WHY = {"note": "too much"}


async def points(served: Any) -> int:
    found = await served.call("GET", "/members?identity=shop:1")
    return int(found.body["items"][0]["balances"]["points"]["active"])


@served_on_sqlite
async def test_a_rule_is_stopped_and_started(served: Any) -> None:
    stopped = await served.call("POST", "/switches/rule/purchase/stop", WHY)

    assert stopped.status == 200
    assert {key: stopped.body[key] for key in ("kind", "id", "stopped", "changed", "since", "author", "note")} == {
        "kind": "rule", "id": "main/purchase", "stopped": True, "changed": True, "since": "2026-03-10T12:00:00Z",
        "author": "test", "note": "too much",
    }  # fmt: skip
    assert "keep what they earned" in stopped.body["goes_on"]
    assert served.application.setting.programs.stopped == {"rule:main/purchase"}
    listed = (await served.call("GET", "/switches", scopes=["switches:read"])).body["items"]
    assert [(one["kind"], one["id"], one["note"]) for one in listed] == [("rule", "main/purchase", "too much")]

    started = await served.call("POST", "/switches/rule/main/purchase/start")

    assert (started.status, started.body["stopped"], started.body["changed"]) == (200, False, True)
    assert served.application.setting.programs.stopped == frozenset()
    assert (await served.call("GET", "/switches")).body["items"] == []


async def test_doing_it_again_changes_nothing(api: Any) -> None:
    await api.call("POST", "/switches/program/main/stop", WHY)
    again = (await api.call("POST", "/switches/program/main/stop", {"note": "another"})).body
    assert (again["stopped"], again["changed"], again["note"]) == (True, False, "too much")
    await api.call("POST", "/switches/program/main/start")
    assert (await api.call("POST", "/switches/program/main/start")).body["changed"] is False


async def test_stopping_needs_a_note(api: Any) -> None:
    for body in ({}, {"note": ""}):
        assert (await api.call("POST", "/switches/program/main/stop", body)).status == 422


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("rule/purchas", "there is no rule 'purchas'. Did you mean 'purchase'?"),
        ("rule/club/purchase", "there is no rule 'club/purchase'. Did you mean 'purchase'?"),
        ("rulle/purchase", "there is no kind of switch 'rulle'. Did you mean 'rule'?"),
        ("connection/shp", "there is no connection 'shp'. Did you mean 'shop'?"),
    ],
)
async def test_an_unknown_target_is_told_with_the_closest_there_is(api: Any, path: str, said: str) -> None:
    reply = await api.call("POST", f"/switches/{path}/stop", WHY)
    assert (reply.status, reply.body["code"], reply.body["detail"]) == (404, "not_found", said)


async def test_a_connection_has_one_state_however_it_is_stopped(api: Any) -> None:
    await api.call("POST", "/switches/connection/shop/stop", WHY)
    shown = (await api.call("GET", "/connections/shop")).body
    assert (shown["state"], shown["reason"]) == ("paused", "too much")
    assert "shop" not in api.application.setting.active
    await api.call("POST", "/connections/shop/resume")
    assert (await api.call("GET", "/switches")).body["items"] == []


async def test_a_plugin_is_asked_nothing_until_it_is_started(api: Any) -> None:
    hooks = api.application.setting.hooks
    await api.call("POST", "/switches/plugin/shopping/stop", WHY)
    assert hooks._stopped == {"shopping"}
    await api.call("POST", "/switches/plugin/shopping/start")
    assert hooks._stopped == frozenset()


def test_a_request_that_needs_a_stopped_plugin_may_come_again() -> None:
    answer = of_error(PluginSuspended("weather", "is stopped: what needs it waits for a start"))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "60")


async def test_another_merchants_key_has_switches_of_its_own_programs_only(api: Any) -> None:
    other = {"merchant": "other"}
    for path in ("connection/shop", "plugin/shopping"):
        assert (await api.call("POST", f"/switches/{path}/stop", WHY, **other)).status == 404
    assert (await api.call("POST", "/switches/rule/purchase/stop", WHY, **other)).status == 200
    assert (await api.call("GET", "/switches")).body["items"] == []
    assert api.application.setting.programs.stopped == frozenset()


async def test_ready_names_what_is_stopped(api: Any) -> None:
    await api.call("POST", "/switches/rule/purchase/stop", WHY)
    checks = (await api.call("GET", "/readyz?verbose")).body["checks"]
    (found,) = [one for one in checks if one["name"].startswith("switch ")]
    assert found == {
        "name": "switch rule:main/purchase",
        "ok": False,
        "detail": "stopped since 2026-03-10T12:00:00+00:00 by test: too much",
    }


@pytest.mark.parametrize("path", ["rule/purchase", "program/main"])
async def test_an_order_keeps_for_good_what_was_stopped_when_it_was_first_decided(served: Any, path: str) -> None:
    await served.call("POST", "/members", {"identity": {"connection": "shop", "reference": "1"}})
    await served.apply(OrderSeen(reference="before", snapshot=order(60)))
    assert await points(served) == 70
    await served.call("POST", f"/switches/{path}/stop", WHY)
    await served.apply(
        OrderSeen(reference="before", snapshot=order(50, age=1)), OrderSeen(reference="meanwhile", snapshot=order(30))
    )
    assert await points(served) == 60

    await served.call("POST", f"/switches/{path}/start")
    await served.apply(
        OrderSeen(reference="before", snapshot=order(40, age=2)),
        OrderSeen(reference="meanwhile", snapshot=order(20, age=1)),
        OrderSeen(reference="after", snapshot=order(7)),
    )

    assert await points(served) == 57
    told = await served.read(select(event.c.reasons).where(event.c.subject == "order:shop:meanwhile"))
    assert {reason.code for row in told for reason in unpack_reasons(row.reasons)} == {"stopped"}


async def test_another_process_keeps_to_a_switch(serve: Any, new_postgresql: Callable[[], str]) -> None:
    one = await serve(new_postgresql(), loops=True)
    plugins = {"shopping": one.shop}
    other = Application(one.application.settings, clock=one.clock, plugins=plugins)
    async with other:
        await one.call("POST", "/switches/rule/purchase/stop", WHY)
        await one.call("POST", "/switches/plugin/shopping/stop", WHY)

        async def knows() -> bool:
            setting = other.setting
            return setting.programs.stopped >= {"rule:main/purchase"} and setting.hooks._stopped == {"shopping"}

        await eventually("the other process knows what is stopped", knows)
        await one.call("POST", "/switches/rule/purchase/start")

        async def works() -> bool:
            return "rule:main/purchase" not in other.setting.programs.stopped

        await eventually("the other process knows what was started", works)


async def test_a_process_that_has_not_heard_of_a_switch_yet_decides_nothing_without_it(
    serve: Any, new_postgresql: Callable[[], str]
) -> None:
    served = await serve(new_postgresql())
    await served.call("POST", "/members", {"identity": {"connection": "shop", "reference": "1"}})
    database, clock = served.application.database, served.clock
    await database.write(lambda connection: stop(connection, "main", "rule:main/review", "x", "", clock))
    assert served.application.setting.programs.stopped == frozenset()

    review = {"name": "review", "connection": "shop", "customer": "1", "key": "k", "data": {"stars": 5}}
    answer = await served.call("POST", "/events", review)

    assert answer.status < 300, answer.body
    assert await points(served) == 10
