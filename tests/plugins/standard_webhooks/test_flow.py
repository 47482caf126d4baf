"""An order in a simulated shop, and a receiver on the loopback that is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import Row, select, update
from typer.testing import CliRunner

from stampcard.calling import breaking
from stampcard.cli.main import app
from stampcard.plugin import RetryPolicy
from stampcard.settings import SecuritySettings, Settings
from stampcard.storage.tables import outbox
from stampcard.testing.demonstration import Demonstration, demonstrating
from stampcard.testing.waiting import eventually
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulator import ShopifySimulator
from stampcard_standard_webhooks.sending import WebhookSink

PROGRAM = """
program: demo
currency: USD
timezone: America/New_York
wallets: {points: {}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 USD}
  - {id: welcome, on: sign_up, award: 50}
"""
#: Orders are paid and kept, by customers who are known.
PLAN = ShopPlan(api_failures=0.0, fates={}, ties=0.0, guests=0.0, test_orders=0.0, gift_cards=0.0)
SECRET = "whsec_dGhlIG5ld2VyIHNlY3JldCBvZiBmb3J0eSBieXRlcywgcmFuZG9tPw=="

Genuine = Callable[..., bool]


class Receiver:
    """The merchant's own system: keeps what it is told; answers each webhook's attempts by `statuses`, then by 204."""

    def __init__(self) -> None:
        self.statuses: tuple[int, ...] = ()
        self.told: list[tuple[httpx.Headers, bytes]] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        attempts = self.ids().count(request.headers["webhook-id"])
        self.told.append((httpx.Headers(dict(request.headers)), await request.read()))
        return web.Response(status=(*self.statuses, *[204] * 9)[attempts], text="as you like")

    def bodies(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(body) for _, body in self.told]

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.told]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver, application = Receiver(), web.Application()
    application.router.add_post("/news", receiver.take)
    async with TestServer(application) as server:
        receiver.url = str(server.make_url("/news"))
        yield receiver


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moments instead of hours between tries, and a breaker that soon probes again."""
    monkeypatch.setattr(WebhookSink, "retry", RetryPolicy(waits=(0.1,) * 9))
    monkeypatch.setattr(breaking, "PAUSE", 0.2)


@pytest.fixture
async def demonstration(receiver: Receiver, tmp_path: Path) -> AsyncIterator[Demonstration]:
    """A shop and a receiver that wants only what is earned."""

    def adapt(settings: Settings) -> Settings:
        ours = {"plugin": "standard_webhooks", "url": receiver.url, "secrets": [SECRET], "events": ["points.earned"]}
        allowed = (*settings.security.outbound_allow, httpx.URL(receiver.url).netloc.decode())
        return settings.model_copy(
            update={
                "connections": {**settings.connections, "ours": ours},
                "security": SecuritySettings(outbound_allow=allowed),
            }
        )

    shop = ShopifySimulator(7, PLAN)
    async with demonstrating(shop, tmp_path, PROGRAM, plugin="shopify", adapt=adapt) as demonstration:
        yield demonstration


async def trade(demonstration: Demonstration, orders: int) -> None:
    await demonstration.simulator.trade(demonstration.target, orders)
    assert await demonstration.settled(30)


async def commands(demonstration: Demonstration) -> Sequence[Row[Any]]:
    return await demonstration.application.database.read(
        lambda connection: connection.execute(select(outbox).order_by(outbox.c.id)).all()
    )


async def test_what_orders_earn_is_told_once_with_a_good_signature(
    demonstration: Demonstration, receiver: Receiver, is_genuine: Genuine
) -> None:
    await trade(demonstration, 6)

    now = demonstration.application.clock.now()
    assert all(is_genuine(headers, body, SECRET, now) for headers, body in receiver.told)
    assert len(set(receiver.ids())) == len(receiver.ids())
    bodies = receiver.bodies()
    assert {body["type"] for body in bodies} == {"points.earned"}
    newest = {body["data"]["member"]: body["data"] for body in sorted(bodies, key=lambda body: body["data"]["version"])}
    assert sorted(data["balances"]["points"]["active"] for data in newest.values()) == sorted(
        demonstration.simulator.shown().values()
    )
    assert sum(body["data"]["change"]["points"] for body in bodies) == await demonstration.points() > 50
    stored = await commands(demonstration)
    assert {row.status for row in stored} == {"done"}
    assert len(stored) > len(bodies), "what is not wanted is told to nobody"


async def test_nothing_personal_is_told(demonstration: Demonstration, receiver: Receiver) -> None:
    await trade(demonstration, 6)

    simulator = demonstration.simulator
    assert isinstance(simulator, ShopifySimulator)
    assert receiver.told
    told = b" ".join(body for _, body in receiver.told).decode()
    for reference, customer in simulator.book.customers.items():
        known = (customer.email, customer.first_name, customer.last_name, customer.phone, str(reference))
        assert not [word for word in known if word and word in told]


async def test_a_receiver_that_fails_twice_is_told_the_same_a_third_time(
    demonstration: Demonstration, receiver: Receiver, is_genuine: Genuine
) -> None:
    receiver.statuses = (500, 429)
    await trade(demonstration, 1)

    attempts: dict[str, list[bytes]] = {}
    for headers, body in receiver.told:
        assert is_genuine(headers, body, SECRET, demonstration.application.clock.now())
        attempts.setdefault(headers["webhook-id"], []).append(body)
    assert attempts
    assert all(len(bodies) == 3 and len(set(bodies)) == 1 for bodies in attempts.values())
    assert {row.status for row in await commands(demonstration)} == {"done"}


async def test_what_was_given_up_is_told_when_somebody_retries_the_outbox(
    demonstration: Demonstration, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    receiver.statuses = (410,)
    await trade(demonstration, 1)
    given_up = [row for row in await commands(demonstration) if row.status == "dead"]
    assert sorted(row.key for row in given_up) == sorted(receiver.ids())
    assert all("wants no more webhooks (410)" in row.error for row in given_up)

    receiver.statuses, receiver.told = (), []
    settings = demonstration.application.settings
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STAMPCARD_DATABASE", settings.database)
    result = await asyncio.to_thread(CliRunner().invoke, app, ["outbox", "retry", "--all"])
    assert result.stdout == f"{len(given_up)} will be tried again\n", result.output
    assert await demonstration.settled(30)
    assert sorted(receiver.ids()) == sorted(row.key for row in given_up)


async def test_what_a_killed_process_was_telling_is_told_again(
    demonstration: Demonstration, receiver: Receiver
) -> None:
    await trade(demonstration, 1)
    (first, *_) = [row for row in await commands(demonstration) if row.key in receiver.ids()]
    receiver.told = []

    killed = update(outbox).where(outbox.c.id == first.id).values(status="attempting", attempted_at=1)
    await demonstration.application.database.write(lambda connection: connection.execute(killed))

    async def is_told() -> bool:
        return receiver.ids() == [first.key]

    await eventually("it is told again", is_told)
    assert await demonstration.settled(30)
    assert {row.status for row in await commands(demonstration)} == {"done"}
