"""A simulation of the program that is valid comes to what the ledger says, on both databases, and writes nothing."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from stampcard.applying.setting import Setting
from stampcard.clock import EPOCH
from stampcard.domain.events import CustomerSeen, CustomEvent, OrderSeen, RefundSeen
from stampcard.domain.value import replace
from stampcard.engine.tallying import Tally
from stampcard.engine.versions import LiveProgram, compiled
from stampcard.program.reading import read_program
from stampcard.storage import simulating
from stampcard.storage.database import Database
from stampcard.storage.simulating import Comparison, simulate
from stampcard.storage.tables import award, identity, metadata
from stampcard.testing.applying import LATER, rows, tell
from stampcard.testing.building import NOON, order, programs, refund
from stampcard.testing.histories import POLICIES, histories

TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {scale: 1, rounding: %s, round_per: %s, refunds: {policy: %s}}}
campaigns: {spring: {variants: {a: 60 %%}, control: 20 %%}}
rules:
  - {id: purchase, on: purchase, award: 1.5 per 2 EUR}
  - {id: big, on: purchase, when: order.total >= 50.0, award: 10, stack: %s}
  - {id: tried, on: purchase, award: 2 per item, campaign: spring}
  - {id: double, on: purchase, when: order.total >= 80.0, award: x2, stack: %s, priority: %s}
  - {id: odd, on: purchase, award: 7, when: "order.lines[1].gross > 5.0"}
  - {id: sorry, on: refund, award: 3}
  - {id: welcome, on: sign_up, award: 11}
"""
LIMITED = """
program: main
currency: EUR
timezone: Europe/Berlin
attributes: {colour: string}
wallets: {points: {value: 1 EUR per 100}}
groups: {both: {limits: %s}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR, groups: both, limits: %s}
  - {id: more, on: purchase, award: 2 per item, groups: both, cooldown: %s}
  - {id: again, on: purchase, award: 5, when: history.orders.ever > 1}
  - {id: rich, on: purchase, award: 6, when: history.spend.this_month >= 100}
  - {id: red, on: purchase, award: 4, when: has(member.attributes.colour) && member.attributes.colour == 'red'}
  - {id: welcome, on: sign_up, award: 11}
  - {id: review, on: review, award: 5, when: has(event.data.stars) && event.data.stars > 2, limits: 2 times per week}
"""
_LIMITS = ("[]", "[60 points per month]", "['90 points per day, reject']", "[2 times ever]", "['100 EUR per day']")
_numbers = itertools.count()


@st.composite
def texts(draw: st.DrawFn) -> str:
    stack = st.sampled_from(["add", "best", "stop"])
    return TEXT % (
        draw(st.sampled_from(["down", "up", "half-up", "half-even"])),
        draw(st.sampled_from(["order", "line"])),
        draw(st.sampled_from(POLICIES)),
        draw(stack),
        draw(stack),
        draw(st.sampled_from(["0", "-1"])),
    )


@st.composite
def limited_texts(draw: st.DrawFn) -> str:
    limits = st.sampled_from(_LIMITS)
    return LIMITED % (draw(limits), draw(limits), draw(st.sampled_from(["none", "1 hour", "2 days"])))


@st.composite
def lives(draw: st.DrawFn) -> list[Any]:
    """Orders, refunds and reviews of two customers in order of time."""
    events: list[Any] = []
    kinds = draw(st.lists(st.sampled_from(["order", "order", "refund", "review"]), min_size=1, max_size=8))
    for number, kind in enumerate(kinds):
        at = NOON - timedelta(days=20) + timedelta(hours=7 * number)
        who = draw(st.sampled_from(["ann", "ben"]))
        known = [event for event in events if isinstance(event, OrderSeen)]
        if kind == "review":
            stars = draw(st.integers(1, 5))
            events.append(
                CustomEvent(name="review", customer=who, key=f"k{number}", occurred_at=at, data={"stars": stars})
            )
        elif kind == "refund" and known:
            of = draw(st.sampled_from(known))
            money = draw(st.integers(1, int(of.snapshot.total)))
            events.append(RefundSeen(order=of.reference, refund=refund(f"R{number}", money=money, at=at)))
        else:
            amounts = draw(st.lists(st.integers(1, 90), min_size=1, max_size=2))
            events.append(OrderSeen(reference=f"O{number}", snapshot=order(*amounts, at=at, customer=who)))
    return events


def alone(setting: Setting, text: str) -> Setting:
    """The setting of a merchant of their own."""
    return dataclasses.replace(setting, merchant=f"sim-{next(_numbers)}", programs=programs(text))


def valid(setting: Setting, text: str | None = None) -> LiveProgram:
    program = setting.programs.versions["main"][0].program
    return compiled(read_program(text, "changed") if text else program, 1, EPOCH)


def compared(database: Database, setting: Setting, text: str | None = None, **more: Any) -> Any:
    wanted = Comparison(
        **{"merchant": setting.merchant, "before": valid(setting), "after": valid(setting, text), **more}
    )
    return simulate(database, setting.sealer, wanted)


def dues(database: Database, setting: Setting) -> dict[tuple[str, str], int]:
    """What the ledger owes each member by each rule."""
    found: dict[tuple[str, str], int] = {}
    for row in rows(database, select(award).where(award.c.merchant == setting.merchant)):
        due = row.granted - row.taken - row.written_off
        if due:
            found[row.member, row.rule] = found.get((row.member, row.rule), 0) + due
    return found


def relived(
    database: Database, setting: Setting, monkeypatch: pytest.MonkeyPatch, chunk: int = 1
) -> dict[tuple[str, str], int]:
    """The same by the simulation, a few members at a time."""
    found: dict[tuple[str, str], int] = {}
    tally_of = Tally.add

    def remember(self: Any, life: Any, before: Any, after: Any) -> None:
        for paid in after.paid:
            found[life.member.id, paid.rule] = found.get((life.member.id, paid.rule), 0) + paid.points
        assert before == after
        tally_of(self, life, before, after)

    with monkeypatch.context() as patched:
        patched.setattr(simulating, "CHUNK", chunk)
        patched.setattr(Tally, "add", remember)
        tally = compared(database, setting)
    assert tally.samples == []
    assert all(sums.before == sums.after for sums in tally.wallets.values())
    assert sum(found.values()) == sum(sums.after for sums in tally.wallets.values())
    return found


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=texts(), data=st.data())
def test_whatever_happens_to_orders_the_valid_program_pays_what_the_ledger_says(
    database: Database, setting: Setting, monkeypatch: pytest.MonkeyPatch, text: str, data: st.DataObject
) -> None:
    here = alone(setting, text)
    events = [
        replace(event, reference=name) if isinstance(event, OrderSeen) else replace(event, order=name)
        for name in "AB"
        for event in data.draw(histories())
    ]
    tell(database, here, *data.draw(st.permutations(events)))

    assert relived(database, here, monkeypatch) == dues(database, here)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=limited_texts(), events=lives(), colour=st.sampled_from(["red", "blue"]))
def test_limits_of_a_member_cooldowns_and_history_come_to_the_same_in_order_of_time(
    database: Database,
    setting: Setting,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    events: Sequence[Any],
    colour: str,
) -> None:
    here = alone(setting, text)
    early = NOON - timedelta(days=30)
    known = [CustomerSeen(reference=name, occurred_at=early, attributes={"colour": colour}) for name in ("ann", "ben")]
    tell(database, here, *known, *events)
    changed = CustomerSeen(reference="ann", occurred_at=NOON, attributes={"colour": "green"})
    tell(database, here, changed)

    assert relived(database, here, monkeypatch, chunk=500) == dues(database, here)


def test_a_changed_program_is_compared_rule_by_rule_with_samples_and_writes_nothing(
    database: Database, setting: Setting
) -> None:
    text = LIMITED % ("[]", "[]", "none")
    here = alone(setting, text)
    for number in range(12):
        seen = OrderSeen(reference=f"O{number}", snapshot=order(10 + number, customer=f"c{number % 4}"))
        assert tell(database, here, seen) == ["done"]
    stored = [rows(database, select(table)) for table in metadata.sorted_tables]
    changed = text.replace("1 per 1 EUR", "2 per 1 EUR").replace("award: 11", "award: 1")

    tally = compared(database, here, changed, samples=3)

    assert [rows(database, select(table)) for table in metadata.sorted_tables] == stored
    purchase = tally.rules["purchase", "points"]
    assert (purchase.before, purchase.after, purchase.times_after) == (186, 372, 12)
    assert (tally.members, tally.steps) == (4, 12)
    assert (tally.people["points"].more, tally.people["points"].fewer) == (4, 0)
    assert len(tally.samples) == 3
    assert tally.samples == compared(database, here, changed, samples=3).samples
    assert all(sample.words for sample in tally.samples)


def test_what_nothing_kept_is_counted_and_todays_is_taken(database: Database, setting: Setting) -> None:
    plain = "\n".join(
        line
        for line in (LIMITED % ("[]", "[]", "none")).splitlines()
        if "red" not in line and "attributes:" not in line
    )
    here = alone(setting, plain)
    who = rows(database, select(identity.c.member))
    assert who == []
    tell(database, here, OrderSeen(reference="A", snapshot=order(10)))
    coloured = alone(here, LIMITED % ("[]", "[]", "none"))
    coloured = dataclasses.replace(coloured, merchant=here.merchant)
    tell(database, coloured, CustomerSeen(reference="1", occurred_at=LATER, attributes={"colour": "red"}))

    tally = compared(database, here, LIMITED % ("[]", "[]", "none"))

    assert tally.lacking == {"member.attributes": 1}
    assert tally.rules["red", "points"].after == 4
    again = compared(database, coloured, LIMITED % ("[]", "[]", "none"))
    assert again.lacking == {"member.attributes": 1}


def test_only_what_happened_since_is_told_though_limits_count_the_rest(database: Database, setting: Setting) -> None:
    text = LIMITED % ("['30 points per year']", "[]", "none")
    here = alone(setting, text)
    old, new = NOON - timedelta(days=40), NOON
    tell(database, here, OrderSeen(reference="A", snapshot=order(20, at=old)))
    tell(database, here, OrderSeen(reference="B", snapshot=order(20, at=new)))

    tally = compared(database, here, since=NOON - timedelta(days=7))

    assert tally.rules["purchase", "points"].after == 8
    assert ("welcome", "points") not in tally.rules


def test_a_limit_over_all_members_is_never_overshot(database: Database, setting: Setting) -> None:
    text = LIMITED % ("['50 points ever, in all']", "['3 members ever']", "none")
    here = alone(setting, text)
    for number in range(6):
        tell(database, here, OrderSeen(reference=f"O{number}", snapshot=order(20, customer=f"c{number}")))

    tally = compared(database, here)

    spent = sum(tally.rules[rule, "points"].after for rule in ("purchase", "more"))
    assert spent == 50
    assert tally.rules["purchase", "points"].times_after <= 3
