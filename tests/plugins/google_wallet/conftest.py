"""An issuer account at Google: its settings, its cards, and a simulated one behind a real network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import structlog

from stampcard.plugin import (
    Capabilities,
    CardDesign,
    CardField,
    ConnectionContext,
    Message,
    PassPush,
    PassSink,
    RotatingCode,
)
from stampcard.testing.clock import FakeClock
from stampcard.testing.rules.case import MemoryStore
from stampcard_google_wallet.plugin import connect
from stampcard_google_wallet.settings import GoogleWalletSettings
from stampcard_google_wallet.simulator import GoogleWalletSimulator

#: Where we say that we are.
OURS = "https://points.example"
SERIAL, OTHER = "a0" * 12, "b1" * 12
Make = Callable[..., ConnectionContext[GoogleWalletSettings]]
Vendor = Callable[[httpx.Request], httpx.Response]

DESIGN = CardDesign(
    program="coffee",
    language="en",
    name={"en": "Coffee club", "ar": "نادي القهوة"},
    issuer={"en": "Hill Roasters", "nl": "Hill Branders"},
    logo="https://hill.example/logo.png",
    banner="https://hill.example/banner.png",
    colour="#7f5539",
    page="https://hill.example/club",
    labels={
        "points": {"en": "Points", "nl": "Punten"},
        "tier": {"en": "Tier"},
        "next_reward": {"en": "Next reward", "nl": "Volgende beloning"},
    },
)
CODE = RotatingCode(
    pattern="https://points.example/c/R123412341234.{timestamp}.{password}",
    key="31323334353637383930" * 2,
    period=30,
    digits=8,
)


def make_push(serial: str = SERIAL, **changes: Any) -> PassPush:
    """A member's card, changed as the test wants."""
    values: dict[str, Any] = {
        "member": "m-1",
        "version": 3,
        "serial": serial,
        "language": "en",
        "design": DESIGN,
        "holder": "Zoë Archer",
        "number": "123412341234",
        "code": "https://points.example/c/S123412341234ABCDEFGHJK",
        "page": "https://points.example/pass/token",
        "fields": (
            CardField(name="points", text="1,250", number="1250"),
            CardField(name="tier", text="Gold"),
            CardField(name="next_reward", text="A free coffee"),
        ),
    }
    return PassPush(**{**values, **changes})


@pytest.fixture
def push() -> Callable[..., PassPush]:
    return make_push


@pytest.fixture
def message() -> Callable[..., Message]:
    """Make a message, changed as the test wants."""

    def make(**changes: Any) -> Message:
        values: dict[str, Any] = {
            "id": "msg-1",
            "name": "welcome",
            "member": "m-1",
            "to": SERIAL,
            "purpose": "marketing",
            "language": "en",
            "direction": "ltr",
            "subject": "Good news",
            "text": "You have 12 points.",
            "link": "https://points.example/m/1",
        }
        return Message(**{**values, **changes})

    return make


@pytest.fixture
def clock() -> FakeClock:
    """Time that passes only when somebody sleeps."""
    return FakeClock(hurried=True)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def google(clock: FakeClock) -> AsyncIterator[GoogleWalletSimulator]:
    """A simulated Google Wallet, on the test's own clock."""
    one = GoogleWalletSimulator(5, clock)
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
def settings(google: GoogleWalletSimulator) -> Callable[..., GoogleWalletSettings]:
    """Make settings of a connection to the simulated one; those given as None are left out."""

    def make(**changes: Any) -> GoogleWalletSettings:
        values = {**google.settings(), **changes}
        return GoogleWalletSettings.model_validate({name: one for name, one in values.items() if one is not None})

    return make


@pytest.fixture
async def connection(
    clock: FakeClock, store: MemoryStore, settings: Callable[..., GoogleWalletSettings]
) -> AsyncIterator[Make]:
    """Make a context: of a connection to the simulated one, or to what a handler plays."""
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))

        def make(
            *, play: Vendor | None = None, public_url: str = OURS, **changes: Any
        ) -> ConnectionContext[GoogleWalletSettings]:
            return ConnectionContext(
                name="phone",
                settings=settings(**changes),
                http=plain if play is None else httpx.AsyncClient(transport=httpx.MockTransport(play)),
                clock=clock,
                log=structlog.get_logger(),
                store=store,
                public_url=public_url,
            )

        yield make


@pytest.fixture
async def able(connection: Make) -> Capabilities:
    """What a connection to the simulated one can do."""
    capabilities: Capabilities = await connect(connection())
    return capabilities


@pytest.fixture
def sink(connection: Make) -> Callable[..., Awaitable[PassSink]]:
    """Make the sink of a connection with changed settings, or to what a handler plays."""

    async def make(**changes: Any) -> PassSink:
        capabilities: Capabilities = await connect(connection(**changes))
        return _sink_of(capabilities)

    return make


@pytest.fixture
def passes(able: Capabilities) -> PassSink:
    return _sink_of(able)


def _sink_of(able: Capabilities) -> PassSink:
    (one,) = able.sinks
    assert isinstance(one, PassSink)
    return one
