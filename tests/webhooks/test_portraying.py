"""A member's points explained over HTTP: what waits for what, what expires when, what limits leave."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.databases import served_on_sqlite

from stampcard.domain.events import OrderSeen
from stampcard.program.reading import read_program
from stampcard.storage.programming import store_version
from stampcard.testing.building import order

TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
attributes: {colour: string, cups: integer}
wallets: {points: {scale: 0, expire: 12 months, pending: 14 days}}
groups: {both: {limits: [200 points per month, "10000 EUR ever, in all"]}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR, groups: both}
  - {id: welcome, on: sign_up, award: 10, pending: none, expire: on 12-31, limits: 500 members ever}
  - {id: shipped, on: purchase, award: 5, pending: "until fulfilled, at most 60 days"}
  - {id: visit, on: visit, award: 1, pending: none, expire: none, cooldown: 4 hours}
"""


async def explained(served: Any) -> Any:
    (member,) = (await served.call("GET", "/members?identity=shop:1")).body["items"]
    return (await served.call("GET", f"/members/{member['id']}/explanation")).body


async def apply_program(served: Any, text: str = TEXT) -> None:
    now = served.clock.now() - timedelta(days=90)
    program = read_program(text, "test")
    await served.application.database.write(lambda c: store_version(c, "main", program, text, "me", "", now))
    await served.application.refresh()


@served_on_sqlite
async def test_points_that_count_for_status_alone_are_not_said_to_be_spendable(served: Any) -> None:
    status = TEXT.replace("{points: {scale: 0,", "{points: {spendable: false,")
    await apply_program(served, status.replace("pending: 14 days", "pending: none"))
    await served.apply(OrderSeen(reference="A", snapshot=order(60)))
    assert "Wallet 'points': 70 count for status, 5 wait." in (await explained(served))["words"]


@served_on_sqlite
async def test_every_lot_says_what_it_waits_for_and_its_last_day(served: Any) -> None:
    await apply_program(served)
    await served.apply(OrderSeen(reference="A", snapshot=order(60)))

    told = await explained(served)

    (wallet,) = told["wallets"]
    assert (wallet["wallet"], wallet["program"], wallet["timezone"]) == ("points", "main", "Europe/Berlin")
    assert (wallet["balance"]["active"], wallet["balance"]["pending"]) == (10, 65)
    assert [(lot["rule"], lot["remaining"], lot["waits_for"]) for lot in wallet["lots"]] == [
        ("welcome", 10, ""),
        ("purchase", 60, ""),
        ("shipped", 5, "fulfilled"),
    ]
    assert [(one["points"], one["last_day"]) for one in wallet["expiring"]] == [
        (10, "31 Dec 2026"),
        (60, "25 Mar 2027"),
    ]
    assert "10 points of 'points' expire on 31 Dec 2026." in told["words"]
    assert any("60 points become usable on 25 Mar 2026 and expire on 25 Mar 2027" in line for line in told["words"])
    assert any("5 points wait for 'fulfilled' and lapse if it does not come by 9 May 2026" in w for w in told["words"])


@served_on_sqlite
async def test_limits_say_how_much_is_used_and_when_they_start_anew(served: Any) -> None:
    await apply_program(served)
    await served.apply(OrderSeen(reference="A", snapshot=order(60)))
    event = {"name": "visit", "connection": "shop", "customer": "1", "key": "v"}
    assert (await served.call("POST", "/events", event)).status == 200

    told = await explained(served)

    limits = {(one["holder"], one["measure"]): one for one in told["limits"]}
    points, money = limits["group:both", "points"], limits["group:both", "money"]
    assert (points["used"], points["most"], points["left"], points["period"]) == ("60", "200", "140", "2026-03")
    assert points["resets_at"] == "2026-03-31T22:00:00Z"
    assert points["words"] == "60 of 200 points per month used (group 'both'), starts anew on 1 Apr 2026."
    assert (money["used"], money["in_all"], money["resets_at"]) == ("60", True, None)
    assert "this member is among them" in limits["rule:welcome", "members"]["words"]
    (resting,) = told["resting"]
    assert (resting["rule"], resting["words"]) == ("visit", "Rule 'visit' pays again from 17:00 on 10 Mar 2026.")


async def test_a_member_who_is_not_there_is_not_explained(served: Any) -> None:
    made = (await served.call("POST", "/members", {})).body["id"]
    for what in ("explanation", "timeline"):
        assert (await served.call("GET", f"/members/{made}/{what}")).status == 200
        assert (await served.call("GET", f"/members/{made}/{what}", merchant="other")).status == 404
        assert (await served.call("GET", f"/members/{made}/{what}", scopes=("orders:read",))).status == 403
    await served.call("DELETE", f"/members/{made}")
    for what in ("explanation", "timeline"):
        assert (await served.call("GET", f"/members/{made}/{what}")).status == 404


@served_on_sqlite
async def test_what_can_be_had_and_what_is_missing_for_the_next_reward_is_said(served: Any) -> None:
    await served.prepare()
    await served.rich(25)

    told = await explained(served)

    assert "Can have 'own' now: 10 % off." in told["words"]
    assert "5 points of 'points' are missing for 'mug': merchandise." in told["words"]
    assert {one["reward"]: one["missing"] for one in told["rewards"]}["five-off"] == 25
    assert not any("'five-off'" in line for line in told["words"])
