"""Customers who take no part yet are invited, with their consent, and take part by the link."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.core.letters import Box, Letters
from tests.databases import on_sqlite

from stampcard.applying.answering import confirm, opened
from stampcard.applying.mailing import Estimate, estimate, mail
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.events import CustomerErased
from stampcard.errors import Conflict
from stampcard.storage.database import Database

PROGRAM = """
program: main
name: Bean Club
currency: EUR
timezone: Europe/Berlin
enrolment: request
wallets: {points: {}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
  - {id: welcome, on: sign_up, award: 50}
messages:
  invitation: {on: by_hand, to: customers, use: invitation}
  bought: {on: 3 days after purchase, to: customers, use: invitation, at: "10:00"}
  welcome: {on: sign_up, use: welcome}
"""


class Club(Letters):
    """A club that customers must ask for."""

    def __init__(self, database: Database, setting: Setting, text: str = PROGRAM) -> None:
        super().__init__(database, setting, text, Box())

    def mails(self, name: str = "invitation", mailing: str = "spring") -> None:
        """Write a message down for everybody whom it is for."""
        (live,) = self.setting.programs.current(self.clock.now())

        def work(connection: Connection) -> None:
            after = ""
            while True:
                seen, after, _ = mail(connection, self.setting, self.clock.now(), live, name, mailing, after, 2)
                if not seen:
                    return

        self.database.write_now(work)

    def estimated(self) -> Estimate:
        (live,) = self.setting.programs.current(self.clock.now())
        now = self.clock.now()
        return self.database.read_now(lambda c: estimate(c, self.setting, now, live, "invitation", {}, "", 100))[2]

    def accepts(self, text: str) -> None:
        """Somebody presses the button behind the link."""
        found = re.search(r"/c/([\w-]+)", text)
        assert found is not None, text
        token = found[1]

        def work(unit: Unit) -> Answer:
            of = opened(unit.connection, unit.setting, "c", token, unit.now)
            assert of is not None
            assert of.member is not None
            confirm(unit, of.member.id, of, "confirmation link", "")
            return Answer(status=200, body={})

        self.act(work)

    @property
    def sent(self) -> list[tuple[str, str]]:
        (box,) = self.boxes.values()
        assert isinstance(box, Box)
        return [(one.name, one.to) for one in box.sent]

    def text(self, at: int = -1) -> str:
        (box,) = self.boxes.values()
        assert isinstance(box, Box)
        return box.sent[at].text


@pytest.fixture
def club(database: Database, setting: Setting) -> Club:
    return Club(database, setting)


@on_sqlite
async def test_a_customer_who_agrees_to_mails_is_invited_once_and_takes_part_by_the_link(club: Club) -> None:
    for customer in ("ann", "ben", "cid"):
        club.joins(customer)
    club.says("ann", "email")
    club.says("ben", "email", "refused")
    assert club.estimated() == Estimate(audience=3, reached={"email": 1}, dropped={"no_consent": 2})
    for _ in range(2):
        club.mails()
        await club.post()
    assert club.sent == [("invitation", "ann@example.com")]
    assert club.text().startswith("Hello,\n\nYou shop with us")
    club.accepts(club.text())
    club.accepts(club.text())  # once more changes nothing
    await club.post()
    assert club.sent[1:] == [("welcome", "ann@example.com")]
    assert club.points("ann") == 50
    club.mails(mailing="autumn")
    await club.post()
    assert len(club.sent) == 2  # nobody is invited to what they take part in
    club.proves()


async def test_an_invitation_waits_no_more_once_its_customer_took_part_or_was_forgotten(club: Club) -> None:
    for customer in ("ann", "ben"):
        club.joins(customer)
        club.says(customer, "email")
    club.mails()
    await club.post()
    first = club.text(0)
    club.mails(mailing="autumn")
    club.accepts(first)
    invited = "ann" if club.sent[0][1].startswith("ann") else "ben"
    other = "ben" if invited == "ann" else "ann"
    club.tell(CustomerErased(reference=other, occurred_at=club.clock.now()))
    await club.post()
    assert [name for name, _ in club.sent] == ["invitation", "invitation", "welcome"]
    assert {(reason) for _, _, state, reason in club.messages() if state == "dropped"} == {"a_member", "erased"}


async def test_the_link_is_good_as_long_as_the_message_is_kept(club: Club) -> None:
    club.joins("ann")
    club.says("ann", "email")
    club.mails()
    await club.post()
    club.clock.advance(timedelta(days=91))
    with pytest.raises(Conflict, match="the time to confirm is over"):
        club.accepts(club.text())


@on_sqlite
async def test_a_purchase_of_a_guest_may_be_the_occasion(club: Club) -> None:
    club.joins("ann")
    club.says("ann", "email")
    club.buys("O1", 10)
    club.clock.advance(timedelta(days=3))
    await club.timer.tick()
    await club.post()
    assert club.sent == [("bought", "ann@example.com")]


@on_sqlite
async def test_whoever_takes_part_by_the_link_needs_no_second_question(database: Database, setting: Setting) -> None:
    asking: Any = PROGRAM.replace("enrolment: request", "enrolment: {how: request, confirm: 14 days}")
    club = Club(database, setting, asking)
    club.joins("ann")
    club.says("ann", "email")
    club.mails()
    await club.post()
    club.accepts(club.text())
    await club.post()
    assert [name for name, _ in club.sent] == ["invitation", "welcome"]
    assert club.points("ann") == 50
