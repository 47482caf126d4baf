"""Messages leave once, when they may, and what becomes of them is known."""

from __future__ import annotations

from datetime import timedelta

from tests.core.letters import Box, Letters, with_messages
from tests.databases import on_sqlite

from stampcard.applying.setting import Setting
from stampcard.plugin import Delivered, Rejected, RetryLater, Unknown
from stampcard.storage.database import Database

WELCOME = with_messages("""
messages:
  welcome: {on: sign_up, use: welcome, purpose: transactional}
""")
EARNED = with_messages("""
messages:
  earned: {on: points_earned, use: points_earned, channels: [email, sms]}
""")


async def test_who_joins_is_welcomed_once(database: Database, setting: Setting) -> None:
    letters = Letters(database, setting, WELCOME, box := Box())
    letters.joins(first_name="Ann")
    assert await letters.post() == 1
    (mail,) = box.sent
    assert (mail.to, mail.subject, mail.language) == ("ann@example.com", "Welcome to Bean Club", "en")
    assert mail.text.startswith("Hello Ann,")
    assert "Ann" in mail.html
    assert mail.reports == "https://loyalty.example/webhooks/mail"
    assert letters.messages() == [("welcome", "email", "sent", "")]
    letters.joins(first_name="Anna")
    assert await letters.post() == 0
    assert letters.commands() == ["done"]


@on_sqlite
async def test_nobody_is_told_what_they_did_not_agree_to(database: Database, setting: Setting) -> None:
    letters = Letters(database, setting, EARNED, mail := Box(), sms := Box("sms"))
    letters.joins(phone="+4915112345678")
    letters.buys("O1", 20)
    await letters.post()
    assert letters.messages() == [
        ("earned", "email", "dropped", "no_consent"),
        ("earned", "sms", "dropped", "no_consent"),
    ]
    letters.says("ann", "sms")
    letters.buys("O2", 30)
    await letters.post()
    assert mail.sent == []
    assert [one.text for one in sms.sent] == ["Bean Club: you earned 30 points and have 50 now."]
    letters.says("ann", "sms", "withdrawn")
    letters.buys("O3", 30)
    await letters.post()
    assert len(sms.sent) == 1


@on_sqlite
async def test_an_unknown_outcome_is_shown_and_never_sent_again(database: Database, setting: Setting) -> None:
    letters = Letters(database, setting, WELCOME, box := Box())
    box.answers = [Unknown(reason="the answer was lost")]
    letters.joins()
    await letters.post()
    assert letters.messages() == [("welcome", "email", "unknown", "")]
    for _ in range(5):
        letters.clock.advance(timedelta(hours=1))
        await letters.post()
    assert (box.attempts, letters.commands()) == (1, ["unknown"])


@on_sqlite
async def test_what_did_not_leave_is_tried_again(database: Database, setting: Setting) -> None:
    letters = Letters(database, setting, WELCOME, box := Box())
    box.answers = [RetryLater(reason="busy"), Delivered(result={"state": "queued", "id": "x"})]
    letters.joins()
    await letters.post()
    assert letters.messages() == [("welcome", "email", "waiting", "retrying")]
    letters.clock.advance(timedelta(minutes=1))
    await letters.post()
    assert letters.messages() == [("welcome", "email", "queued", "")]


@on_sqlite
async def test_where_one_channel_fails_the_next_is_tried(database: Database, setting: Setting) -> None:
    letters = Letters(database, setting, EARNED, mail := Box(), sms := Box("sms"))
    letters.joins(phone="+4915112345678")
    letters.says("ann", "email")
    letters.says("ann", "sms")
    mail.answers = [Rejected(reason="no such mailbox", because="address")]
    letters.buys("O1", 20)
    await letters.post()
    assert letters.messages() == [("earned", "email", "rejected", "address"), ("earned", "sms", "sent", "")]
    assert len(sms.sent) == 1
