"""Segments follow what members do, are and agree to, in the same transaction; time is looked at each night."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.core.shops import START, Shop
from tests.databases import on_sqlite

from stampcard.applying import judging, requests
from stampcard.applying.consenting import record_consent
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.consents import Consent
from stampcard.engine.versions import compiled
from stampcard.errors import NotFound, RequestRefused
from stampcard.inbox import timing
from stampcard.program.reading import read_program
from stampcard.storage.database import Database
from stampcard.storage.segmenting import load_segments
from stampcard.storage.tables import job, segment_member
from stampcard.testing.applying import rows
from stampcard.testing.building import LONG_AGO

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
attributes: {vip: boolean}
tiers: {by: spend, levels: {gold: 500}}
segments:
  spenders: {when: history.spend.months_12 >= 100}
  regulars: {when: history.orders.days_30 >= 2}
  germans: {when: "has(member.attributes.country) && member.attributes.country == 'DE'"}
  golden: {when: member.tier == 'gold'}
  friends: {when: "'email.marketing' in member.consents"}
  staff: {name: Our own}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
  - {id: extra, on: purchase, award: 5, when: "'spenders' in member.segments"}
  - {id: hello, on: segment_entered, award: 7, when: event.data.segment == 'regulars', limits: 1 time ever}
  - {id: pity, on: segment_left, award: 3, when: event.data.segment == 'regulars'}
"""


@pytest.fixture
def shop(database: Database, setting: Setting) -> Shop:
    return Shop(database, setting, PROGRAM)


def segments(shop: Shop, customer: str = "ann") -> set[str]:
    member = shop.member(customer)
    found = shop.database.read_now(lambda c: load_segments(c, "main", [member]))
    return found.get(member, {}).get("main", set())


@on_sqlite
async def test_an_order_lets_its_member_in_and_the_next_one_earns_by_it(shop: Shop) -> None:
    shop.buys("A", 90)
    assert segments(shop) == set()
    shop.buys("B", 20)
    assert segments(shop) == {"spenders", "regulars"}
    assert shop.points() == 90 + 20 + 7
    shop.buys("C", 10)
    assert shop.points() == 117 + 15
    assert "segment_entered" in shop.changes[-1].kinds if shop.changes else True
    shop.proves()


@on_sqlite
async def test_a_refund_lets_the_member_out_again(shop: Shop) -> None:
    shop.buys("A", 120)
    assert segments(shop) == {"spenders"}
    shop.returns("A", 30)
    assert segments(shop) == set()
    shop.proves()


@on_sqlite
async def test_attributes_tiers_and_consent_let_members_in(shop: Shop) -> None:
    shop.buys("A", 600)
    member = shop.member()
    assert segments(shop) == {"spenders", "golden"}

    def german(unit: Unit) -> Answer:
        requests.change_attributes(unit, member, {"country": "DE"})
        return Answer(status=200, body={})

    def agrees(unit: Unit) -> Answer:
        said = Consent(channel="email", purpose="marketing", state="given", at=unit.now, recorded_at=unit.now)
        record_consent(unit, member, said)
        return Answer(status=200, body={})

    shop.act(german)
    shop.act(agrees)
    assert segments(shop) == {"spenders", "golden", "germans", "friends"}
    shop.returns("A", 550)
    assert segments(shop) == {"germans", "friends"}


@on_sqlite
async def test_over_night_the_trouble_of_one_member_is_not_that_of_the_others(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for customer in ("ann", "bob"):
        shop.buys(f"A-{customer}", 20, customer=customer)
        shop.buys(f"B-{customer}", 20, customer=customer)
    ann, real = shop.member("ann"), Unit.judge_again

    def fails(unit: Unit, member: str) -> None:
        if member == ann:
            message = "out of order"
            raise RuntimeError(message)
        real(unit, member)

    monkeypatch.setattr(Unit, "judge_again", fails)
    await shop.on("2026-04-10")
    assert (segments(shop, "ann"), segments(shop, "bob")) == ({"regulars"}, set())
    shop.proves()


async def test_time_lets_members_out_over_night_and_rules_pay_once_each_time(shop: Shop) -> None:
    shop.buys("A", 20)
    shop.buys("B", 20)
    assert (segments(shop), shop.points()) == ({"regulars"}, 47)
    await shop.on("2026-04-08")
    assert segments(shop) == {"regulars"}
    await shop.on("2026-04-10")
    assert (segments(shop), shop.points()) == (set(), 50)
    assert [row.name for row in rows(shop.database, select(job.c.name).where(job.c.name.like("segments:%")))] == [
        "segments:main:1:2026-04-10"
    ]
    shop.proves()


@on_sqlite
async def test_other_conditions_count_for_everybody_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "BATCH", 2)
    for number in range(5):
        shop.buys(f"A{number}", 60, customer=f"c{number}")
    shop.applies(PROGRAM.replace(">= 100", ">= 50").replace("  staff: {name: Our own}\n", ""))
    await shop.timer.tick()
    assert [segments(shop, f"c{number}") for number in range(5)] == [{"spenders"}] * 5


@on_sqlite
async def test_people_say_who_is_in_a_segment_without_a_condition(shop: Shop) -> None:
    shop.buys("A", 10)
    member = shop.member()

    def put(segment: str, add: list[str], remove: list[str], program: str = "main") -> Any:
        return shop.act(lambda unit: Answer(status=200, body={"n": judging.put(unit, program, segment, add, remove)}))

    assert put("staff", [member], []) == {"n": 1}
    assert put("staff", [member], []) == {"n": 0}
    shop.buys("B", 1)
    await shop.on("2026-03-12")
    assert "staff" in segments(shop)
    assert put("staff", [], [member]) == {"n": 1}
    assert "staff" not in segments(shop)
    for arguments, error in (
        (("spenders", [member], []), RequestRefused),
        (("staff", [member], [member]), RequestRefused),
        (("stuff", [member], []), NotFound),
        (("staff", ["m_nobody"], []), NotFound),
        (("staff", [member], [], "other"), NotFound),
    ):
        with pytest.raises(error):
            put(*arguments)


async def test_a_condition_that_fails_changes_nothing_and_says_why(database: Database, setting: Setting) -> None:
    shop = Shop(database, setting, PROGRAM.replace("has(member.attributes.country) && ", ""))
    shop.buys("A", 120)
    assert segments(shop) == {"spenders"}
    found = shop.database.read_now(lambda c: judging.insights(Unit(c, shop.setting, shop.clock.now()), shop.member()))
    told = {one.judged.segment: one for one in found}
    assert told["spenders"].judged.inside
    assert told["spenders"].when == "history.spend.months_12 >= 100"
    assert "country" in told["germans"].judged.error
    assert (told["staff"].judged.inside, told["staff"].when) == (False, None)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(1, 300)), min_size=1, max_size=12))
def test_segments_are_what_a_full_recount_says_after_whatever_happened(
    setting: Setting, new_sqlite: Callable[[], str], steps: list[tuple[int, int, int]]
) -> None:
    database = Database(new_sqlite())
    shop = Shop(database, setting, PROGRAM)
    for age, (what, which, amount) in enumerate(steps, start=1):
        reference, customer = f"O{which}", f"c{which}"
        match what:
            case 0 | 1:
                shop.buys(f"{reference}-{age}", amount, customer=customer)
            case 2:
                shop.buys(reference, amount, customer=customer, age=age, at=START)
            case 3:
                shop.returns(reference, min(amount, 40))
            case _:
                shop.buys(reference, amount, customer="c9", age=age, at=START)
    stored = {(row.member, row.segment) for row in rows(database, select(segment_member))}
    (live,) = shop.setting.programs.current(shop.clock.now())
    now = shop.clock.now()
    anew = {
        (member, segment)
        for segment in live.program.segments
        for member in database.read_now(
            lambda c: judging.suppose(c, shop.setting, now, live, segment, "", 100)  # noqa: B023 - runs before the next turn
        )[2]
    }
    assert stored == anew
    shop.proves()
    database.close()


@on_sqlite
async def test_the_clock_of_a_night_is_the_programs(shop: Shop) -> None:
    shop.buys("A", 20)
    shop.buys("B", 20)
    shop.clock.advance(timedelta(days=29, hours=10))  # 8 April, 22:00Z: the 9th in Berlin
    await shop.timer.tick()
    assert segments(shop) == set()


async def test_segments_that_chase_each_other_come_to_an_end(database: Database, setting: Setting) -> None:
    text = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
segments:
  odd: {when: history.points.ever >= 3.0 && history.points.ever < 10.0}
  rich: {when: history.points.ever >= 10.0}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
  - {id: more, on: segment_entered, award: 5}
  - {id: again, on: segment_left, award: 5}
"""
    shop = Shop(database, setting, text)
    shop.buys("A", 6)
    assert segments(shop) == {"rich"}
    assert shop.points() == 6 + 5 + 5 + 5
    shop.proves()


@on_sqlite
@pytest.mark.parametrize("segment", ["{when: history.spend.ever >= 100}", "{name: By hand}"])
async def test_who_was_in_the_last_segment_that_a_program_gives_up_leaves_it(
    database: Database, setting: Setting, segment: str
) -> None:
    without = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
  - {id: bye, on: segment_left, award: 3}
"""
    text = without + f"segments: {{big: {segment}}}\n"
    shop = Shop(database, setting, text)
    shop.buys("A", 120)
    ann = shop.member()
    if "hand" in segment:
        shop.act(lambda unit: Answer(status=200, body={"n": judging.put(unit, "main", "big", [ann], [])}))
    assert segments(shop) == {"big"}
    shop.clock.advance(60)
    shop.applies(without)
    await shop.timer.tick()
    assert (segments(shop), shop.points()) == (set(), 123)


@on_sqlite
async def test_a_preview_and_an_explanation_know_who_can_be_in_a_segment(database: Database, setting: Setting) -> None:
    text = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
segments: {big: {when: history.spend.ever >= 100}, cheap: {when: history.spend.ever < 100}}
enrolment: {how: segment, segment: big}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
"""
    shop = Shop(database, setting, text)
    for name in ("ann", "bob", "cid"):
        shop.buys(name, 60, customer=name)
    ann, now = shop.member(), shop.clock.now()
    told = shop.database.read_now(lambda c: judging.insights(Unit(c, shop.setting, now), ann))
    assert [(one.judged.segment, one.judged.inside) for one in told] == [("big", False)]
    wider = compiled(read_program(text.replace(">= 100", ">= 50"), "test"), 1, LONG_AGO)
    supposed = {
        name: shop.database.read_now(lambda c, n=name: judging.suppose(c, shop.setting, now, wider, n, "", 100))  # type: ignore[misc]
        for name in ("big", "cheap")
    }
    assert [(count, len(inside)) for count, _, inside in supposed.values()] == [(3, 3), (3, 0)]
    assert shop.database.read_now(lambda c: judging.count_judged(c, "main", wider)) == 3
