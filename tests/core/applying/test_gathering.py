"""What is told of the same thing twice, of several things at once, and of things that look alike."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.core.applying.test_merging import merge
from tests.core.letters import Box, Letters
from tests.databases import on_sqlite

from stampcard.applying.setting import Setting
from stampcard.domain.events import CustomEvent
from stampcard.storage.database import Database
from stampcard.storage.tables import outbox
from stampcard.testing.applying import rows

HEAD = """
program: main
name: Bean Club
currency: EUR
timezone: Europe/Berlin
events: {visited: {day: string, number: string, place: string}}
wallets: {points: {expire: 30 days}, credit: {scale: 2}}
rules:
  - {id: purchase, on: purchase, wallet: points, award: 1 per 1 EUR}
  - {id: back, on: purchase, wallet: credit, award: 3 per 1 EUR}
rewards:
  mug: {name: A mug, gives: merchandise, wallet: points, price: 100}
sending: {quiet: {sms: none}}
messages:
"""
REACH = """
  far: {on: reward_in_reach, within: 50, purpose: transactional, texts: {en: {subject: "far {{ missing }}", text: x}}}
  near: {on: reward_in_reach, within: 10, purpose: transactional, texts: {en: {subject: "near {{ missing }}", text: x}}}
  there: {on: reward_in_reach, purpose: transactional, texts: {en: {subject: "there", text: x}}}
"""


def subjects(box: Box) -> list[str]:
    return [one.subject for one in box.sent]


@on_sqlite
async def test_each_message_has_a_reach_of_its_own_and_is_told_once(database: Database, setting: Setting) -> None:
    box = Box()
    letters = Letters(database, setting, HEAD + REACH, box)
    letters.joins()
    for number, amount in enumerate([40, 20, 32, 5, 15]):
        letters.buys(f"O{number}", amount)
        await letters.post()
        letters.clock.advance(timedelta(hours=1))
    assert subjects(box) == ["far 40", "near 8", "there"]


@on_sqlite
async def test_whoever_was_told_by_one_channel_is_not_told_by_another_once_they_change_places(
    database: Database, setting: Setting
) -> None:
    expiring = (
        "  expiring: {on: 5 days before points_expire, use: points_expiring, purpose: transactional, channels: [%s]}\n"
    )
    mail, text = Box(), Box("sms")
    letters = Letters(database, setting, HEAD + expiring % "email, sms", mail, text)
    letters.joins(phone="+4915112345678")
    letters.buys("O1", 10)
    await letters.on(str((letters.clock.now() + timedelta(days=26)).date()))
    await letters.post()
    letters.applies(HEAD + expiring % "sms, email")
    letters.clock.advance(timedelta(days=1))
    await letters.timer.tick()
    await letters.post()
    assert (len(mail.sent), len(text.sent)) == (1, 0)


async def test_points_of_different_wallets_make_no_sum(database: Database, setting: Setting) -> None:
    earned = (
        "  earned: {on: points_earned, purpose: transactional, digest: 1 hour, "
        'texts: {en: {subject: "{{ points }} {{ wallet }}", text: x}}}\n'
    )
    box = Box()
    letters = Letters(database, setting, HEAD + earned, box)
    letters.joins()
    letters.buys("O1", 10)
    letters.buys("O2", 5)
    letters.clock.advance(timedelta(hours=1))
    await letters.post()
    assert sorted(subjects(box)) == ["15 points", "45.00 credit"]


@on_sqlite
@pytest.mark.parametrize(
    "data",
    [{"day": "monday"}, {"number": "12A"}, {"number": "0012"}, {"day": "2026-13-01"}, {"place": "@day"}],
    ids=str,
)
async def test_what_a_shop_calls_its_fields_is_told_as_it_is(
    database: Database, setting: Setting, data: dict[str, Any]
) -> None:
    name, value = next(iter(data.items()))
    visited = f'  visited: {{on: visited, purpose: transactional, texts: {{en: {{subject: "{{{{ event.{name} }}}}", text: x}}}}}}\n'
    box = Box()
    letters = Letters(database, setting, HEAD + visited, box)
    letters.joins()
    letters.tell(CustomEvent(name="visited", customer="ann", key="1", occurred_at=letters.clock.now(), data=data))
    await letters.post()
    assert subjects(box) == [value]


async def test_what_two_members_wait_for_is_told_once_when_they_become_one(
    database: Database, setting: Setting
) -> None:
    expiring = (
        "  expiring: {on: 5 days before points_expire, use: points_expiring, purpose: transactional, at: '10:00'}\n"
    )
    box = Box()
    letters = Letters(database, setting, HEAD + expiring, box)
    letters.joins("ann")
    letters.joins("bob")
    for number, customer in enumerate(("ann", "bob")):
        letters.buys(f"O{number}", 10, customer=customer)
    await letters.on(str((letters.clock.now() + timedelta(days=26)).date()))
    merge(letters)
    await letters.post()
    assert [(one.name, one.member) for one in box.sent] == [("expiring", letters.member("ann"))]
    assert sorted(row.status for row in rows(database, select(outbox))) == ["done", "dropped"]
