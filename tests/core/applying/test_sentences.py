"""What a shop owner says of messages, as a shipped program that runs on a database: who is told, when, and of what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.core.letters import Box, Letters
from tests.databases import on_sqlite

from stampcard.applying.setting import Setting
from stampcard.domain.events import CommandSettled, ConsentSeen, CustomEvent
from stampcard.domain.rewards import ISSUE, Redemption
from stampcard.plugin import Rejected
from stampcard.storage.database import Database
from stampcard.storage.redemptions import Wanted, list_redemptions
from stampcard.storage.tables import message, outbox
from stampcard.testing.applying import rows

EXAMPLES = Path(__file__).parents[3] / "config" / "programs" / "examples"
PHONE = "+4915112345678"


class Newsletter(Letters):
    """The shop whose newsletter is worth a voucher, which it makes real itself; it asks back who subscribes."""

    def __init__(self, database: Database, setting: Setting) -> None:
        self.mail, self.sms = Box(), Box("sms")
        able = replace(setting, fulfilling={"shop": frozenset({"percent_off"})})
        super().__init__(database, able, (EXAMPLES / "newsletter-voucher.yaml").read_text(), self.mail, self.sms)

    def subscribes(self, customer: str, times: int = 1) -> None:
        """Somebody confirms that they want the newsletter, and the shop makes what that is worth."""
        now = self.clock.now()
        agreed = ConsentSeen(
            customer=customer, channel="email", purpose="marketing", state="given", occurred_at=now, confirmed=True
        )
        forms = [f"{customer}-{number}" for number in range(times)]
        self.tell(
            agreed, *(CustomEvent(name="newsletter", customer=customer, key=key, occurred_at=now) for key in forms)
        )
        made = select(outbox.c.key).where(outbox.c.kind == ISSUE, outbox.c.member == self.member(customer))
        keys = [row.key for row in rows(self.database, made)]
        self.tell(*(CommandSettled(kind=ISSUE, key=key, done=True, occurred_at=now) for key in keys))

    def vouchers(self, customer: str) -> list[Redemption]:
        wanted = Wanted(member=self.member(customer))
        return list(self.database.read_now(lambda c: list_redemptions(c, "main", self.setting.sealer, wanted, None, 9)))

    def code(self, customer: str) -> str:
        (given,) = self.vouchers(customer)
        assert given.voucher is not None
        return given.voucher.code

    async def at(self, moment: str) -> list[tuple[str, str]]:
        """(to, subject) of the mails that leave at that moment."""
        self.clock.advance(datetime.fromisoformat(moment).replace(tzinfo=UTC) - self.clock.now())
        await self.timer.tick()
        before = len(self.mail.sent)
        await self.post()
        return sorted((one.to, one.subject) for one in self.mail.sent[before:])

    def reminders(self, customer: str) -> list[tuple[str, str, str]]:
        """(channel, state, reason) of what was written down for somebody, the oldest first."""
        theirs = (message.c.member == self.member(customer), message.c.name == "reminder")
        found = rows(self.database, select(message).where(*theirs).order_by(message.c.id))
        return [(row.channel, row.state, row.reason) for row in found]


@pytest.fixture
def shop(database: Database, setting: Setting) -> Newsletter:
    return Newsletter(database, setting)


async def test_a_voucher_for_the_newsletter_is_told_of_at_once_and_three_days_before_it_ends(shop: Newsletter) -> None:
    shop.joins("ann", language="nl", first_name="Ann")
    shop.joins("eve", phone=PHONE)
    assert await shop.at("2026-03-10T12:00:01") == []
    for customer in ("ann", "eve"):
        shop.subscribes(customer, times=2)
        assert [(one.reward, one.status) for one in shop.vouchers(customer)] == [("voucher", "issued")]
    assert shop.messages() == [("voucher", "email", "waiting", "")] * 2

    await shop.post()

    dutch, english = sorted(shop.mail.sent, key=lambda one: one.to)
    assert (dutch.to, dutch.language) == ("ann@example.com", "nl")
    assert dutch.subject == "Je beloning: 5 % for your next order"
    assert dutch.text.startswith("Hallo Ann,")
    assert (shop.code("ann") in dutch.text, shop.code("ann") in dutch.html) == (True, True)
    assert "Geldig tot en met 10 april 2026." in dutch.text
    assert (english.language, f"Your code: {shop.code('eve')}" in english.text) == ("en", True)
    assert (await shop.post(), shop.sms.sent) == (0, [])

    # Issued on 10 March, so that 10 April is the last day, in Berlin; three days before, at ten.
    assert await shop.at("2026-04-06T12:00:00") == []
    assert await shop.at("2026-04-07T07:59:00") == []
    assert await shop.at("2026-04-07T08:01:00") == [
        ("ann@example.com", "Nog 3 dagen: 5 % for your next order"),
        ("eve@example.com", "3 days left: 5 % for your next order"),
    ]
    texts = {one.language: one.text for one in shop.mail.sent[2:]}
    assert ("vrijdag 10 april 2026" in texts["nl"], shop.code("ann") in texts["nl"]) == (True, True)
    assert f"It ends after Friday, April 10, 2026.\n\nYour code: {shop.code('eve')}" in texts["en"]
    for day in ("2026-04-08", "2026-04-09", "2026-04-10", "2026-04-11"):
        assert await shop.at(f"{day}T08:01:00") == []
    assert shop.sms.sent == []


async def test_who_used_the_voucher_or_took_the_yes_back_is_not_reminded(shop: Newsletter) -> None:
    for customer in ("ann", "bob", "cid"):
        shop.joins(customer, phone=PHONE)
        shop.subscribes(customer)
    await shop.post()
    assert len(shop.mail.sent) == 3
    shop.buys("O1", 40, customer="bob", codes=(shop.code("bob"),))
    assert [one.status for one in shop.vouchers("bob")] == ["used"]
    shop.says("cid", "email", "withdrawn")

    assert [to for to, _ in await shop.at("2026-04-07T08:01:00")] == ["ann@example.com"]

    assert shop.sms.sent == []
    assert (shop.reminders("ann"), shop.reminders("bob")) == ([("email", "sent", "")], [])
    assert shop.reminders("cid") == [("email", "dropped", "no_consent"), ("sms", "dropped", "no_consent")]


@on_sqlite
async def test_who_uses_the_voucher_while_the_reminder_waits_is_not_reminded(shop: Newsletter) -> None:
    shop.joins("bob")
    shop.subscribes("bob")
    await shop.post()
    shop.clock.advance(datetime(2026, 4, 7, 8, 1, tzinfo=UTC) - shop.clock.now())
    await shop.timer.tick()
    shop.buys("O1", 40, customer="bob", codes=(shop.code("bob"),))

    await shop.post()

    assert len(shop.mail.sent) == 1
    assert shop.reminders("bob") == [("email", "dropped", "no_longer")]


@on_sqlite
async def test_where_the_mail_does_not_get_through_the_code_comes_as_a_text(shop: Newsletter) -> None:
    shop.joins("ann", language="nl", phone=PHONE)
    shop.mail.answers = [Rejected(reason="no such mailbox", because="address")]
    shop.subscribes("ann")

    await shop.post()

    (text,) = shop.sms.sent
    assert (text.to, text.language, shop.code("ann") in text.text) == (PHONE, "nl", True)
    assert shop.mail.sent == []
