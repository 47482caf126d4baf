"""A shop at shop.example: its settings, its fixtures, and a simulated one behind a real network."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog

from stampcard.plugin import ConnectionContext, Delivery, Event, Refetch, UnverifiedRequest, Voucher
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.fulfilling import WooCommerceFulfilment
from stampcard_woocommerce.plugin import WooCommerceSettings
from stampcard_woocommerce.simulated_trade import WooPlan
from stampcard_woocommerce.simulator import WooCommerceSimulator
from stampcard_woocommerce.webhooks import TOPICS, WooCommerceWebhooks

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
FIXTURES = Path(__file__).parent / "fixtures"
SECRET = "newer secret"
#: Where we say that we are: nobody listens there.
OURS = "http://127.0.0.1:9"


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class MemoryStore(dict[str, bytes]):
    """A connection's store without a database; `held` are the keys that somebody held."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[str] = []
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, key: str) -> bytes | None:  # type: ignore[override]
        found = super().get(key)
        await asyncio.sleep(0)  # others come in between, as with a database
        return found

    async def set(self, key: str, value: bytes) -> None:
        self[key] = value

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        self.held.append(key)
        async with self._locks.setdefault(key, asyncio.Lock()):
            yield


def sign(body: bytes, secret: str = SECRET) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


@pytest.fixture
def settings() -> Callable[..., WooCommerceSettings]:
    """Make settings: with keys unless the test says otherwise."""

    def make(**changes: Any) -> WooCommerceSettings:
        values = {
            "shop": "https://shop.example",
            "webhook_secrets": [SECRET, "older secret"],
            "consumer_key": "ck_1",
            "consumer_secret": "cs_1",
        }
        return WooCommerceSettings.model_validate({k: v for k, v in (values | changes).items() if v is not None})

    return make


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def load() -> Callable[[str], Any]:
    """Read a fixture by its name."""
    return lambda name: msgspec.json.decode((FIXTURES / f"{name}.json").read_bytes())


@pytest.fixture
def decode(
    settings: Callable[..., WooCommerceSettings], load: Callable[[str], Any]
) -> Callable[..., list[Event | Refetch]]:
    """Decode a fixture, with some fields of it changed, as the webhook source would."""
    topics = {topic.replace("/", "_").replace(".", "_"): topic for topic in TOPICS}

    def run(
        name: str, changes: Mapping[str, Any] | None = None, *, received: datetime = NOW, **chosen: Any
    ) -> list[Event | Refetch]:
        body = load(name)
        target = body.get("order", body)
        target.update(changes or {})
        topic = topics[name.partition("__")[0]]
        delivery = Delivery(
            connection="shop",
            key="k",
            topic=topic,
            body=msgspec.json.encode(body),
            received_at=received,
            read_at=1_773_144_000_000_000 if topic.startswith("fetched/") else 0,
        )
        return list(WooCommerceWebhooks(settings(**chosen)).events(delivery))

    return run


@pytest.fixture
def request_of() -> Callable[..., UnverifiedRequest]:
    """Make a signed webhook request; headers given as None are left out."""

    def make(body: bytes = b'{"id":1}', secret: str = SECRET, **headers: str | None) -> UnverifiedRequest:
        told: dict[str, str | None] = {
            "signature": sign(body, secret),
            "topic": "order.updated",
            "resource": "order",
            "event": "updated",
            "source": "https://shop.example/",
            "id": "11",
            "delivery-id": "b54557e4",
        }
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {f"x-wc-webhook-{name}": value for name, value in told.items() if value is not None}
        return UnverifiedRequest(url="https://points.example/webhooks/shop", headers=sent, body=body, received_at=NOW)

    return make


@pytest.fixture
def voucher() -> Callable[..., Voucher]:
    """Make a voucher of a kind: whatever it must say is there unless the test says otherwise."""
    needed: dict[str, dict[str, Any]] = {
        "amount_off": {"amount": Decimal("5.00")},
        "percent_off": {"percent": Decimal("12.5")},
        "free_shipping": {},
        "free_product": {"products": ("31",)},
    }

    def make(kind: Any = "amount_off", number: int = 1, **changes: Any) -> Voucher:
        values = {
            "key": f"redemption-{number}",
            "title": "Thank you",
            "code": f"THANKS-ABCD-EFG{number}",
            "reference": "9001",
            "currency": "USD",
            "starts_at": NOW,
        }
        return Voucher(kind=kind, **{**values, **needed.get(kind, {}), **changes})

    return make


@pytest.fixture
async def simulated(clock: FakeClock) -> AsyncIterator[WooCommerceSimulator]:
    """A simulated shop, still without customers, whose API never fails by itself."""
    shop = WooCommerceSimulator(5, WooPlan(api_failures=0.0), clock)
    await shop.start()
    yield shop
    await shop.stop()


@pytest.fixture
async def connection(
    simulated: WooCommerceSimulator, clock: FakeClock, store: MemoryStore
) -> AsyncIterator[Callable[..., ConnectionContext[WooCommerceSettings]]]:
    """Make a context of a connection to the simulated shop; all of one test share clock, store and network."""
    async with httpx.AsyncClient(trust_env=False) as http:

        def make(**changes: Any) -> ConnectionContext[WooCommerceSettings]:
            values = {k: v for k, v in ({**simulated.settings(), **changes}).items() if v is not None}
            return ConnectionContext(
                name="shop",
                settings=WooCommerceSettings.model_validate(values),
                http=http,
                clock=clock,
                log=structlog.get_logger(),
                store=store,
                public_url=OURS,
            )

        yield make


@pytest.fixture
def client(connection: Callable[..., ConnectionContext[WooCommerceSettings]]) -> Client:
    return Client(connection())


@pytest.fixture
def fulfilment(client: Client, clock: FakeClock) -> WooCommerceFulfilment:
    return WooCommerceFulfilment(client, clock, restricted=True)
