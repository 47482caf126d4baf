"""What became of a message of which nobody knows whether it left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from stampcard.plugin import Absent, Delivered, Done, Message, Unknown
from stampcard.testing.clock import NOON, FakeClock
from stampcard_twilio.sending import SmsChannel
from stampcard_twilio.simulator import TwilioSimulator

Messages = Callable[..., Message]
SID = "SM" + "0" * 32


@pytest.mark.parametrize("status", [0, 502])
async def test_a_lost_answer_is_found_again(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages, clock: FakeClock, status: int
) -> None:
    simulated.fail(status=status, done=True)
    (outcome,) = await channel.send([message()])
    assert isinstance(outcome, Unknown)
    assert isinstance(await channel.lookup(message(), NOON), Unknown)  # too early
    clock.advance(channel.visible_after)
    assert await channel.lookup(message(), NOON) == Done(result={"id": simulated.messages[0].sid, "state": "queued"})
    assert len(simulated.messages) == 1


@pytest.mark.parametrize("status", [0, 503])
async def test_what_was_never_made_is_absent(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages, clock: FakeClock, status: int
) -> None:
    simulated.fail(status=status)
    (outcome,) = await channel.send([message()])
    assert isinstance(outcome, Unknown)
    clock.advance(channel.visible_after)
    assert await channel.lookup(message(), NOON) == Absent()


async def test_what_waits_at_twilio_is_found_though_it_was_not_sent_on_any_day(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages, clock: FakeClock
) -> None:
    await channel.send([message()])
    assert simulated.messages[0].sent is None
    clock.advance(timedelta(hours=9))
    assert isinstance(await channel.lookup(message(), NOON), Done)


async def test_how_far_it_came_is_told(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages, clock: FakeClock
) -> None:
    await channel.send([message(reports="")])
    await simulated.report(simulated.messages[0], "sent", "delivered")
    clock.advance(channel.visible_after)
    assert await channel.lookup(message(), NOON) == Done(result={"id": simulated.messages[0].sid, "state": "delivered"})


async def test_another_text_another_number_and_an_earlier_one_are_not_it(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages, clock: FakeClock
) -> None:
    await channel.send([message()])
    clock.advance(60)
    attempted = clock.now()
    await channel.send([message(text="Another text")])
    await channel.send([message(to="+14155550124")])
    clock.advance(channel.visible_after)
    assert await channel.lookup(message(), attempted) == Absent()
    assert isinstance(await channel.lookup(message(), NOON), Done)
    assert isinstance(await channel.lookup(message(), NOON + timedelta(seconds=5)), Done)  # clocks differ
    assert await channel.lookup(message(), NOON + timedelta(seconds=6)) == Absent()


async def test_all_pages_are_read(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages, clock: FakeClock
) -> None:
    await channel.send([message()])
    clock.advance(1)
    for number in range(450):
        simulated.book.make({"To": message().to, "From": simulated.number, "Body": f"text {number}"}, clock.now())
    clock.advance(channel.visible_after)
    assert isinstance(await channel.lookup(message(), NOON), Done)
    assert [call.query.get("Page") for call in simulated.calls if call.method == "GET"] == [None, "1", "2"]


async def test_there_is_an_end_to_reading(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages, clock: FakeClock
) -> None:
    for number in range(2001):
        simulated.book.make({"To": message().to, "From": simulated.number, "Body": f"text {number}"}, clock.now())
    clock.advance(channel.visible_after)
    found = await channel.lookup(message(), NOON)
    assert found == Unknown(reason="Twilio has more than 2000 messages to this number: look into the account's log")


@pytest.mark.parametrize("status", [401, 429, 500, 0])
async def test_trouble_leaves_it_open(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages, clock: FakeClock, status: int
) -> None:
    simulated.fail("GET", status)
    clock.advance(channel.visible_after)
    assert isinstance(await channel.lookup(message(), NOON), Unknown)


def listing(*texts: dict[str, Any], **more: Any) -> Callable[[httpx.Request], httpx.Response]:
    told = {"sid": SID, "status": "sent", "date_created": format_datetime(NOON)}
    return lambda _: httpx.Response(200, json={"messages": [{**told, **text} for text in texts], **more})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ({"body": "You have 12 points."}, Done),
        ({"body": "Sent from your Twilio trial account - You have 12 points."}, Done),
        ({"body": " You have 12 points.\n"}, Done),
        ({"body": "You have 13 points."}, Absent),
        ({"body": ""}, Unknown),
        ({"body": None}, Unknown),
        ({"body": "", "date_created": "Tue, 10 Mar 2026 11:00:00 +0000"}, Absent),
        ({"body": "You have 12 points.", "date_created": None}, Unknown),
        ({"body": "You have 12 points.", "date_created": "yesterday"}, Unknown),
        ({"body": "You have 12 points.", "date_created": "Tue, 10 Mar 2026 12:00:00 -0000"}, Done),
        ({"body": "You have 12 points.", "sid": "CA1"}, Unknown),
    ],
)
async def test_what_counts_as_the_same(
    played: Callable[..., SmsChannel], message: Messages, clock: FakeClock, text: dict[str, Any], found: type
) -> None:
    channel = played(listing(text))
    clock.advance(channel.visible_after)
    assert type(await channel.lookup(message(), NOON)) is found


@pytest.mark.parametrize(
    ("meant", "shown", "found"),
    [
        ("“Ann’s” points — 12…", '"Ann\'s" points - 12...', Done),
        ("½ price\u200b at café\u00a0Roma", "1/2 price at café Roma", Done),
        ("You have 1.25", "You have 125", Absent),
        ("You have 12 points", "You have 13 points", Absent),
        ("🎉", "🎁", Absent),
        ("🎉", "🎉", Done),
        ("رصيدك ١٢ نقطة", "رصيدك ١٢ نقطة", Done),
    ],
)
async def test_a_text_that_was_written_more_cheaply_is_the_same(
    played: Callable[..., SmsChannel],
    message: Messages,
    clock: FakeClock,
    meant: str,
    shown: str,
    found: type,
) -> None:
    channel = played(listing({"body": shown}))
    clock.advance(channel.visible_after)
    assert type(await channel.lookup(message(text=meant), NOON)) is found


async def test_pages_without_end_are_left(
    played: Callable[..., SmsChannel], message: Messages, clock: FakeClock
) -> None:
    channel = played(listing(next_page_uri="http://elsewhere.example/?%ff\n&Page"))
    clock.advance(channel.visible_after)
    assert isinstance(await channel.lookup(message(), NOON), Unknown)


async def test_what_is_absent_can_be_sent_again(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages, clock: FakeClock
) -> None:
    simulated.fail(status=0)
    await channel.send([message()])
    clock.advance(channel.visible_after)
    assert await channel.lookup(message(), NOON) == Absent()
    assert [type(outcome) for outcome in await channel.send([message()])] == [Delivered]
