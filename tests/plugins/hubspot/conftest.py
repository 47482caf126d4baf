"""A simulated portal behind a real network, and somebody who calls it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import structlog

from stampcard.plugin import Capabilities, ConnectionContext
from stampcard.testing.clock import FakeClock
from stampcard.testing.rules.case import MemoryStore
from stampcard_hubspot.plugin import HubSpotSettings, connect
from stampcard_hubspot.simulated_plan import CALM
from stampcard_hubspot.simulator import HubSpotSimulator


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def simulated(clock: FakeClock) -> AsyncIterator[HubSpotSimulator]:
    portal = HubSpotSimulator(7, CALM, clock)
    await portal.start()
    yield portal
    await portal.stop()


@pytest.fixture
async def api(simulated: HubSpotSimulator) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {simulated.access_token}"}
    async with httpx.AsyncClient(base_url=simulated.api_url, headers=headers, trust_env=False) as asking:
        yield asking


#: Where we say that we are.
OURS = "https://points.example"
SETTINGS = {"portal_id": 4711, "access_token": "pat-of-the-tests", "webhook_secrets": ["newer secret", "older secret"]}
Make = Callable[..., ConnectionContext[HubSpotSettings]]


@pytest.fixture
def hurried() -> FakeClock:
    """Time that passes only when somebody sleeps."""
    return FakeClock(hurried=True)


@pytest.fixture
async def portal(hurried: FakeClock) -> AsyncIterator[HubSpotSimulator]:
    """A simulated portal whose time passes when somebody sleeps."""
    one = HubSpotSimulator(7, CALM, hurried)
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def connection(hurried: FakeClock, store: MemoryStore) -> AsyncIterator[Make]:
    """Make a context: of a connection to a simulated portal, or to what a handler plays."""
    async with AsyncExitStack() as stack:

        async def opened(transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
            return await stack.enter_async_context(httpx.AsyncClient(transport=transport, trust_env=False))

        plain = await opened(None)

        def make(
            given: dict[str, Any] | None = None, *, play: Callable[[httpx.Request], Any] | None = None, **changes: Any
        ) -> ConnectionContext[HubSpotSettings]:
            http = plain if play is None else httpx.AsyncClient(transport=httpx.MockTransport(play), trust_env=False)
            values = {name: value for name, value in ({**(given or SETTINGS), **changes}).items() if value is not None}
            return ConnectionContext(
                name="crm",
                settings=HubSpotSettings.model_validate(values),
                http=http,
                clock=hurried,
                log=structlog.get_logger(),
                store=store,
                public_url=OURS,
            )

        yield make


@pytest.fixture
async def able(portal: HubSpotSimulator, connection: Make) -> Capabilities:
    """What a connection to the simulated portal can do, with all properties made."""
    context = connection(portal.settings())
    able: Capabilities = await connect(context)
    assert able.contacts is not None
    await able.contacts.prepare(context.settings.pairs(context.settings.defaults))
    return able
