"""Callbacks, from the phone to the event."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from aiohttp import web

from stampcard.plugin import (
    CannotVerify,
    Capabilities,
    Delivery,
    Event,
    InvalidSignature,
    MalformedPayload,
    PassPush,
    PassRemoved,
    PassSaved,
    PassSink,
    UnverifiedRequest,
    VerifiedRequest,
    WebhookSource,
)
from stampcard.testing.clock import FakeClock
from stampcard.testing.simulator import SignedRequest
from stampcard_google_wallet.keys import AGAIN, DOUBT
from stampcard_google_wallet.plugin import connect
from stampcard_google_wallet.simulated_signing import Notary
from stampcard_google_wallet.simulator import GoogleWalletSimulator
from stampcard_google_wallet.webhooks import GoogleWalletWebhooks

SERIAL, OTHER = "a0" * 12, "b1" * 12
Pushes = Callable[..., PassPush]


def source_of(able: Capabilities) -> WebhookSource:
    assert able.webhook is not None
    return able.webhook


def unverified(request: SignedRequest, clock: FakeClock) -> UnverifiedRequest:
    headers = {name.lower(): text for name, text in request.headers.items()}
    url = "https://points.example/webhooks/phone"
    return UnverifiedRequest(url=url, headers=headers, body=request.body, received_at=clock.now())


def delivered(verified: VerifiedRequest | Any, clock: FakeClock) -> Delivery:
    return Delivery(connection="phone", key="k", topic=verified.topic, body=verified.body, received_at=clock.now())


def taken(source: WebhookSource, request: SignedRequest, clock: FakeClock) -> list[Event]:
    return list(source.events(delivered(source.verify(unverified(request, clock)), clock)))  # type: ignore[arg-type]


class Receiver:
    """Takes callbacks as the host does."""

    def __init__(self, source: WebhookSource, clock: FakeClock) -> None:
        self.source, self.clock = source, clock
        self.keys: list[str] = []
        self.events: list[Event] = []

    async def take(self, request: web.Request) -> web.Response:
        told = unverified(SignedRequest(headers=dict(request.headers), body=await request.read()), self.clock)
        try:
            verified = self.source.verify(told)
        except InvalidSignature:
            return web.Response(status=401)
        except CannotVerify:
            return web.Response(status=503)
        assert isinstance(verified, VerifiedRequest)
        self.keys.append(self.source.delivery_key(verified))
        self.events += self.source.events(delivered(verified, self.clock))  # type: ignore[arg-type]
        return web.Response()


@pytest.fixture
async def receiver(google: GoogleWalletSimulator, able: Capabilities, clock: FakeClock) -> AsyncIterator[Receiver]:
    """A receiver that our public address leads to."""
    taking, server = Receiver(source_of(able), clock), web.Application()
    server.router.add_post("/webhooks/phone", taking.take)
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    google.hooks.route = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/phone"
    yield taking
    await runner.cleanup()


async def test_whoever_saves_a_card_and_takes_it_off_is_heard_of(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes, receiver: Receiver, clock: FakeClock
) -> None:
    await passes.deliver([push()])
    assert await google.save(await passes.link(push(), is_there=True)) == 200
    clock.advance(60)
    assert await google.remove(SERIAL) == 200
    assert receiver.events == [
        PassSaved(serial=SERIAL, occurred_at=clock.now() - timedelta(seconds=60)),
        PassRemoved(serial=SERIAL, occurred_at=clock.now()),
    ]
    assert len(set(receiver.keys)) == 2


async def test_a_card_that_was_saved_by_a_short_address_is_heard_of(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes, receiver: Receiver
) -> None:
    assert await google.save(await passes.link(push(), is_there=False)) == 200
    assert [event.serial for event in receiver.events if isinstance(event, PassSaved)] == [SERIAL]


async def test_several_cards_at_once_are_heard_of_each(
    google: GoogleWalletSimulator, able: Capabilities, clock: FakeClock
) -> None:
    names = [f"{google.issuer}.{SERIAL}", f"{google.issuer}.{OTHER}", f"{google.issuer}9.{OTHER}", f"{google.issuer}."]
    request = google.hooks.signed(google.hooks.message("save", "1.c", names), google.issuer, clock.now())
    events = taken(source_of(able), request, clock)
    assert [event.serial for event in events if isinstance(event, PassSaved)] == [SERIAL, OTHER]
    assert source_of(able).subject(delivered(source_of(able).unchecked(unverified(request, clock)), clock)) is None


async def test_the_key_of_a_delivery_is_its_nonce(
    google: GoogleWalletSimulator, able: Capabilities, clock: FakeClock
) -> None:
    request = google.sample("pass.saved")
    verified = source_of(able).verify(unverified(request, clock))
    nonce = json.loads(json.loads(request.body)["signedMessage"])["nonce"]
    assert isinstance(verified, VerifiedRequest)
    assert source_of(able).delivery_key(verified) == nonce


@pytest.mark.parametrize(
    "changes", [{"nonce": ""}, {"nonce": "n" * 5000}, {"nonce": "a\x00"}, {"nonce": 7}, {"eventType": 7}]
)
async def test_a_message_without_a_usable_nonce_has_a_key_all_the_same(
    google: GoogleWalletSimulator, able: Capabilities, clock: FakeClock, changes: dict[str, Any]
) -> None:
    message = {**google.hooks.message("save", "1.c", [f"{google.issuer}.{SERIAL}"]), **changes}
    request = unverified(google.hooks.signed(message, google.issuer, clock.now()), clock)
    verified = source_of(able).verify(request)
    assert isinstance(verified, VerifiedRequest)
    assert len(source_of(able).delivery_key(verified)) == 64


async def test_what_is_signed_and_says_nothing_is_malformed(able: Capabilities, clock: FakeClock) -> None:
    for body in (b"{}", b"", b'{"signedMessage": "{}"}'):
        delivery = Delivery(connection="phone", key="k", topic="save", body=body, received_at=clock.now())
        with pytest.raises(MalformedPayload):
            list(source_of(able).events(delivery))


@pytest.mark.parametrize("topic", ["pass.saved", "pass.removed"])
async def test_every_forgery_is_refused(
    google: GoogleWalletSimulator, able: Capabilities, clock: FakeClock, topic: str
) -> None:
    genuine = google.sample(topic)
    assert len(taken(source_of(able), genuine, clock)) == 1
    for seed in range(40):
        forged = google.forge(genuine, random.Random(seed))
        with pytest.raises(InvalidSignature):
            source_of(able).verify(unverified(forged, clock))


# Google's keys


async def settled(source: WebhookSource) -> None:
    """Let what was asked for in the background come."""
    assert isinstance(source, GoogleWalletWebhooks)
    if (task := source._keys._task) is not None:
        await task


async def test_without_keys_nobody_can_tell_and_they_are_asked_for_once(
    google: GoogleWalletSimulator, connection: Any, clock: FakeClock
) -> None:
    google.fail("GET keys", 500)
    source = source_of(await connect(connection()))
    request = unverified(google.sample("pass.saved"), clock)
    for _ in range(20):
        with pytest.raises(CannotVerify, match=r"Google gives no keys \(500\)"):
            source.verify(request)
    assert len([task for task in asyncio.all_tasks() if "_have" in repr(task)]) == 1
    await settled(source)
    assert isinstance(source.verify(request), VerifiedRequest)


async def test_keys_are_kept_until_they_are_over_also_by_other_processes(
    google: GoogleWalletSimulator, connection: Any, clock: FakeClock
) -> None:
    seen: list[str] = []

    def play(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return httpx.Response(200, json=google.notary.published(clock.now()))

    for _ in range(3):
        assert len(taken(source_of(await connect(connection(play=play))), google.sample("pass.saved"), clock)) == 1
    assert seen == ["/gp/m/issuer/keys"]
    source = source_of(await connect(connection(play=play)))
    clock.advance(timedelta(days=366))
    with pytest.raises(CannotVerify):
        source.verify(unverified(google.sample("pass.saved"), clock))
    await settled(source)
    assert len(taken(source, google.sample("pass.saved"), clock)) == 1
    assert len(seen) == 2


async def test_a_key_that_google_published_only_lately_is_found_and_forgeries_make_us_call_once_an_hour(
    google: GoogleWalletSimulator, connection: Any, clock: FakeClock
) -> None:
    seen: list[Notary] = []

    def play(_: httpx.Request) -> httpx.Response:
        seen.append(google.notary)
        return httpx.Response(200, json=google.notary.published(clock.now()))

    source = source_of(await connect(connection(play=play)))
    clock.advance(DOUBT + timedelta(seconds=1))
    google.hooks._notary = google.notary = Notary()
    for _ in range(3):
        with pytest.raises(InvalidSignature):
            source.verify(unverified(google.forge(google.sample("pass.saved"), random.Random(0)), clock))
    await settled(source)
    assert len(taken(source, google.sample("pass.saved"), clock)) == 1
    for _ in range(3):
        strange = Notary().envelope({"eventType": "save"}, google.issuer, clock.now())
        with pytest.raises(InvalidSignature):
            source.verify(unverified(SignedRequest(headers={}, body=json.dumps(strange).encode()), clock))
        await settled(source)
    assert len(seen) == 2


async def test_a_look_at_googles_keys_that_failed_is_taken_again_after_a_minute(
    google: GoogleWalletSimulator, connection: Any, clock: FakeClock
) -> None:
    source = source_of(await connect(connection()))
    google.hooks._notary = google.api._notary = google.notary = Notary()
    google.fail("GET keys", 503, times=2)

    async def is_taken() -> bool:
        try:
            return len(taken(source, google.sample("pass.saved"), clock)) == 1
        except InvalidSignature:
            await settled(source)
            return False

    clock.advance(DOUBT)
    for failures in (1, 1, 2):
        assert not await is_taken()
        assert google.tally.failures_injected == failures
        clock.advance(AGAIN / 2 + timedelta(seconds=1))
    clock.advance(AGAIN / 2)
    assert not await is_taken()
    assert await is_taken()


async def test_a_server_that_lists_no_keys_of_use_is_told_of(
    google: GoogleWalletSimulator, connection: Any, clock: FakeClock
) -> None:
    able = await connect(connection(play=lambda _: httpx.Response(200, json={"keys": []})))
    with pytest.raises(CannotVerify, match="none of the keys that Google publishes counts"):
        source_of(able).verify(unverified(google.sample("pass.saved"), clock))
