"""The simulated till: it signs as the specification says, fails as planned, and remembers what it was told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.exceptions import InvalidSignature as DoesNotFit
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook

from stampcard.domain.value import replace
from stampcard.plugin import Delivery, InvalidSignature, UnverifiedRequest, VerifiedRequest
from stampcard.testing.clock import NOON, FakeClock
from stampcard.testing.simulator import SignedRequest
from stampcard_standard_webhooks.messages import TYPES
from stampcard_standard_webhooks.plugin import StandardWebhooksSettings
from stampcard_standard_webhooks.simulated_forging import Forger
from stampcard_standard_webhooks.simulated_signing import Keys
from stampcard_standard_webhooks.simulated_trade import TillPlan
from stampcard_standard_webhooks.simulator import TillSimulator, build
from stampcard_standard_webhooks.webhooks import GenericWebhooks

SHARED = "a-secret-of-this-test"
WHSEC = "whsec_ZnJvbSB0aGUgdGlsbCwgb25lIG9mIDMwIGJ5dGVz"
WAYS = [way.__name__ for way in Forger(Keys(random.Random(1))).ways()]


def source_of(settings: Any) -> GenericWebhooks:
    return GenericWebhooks(StandardWebhooksSettings.model_validate(settings))


def known(till: TillSimulator, setting: str = "webhook_secrets") -> list[str]:
    """The secrets that a connection to the till is told."""
    secrets = till.settings()[setting]
    assert isinstance(secrets, list)
    return secrets


def unverified(request: SignedRequest) -> UnverifiedRequest:
    headers = {name.lower(): text for name, text in request.headers.items()}
    return UnverifiedRequest(url="", headers=headers, body=request.body, received_at=NOON)


def is_signed_by(key: Ed25519PublicKey, entry: str, content: bytes) -> bool:
    try:
        key.verify(base64.b64decode(entry.removeprefix("v1a,")), content)
    except DoesNotFit:
        return False
    return True


def test_what_it_sends_is_signed_as_the_published_library_signs_by_each_of_its_keys(clock: FakeClock) -> None:
    till = TillSimulator(4, clock=clock)
    newer, former, public = known(till)
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("whpk_")))
    used: set[str] = set()
    for request in till.history(20):
        id_, told = request.headers["webhook-id"], request.headers["webhook-signature"].split(" ")
        due = {Webhook(secret).sign(id_, NOON, request.body.decode()): secret for secret in (newer, former)}
        content = b".".join((id_.encode(), request.headers["webhook-timestamp"].encode(), request.body))
        vouching = {due[entry] for entry in told if entry in due}
        vouching |= {public for entry in told if entry.startswith("v1a,") and is_signed_by(key, entry, content)}
        assert vouching, "some key vouches for each"
        used |= vouching
    assert used == {newer, former, public}


def test_its_history_tells_of_everything_in_the_published_schema(clock: FakeClock) -> None:
    till = TillSimulator(4, TillPlan(guests=0.0), clock)
    source = source_of(till.settings())
    kinds: dict[str, int] = {}
    for request in till.history(40):
        verified = source.verify(unverified(request))
        assert isinstance(verified, VerifiedRequest)
        delivery = Delivery(connection="till", key="k", topic=verified.topic, body=request.body, received_at=NOON)
        assert list(source.events(delivery))
        kind = json.loads(request.body)["type"]
        kinds[kind] = kinds.get(kind, 0) + 1
    assert kinds.keys() == TYPES.keys() - {"customer.merged"}
    tally = till.tally
    assert (tally.orders, tally.edited, tally.cancelled, tally.refunded_orders) == (40, 4, 6, 12)


def test_the_same_seed_lives_through_the_same_history(clock: FakeClock) -> None:
    def lived(seed: int) -> list[SignedRequest]:
        return list(TillSimulator(seed, clock=clock).history(30))

    assert lived(4) == lived(4)
    assert [one.body for one in lived(4)] != [one.body for one in lived(5)]


@pytest.mark.parametrize("way", WAYS)
def test_each_kind_of_forgery_is_refused_where_the_genuine_one_is_taken(way: str, clock: FakeClock) -> None:
    till = TillSimulator(4, clock=clock)
    source = source_of(till.settings())
    requests = list(till.history(3))
    ids = {request.headers["webhook-id"] for request in requests}
    assert len(ids) == len(requests) > 5
    for request in requests:
        source.verify(unverified(request))
        forged = getattr(till._forger, way)(request)
        assert forged != request
        assert forged.headers["webhook-id"] in ids or way == "renamed"
        with pytest.raises(InvalidSignature):
            source.verify(unverified(forged))


@pytest.mark.parametrize("signature", ["standard", "hmac-sha256-hex", "hmac-sha256-base64", "token"])
@pytest.mark.parametrize("topic", build(3).topics())
def test_a_sample_is_signed_for_whoever_asks_and_can_be_read(topic: str, signature: str, clock: FakeClock) -> None:
    till = TillSimulator(3, clock=clock)
    settings: dict[str, Any] = {"signature": signature, "webhook_secrets": [SHARED], "signature_header": "X-Sign"}
    if signature == "standard":
        # What a public key proves nobody can sign here.
        settings = {"webhook_secrets": [known(till)[2], WHSEC]}
    request = till.sample(topic, settings=settings)
    source = source_of(settings)
    verified = source.verify(unverified(request))
    assert isinstance(verified, VerifiedRequest)
    delivery = Delivery(connection="till", key="k", topic=verified.topic, body=verified.body, received_at=NOON)
    assert list(source.events(delivery))
    if signature == "hmac-sha256-hex":
        assert request.headers["X-Sign"] == hmac.new(SHARED.encode(), request.body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "takes no webhooks in: it has no webhook_secrets"),
        ({"webhook_secrets": [WHSEC], "mapping": {"order": {}}}, "has a mapping"),
        ({"webhook_secrets": "whpk_anything"}, "has public keys alone"),
        ({"webhook_secrets": ["whpk_x", WHSEC], "mapping": None}, ""),
        ({"webhook_secrets": "whpk_an-odd-token", "signature": "token", "signature_header": "X-Token"}, ""),
    ],
)
def test_it_says_for_which_connections_it_can_make_nothing_up(settings: dict[str, Any], why: str) -> None:
    till = build(3)
    assert till.unfit(settings).startswith(why)
    assert bool(till.unfit(settings)) is bool(why)
    if why:
        with pytest.raises(ValueError, match=why):
            till.sample("order.paid", settings=settings)
    else:
        assert till.sample("order.paid", settings=settings).body


def test_there_are_samples_of_its_topics_alone() -> None:
    with pytest.raises(ValueError, match="no sample of 'tea"):
        build(3).sample("tea.made")


async def test_what_was_not_taken_is_sent_again_under_the_same_id_with_the_time_of_then(clock: FakeClock) -> None:
    plan = TillPlan(duplicates=0.0, forged=0.0, lost_answers=0.0, window=0, senders=1, first_pause=0.001)
    till = TillSimulator(4, plan, clock)
    attempts: dict[str, list[tuple[int, bytes]]] = {}
    source = source_of(till.settings())

    async def take(request: web.Request) -> web.Response:
        raw = SignedRequest(headers=dict(request.headers), body=await request.read())
        at = int(request.headers["webhook-timestamp"])
        attempts.setdefault(request.headers["webhook-id"], []).append((at, raw.body))
        if at == int(NOON.timestamp()):
            source.verify(unverified(raw))
        clock.advance(20)
        return web.Response(status=503 if len(attempts[request.headers["webhook-id"]]) == 1 else 200)

    application = web.Application()
    application.router.add_post("/", take)
    async with TestServer(application) as server:
        await till.trade(str(server.make_url("/")), 2)
    assert attempts
    for first, second in attempts.values():
        assert (second[0] - first[0], second[1]) == (20, first[1])
    assert (till.tally.redelivered, till.tally.acknowledged) == (len(attempts), len(attempts))


Telling = Callable[..., Any]


@asynccontextmanager
async def serving(plan: TillPlan, clock: FakeClock) -> AsyncIterator[tuple[TillSimulator, Telling]]:
    """A till, and how it is told figures: ``await tell(version, active)`` gives the status, 0 for no answer."""
    till = TillSimulator(4, plan, clock)
    till._trade.newcomer(NOON)
    await till.start()
    (customer,) = till.book.customers
    url, secrets = str(till.settings()["state_url"]), known(till, "secrets")
    async with aiohttp.ClientSession() as session:

        async def tell(
            version: int,
            active: int,
            *,
            reference: str = customer,
            number: int = 1,
            id_: str = "",
            kind: str = "balance",
        ) -> int:
            figures = {"points": {"active": active, "pending": 0, "lifetime": active}}
            data = {"member": "m", "reference": reference, "version": version, "balances": figures}
            body = json.dumps({"type": f"member.{kind}", "timestamp": NOON.isoformat(), "data": data})
            id_ = id_ or f"msg_{version}{active}{reference}"
            headers = {
                "webhook-id": id_,
                "webhook-timestamp": str(int(clock.now().timestamp())),
                "webhook-signature": Webhook(secrets[number]).sign(id_, clock.now(), body),
            }
            try:
                async with session.post(url, data=body.encode(), headers=headers) as answer:
                    return answer.status
            except aiohttp.ServerDisconnectedError:
                return 0

        yield till, tell
    await till.stop()


@pytest.fixture
def calm(clock: FakeClock) -> AbstractAsyncContextManager[tuple[TillSimulator, Telling]]:
    return serving(TillPlan(api_failures=0.0, throttles=0.0), clock)


async def test_it_shows_the_newest_figures_that_it_was_told(calm: Any) -> None:
    async with calm as (till, tell):
        (customer,) = till.book.customers
        assert [await tell(2, 50), await tell(5, 70), await tell(4, 60)] == [204] * 3
        assert (till.shown(), till.shown_versions()) == ({customer: 70}, {customer: 5})
        assert (till.tally.pushes_received, till.tally.regressions) == (3, 1)
        assert till.receiver.strangers == set()


async def test_it_believes_only_what_its_own_secret_proves_and_what_is_said_the_same_way_twice(
    calm: Any, clock: FakeClock
) -> None:
    async with calm as (till, tell):
        assert await tell(2, 50, number=0) == 401, "a secret that it does not know yet"
        assert await tell(2, 50, kind="joined") == 401
        assert await tell(2, 50, id_="msg.1") == 401
        assert [await tell(2, 50, id_="msg_1"), await tell(2, 50, id_="msg_1")] == [204, 204]
        assert await tell(2, 51, id_="msg_1") == 401
        assert len(till.receiver.doubts) == 4
        assert till.shown().popitem()[1] == 50


async def test_nobody_that_was_erased_is_shown_and_whom_it_never_knew_is_remembered(calm: Any) -> None:
    async with calm as (till, tell):
        (customer,) = till.book.customers
        assert [await tell(2, 50), await tell(2, 50, reference="who?")] == [204, 204]
        till.book.erased.add(customer)
        assert till.shown() == {"who?": 50}
        assert till.receiver.strangers == {"who?"}


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [("api_failures", {500, 502, 503}), ("throttles", {429}), ("gone", {410}), ("hangs", {0})],
)
async def test_it_fails_as_planned_and_nobodys_figures_twice_in_a_row(
    fault: str, statuses: set[int], clock: FakeClock
) -> None:
    plan = replace(TillPlan(api_failures=0.0, throttles=0.0, hang=0.01), **{fault: 1.0})
    async with serving(plan, clock) as (till, tell):
        assert await tell(2, 50) in statuses
        assert till.shown() == {}
        assert await tell(2, 50) == 204
        assert await tell(3, 60) in statuses
        assert till.tally.throttled + till.tally.failures_injected == 2
        assert till.tally.throttled == (2 if fault == "throttles" else 0)
