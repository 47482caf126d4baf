"""What a CRM is to show of a member: figures, attributes, consents and lists as they are now; on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select
from tests.core.crms import Desk, crm
from tests.databases import on_sqlite

from stampcard.applying.consenting import record_consent
from stampcard.applying.erasing import erase_members
from stampcard.applying.holding import hold
from stampcard.applying.setting import Setting
from stampcard.applying.showing import Picture, pictures, program_of, theirs
from stampcard.applying.supposing import Supposed, suppose_contacts, suppose_members
from stampcard.domain.consents import Consent, ConsentState
from stampcard.domain.contacts import FIGURES, FieldPair
from stampcard.domain.events import ContactSeen, CustomersMerged
from stampcard.host.contacts import Crm
from stampcard.storage.database import Database
from stampcard.storage.tables import contact, segment_member
from stampcard.testing.applying import rows

RICH = """
program: main
currency: EUR
timezone: Pacific/Auckland
wallets: {points: {scale: 1, expire: 30 days}}
attributes: {cups: integer, vegan: boolean}
segments: {friends: {}}
tiers:
  by: points
  within: ever
  levels: {silver: 0, gold: 100}
rules:
  - {id: buy, on: purchase, award: 1.5 per 1 EUR}
rewards:
  voucher: {gives: 5 EUR off, price: 200, by: own}
  mug: {gives: merchandise, price: 500}
"""
Opening = Callable[..., Desk]


@pytest.fixture
def desk(database: Database, setting: Setting) -> Opening:
    """A shop and a CRM with these settings, and a program with tiers and rewards."""

    def make(**settings: Any) -> Desk:
        now = Desk(database, setting, crm(**settings))
        now.texts = [RICH]
        now._live()
        return now

    return make


def shown(desk: Desk, *members: str, of: Crm | None = None) -> dict[str, Picture]:
    one = of or desk.setting.crms["crm"]
    return desk.database.read_now(lambda c: pictures(c, desk.setting, one, members, desk.clock.now()))


def says(desk: Desk, id_: str, purpose: str, state: ConsentState) -> None:
    at = desk.clock.now()
    said = Consent(channel="email", purpose=purpose, state=state, at=at, recorded_at=at)
    desk.does(lambda unit: record_consent(unit, id_, said))


def all_figures() -> dict[str, Any]:
    return {"fields": {name: f"their_{name}" for name in FIGURES}}


@on_sqlite
def test_every_figure_is_shown_by_the_days_of_the_program(desk: Opening) -> None:
    now = desk(**all_figures())
    ann = now.customer("1", email="ann@shop.example")
    now.buys("A", 30, customer="1")
    now.clock.advance(timedelta(hours=14))
    now.buys("B", "40.50", customer="1")
    now.buys("C", 10, customer="1", currency="USD")
    assert {**shown(now, ann)[ann].texts, "points_expire_on": "", "tier_until": ""} == {
        "email": "ann@shop.example", "hold": "",
        "member_id": ann, "status": "active", "joined_on": "2026-03-11",
        "points": "105.7", "points_pending": "0", "points_lifetime": "105.7",
        "points_expiring": "105.7", "points_expire_on": "",
        "tier": "gold", "tier_until": "", "next_tier": "",
        "next_reward": "voucher", "next_reward_missing": "94.3",
        "orders": "3", "lifetime_value": "70.5", "last_order_on": "2026-03-11",
        "rewards": "0", "rewards_value": "0",
    }  # fmt: skip
    assert shown(now, ann)[ann].texts["points_expire_on"].startswith("2026-04-")


def test_who_has_done_nothing_has_figures_of_nothing(desk: Opening) -> None:
    now = desk(**all_figures())
    ann = now.customer("1")
    texts = shown(now, ann)[ann].texts
    assert {name: texts.get(name, "") for name in ("points", "orders", "lifetime_value", "last_order_on", "tier")} == {
        "points": "0", "orders": "0", "lifetime_value": "0", "last_order_on": "", "tier": "silver",
    }  # fmt: skip
    assert (texts["next_tier"], texts["email"]) == ("gold", "")
    assert shown(now, ann)[ann].emails == ()


@on_sqlite
def test_attributes_consents_and_holds_are_text(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email=" Ann@Shop.example ", cups=3, vegan=True, phone="+4930123456")
    states: list[tuple[str, ConsentState]] = [("marketing", "given"), ("news", "pending"), ("profiling", "refused")]
    for purpose, state in states:
        says(now, ann, purpose, state)
    now.does(lambda unit: hold(unit, ann, "by the lawyers"))
    found = shown(now, ann)[ann]
    assert (found.emails, found.phones) == (("ann@shop.example",), ("+4930123456",))
    assert {name: found.texts[name] for name in ("cups", "vegan", "hold")} == {
        "cups": "3", "vegan": "true", "hold": "by the lawyers",
    }  # fmt: skip
    consents = {name: text for name, text in found.texts.items() if name.startswith("consent.")}
    assert consents == {
        "consent.email.marketing": "true", "consent.email.news": "", "consent.email.profiling": "false",
    }  # fmt: skip
    opt_outs = [
        FieldPair(ours=f"consent.email.{purpose}", theirs="f", owner="most_restrictive", kind="truth", opposite=True)
        for purpose in ("marketing", "news", "profiling", "else")
    ]
    assert [theirs(one, found.texts) for one in opt_outs] == ["", "", "true", ""]


@on_sqlite
def test_consents_are_looked_up_only_where_they_are_shown(desk: Opening) -> None:
    now = desk(fields={"consent.email.marketing": False})
    ann = now.customer("1")
    says(now, ann, "marketing", "given")
    assert not any(name.startswith("consent.") for name in shown(now, ann)[ann].texts)


@on_sqlite
def test_lists_show_who_is_in_their_segments(desk: Opening) -> None:
    now = desk(lists={"friends": "Our friends"})
    ann, ben = now.customer("1"), now.customer("2")
    row = {"merchant": "main", "member": ann, "program": "main", "segment": "friends", "since": 0}
    columns = {column.name for column in segment_member.c}
    now.database.write_now(
        lambda c: c.execute(insert(segment_member), [{k: v for k, v in row.items() if k in columns}])
    )
    found = shown(now, ann, ben)
    assert (found[ann].lists, found[ben].lists) == ({"Our friends": True}, {"Our friends": False})
    assert [set(found[id_].segments) for id_ in (ann, ben)] == [{"friends"}, set()]


def test_whoever_was_erased_or_merged_is_not_shown(desk: Opening) -> None:
    now = desk()
    ann, ben, cleo = (now.customer(number) for number in "123")
    now.hears("shop", CustomersMerged(kept="1", gone="2", occurred_at=now.clock.now()))
    now.does(lambda unit: erase_members(unit, [cleo]))
    assert set(shown(now, ann, ben, cleo, "m_nobody")) == {ann}


@on_sqlite
def test_the_program_that_the_settings_name_is_shown_or_else_the_first(desk: Opening) -> None:
    now = desk()
    at = now.clock.now()
    names = {name: program_of(now.setting, crm(program=name), at) for name in ("", "main", "other")}
    assert {name: live and live.name for name, live in names.items()} == {"": "main", "main": "main", "other": None}
    ann = now.customer("1")
    assert not shown(now, ann, of=crm(program="other")), "what stands there stays"
    assert shown(now, ann)[ann].takes_part


@on_sqlite
def test_a_rehearsal_says_what_a_first_look_would_come_to(database: Database, setting: Setting) -> None:
    now = Desk(database, setting, crm(make_members=True, fields={"cups": "cups"}))
    ann = now.customer("1", email="ann@shop.example", first_name="Ann", cups=3)
    now.customer("2", verified=False, email="ben@shop.example")
    cleo = now.customer("3", email="cleo@shop.example")
    at, found = now.clock.now(), Supposed()
    seen = [
        ContactSeen(
            reference="C1", occurred_at=at, emails=("ann@shop.example",),
            fields={"email": "ann@shop.example", "firstname": "Anna", "cups": "", "newsletter": "true"},
        ),
        ContactSeen(reference="C2", occurred_at=at, emails=("ben@shop.example",)),
        ContactSeen(reference="C3", occurred_at=at, emails=("dora@shop.example",)),
    ]  # fmt: skip
    one = now.setting.crms["crm"]
    members = [ann, now.member("2"), cleo]
    database.read_now(lambda c: suppose_contacts(c, now.setting, one, seen, at, found))
    database.read_now(lambda c: suppose_members(c, now.setting, one, members, at, found))
    assert dict(found.outcomes) == {"would be linked": 1, "doubtful: unverified": 1, "would become a member": 1}
    assert found.examples == {
        "would be linked": ["C1"], "doubtful: unverified": ["C2"], "would become a member": ["C3"],
    }  # fmt: skip
    assert {name: n for name, n in found.taken.items() if n} == {"first_name": 1, "consent.email.marketing": 1}
    assert {name: n for name, n in found.written.items() if n} == {"cups": 1}
    assert (found.contacts, found.to_make) == (3, 1)
    assert rows(database, select(contact)) == []

    none = replace(one, settings=one.settings.model_copy(update={"make_contacts": "none"}))
    database.read_now(lambda c: suppose_members(c, now.setting, none, members, at, found))
    friends = replace(one, settings=one.settings.model_copy(update={"make_contacts": "segment:friends"}))
    database.read_now(lambda c: suppose_members(c, now.setting, friends, members, at, found))
    assert found.to_make == 1
