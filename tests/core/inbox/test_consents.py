"""What customers say at their shop about being addressed, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.core.shops import START, Shop
from tests.databases import on_sqlite

from stampcard.applying.setting import Setting
from stampcard.domain.consents import Consent, current
from stampcard.domain.events import ConsentSeen, CustomEvent
from stampcard.storage.consenting import load_consents
from stampcard.storage.database import Database
from stampcard.storage.tables import event
from stampcard.testing.applying import rows

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: news, on: newsletter, award: 20, when: "'email.marketing' in member.consents"}
  - {id: friend, on: purchase, award: 1, when: "'email.marketing' in member.consents"}
"""


@pytest.fixture
def shop(database: Database, setting: Setting) -> Shop:
    return Shop(database, setting, PROGRAM)


def says(state: Any, at: datetime = START) -> ConsentSeen:
    return ConsentSeen(customer="ann", channel="email", purpose="marketing", state=state, occurred_at=at)


def joins(at: datetime = START) -> CustomEvent:
    return CustomEvent(name="newsletter", customer="ann", key="", occurred_at=at)


def said(shop: Shop) -> list[Consent]:
    member, sealer = shop.member(), shop.setting.sealer
    return shop.database.read_now(lambda c: load_consents(c, "main", [member], sealer, evidence=True)).get(member, [])


@on_sqlite
def test_who_subscribes_at_the_shop_is_paid_once_and_conditions_know_it(shop: Shop) -> None:
    shop.tell(says("given"), joins())
    assert shop.points() == 20
    (one,) = said(shop)
    assert (one.name, one.state, one.source) == ("email.marketing", "given", "shop")
    shop.buys("A", 10)
    assert shop.points() == 21
    shop.tell(says("withdrawn", START + timedelta(minutes=1)))
    shop.tell(says("given", START + timedelta(minutes=2)), joins(START + timedelta(minutes=2)))
    assert shop.points() == 21
    shop.proves()


@on_sqlite
def test_what_is_told_again_changes_nothing_and_what_comes_late_does_not_count(shop: Shop) -> None:
    shop.tell(says("withdrawn", START))
    shop.tell(says("withdrawn", START), says("withdrawn", START))
    shop.tell(says("given", START - timedelta(hours=1)))
    assert [one.state for one in said(shop)] == ["withdrawn", "given"]
    assert current(said(shop))["email.marketing"].state == "withdrawn"
    shop.buys("A", 10)
    assert shop.points() == 0


def test_a_clock_that_is_ahead_outranks_nothing_that_is_said_later(shop: Shop) -> None:
    shop.tell(says("given", START + timedelta(days=3)))
    shop.clock.advance(timedelta(minutes=1))
    shop.tell(says("withdrawn", shop.clock.now()))
    assert current(said(shop))["email.marketing"].state == "withdrawn"


def test_what_is_kept_of_it_names_nobody(shop: Shop) -> None:
    shop.tell(says("given"), joins())
    kept = " ".join(f"{row.body} {row.subject}" for row in rows(shop.database, event.select()))
    assert "newsletter" in kept
    assert '"ann"' not in kept
    assert ":ann" not in kept
