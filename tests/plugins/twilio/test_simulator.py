"""The simulated account, as the plugin and as Twilio's own library see it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from aiohttp import web
from multidict import MultiDict
from twilio.base.exceptions import TwilioRestException  # type: ignore[import-untyped]
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from twilio.rest import Client as OfficialClient  # type: ignore[import-untyped]

from stampcard.plugin import (
    Delivered,
    Delivery,
    Event,
    InvalidSignature,
    Message,
    MessageReceived,
    MessageReported,
    Rejected,
    RetryLater,
    UnverifiedRequest,
    VerifiedRequest,
)
from stampcard.testing.clock import NOON, FakeClock
from stampcard_twilio.sending import SmsChannel
from stampcard_twilio.settings import TwilioSettings
from stampcard_twilio.simulator import TwilioSimulator, build
from stampcard_twilio.webhooks import TwilioWebhooks

Messages = Callable[..., Message]
NUMBER = "+14155550123"


class Receiver:
    """Takes webhooks as the host does: the address is the public one, with the query as it came."""

    def __init__(self, source: TwilioWebhooks) -> None:
        self.source = source
        self.public_url = ""
        self.keys: list[str] = []
        self.events: list[Event] = []
        self.status = 200

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        unverified = UnverifiedRequest(
            url=self.public_url + request.path_qs,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
            received_at=NOON,
        )
        try:
            verified = self.source.verify(unverified)
        except InvalidSignature:
            return web.Response(status=401)
        key = self.source.delivery_key(verified)
        if key not in self.keys:
            self.keys.append(key)
            self.events += self.source.events(delivery_of(verified, key))
        return web.Response(status=self.status)


def delivery_of(verified: VerifiedRequest, key: str) -> Delivery:
    return Delivery(
        connection="sms", key=key, topic=verified.topic, body=verified.body, received_at=NOON, headers=verified.headers
    )


@pytest.fixture
async def receiver(simulated: TwilioSimulator) -> AsyncIterator[Receiver]:
    """A receiver that the simulated account's replies go to."""
    taking, server = Receiver(TwilioWebhooks(TwilioSettings.model_validate(simulated.settings()))), web.Application()
    server.router.add_post("/webhooks/sms", taking.take)
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    taking.public_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    simulated.tell_to(f"{taking.public_url}/webhooks/sms")
    yield taking
    await runner.cleanup()


@pytest.fixture
def official(simulated: TwilioSimulator) -> Callable[[Callable[[Any], Any]], Any]:
    """Does something with Twilio's own client at the simulated account."""
    told = simulated.settings()
    client = OfficialClient(told["account_sid"], told["auth_token"][0])  # type: ignore[index]
    client.api.base_url = simulated.api_url

    async def run(work: Callable[[Any], Any]) -> Any:
        return await asyncio.to_thread(work, client)

    return run


async def test_reports_come_back_to_the_message_that_they_are_about(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages, receiver: Receiver
) -> None:
    reports = simulated.target_url
    outcomes = [
        *await channel.send([message(id="msg-1", reports=reports)]),
        *await channel.send([message(id="msg-2", to="+14155550124", reports=reports)]),
    ]
    simulated.lose("+14155550124", 30005)
    assert await simulated.deliver() == 6
    assert await simulated.deliver() == 0
    ids = [outcome.result["id"] for outcome in outcomes if isinstance(outcome, Delivered)]
    seen = [(event.message, event.reference, event.state) for event in receiver.events]  # type: ignore[union-attr]
    assert seen == [
        *[("msg-1", ids[0], state) for state in ("queued", "sent", "delivered")],
        *[("msg-2", ids[1], state) for state in ("queued", "sent", "failed")],
    ]
    last = receiver.events[-1]
    assert isinstance(last, MessageReported)
    assert (last.code, last.because) == ("30005", "address")


async def test_reports_may_come_twice_and_in_any_order_and_each_counts_once(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages, receiver: Receiver
) -> None:
    for number in range(5):
        await channel.send([message(id=f"msg-{number}", reports=simulated.target_url)])
    assert await simulated.deliver(shuffled=True, doubled=True) == 30
    assert len(receiver.events) == len(receiver.keys) == 15
    told = [text.told for text in simulated.messages]
    assert any(statuses != ["queued", "queued", "sent", "sent", "delivered", "delivered"] for statuses in told)


async def test_one_report_at_a_time(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages, receiver: Receiver
) -> None:
    await channel.send([message(reports=simulated.target_url)])
    (taken,) = simulated.messages
    assert await simulated.report(taken, "delivered", "sent") == [200, 200]
    assert await simulated.report(taken, "failed", code=30007) == [200]
    assert [event.state for event in receiver.events] == ["delivered", "sent", "failed"]  # type: ignore[union-attr]


async def test_whoever_writes_stop_gets_nothing_until_they_write_start(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages, receiver: Receiver
) -> None:
    assert await simulated.say(NUMBER, "Stop") == 200
    (refused,) = await channel.send([message()])
    assert isinstance(refused, Rejected)
    assert refused.because == "opted_out"
    assert await simulated.say(NUMBER, "Stop it, please") == 200
    assert await simulated.say(NUMBER, "START") == 200
    assert [type(outcome) for outcome in await channel.send([message()])] == [Delivered]
    heard = [(event.text, event.answered) for event in receiver.events if isinstance(event, MessageReceived)]
    assert heard == [("Stop", True), ("Stop it, please", False), ("START", True)]


async def test_replies_are_signed_for_the_public_address_wherever_it_leads(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages, receiver: Receiver
) -> None:
    route, receiver.public_url = simulated.target_url, "https://points.example"
    simulated.tell_to("https://points.example/webhooks/sms", route=route)
    assert await simulated.say(NUMBER, "Hello") == 200
    await channel.send([message()])
    assert await simulated.deliver() == 3
    assert {event.message for event in receiver.events if isinstance(event, MessageReported)} == {"msg-1"}


async def test_a_receiver_that_is_down_hears_nothing(simulated: TwilioSimulator) -> None:
    simulated.tell_to("http://127.0.0.1:9/webhooks/sms")
    assert await simulated.say(NUMBER, "Hello") == 0


async def test_numbers_are_refused_as_they_are_told(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages
) -> None:
    simulated.refuse(NUMBER, 21614)
    (outcome,) = await channel.send([message()])
    assert isinstance(outcome, Rejected)
    assert outcome.because == "address"
    simulated.refuse(NUMBER, 0)
    assert [type(outcome) for outcome in await channel.send([message()])] == [Delivered]


async def test_a_burst_is_refused_and_then_taken(
    simulated: TwilioSimulator, channel: SmsChannel, message: Messages, clock: FakeClock
) -> None:
    simulated.fail(status=429, code=20429, retry_after=3, times=2)
    outcomes = [type(outcome) for _ in range(3) for outcome in await channel.send([message()])]
    assert outcomes == [RetryLater, RetryLater, Delivered]
    assert (channel.pace(), simulated.tally.throttled, len(simulated.messages)) == (3, 2, 1)
    clock.advance(3)
    assert channel.pace() == 0


async def test_the_official_client_sends_and_reads(
    simulated: TwilioSimulator, official: Callable[[Callable[[Any], Any]], Any]
) -> None:
    made = await official(lambda client: client.messages.create(to=NUMBER, from_=simulated.number, body="Hello 🙂"))
    assert (made.sid, made.status, made.num_segments) == (simulated.messages[0].sid, "queued", "1")
    assert made.date_created == NOON
    found = await official(lambda client: client.messages(made.sid).fetch())
    assert (found.body, found.direction) == ("Hello 🙂", "outbound-api")
    account = await official(lambda client: client.api.accounts(simulated.book.account).fetch())
    assert account.status == "active"


async def test_the_official_client_reads_all_pages_and_filters_by_day(
    simulated: TwilioSimulator, official: Callable[[Callable[[Any], Any]], Any]
) -> None:
    for number in range(5):
        simulated.book.make({"To": NUMBER, "From": simulated.number, "Body": f"text {number}"}, NOON)
    listed = await official(lambda client: client.messages.list(to=NUMBER, page_size=2))
    assert len({one.sid for one in listed}) == 5
    since = date(2026, 3, 10)
    assert await official(lambda client: client.messages.list(to=NUMBER, date_sent_after=since)) == []
    await simulated.report(simulated.messages[0], "sent")
    assert len(await official(lambda client: client.messages.list(to=NUMBER, date_sent_after=since))) == 1
    assert await official(lambda client: client.messages.list(to=NUMBER, date_sent_before=date(2026, 3, 9))) == []
    assert await official(lambda client: client.messages.list(to="+14155550199")) == []


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"to": "0171 2345678"}, 21211),
        ({"body": ""}, 21602),
        ({"body": "x" * 1601}, 21617),
        ({"from_": ""}, 21603),
        ({"validity_period": 36_001}, 20422),
    ],
)
async def test_the_official_client_is_refused(
    simulated: TwilioSimulator, official: Callable[[Callable[[Any], Any]], Any], form: dict[str, Any], code: int
) -> None:
    told = {"to": NUMBER, "from_": simulated.number, "body": "Hello", **form}
    with pytest.raises(TwilioRestException) as caught:
        await official(lambda client: client.messages.create(**told))
    assert (caught.value.status, caught.value.code) == (400, code)


async def test_who_has_no_credentials_gets_nothing(simulated: TwilioSimulator) -> None:
    path = f"{simulated.api_url}/2010-04-01/Accounts/{simulated.book.account}/Messages.json"
    async with httpx.AsyncClient(trust_env=False) as http:
        answers = [
            await http.get(path),
            await http.get(path, auth=(simulated.book.account, "a guess")),
            await http.get(path, headers={b"authorization": b"Basic \xc3\xbc"}),
            await http.post(path, auth=(simulated.book.account, "")),
        ]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert simulated.calls == []


@pytest.mark.parametrize("topic", build(1).topics())
def test_every_sample_is_signed_for_whom_it_is(topic: str, settings: Callable[..., TwilioSettings]) -> None:
    simulator, told = build(1), settings()
    simulator.target_url = "https://points.example/webhooks/sms"
    given = {"account_sid": told.account_sid, "auth_token": ["newer token", "older token"]}
    request, source = simulator.sample(topic, settings=given), TwilioWebhooks(told)
    headers = {name.lower(): text for name, text in request.headers.items()}
    verified = source.verify(
        UnverifiedRequest(url=simulator.target_url, headers=headers, body=request.body, received_at=NOON)
    )
    assert len(list(source.events(delivery_of(verified, "k")))) == 1


def test_there_is_no_other_sample() -> None:
    with pytest.raises(ValueError, match="no sample of"):
        build(1).sample("call.completed")


@pytest.mark.parametrize("topic", build(1).topics())
def test_every_forgery_is_refused(topic: str) -> None:
    simulator = build(1)
    source = TwilioWebhooks(TwilioSettings.model_validate(simulator.settings()))
    genuine = simulator.sample(topic)
    validator = RequestValidator(simulator.settings()["auth_token"][0])  # type: ignore[index]
    for seed in range(30):
        forged = simulator.forge(genuine, random.Random(seed))
        headers = {name.lower(): text for name, text in forged.headers.items()}
        url = "https://simulated.example/webhooks/twilio"
        with pytest.raises(InvalidSignature):
            source.verify(UnverifiedRequest(url=url, headers=headers, body=forged.body, received_at=NOON))
        form = MultiDict(parse_qsl(forged.body.decode(), keep_blank_values=True))
        assert not validator.validate(url, form, headers.get("x-twilio-signature", ""))


def test_the_same_seed_gives_the_same_account() -> None:
    assert build(7).settings() == build(7).settings() != build(8).settings()
