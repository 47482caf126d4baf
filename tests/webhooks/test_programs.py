"""Programs over HTTP: their text, whole changes and changes of one part, and who came first."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.databases import served_on_sqlite

from stampcard.domain.events import OrderSeen
from stampcard.testing.building import order

PURCHASE = {"id": "purchase", "on": "purchase", "award": "2 per 1 EUR"}
DECEMBER: dict[str, Any] = {"from": "2026-12-01T08:00", "note": "December"}
BEFORE: dict[str, Any] = {"from": "2026-03-01"}


async def shown(served: Any, **more: Any) -> Any:
    return (await served.call("GET", "/programs/main", **more)).body


async def put(served: Any, rule: dict[str, Any], base: int = 1, **more: Any) -> Any:
    body = {"rule": rule, "base_version": base, **more}
    return await served.call("PUT", f"/programs/main/rules/{rule['id']}", body)


@served_on_sqlite
async def test_a_program_is_shown_with_its_text_and_who_made_it(served: Any) -> None:
    program = await shown(served, scopes=["marketer"])
    assert program["text"].strip().startswith("program: main")
    assert {key: program[key] for key in ("id", "version", "author", "note", "planned")} == {
        "id": "main", "version": 1, "author": "test", "note": "", "planned": [],
    }  # fmt: skip
    missing = await served.call("GET", "/programs/mian")
    assert (missing.status, missing.body["detail"]) == (404, "there is no program 'mian'. Did you mean 'main'?")
    assert (await served.call("GET", "/programs/main?version=7")).status == 404


@served_on_sqlite
async def test_a_whole_text_is_applied_at_once(served: Any) -> None:
    text = (await shown(served))["text"].replace("award: 5", "award: 7")
    body = {"text": text, "base_version": 1, "note": "more for reviews"}

    reply = await served.call("POST", "/programs/main/versions", body, scopes=["marketer"])

    assert (reply.status, reply.body["version"], reply.body["changed"]) == (200, 2, True)
    assert reply.body["changes"] == ["rule review: award 5 → 7"]
    program = await shown(served)
    assert (program["text"], program["author"], program["note"]) == (text, "test", "more for reviews")
    assert served.application.setting.programs.current(served.clock.now())[0].number == 2
    again = await served.call("POST", "/programs/main/versions", {"text": text, "base_version": 2})
    assert (again.body["version"], again.body["changed"], again.body["changes"]) == (2, False, [])


async def test_a_new_program_is_made_from_nothing(api: Any) -> None:
    text = (await shown(api))["text"].replace("program: main", "program: club").replace("points", "coins")
    made = await api.call("POST", "/programs/club/versions", {"text": text, "base_version": 0})
    assert (made.status, made.body["version"], made.body["changes"]) == (200, 1, ["program club is new"])
    other = await api.call("POST", "/programs/main/versions", {"text": text, "base_version": 1})
    assert (other.status, other.body["code"]) == (422, "other_program")
    assert (await api.call("POST", "/programs/clubb/versions", {"text": text, "base_version": 1})).status == 404


async def test_everything_that_is_wrong_with_a_text_is_told_with_its_place(api: Any) -> None:
    text = (await shown(api))["text"].replace("award: 5", "award: 5 EUR").replace("on: sign_up", "on: sing_up")
    reply = await api.call("POST", "/programs/main/versions", {"text": text, "base_version": 1})
    assert (reply.status, reply.body["code"]) == (422, "program_wrong")
    assert reply.body["detail"] == "the program 'main' would be wrong in 2 places"
    found = [(one["path"], one["line"]) for one in reply.body["errors"]]
    assert found == [("rules[1].on", 11), ("rules[2].award", 12)]
    assert all(one["message"] and one["column"] for one in reply.body["errors"])
    assert (await shown(api))["version"] == 1


async def test_a_rule_is_shown_changed_added_and_removed(served: Any) -> None:
    rule = await served.call("GET", "/programs/main/rules/purchase", scopes=["marketer"])
    assert (rule.body["version"], rule.body["rule"]) == (1, {**PURCHASE, "award": "1 per 1 EUR"})

    changed = await put(served, PURCHASE, note="double")
    added = await put(served, {"id": "extra", "on": "purchase", "award": 3}, base=2)
    removed = await served.call("DELETE", "/programs/main/rules/welcome?base_version=3&note=enough")

    assert changed.body["changes"] == ["rule purchase: award 1 per 1 EUR → 2 per 1 EUR"]
    assert added.body["changes"] == ["rule extra is new: 3 on purchase"]
    assert removed.body["changes"] == ["rule welcome is gone"]
    assert [reply.body["version"] for reply in (changed, added, removed)] == [2, 3, 4]
    program = await shown(served)
    assert (program["version"], program["note"]) == (4, "enough")
    assert [line.strip() for line in program["text"].splitlines() if "id:" in line] == [
        "- {id: purchase, on: purchase, award: 2 per 1 EUR}",
        "- {id: review, on: review, when: event.data.stars >= 3, award: 5}",
        "- id: extra",
    ]
    await served.apply(OrderSeen(reference="A", snapshot=order(10)))
    found = await served.call("GET", "/members?identity=shop:1")
    assert found.body["items"][0]["balances"]["points"]["active"] == 23


async def test_a_campaign_is_added_changed_and_removed(api: Any) -> None:
    path = "/programs/main/campaigns/summer"
    assert (await api.call("GET", path)).status == 404
    made = await api.call("PUT", path, {"campaign": {"name": "Summer"}, "base_version": 1})
    assert made.body["changes"] == ["campaign summer is new"]
    assert (await api.call("GET", path)).body["campaign"] == {"name": "Summer"}
    stopped = await api.call("PUT", path, {"campaign": {"name": "Summer", "enabled": False}, "base_version": 2})
    assert stopped.body["changes"] == ["campaign summer: enabled true → false"]
    await put(api, {**PURCHASE, "campaign": "summer"}, base=3)
    refused = await api.call("DELETE", f"{path}?base_version=4")
    assert (refused.status, refused.body["code"]) == (422, "program_wrong")
    assert refused.body["errors"][0]["path"] == "rules[0].campaign"
    await put(api, PURCHASE, base=4)
    assert (await api.call("DELETE", f"{path}?base_version=5")).body["changes"] == ["campaign summer is gone"]


async def test_a_part_that_is_wrong_or_unknown_is_told(api: Any) -> None:
    wrong = await put(api, {**PURCHASE, "award": "2 per 1 USD", "wen": "x"})
    assert wrong.status == 422
    assert [(one["path"], one["line"]) for one in wrong.body["errors"]] == [
        ("rules[0].award", 10),
        ("rules[0].wen", 10),
    ]
    body = {"rule": PURCHASE, "base_version": 1}
    assert (await api.call("PUT", "/programs/main/rules/purchas", body)).body["code"] == "other_id"
    missing = await api.call("DELETE", "/programs/main/rules/purchas?base_version=1")
    assert missing.body["detail"] == "there is no rule 'purchas'. Did you mean 'purchase'?"
    assert (await api.call("PUT", "/programs/mian/rules/purchase", body)).status == 404
    assert (await api.call("DELETE", "/programs/main/rules/purchase")).status == 422


async def test_whoever_comes_second_is_told_who_came_first(served: Any) -> None:
    replies = await asyncio.gather(*(put(served, {**PURCHASE, "award": f"{rate} per 1 EUR"}) for rate in (2, 3, 4)))

    assert sorted(reply.status for reply in replies) == [200, 409, 409]
    late = next(reply for reply in replies if reply.status == 409)
    assert late.body["code"] == "changed_meanwhile"
    assert late.body["detail"] == "changed since version 1: version 2 by test of 2026-03-10 12:00Z"


@served_on_sqlite
async def test_a_change_for_later_is_planned_and_stands_in_the_way_of_one_for_now(served: Any) -> None:
    planned = await put(served, PURCHASE, **DECEMBER)

    assert (planned.status, planned.body["version"], planned.body["valid_from"]) == (200, 2, "2026-12-01T07:00:00Z")
    program = await shown(served)
    assert (program["version"], [(one["version"], one["note"]) for one in program["planned"]]) == (1, [(2, "December")])
    assert (await served.call("GET", "/programs/main/rules/purchase?version=2")).body["rule"] == PURCHASE
    unaware = await put(served, PURCHASE, base=1)
    assert (unaware.status, unaware.body["code"]) == (409, "changed_meanwhile")
    assert "planned from 2026-12-01 07:00Z on (December)" in unaware.body["detail"]
    early = await put(served, {**PURCHASE, "award": "3 per 1 EUR"}, base=2)
    assert (early.status, early.body["code"]) == (409, "change_planned")
    past = await put(served, PURCHASE, base=2, **BEFORE)
    assert (past.status, past.body["code"]) == (422, "in_the_past")

    assert (await served.call("DELETE", "/programs/main/versions/1")).status == 409
    assert (await served.call("DELETE", "/programs/main/versions/2")).status == 204
    assert (await shown(served))["planned"] == []
    assert (await put(served, PURCHASE, base=1)).body["version"] == 3


async def test_the_same_request_is_done_once(api: Any) -> None:
    path, headers = "/programs/main/rules/welcome?base_version=1", {"Idempotency-Key": "k"}
    replies = [await api.call("DELETE", path, headers=headers) for _ in range(2)]
    assert [(reply.status, reply.body["version"]) for reply in replies] == [(200, 2)] * 2


async def test_each_merchant_changes_its_own_programs(api: Any) -> None:
    body = {"rule": PURCHASE, "base_version": 1}
    assert (await api.call("PUT", "/programs/main/rules/purchase", body, merchant="other")).body["version"] == 2
    assert (await shown(api))["version"] == 1
    assert (await api.call("PUT", "/programs/main/rules/purchase", body, merchant="nobody")).status == 404
