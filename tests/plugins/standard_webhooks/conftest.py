"""A receiver called ours: its secrets, a sink to it whose network is a function, and an oracle that knows signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any

import httpx
import pytest
import structlog

from stampcard.plugin import Balance, Change, ConnectionContext
from stampcard.testing.clock import NOON, FakeClock
from stampcard.testing.rules.case import MemoryStore
from stampcard_standard_webhooks.plugin import StandardWebhooksSettings
from stampcard_standard_webhooks.sending import WebhookSink

URL = "https://shop.example/loyalty/news?from=stampcard"
NEWER = "whsec_dGhlIG5ld2VyIHNlY3JldCBvZiBmb3J0eSBieXRlcywgcmFuZG9tPw=="
OLDER = "whsec_YW4gb2xkZXIgb25lIG9mIDI0IGJ5dGVz"

Answer = Callable[[httpx.Request], httpx.Response]
Genuine = Callable[..., bool]


class Network:
    """Remembers what was sent, and answers as it is told."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answer: Answer = lambda _: httpx.Response(204)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer(request)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
async def sink(network: Network, clock: FakeClock) -> AsyncIterator[Callable[..., WebhookSink]]:
    """Makes a sink: ``sink(events=["member.*"])``."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(network)) as http:

        def make(**changes: Any) -> WebhookSink:
            settings = StandardWebhooksSettings.model_validate({"url": URL, "secrets": [NEWER], **changes})
            return WebhookSink(
                ConnectionContext(
                    name="ours",
                    settings=settings,
                    http=http,
                    clock=clock,
                    log=structlog.get_logger(),
                    store=MemoryStore(),
                    public_url="https://points.example",
                )
            )

        yield make


@pytest.fixture
def change() -> Callable[..., Change]:
    """Makes a change of one member: ``change("earn", "join", version=7)``."""

    def make(*kinds: str, member: str = "m_ada", version: int = 7, at: datetime = NOON, **more: Any) -> Change:
        given = {"balances": {"points": Balance(active=120, pending=30, lifetime=150)}, "delta": {"points": 120}}
        return Change(member=member, version=version, occurred_at=at, kinds=kinds, **{**given, **more})

    return make


@pytest.fixture
def is_genuine() -> Genuine:
    """Whether a receiver who knows one secret believes a webhook, read from the specification and not from our code."""

    def judge(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> bool:
        id_, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        assert "." not in id_ + timestamp
        key = base64.b64decode(secret.split("_", 1)[1], validate=True)
        due = hmac.new(key, b".".join((id_.encode(), timestamp.encode(), body)), hashlib.sha256).digest()
        told = [entry.split(",") for entry in headers["webhook-signature"].split(" ")]
        fits = any(version == "v1" and base64.b64decode(text, validate=True) == due for version, text in told)
        return fits and abs(now.timestamp() - int(timestamp)) <= 300

    return judge
