from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from stampcard.plugin import Delivered, Message, Outcome, Rejected, RetryLater, Unknown
from stampcard.testing.clock import NOON
from stampcard_twilio.plugin import connect
from stampcard_twilio.sending import SmsChannel
from stampcard_twilio.simulator import TwilioSimulator

Played = Callable[..., SmsChannel]
Messages = Callable[..., Message]
SID = "SM" + "0" * 32


def answering(status: int, content: Any = b"", **headers: str | bytes) -> Callable[[httpx.Request], httpx.Response]:
    def answer(_: httpx.Request) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(content, bytes):
            return httpx.Response(status, content=content, headers=named)  # type: ignore[arg-type]
        return httpx.Response(status, json=content, headers=named)  # type: ignore[arg-type]

    return answer


async def outcome_of(channel: SmsChannel, message: Message) -> Outcome:
    (outcome,) = await channel.send([message])
    return outcome


async def test_a_message_is_taken(simulated: TwilioSimulator, channel: SmsChannel, message: Messages) -> None:
    outcome = await outcome_of(channel, message())
    (taken,) = simulated.messages
    assert outcome == Delivered(result={"id": taken.sid, "state": "queued"})
    assert (taken.to, taken.sender, taken.body) == ("+14155550123", simulated.number, "You have 12 points.")
    assert (taken.callback, taken.validity) == ("https://points.example/webhooks/sms?message=msg-1", None)


async def test_a_service_sends_instead_of_a_number(
    simulated: TwilioSimulator, connection: Callable[..., Any], message: Messages
) -> None:
    service = "MG" + "ab" * 16
    (channel,) = (await connect(connection(sender=None, messaging_service=service))).channels
    assert await channel.send([message()]) == [
        Delivered(result={"id": simulated.messages[0].sid, "state": "queued"}),
    ]
    assert (simulated.messages[0].service, simulated.messages[0].sender) == (service, "")


async def test_a_key_opens_messages_too(
    simulated: TwilioSimulator, connection: Callable[..., Any], message: Messages
) -> None:
    key, secret = simulated.new_key()
    (channel,) = (await connect(connection(api_key_sid=key, api_key_secret=secret))).channels
    assert [type(outcome) for outcome in await channel.send([message()])] == [Delivered]


async def form_of(played: Played, message: Message, **changes: Any) -> dict[str, list[str]]:
    seen: list[httpx.Request] = []

    def vendor(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"sid": SID, "status": "queued"})

    await played(vendor, **changes).send([message])
    return parse_qs(seen[0].content.decode())


async def test_without_an_address_for_reports_none_is_told(played: Played, message: Messages) -> None:
    assert "StatusCallback" not in await form_of(played, message(reports=""))


async def test_our_id_goes_with_the_address_whatever_is_in_it(played: Played, message: Messages) -> None:
    form = await form_of(played, message(id="a b&c=d", reports="https://points.example/w?x=1"))
    assert form["StatusCallback"] == ["https://points.example/w?x=1&message=a%20b%26c%3Dd"]


@pytest.mark.parametrize(
    ("validity", "left", "told"),
    [
        (None, None, None),
        (600, None, "600"),
        (None, 90, "90"),
        (600, 90, "90"),
        (60, 90, "60"),
        (None, 0.4, "1"),
        (600, -5, "1"),
        (None, 10**7, "36000"),
    ],
)
async def test_it_waits_no_longer_than_it_is_worth(
    played: Played, message: Messages, validity: int | None, left: float | None, told: str | None
) -> None:
    until = None if left is None else NOON + timedelta(seconds=left)
    form = await form_of(played, message(until=until), validity=validity)
    assert form.get("ValidityPeriod") == (None if told is None else [told])


async def test_a_text_that_is_too_long_never_leaves(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages
) -> None:
    outcome = await outcome_of(channel, message(text="x" * 1601))
    assert outcome == Rejected(reason="the text has 1601 letters, and Twilio takes 1600")
    assert isinstance(await outcome_of(channel, message(text="x" * 1600)), Delivered)
    assert [call.method for call in simulated.calls] == ["POST"]


def test_parts_and_price_and_pace_are_told(played: Played, message: Messages) -> None:
    channel = played(answering(201), price="0.0079", segments_per_second=2.5)
    assert [channel.parts(message(text=text)) for text in ("x" * 160, "x" * 161, "ж" * 71)] == [1, 2, 2]
    assert channel.price() == Decimal("0.0079")
    assert channel.rate is not None
    assert (channel.rate.per_second, channel.rate.burst) == (2.5, 3)
    assert (channel.name, channel.form, channel.needs, channel.batch_size) == ("sms", "text", "phone", 1)
    assert (channel.disturbs, channel.hears, channel.kept, channel.visible_after) == (
        True,
        True,
        False,
        timedelta(minutes=2),
    )
    assert not played(answering(201), sender="Cafe Mia").hears
    assert played(answering(201)).price() is None


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
@pytest.mark.parametrize("body", [b"<html>", {"code": 21610}, {"code": 20500}])
async def test_trouble_at_twilio_leaves_it_open(played: Played, message: Messages, status: int, body: Any) -> None:
    assert isinstance(await outcome_of(played(answering(status, body)), message()), Unknown)


@pytest.mark.parametrize("status", [200, 201])
async def test_what_is_made_without_a_message_is_no_success(played: Played, message: Messages, status: int) -> None:
    outcome = await outcome_of(played(answering(status, b'{"sid": "CA1", "status": "queued"}')), message())
    assert isinstance(outcome, Unknown)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, "check account_sid and auth_token"),
        (403, "check account_sid and auth_token"),
        (404, "check account_sid and api_url"),
        (307, "check api_url"),
        (408, "408"),
        (429, "429"),
    ],
)
async def test_what_a_person_must_set_right_is_tried_again(
    played: Played, message: Messages, status: int, told: str
) -> None:
    outcome = await outcome_of(played(answering(status, {"code": 20003}, location="https://x.example")), message())
    assert isinstance(outcome, RetryLater)
    assert told in outcome.reason


async def test_credentials_that_are_refused_are_named_as_they_are(played: Played, message: Messages) -> None:
    key = {"api_key_sid": "SK" + "ab" * 16, "api_key_secret": "secret of the key"}
    outcome = await outcome_of(played(answering(401), **key), message())
    assert isinstance(outcome, RetryLater)
    assert outcome.reason.endswith("check account_sid, api_key_sid and api_key_secret")


@pytest.mark.parametrize("body", [{"code": 21602}, {"code": 10**9}, {"code": "x"}, b"", b"[]"])
async def test_any_other_refusal_is_final(played: Played, message: Messages, body: Any) -> None:
    outcome = await outcome_of(played(answering(400, body)), message())
    known = isinstance(body, dict) and body["code"] == 21602
    assert outcome == Rejected(reason="Twilio answered 400 (21602)" if known else "Twilio answered 400")


@pytest.mark.parametrize(("seconds", "pause"), [(7, 7), (5000, 600)])
async def test_twilio_is_left_in_peace_for_as_long_as_it_wants(
    played: Played, message: Messages, clock: Any, seconds: int, pause: int
) -> None:
    channel = played(answering(429, b"", retry_after=str(seconds)))
    outcome = await outcome_of(channel, message())
    assert outcome == RetryLater(reason="Twilio wants fewer calls (429)", after=seconds)
    assert channel.pace() == pause
    clock.advance(pause + 1)
    assert channel.pace() == 0


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        ({"status": "accepted"}, Delivered(result={"id": SID, "state": "queued"})),
        ({"status": "sent"}, Delivered(result={"id": SID, "state": "sent"})),
        ({"status": "of the future"}, Delivered(result={"id": SID, "state": "queued"})),
        ({"status": "failed", "error_code": 21610}, "opted_out"),
        ({"status": "failed", "error_code": 1}, ""),
        ({"status": "canceled"}, ""),
    ],
)
async def test_what_is_made_and_failed_at_once_is_no_success(
    played: Played, message: Messages, made: Any, outcome: Delivered | str
) -> None:
    found = await outcome_of(played(answering(201, {"sid": SID, **made})), message())
    if isinstance(outcome, Delivered):
        assert found == outcome
    else:
        assert isinstance(found, Rejected)
        assert found.because == outcome


async def test_nothing_of_a_person_or_a_secret_stands_in_a_reason(played: Played, message: Messages) -> None:
    def vendor(request: httpx.Request) -> httpx.Response:
        quoted = f"{request.headers['authorization']} {request.content.decode()} newer token"
        return httpx.Response(400, json={"code": 21211, "message": quoted, "more_info": quoted})

    outcome = await outcome_of(played(vendor), message())
    assert outcome == Rejected(reason="Twilio: the number is no valid phone number (21211)", because="address")
