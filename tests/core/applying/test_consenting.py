"""A yes counts once it is confirmed, where a program wants that (double opt-in)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.core.letters import Box, Letters
from tests.databases import on_sqlite

from stampcard.applying.answering import choose, confirm, opened
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.consents import current
from stampcard.domain.events import ConsentSeen, CustomEvent
from stampcard.engine.tokens import message_in, token_of
from stampcard.errors import Conflict
from stampcard.storage.consenting import load_consents
from stampcard.storage.database import Database

PROGRAM = """
program: main
name: Bean Club
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
  - {id: newsletter, on: newsletter, award: 20}
sending:
  double_opt_in: [email, sms]
messages:
  ask: {on: consent_asked, use: opt_in, channels: [email, sms]}
  news: {on: by_hand, channels: [email], texts: {en: {subject: News, text: News}}}
"""


class Asking(Letters):
    """A shop that asks back."""

    def __init__(self, database: Database, setting: Setting, text: str = PROGRAM) -> None:
        self.mail, self.text = Box(), Box("sms")
        super().__init__(database, setting, text, self.mail, self.text)

    def hears(self, customer: str, channel: str, state: Any = "given", **more: Any) -> None:
        """The shop tells what somebody said there."""
        now = self.clock.now()
        said = ConsentSeen(
            customer=customer, channel=channel, purpose="marketing", state=state, occurred_at=now, **more
        )
        subscribed = CustomEvent(name="newsletter", customer=customer, key="", occurred_at=now)
        self.tell(said, *([subscribed] if (channel, state) == ("email", "given") else []))
        self.clock.advance(timedelta(seconds=1))

    def state(self, name: str, customer: str = "ann") -> str:
        member, sealer = self.member(customer), self.setting.sealer
        found = self.database.read_now(lambda c: load_consents(c, "main", [member], sealer, evidence=False))
        known = current(found.get(member, ()))
        return known[name].state if name in known else ""

    def confirms(self, id_: str) -> None:
        """Somebody presses the button of the page behind the link."""
        token = token_of(self.setting.sealer, "main", "c", int(id_))
        assert message_in(token) == int(id_)

        def work(unit: Unit) -> Answer:
            of = opened(unit.connection, unit.setting, "c", token, unit.now)
            assert of is not None
            assert of.member is not None
            confirm(unit, of.member.id, of, "confirmation link", "")
            return Answer(status=200, body={})

        self.act(work)
        self.clock.advance(timedelta(seconds=1))

    def ticks(self, id_: str, *names: tuple[str, str]) -> None:
        """Somebody chooses on the page of preferences, to which that message led them."""
        member = self.member("ann")
        token = token_of(self.setting.sealer, "main", "p", int(id_))

        def work(unit: Unit) -> Answer:
            of = opened(unit.connection, unit.setting, "p", token, unit.now)
            assert of is not None
            choose(unit, member, dict.fromkeys(names, True), of.stored, "preference page", "")
            return Answer(status=200, body={})

        self.act(work)
        self.clock.advance(timedelta(seconds=1))


@pytest.fixture
def asking(database: Database, setting: Setting) -> Asking:
    return Asking(database, setting)


@on_sqlite
@pytest.mark.parametrize("by", ["says", "hears"])
async def test_a_yes_is_pending_until_its_link_is_pressed_whoever_told_it(asking: Asking, by: str) -> None:
    asking.joins("ann")
    getattr(asking, by)("ann", "email")
    assert (asking.state("email.marketing"), asking.points()) == ("pending", 0)
    await asking.post()
    (mail,) = asking.mail.sent
    assert (mail.subject, asking.text.sent) == ("Please confirm for Bean Club", [])
    asking.confirms(mail.id)
    assert asking.state("email.marketing") == "given"
    assert asking.points() == 20  # subscribed, once it counts
    if by == "hears":
        asking.hears("ann", "email")  # told once more
    await asking.post()
    assert (asking.state("email.marketing"), len(asking.mail.sent), asking.points()) == ("given", 1, 20)
    asking.proves()


async def test_a_channel_is_asked_for_by_itself(asking: Asking) -> None:
    asking.joins("ann", phone="+14155550123")
    asking.says("ann", "sms")
    await asking.post()
    assert (asking.mail.sent, [one.to for one in asking.text.sent]) == ([], ["+14155550123"])
    asking.confirms(asking.text.sent[0].id)
    assert asking.state("sms.marketing") == "given"


async def test_what_was_confirmed_elsewhere_counts_at_once(asking: Asking) -> None:
    asking.joins("ann")
    asking.hears("ann", "email", confirmed=True)
    await asking.post()
    assert (asking.state("email.marketing"), asking.mail.sent) == ("given", [])


@on_sqlite
async def test_a_no_needs_no_confirmation(asking: Asking) -> None:
    asking.joins("ann")
    asking.hears("ann", "email", confirmed=True)
    asking.says("ann", "email", "withdrawn")
    assert asking.state("email.marketing") == "withdrawn"
    asking.says("ann", "email")
    assert asking.state("email.marketing") == "pending"


WELCOME = "  hello: {on: sign_up, use: welcome, purpose: transactional}\n"


@on_sqlite
async def test_a_page_confirms_only_the_channel_that_led_to_it(database: Database, setting: Setting) -> None:
    asking = Asking(database, setting, PROGRAM + WELCOME)
    asking.joins("ann", phone="+14155550123")
    await asking.post()
    asking.ticks(asking.mail.sent[0].id, ("email", "marketing"), ("sms", "marketing"))
    assert (asking.state("email.marketing"), asking.state("sms.marketing")) == ("given", "pending")
    await asking.post()
    assert (len(asking.mail.sent), len(asking.text.sent)) == (1, 1)


@on_sqlite
async def test_a_link_that_went_to_another_address_shows_nothing_of_this_one(
    database: Database, setting: Setting
) -> None:
    asking = Asking(database, setting, PROGRAM + WELCOME)
    asking.joins("ann")
    asking.says("ann", "email")
    await asking.post()
    hello, ask = (next(one for one in asking.mail.sent if one.name == name) for name in ("hello", "ask"))
    asking.tell_attributes("ann", email="victim@example.com")
    with pytest.raises(Conflict, match="the address is another by now"):
        asking.confirms(ask.id)
    asking.ticks(hello.id, ("email", "marketing"))
    assert asking.state("email.marketing") == "pending"


@on_sqlite
async def test_whoever_says_yes_again_and_again_is_asked_once_in_ten_minutes(asking: Asking) -> None:
    asking.joins("ann")
    for _ in range(5):
        asking.says("ann", "email")
    await asking.post()
    assert len(asking.mail.sent) == 1
    asking.clock.advance(timedelta(minutes=10))
    asking.says("ann", "email")
    await asking.post()
    assert len(asking.mail.sent) == 2


@on_sqlite
async def test_whoever_takes_no_part_is_asked_too(database: Database, setting: Setting) -> None:
    asking = Asking(database, setting, PROGRAM.replace("timezone", "enrolment: request\ntimezone"))
    asking.joins("ann")
    asking.hears("ann", "email")
    await asking.post()
    (mail,) = asking.mail.sent
    asking.confirms(mail.id)
    assert asking.state("email.marketing") == "given"


async def test_without_double_opt_in_a_yes_counts_at_once(database: Database, setting: Setting) -> None:
    asking = Asking(database, setting, PROGRAM.replace("  double_opt_in: [email, sms]\n", "  language: en\n"))
    asking.joins("ann")
    asking.says("ann", "email")
    await asking.post()
    assert (asking.state("email.marketing"), asking.mail.sent) == ("given", [])
