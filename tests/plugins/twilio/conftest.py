"""An account at Twilio: its settings, its fixtures, and a simulated one behind a real network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import structlog

from stampcard.plugin import ConnectionContext, Delivery, Event, Message
from stampcard.testing.clock import NOON
from stampcard.testing.clock import FakeClock as Clock
from stampcard_twilio.calling import Client
from stampcard_twilio.sending import SmsChannel
from stampcard_twilio.settings import TwilioSettings
from stampcard_twilio.simulator import TwilioSimulator
from stampcard_twilio.webhooks import TwilioWebhooks

ACCOUNT = "AC" + "0123456789abcdef" * 2
FIXTURES = Path(__file__).parent / "fixtures"
Vendor = Callable[[httpx.Request], httpx.Response]


class NoStore:
    """A connection's store of which nothing is asked."""

    async def get(self, key: str) -> bytes | None:
        raise AssertionError(key)

    async def set(self, key: str, value: bytes) -> None:
        raise AssertionError(key, value)

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        raise AssertionError(key)
        yield


@pytest.fixture
def settings() -> Callable[..., TwilioSettings]:
    """Make settings; those given as None are left out."""

    def make(**changes: Any) -> TwilioSettings:
        values = {"account_sid": ACCOUNT, "auth_token": ["newer token", "older token"], "sender": "+14155550100"}
        return TwilioSettings.model_validate({k: v for k, v in {**values, **changes}.items() if v is not None})

    return make


@pytest.fixture
def clock() -> Clock:
    return Clock(hurried=True)


@pytest.fixture
def message() -> Callable[..., Message]:
    """Make a message, changed as the test wants."""

    def make(**changes: Any) -> Message:
        values: dict[str, Any] = {
            "id": "msg-1",
            "name": "welcome",
            "member": "m-1",
            "to": "+14155550123",
            "purpose": "marketing",
            "language": "en",
            "direction": "ltr",
            "text": "You have 12 points.",
            "reports": "https://points.example/webhooks/sms",
        }
        return Message(**{**values, **changes})

    return make


@pytest.fixture
def context(clock: Clock, settings: Callable[..., TwilioSettings]) -> Callable[..., ConnectionContext[TwilioSettings]]:
    """Make a context; the network is the given client."""

    def make(http: httpx.AsyncClient, **changes: Any) -> ConnectionContext[TwilioSettings]:
        return ConnectionContext(
            name="sms",
            settings=settings(**changes),
            http=http,
            clock=clock,
            log=structlog.get_logger(),
            store=NoStore(),
            public_url="https://points.example",
        )

    return make


@pytest.fixture
def played(context: Callable[..., ConnectionContext[TwilioSettings]], clock: Clock) -> Callable[..., SmsChannel]:
    """A channel whose vendor the test plays."""

    def make(vendor: Vendor, **changes: Any) -> SmsChannel:
        told = context(httpx.AsyncClient(transport=httpx.MockTransport(vendor)), **changes)
        return SmsChannel(Client(told), told.settings, clock)

    return make


@pytest.fixture
async def simulated(clock: Clock) -> AsyncIterator[TwilioSimulator]:
    """A simulated account, on the test's own clock."""
    account = TwilioSimulator(5, clock)
    await account.start()
    yield account
    await account.stop()


@pytest.fixture
async def connection(
    simulated: TwilioSimulator, context: Callable[..., ConnectionContext[TwilioSettings]]
) -> AsyncIterator[Callable[..., ConnectionContext[TwilioSettings]]]:
    """Make a context of a connection to the simulated account."""
    async with httpx.AsyncClient(trust_env=False) as http:
        yield lambda **changes: context(http, **{**simulated.settings(), **changes})


@pytest.fixture
def channel(connection: Callable[..., ConnectionContext[TwilioSettings]], clock: Clock) -> SmsChannel:
    """A channel of the simulated account, after it has sent nothing yet."""
    told = connection()
    return SmsChannel(Client(told), told.settings, clock)


@pytest.fixture
def decode(settings: Callable[..., TwilioSettings]) -> Callable[..., list[Event]]:
    """Decode a fixture by its name, or the fields of a form, as the webhook source would."""

    def run(what: str | Mapping[str, str], *, message: str = "", **changes: Any) -> list[Event]:
        if isinstance(what, str):
            topic, body = what.partition("__")[0], (FIXTURES / f"{what}.form").read_bytes()
        else:
            topic, body = "status" if "MessageStatus" in what else "inbound", urlencode(what).encode()
        headers = {"message": message} if message else {}
        delivery = Delivery(
            connection="sms", key="k", topic=topic, body=body, received_at=NOON + timedelta(minutes=3), headers=headers
        )
        return list(TwilioWebhooks(settings(**changes)).events(delivery))

    return run
