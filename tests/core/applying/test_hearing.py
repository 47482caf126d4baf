"""What channels tell counts for whoever has the address now, once, and never because of a test."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.core.letters import Box, Letters
from tests.databases import on_sqlite

from stampcard.applying.mailing import named_message, preview, send_test
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.consents import current
from stampcard.domain.events import MessageReceived, MessageReported
from stampcard.engine.tokens import LINK_PREFIX
from stampcard.storage.consenting import load_consents
from stampcard.storage.database import Database
from stampcard.storage.tables import message, suppression
from stampcard.testing.applying import apply, prepare, rows, store

PROGRAM = """
program: main
name: Bean Club
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
sending: {quiet: {sms: none}}
messages:
  earned: {on: points_earned, use: points_earned, channels: sms}
"""
PHONE, OTHER = "+4915112345678", "+4915187654321"


class Ear(Letters):
    """A shop whose members write back."""

    def __init__(self, database: Database, setting: Setting) -> None:
        self.box, self.mail = Box("sms", hears=True), Box("email")
        super().__init__(database, setting, PROGRAM, self.box, self.mail)
        self._received = 0

    def agrees(self, customer: str, phone: str) -> str:
        member = self.joins(customer, phone=phone)
        self.says(customer, "sms")
        return member

    def write(self, text: str, address: str = PHONE) -> MessageReceived:
        self._received += 1
        return MessageReceived(
            channel="sms", address=address, text=text, key=f"r{self._received}", occurred_at=self.clock.now()
        )

    def hears(self, *events: Any) -> None:
        """The channel's connection tells all of this in one transaction."""
        deliveries = store(self.database, self.setting, *[b"{}"] * len(events), connection="mail")
        batch = [prepare(id_, event, source="mail") for id_, event in zip(deliveries, events, strict=True)]
        assert {one.status for one in apply(self.database, self.setting, batch, self.clock.now())} == {"done"}

    def state(self, customer: str, name: str = "sms.marketing") -> str:
        member, sealer = self.member(customer), self.setting.sealer
        found = self.database.read_now(lambda c: load_consents(c, "main", [member], sealer, evidence=False))
        known = current(found.get(member, ()))
        return known[name].state if name in known else ""

    def tries(self, name: str, customer: str, channel: str, to: str) -> None:
        """Somebody sends a test, as that member would get it."""
        member = self.member(customer)

        def work(unit: Unit) -> Answer:
            live, terms = named_message(unit.setting.programs, "main", name, unit.now)
            send_test(unit, live, name, terms, member, channel, to, "")
            return Answer(status=200, body={})

        self.act(work)


@pytest.fixture
def ear(database: Database, setting: Setting) -> Ear:
    return Ear(database, setting)


async def test_a_number_that_moved_on_is_its_new_owners(ear: Ear) -> None:
    ear.agrees("ann", PHONE)
    ear.buys("O1", 10)
    await ear.post()
    ear.tell_attributes("ann", phone=OTHER)
    ear.agrees("bob", PHONE)
    ear.hears(ear.write("POINTS"))
    await ear.post()
    assert [(one.name, one.to) for one in ear.box.sent] == [("earned", PHONE), ("balance", PHONE)]
    assert ear.box.sent[-1].member == ear.member("bob")
    ear.hears(ear.write("STOP"))
    assert (ear.state("ann"), ear.state("bob")) == ("given", "withdrawn")


@on_sqlite
async def test_who_has_the_number_no_more_can_still_end_messages_but_is_not_answered_elsewhere(ear: Ear) -> None:
    ear.agrees("ann", PHONE)
    ear.buys("O1", 10)
    await ear.post()
    ear.tell_attributes("ann", phone=OTHER)
    ear.hears(ear.write("STOP"))
    await ear.post()
    assert (ear.state("ann"), len(ear.box.sent)) == ("withdrawn", 1)


@on_sqlite
@pytest.mark.parametrize("written", ["0151 12345678 (mobile)", "+49 151 12345678", "+4915112345678"])
async def test_a_number_is_found_however_it_was_written(ear: Ear, written: str) -> None:
    ear.agrees("ann", "+49 151 12345678")
    ear.buys("O1", 10)
    await ear.post()
    ear.tell_attributes("ann", phone=written if written.startswith("+") else "+49 151 12345678")
    ear.hears(ear.write("POINTS"))
    await ear.post()
    assert ear.box.sent[-1].name == "balance"


async def test_stop_and_start_told_together_leave_what_was_there(ear: Ear) -> None:
    ear.agrees("ann", PHONE)
    stop = ear.write("STOP")
    ear.clock.advance(timedelta(seconds=2))
    ear.hears(stop, ear.write("START"))
    assert ear.state("ann") == "given"


@on_sqlite
async def test_a_stop_that_the_vendor_told_first_is_brought_back_by_start(ear: Ear) -> None:
    ear.agrees("ann", PHONE)
    now = ear.clock.now()
    ear.hears(MessageReported(channel="sms", state="rejected", occurred_at=now, address=PHONE, because="opted_out"))
    assert ear.state("ann") == "withdrawn"
    ear.clock.advance(timedelta(seconds=1))
    ear.hears(ear.write("START"))
    assert ear.state("ann") == "given"
    assert rows(ear.database, select(suppression)) == []


async def test_what_becomes_of_a_test_says_nothing_of_the_member(ear: Ear) -> None:
    ear.agrees("ann", OTHER)
    ear.tries("earned", "ann", "sms", PHONE)
    await ear.post()
    (test,) = ear.box.sent
    assert test.to == PHONE
    ear.hears(ear.write("STOP"))
    assert ear.state("ann") == "given"
    now = ear.clock.now()
    ear.hears(MessageReported(channel="sms", state="complained", occurred_at=now, message=test.id))
    assert ear.state("ann") == "given"
    assert len(ear.box.sent) == 1


async def test_neither_a_test_nor_a_preview_of_the_link_opens_anything(ear: Ear) -> None:
    member = ear.agrees("ann", PHONE)
    ear.tries("link", "ann", "email", "boss@shop.example")
    await ear.post()
    assert LINK_PREFIX not in ear.mail.sent[0].text + ear.mail.sent[0].html

    def work(unit: Unit) -> Answer:
        live, terms = named_message(unit.setting.programs, "main", "link", unit.now)
        return Answer(status=200, body={"text": preview(unit, live, "link", terms, member, "email", "").text})

    told: Any = ear.act(work)
    assert LINK_PREFIX not in told["text"]
    assert "https://example.com/link" in told["text"]


@on_sqlite
async def test_nobody_makes_us_answer_without_end(ear: Ear) -> None:
    ear.agrees("ann", PHONE)
    for _ in range(9):
        ear.hears(ear.write("POINTS"))
    await ear.post()
    assert len(ear.box.sent) == 5
    ear.clock.advance(timedelta(hours=1))
    ear.hears(ear.write("POINTS"))
    await ear.post()
    assert len(ear.box.sent) == 6


@on_sqlite
async def test_a_report_that_comes_before_we_wrote_down_the_call_keeps_neither_text_nor_costs_back(ear: Ear) -> None:
    ear.agrees("ann", PHONE)
    ear.buys("O1", 10)
    plain = ear.box.send

    async def send(messages: Any) -> Any:
        outcomes = await plain(messages)
        now = ear.clock.now()
        ear.hears(MessageReported(channel="sms", state="delivered", occurred_at=now, message=messages[0].id))
        return outcomes

    ear.box.send = send  # type: ignore[method-assign]
    await ear.post()
    (row,) = rows(ear.database, select(message))
    assert (row.state, row.parts, row.content_sealed, row.reference) == ("delivered", 1, None, f"v{row.id}")
