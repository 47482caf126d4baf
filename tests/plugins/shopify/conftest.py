"""A shop called acme: its settings, its fixtures, and a connection to it whose network is a router."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import respx
import structlog

from stampcard.plugin import ConnectionContext, Delivery, Event, Refetch, UnverifiedRequest, Voucher
from stampcard.testing.rules.case import MemoryStore
from stampcard_shopify.client import Client
from stampcard_shopify.fulfilling import ShopifyFulfilment
from stampcard_shopify.plugin import ShopifySettings
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulator import ShopifySimulator
from stampcard_shopify.webhooks import TOPICS, ShopifyWebhooks

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
FIXTURES = Path(__file__).parent / "fixtures"
SECRET = "shhh-newer"


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def sign(body: bytes, secret: str = SECRET) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


@pytest.fixture
def settings() -> Callable[..., ShopifySettings]:
    """Make settings: a fixed token unless the test says otherwise."""

    def make(**changes: Any) -> ShopifySettings:
        values = {"shop": "acme.myshopify.com", "webhook_secrets": ["shhh-newer", "shhh-older"], "access_token": "tok"}
        return ShopifySettings.model_validate({k: v for k, v in (values | changes).items() if v is not None})

    return make


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def router() -> respx.Router:
    return respx.Router(assert_all_called=False)


@pytest.fixture
async def connection(
    settings: Callable[..., ShopifySettings], clock: FakeClock, store: MemoryStore, router: respx.Router
) -> AsyncIterator[Callable[..., ConnectionContext[ShopifySettings]]]:
    """Make a connection's context; all of one test share clock, store and network."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(router.async_handler)) as http:

        def make(**changes: Any) -> ConnectionContext[ShopifySettings]:
            return ConnectionContext(
                name="acme",
                settings=settings(**changes),
                http=http,
                clock=clock,
                log=structlog.get_logger(),
                store=store,
                public_url="https://points.example",
            )

        yield make


@pytest.fixture
def load() -> Callable[[str], Any]:
    """Read a fixture by its name."""
    return lambda name: msgspec.json.decode((FIXTURES / f"{name}.json").read_bytes())


@pytest.fixture
def topic_of() -> Callable[[str], str]:
    """The topic that a fixture's name stands for."""
    topics = {topic.replace("/", "_"): topic for topic in TOPICS}
    return lambda name: topics[name.partition("__")[0]]


@pytest.fixture
def decode(
    settings: Callable[..., ShopifySettings], load: Callable[[str], Any], topic_of: Callable[[str], str]
) -> Callable[..., list[Event | Refetch]]:
    """Decode a fixture, or another body, as the webhook source would."""

    def run(
        name: str, body: Any = None, *, topic: str = "", read_at: int = 0, changes: Mapping[str, Any] | None = None
    ) -> list[Event | Refetch]:
        content = load(name) if body is None else body
        raw = content if isinstance(content, bytes) else msgspec.json.encode(content)
        delivery = Delivery(
            connection="acme",
            key="k",
            topic=topic or topic_of(name),
            body=raw,
            received_at=NOW,
            read_at=read_at,
        )
        return list(ShopifyWebhooks(settings(**(changes or {}))).events(delivery))

    return run


@pytest.fixture
def subject_of(settings: Callable[..., ShopifySettings]) -> Callable[[bytes, str], str | None]:
    """Whom a body of a topic tells about, as the webhook source would say."""

    def run(body: bytes, topic: str) -> str | None:
        delivery = Delivery(connection="acme", key="k", topic=topic, body=body, received_at=NOW)
        return ShopifyWebhooks(settings()).subject(delivery)

    return run


@pytest.fixture
def request_of() -> Callable[..., UnverifiedRequest]:
    """Make a signed webhook request; headers given as None are left out."""

    def make(body: bytes = b'{"id":1}', secret: str = SECRET, family: str = "x-", **headers: str | None) -> Any:
        told: dict[str, str | None] = {
            "hmac-sha256": sign(body, secret),
            "topic": "orders/paid",
            "shop-domain": "acme.myshopify.com",
            "webhook-id": "b54557e4",
            "triggered-at": "2026-03-10T11:59:59Z",
            "api-version": "2026-10",
        }
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {f"{family}shopify-{name}": value for name, value in told.items() if value is not None}
        return UnverifiedRequest(url="https://points.example/webhooks/acme", headers=sent, body=body, received_at=NOW)

    return make


@pytest.fixture
def voucher() -> Callable[..., Voucher]:
    """Make a voucher of a kind: whatever it must say is there unless the test says otherwise."""
    needed: dict[str, dict[str, Any]] = {
        "amount_off": {"amount": Decimal("5.00")},
        "percent_off": {"percent": Decimal("12.5")},
        "free_shipping": {},
        "free_product": {"products": ("7001",)},
        "gift_card": {"amount": Decimal(25)},
        "store_credit": {"amount": Decimal("7.50")},
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
async def simulated(clock: FakeClock) -> AsyncIterator[ShopifySimulator]:
    """A simulated shop with a few customers, whose API never fails by itself."""
    shop = ShopifySimulator(5, ShopPlan(api_failures=0.0, guests=0.0), clock)
    list(shop.history(5))
    await shop.start()
    yield shop
    await shop.stop()


@pytest.fixture
def member(simulated: ShopifySimulator) -> str:
    """Somebody whom the simulated shop knows."""
    return str(next(iter(simulated.book.customers)))


@pytest.fixture
async def at_shop(
    simulated: ShopifySimulator, clock: FakeClock, store: MemoryStore
) -> AsyncIterator[Callable[..., ConnectionContext[ShopifySettings]]]:
    """Make a context of the simulated shop, over a network; all of one test share clock and store."""
    async with httpx.AsyncClient() as http:

        def make(**changes: Any) -> ConnectionContext[ShopifySettings]:
            return ConnectionContext(
                name="acme",
                settings=ShopifySettings.model_validate({**simulated.settings(), **changes}),
                http=http,
                clock=clock,
                log=structlog.get_logger(),
                store=store,
                public_url="https://points.example",
            )

        yield make


@pytest.fixture
def fulfilment(at_shop: Callable[..., ConnectionContext[ShopifySettings]], clock: FakeClock) -> ShopifyFulfilment:
    """What makes rewards real at the simulated shop."""
    return ShopifyFulfilment(Client(at_shop()), clock)
