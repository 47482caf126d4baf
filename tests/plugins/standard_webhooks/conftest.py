"""A receiver called ours with a sink to it, an oracle that knows signatures, and whole installations that take webhooks in."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import structlog
from sqlalchemy import Select, select
from standardwebhooks.webhooks import Webhook

from stampcard.app import Application
from stampcard.plugin import Balance, Change, ConnectionContext
from stampcard.program.reading import read_program
from stampcard.sealing import new_key_text
from stampcard.settings import DeliverSettings, HttpSettings, SecuritySettings, Settings
from stampcard.storage.database import Database
from stampcard.storage.programming import store_version
from stampcard.storage.tables import award, identity, inbox
from stampcard.testing.clock import NOON, FakeClock
from stampcard.testing.rules.case import MemoryStore
from stampcard_standard_webhooks.plugin import StandardWebhooksSettings
from stampcard_standard_webhooks.sending import WebhookSink
from stampcard_webhooks.server import serving

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


EXAMPLES = Path(__file__).parents[3] / "config" / "connections"
SHARED = "a-secret-of-this-test"
WHSEC = "whsec_ZnJvbSB0aGUgdGlsbCwgb25lIG9mIDMwIGJ5dGVz"


@dataclass(slots=True)
class Installation:
    """What a test does with it."""

    application: Application
    address: str
    session: aiohttp.ClientSession

    async def post(self, connection: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a webhook; answers the status."""
        async with self.session.post(f"{self.address}/webhooks/{connection}", data=body, headers=headers) as answer:
            return answer.status

    async def work(self) -> None:
        """Apply all that came in."""
        while await self.application.worker.work_once():
            pass

    async def send(self) -> None:
        """Send what is due."""
        for dispatcher in self.application.dispatchers.values():
            await dispatcher.turn()
            while dispatcher._flights:
                await asyncio.gather(*dispatcher._flights)

    async def read(self, statement: Select[Any]) -> list[Any]:
        return await self.application.database.read(lambda connection: list(connection.execute(statement).all()))

    async def awards(self) -> dict[tuple[str, str], int]:
        """(subject, rule) → what is due now."""
        rows = await self.read(select(award))
        return {(row.subject, row.rule): row.granted - row.taken - row.written_off for row in rows}

    async def points(self) -> int:
        """All that is due now."""
        return sum((await self.awards()).values())

    async def names(self) -> set[str]:
        """How members are called."""
        return {f"{row.connection}:{row.reference}" for row in await self.read(select(identity))}

    async def troubles(self) -> list[str]:
        """Why deliveries were not applied."""
        rows = await self.read(select(inbox.c.status, inbox.c.code, inbox.c.detail))
        return [f"{row.code}: {row.detail}" for row in rows if row.status != "done"]


@pytest.fixture
def install(
    tmp_path: Path, database_url: str, clock: FakeClock
) -> Callable[..., AbstractAsyncContextManager[Installation]]:
    """Serves a fresh installation over each kind of database: ``async with install(program, connections) as one``."""

    @asynccontextmanager
    async def serve(program: str, connections: Mapping[str, Any]) -> AsyncIterator[Installation]:
        key_file = tmp_path / "stampcard.key"
        key_file.touch(mode=0o600)
        key_file.write_text(new_key_text(), encoding="utf8")
        database, began = Database(database_url), clock.now() - timedelta(days=100)
        read = read_program(program, "test")
        database.write_now(lambda connection: store_version(connection, "main", read, program, "test", "", began))
        database.close()
        settings = Settings(
            database=database_url,
            key_file=key_file,
            programs=(),
            http=HttpSettings(port=0),
            security=SecuritySettings(outbound_allow=("127.0.0.0/8",)),
            deliver=DeliverSettings(coalesce=0, longest=0),
            connections=dict(connections),
        )
        application = Application(settings, clock=clock)
        await application.open(loops=False)
        try:
            async with serving(application) as address, aiohttp.ClientSession() as session:
                yield Installation(application=application, address=address, session=session)
        finally:
            await application.close()

    return serve


@pytest.fixture
def example() -> Callable[..., dict[str, Any]]:
    """The connections of one of the shipped tables, with a secret: ``example("medusa")``."""

    def load(name: str, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = tomllib.loads((EXAMPLES / f"{name}.toml").read_text(encoding="utf8"))["connections"]
        secret = WHSEC if found[name].get("signature", "standard") == "standard" else SHARED
        return {name: {**found[name], "webhook_secrets": [secret], **more}}

    return load


@pytest.fixture
def signed(clock: FakeClock) -> Callable[..., dict[str, str]]:
    """The headers with which the system of a connection signs a body."""

    def sign(connection: Mapping[str, Any], body: bytes, id_: str = "msg_1") -> dict[str, str]:
        if connection.get("signature", "standard") == "standard":
            signature = Webhook(WHSEC).sign(id_, clock.now(), body.decode())
            stamp = str(int(clock.now().timestamp()))
            return {"webhook-id": id_, "webhook-timestamp": stamp, "webhook-signature": signature}
        return {connection["signature_header"]: hmac.new(SHARED.encode(), body, hashlib.sha256).hexdigest()}

    return sign
