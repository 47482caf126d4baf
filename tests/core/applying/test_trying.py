"""A dry run decides like the real thing and leaves no trace, on both databases."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select
from tests.databases import on_sqlite

from stampcard.applying.setting import Setting
from stampcard.applying.trying import NEWCOMER, Question, Tried, try_out
from stampcard.domain.events import CustomerSeen, CustomEvent, OrderSeen, RefundSeen
from stampcard.domain.value import replace
from stampcard.errors import EventRefused, NotFound, RequestRefused
from stampcard.program.reading import read_program
from stampcard.storage.database import Database
from stampcard.storage.tables import award, member, metadata
from stampcard.testing.applying import LATER, rows, tell
from stampcard.testing.building import NOON, order, programs, refund

TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
attributes: {colour: string}
wallets: {points: {expire: 30 days, pending: 2 days, refunds: {spent: proportional}}}
groups: {both: {limits: ["100 points per month", "500 EUR ever, in all", "3 members ever"]}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR, groups: both}
  - {id: welcome, on: sign_up, award: 10}
  - {id: again, on: purchase, when: history.orders.ever > 0, award: 5}
  - {id: red, on: purchase, when: has(member.attributes.colour) && member.attributes.colour == 'red', award: 7}
  - {id: review, on: review, award: 3, cooldown: 1 hour, limits: 1 times ever}
"""
OTHER = TEXT.replace("1 per 1 EUR", "2 per 1 EUR").replace("groups: both}", "limits: 1000 points ever}")


@pytest.fixture
def live(setting: Setting) -> Setting:
    return dataclasses.replace(setting, programs=programs(TEXT))


def fingerprint(database: Database) -> str:
    """Of everything in every table."""
    digest = hashlib.sha256()
    for table in metadata.sorted_tables:
        for row in rows(database, select(table).order_by(*table.primary_key.columns)):
            digest.update(repr((table.name, tuple(row))).encode())
    return digest.hexdigest()


def asked(database: Database, setting: Setting, event: Any, **more: Any) -> Tried:
    question = Question(**{"event": event, "source": "shop", "now": LATER, "customer": "1", **more})
    return database.read_now(lambda connection: try_out(connection, setting, question))


def bought(*amounts: Any, reference: str = "B", **more: Any) -> OrderSeen:
    return OrderSeen(reference=reference, snapshot=order(*amounts, **more))


def test_it_comes_to_what_the_real_thing_then_comes_to(database: Database, live: Setting) -> None:
    tell(database, live, bought(60, reference="A"))
    seen = bought(70, 10, customer="1")
    tried = asked(database, live, seen)
    tell(database, live, seen)

    due = {row.rule: row.granted for row in rows(database, select(award).where(award.c.subject == "order:shop:B"))}

    assert {one.rule: one.due for one in tried.decision.awards} == due == {"purchase": 40, "again": 5}
    assert tried.points == {"points": 45}
    assert sorted((lot.rule, lot.amount) for _, lot in tried.opened) == [("again", 5), ("purchase", 40)]


@pytest.mark.parametrize("pretended", [LATER, LATER + timedelta(days=400)])
def test_nothing_at_all_is_written(database: Database, live: Setting, pretended: Any) -> None:
    tell(database, live, bought(60, reference="A"), RefundSeen(order="A", refund=refund("R", [("L1", 5)])))
    before = fingerprint(database)
    known = rows(database, select(member.c.id))[0].id
    questions: list[dict[str, Any]] = [
        {"event": bought(70)},
        {"event": bought(70), "customer": "nobody"},
        {"event": bought(70), "customer": None},
        {"event": bought(20, age=5, reference="A")},
        {"event": bought(20, age=5, reference="A"), "program": read_program(OTHER, "test")},
        {"event": CustomEvent(name="review", customer="1", key="k", occurred_at=pretended)},
        {"event": bought(70), "customer": None, "member": known, "attributes": {"colour": "red"}},
        {"event": RefundSeen(order="A", refund=refund("S", [("L1", 5)])), "customer": None},
        {
            "event": CustomerSeen(reference="nobody", occurred_at=NOON, attributes={"email": "a@b.example"}),
            "customer": "nobody",
        },
    ]
    for question in questions:
        assert asked(database, live, **question, now=pretended).decision.changed
    assert fingerprint(database) == before


def test_a_customer_who_is_not_known_counts_as_new(database: Database, live: Setting) -> None:
    tried = asked(database, live, bought(70), customer="nobody")
    assert tried.member == NEWCOMER
    assert {one.rule: one.due for one in tried.decision.awards} == {"purchase": 70, "welcome": 10}


@on_sqlite
def test_it_knows_the_segments_and_the_tier_that_a_member_has_by_then(database: Database, live: Setting) -> None:
    rules = (
        "  - {id: gold, on: purchase, when: member.tier == 'gold', award: 3}\n"
        "  - {id: regular, on: purchase, when: \"'regulars' in member.segments\", award: 2}\n"
    )
    more = (
        "tiers: {by: spend, within: 30 days, held: 60 days, levels: {gold: 100}}\n"
        "segments: {regulars: {when: history.orders.ever > 0}}\n"
    )
    tiered = dataclasses.replace(live, programs=programs(TEXT + rules + more))
    tell(database, tiered, bought(120, reference="A"))

    def extras(days: int) -> set[str]:
        now = LATER + timedelta(days=days)
        tried = asked(database, tiered, bought(5, at=now), now=now)
        return {one.rule for one in tried.decision.awards} & {"gold", "regular"}

    assert [extras(days) for days in (1, 45, 90)] == [{"gold", "regular"}, {"gold", "regular"}, {"regular"}]
    assert {one.rule for one in asked(database, tiered, bought(5), customer="nobody").decision.awards} == {
        "purchase",
        "welcome",
    }


def test_another_program_is_asked_instead_and_decides_a_known_order_as_if_it_were_new(
    database: Database, live: Setting
) -> None:
    tell(database, live, bought(60, reference="A"))
    tried = asked(database, live, bought(60, age=5, reference="A"), program=read_program(OTHER, "test"))
    assert tried.points == {"points": 120}
    again = asked(database, live, bought(60, age=5, reference="A"))
    assert again.points == {"points": 0}


def test_what_is_taken_for_granted_is_seen_by_conditions(database: Database, live: Setting) -> None:
    tell(database, live, bought(60, reference="A"))
    tried = asked(database, live, bought(10), attributes={"colour": "red"})
    assert {one.rule: one.due for one in tried.decision.awards} == {"purchase": 10, "again": 5, "red": 7}
    with pytest.raises(RequestRefused, match="not declared"):
        asked(database, live, bought(10), attributes={"size": "large"})


def test_what_would_be_refused_is_refused(database: Database, live: Setting) -> None:
    with pytest.raises(EventRefused, match="from_the_future"):
        asked(database, live, bought(10, at=LATER + timedelta(hours=1)))
    for wrong in ({"customer": None}, {"customer": None, "member": "m_nobody"}):
        event = CustomEvent(name="review", customer="", key="k", occurred_at=NOON)
        with pytest.raises(NotFound):
            asked(database, live, event, **wrong)
    with pytest.raises(NotFound):
        asked(database, live, CustomEvent(name="dance", customer="1", key="k", occurred_at=NOON))


def test_what_a_limit_leaves_of_an_event_is_told(database: Database, live: Setting) -> None:
    tell(database, live, bought(60, reference="A"))
    event = CustomEvent(name="review", customer="1", key="k", occurred_at=NOON)
    assert asked(database, live, event).points == {"points": 3}
    tell(database, live, event)
    later = replace(event, key="other", occurred_at=LATER)
    (reason,) = asked(database, live, later, now=LATER).decision.reasons
    assert (reason.code, reason.desired, reason.due) == ("limit", 3, 0)


def test_the_transaction_itself_lets_nothing_be_written(database: Database, live: Setting) -> None:
    def write_after(connection: Connection) -> None:
        try_out(connection, live, Question(event=bought(5), source="shop", now=LATER, customer="1"))
        connection.execute(member.insert().values(merchant="main", id="m", joined_at=0))

    with pytest.raises(Exception, match=r"read-?only"):
        database.read_now(write_after)


def test_a_refund_comes_to_what_it_then_takes_back(database: Database, live: Setting) -> None:
    tell(database, live, bought(60, reference="A"))
    event = RefundSeen(order="A", refund=refund("R", [("L1", 15)]))
    tried = asked(database, live, event, customer=None)
    tell(database, live, event)

    due = rows(database, select(award.c.granted, award.c.taken).where(award.c.rule == "purchase"))

    assert tried.points == {"points": -15}
    assert [row.granted - row.taken for row in due] == [45]


@on_sqlite
def test_news_that_is_old_changes_nothing_if_it_is_taken_as_told(database: Database, live: Setting) -> None:
    tell(database, live, bought(60, reference="A"))
    old = bought(20, age=-60, reference="A")
    assert asked(database, live, old).points == {"points": -40}, "by default it is the newest"
    assert asked(database, live, old, as_told=True).points == {}


@pytest.mark.parametrize("key", ["R1", ""])
def test_an_event_that_counted_earns_nothing_if_it_is_taken_as_told(
    database: Database, setting: Setting, key: str
) -> None:
    live = dataclasses.replace(setting, programs=programs(TEXT.replace(", cooldown: 1 hour, limits: 1 times ever", "")))
    event = CustomEvent(name="review", customer="1", key=key, occurred_at=LATER)
    tell(database, live, bought(60, reference="A"))
    assert asked(database, live, event, as_told=True).points == {"points": 3}
    tell(database, live, event)
    assert asked(database, live, event).points == {"points": 3}
    assert asked(database, live, event, as_told=True).points == {}


def test_a_customer_says_what_signing_up_would_pay(database: Database, live: Setting) -> None:
    event = CustomerSeen(reference="9", occurred_at=LATER, attributes={"email": "a@b.example"})
    assert asked(database, live, event, customer="9").points == {"points": 10}
    tell(database, live, event)
    assert asked(database, live, event, customer="9").points == {}
