"""A slow, failing or lying vendor hurts only itself, and is brought up to date when it is well again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from sqlalchemy import Row, select, update
from tests.databases import on_sqlite

import stampcard.app
from stampcard.calling import breaking
from stampcard.calling.lines import Line
from stampcard.host.guarding import guarded_client
from stampcard.plugin import RetryPolicy
from stampcard.settings import DeliverSettings, SecuritySettings, Settings
from stampcard.storage.depths import Depths, load_depths
from stampcard.storage.tables import push
from stampcard.testing import faults
from stampcard.testing.demonstration import RATE, WELCOME, Demonstration
from stampcard.testing.faults import Fault, FaultServer
from stampcard.testing.waiting import eventually
from stampcard_shopify.balances import BalanceSink
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulator import ShopifySimulator

Demonstrate = Callable[..., AbstractAsyncContextManager[Demonstration]]
Install = Callable[..., Awaitable["Installation"]]

LIMIT = 256 * 1024
#: Orders are paid and kept, so that nothing has to be fetched.
PLAN = ShopPlan(api_failures=0.0, fates={}, ties=0.0, guests=0.0, test_orders=0.0)
FAULTS: Mapping[str, Fault] = {
    "latency": faults.latency(5),
    "drip": faults.drip(0.05),
    "reset": faults.reset(),
    "half-answer": faults.half_answer(),
    "lost-answer": faults.lost_answer(),
    "garbage": faults.garbage(),
    "internal-error": faults.saying(500, b"oops"),
    "unavailable": faults.saying(503),
    "html": faults.page(),
    "huge": faults.huge(4 * LIMIT),
    "packed-huge": faults.bomb(4 * LIMIT),
    "wrong-shape": faults.saying(200, b'{"data": [1, 2]}', "application/json"),
}


@dataclass(slots=True)
class Vendor:
    """A shop of its own, behind a server that can misbehave."""

    shop: ShopifySimulator
    server: FaultServer

    async def shows_what_is_due(self) -> bool:
        return self.shop.shown() == self.shop.expected(RATE, WELCOME)


@dataclass(slots=True)
class Installation:
    """Many vendors, each with a connection under its name."""

    demonstration: Demonstration
    vendors: Mapping[str, Vendor]

    async def trade(self, name: str, orders: int = 3) -> None:
        target = f"{self.demonstration.address}/webhooks/{name}"
        await self.vendors[name].shop.trade(target, orders)

    async def warm(self, *names: str) -> None:
        """One order each while all is well, so that the connections have their tokens."""
        await asyncio.gather(*(self.trade(name, 1) for name in names))
        assert await self.demonstration.settled(30)

    async def shows_what_is_due(self, *names: str) -> None:
        for name in names:
            await eventually(f"{name} shows what is due", self.vendors[name].shows_what_is_due)

    async def breaks(self, *names: str) -> None:
        async def is_broken() -> bool:
            return self.line(name).state != "closed"

        for name in names:
            await eventually(f"the breaker of {name} opens", is_broken)

    def line(self, name: str) -> Line:
        jobs = self.demonstration.application.dispatchers[name].jobs
        return next(job.line for job in jobs if job.line.sink.kind == "balance")

    async def pushes(self, name: str) -> Sequence[Row[Any]]:
        statement = select(push).where(push.c.connection == name)
        return await self.demonstration.application.database.read(
            lambda connection: connection.execute(statement).all()
        )

    async def depths(self) -> Depths:
        return await self.demonstration.application.database.read(lambda connection: load_depths(connection, "main"))

    async def set_dead_letters_due(self) -> None:
        due = update(push).where(push.c.dead == 1).values(dead=0, attempts=0, due_at=0)
        await self.demonstration.application.database.write(lambda connection: connection.execute(due))


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moments instead of hours: short waits between tries, short calls, a breaker that soon probes again."""
    monkeypatch.setattr(BalanceSink, "retry", RetryPolicy(waits=(*[0.1] * 60, 30.0)))
    monkeypatch.setattr(breaking, "PAUSE", 0.5)
    monkeypatch.setattr(stampcard.app, "guarded_client", partial(guarded_client, timeout=0.5, max_answer=LIMIT))


@pytest.fixture
async def install(demonstrate: Demonstrate, database_url: str) -> AsyncIterator[Install]:
    """Serves a healthy shop under "shop", and one behind a fault server under each name."""
    async with AsyncExitStack() as stack:

        async def make(*names: str) -> Installation:
            vendors = {}
            for number, name in enumerate(names):
                shop = ShopifySimulator(100 + number, PLAN)
                await shop.start()
                stack.push_async_callback(shop.stop)
                vendors[name] = Vendor(shop, await stack.enter_async_context(FaultServer(shop.api_url)))
            healthy = ShopifySimulator(99, PLAN)

            def adapt(settings: Settings) -> Settings:
                theirs = {
                    name: {"plugin": "shopify", **vendor.shop.settings(), "api_url": vendor.server.url}
                    for name, vendor in vendors.items()
                }
                allowed = [urlsplit(vendor.server.url).netloc for vendor in vendors.values()]
                return settings.model_copy(
                    update={
                        "security": SecuritySettings(outbound_allow=(*settings.security.outbound_allow, *allowed)),
                        "deliver": DeliverSettings(coalesce=0.0),
                        "connections": {**settings.connections, **theirs},
                    }
                )

            running = demonstrate(healthy, adapt=adapt, database=database_url)
            demonstration = await stack.enter_async_context(running)
            return Installation(demonstration, {"shop": Vendor(healthy, FaultServer()), **vendors})

        yield make


@on_sqlite
async def test_vendors_in_trouble_hurt_only_themselves_and_are_brought_up_to_date_afterwards(install: Install) -> None:
    running = await install(*FAULTS)
    await running.warm(*FAULTS, "shop")
    for name, fault in FAULTS.items():
        running.vendors[name].server.fault = fault
    await asyncio.gather(*(running.trade(name) for name in FAULTS))
    await running.breaks(*FAULTS)

    await running.trade("shop", 6)
    await running.shows_what_is_due("shop")
    assert running.line("shop").state == "closed"
    pending = (await running.depths()).pending
    for name in FAULTS:
        waiting = [row for row in await running.pushes(name) if row.wanted > row.sent]
        assert waiting, name
        assert {row.dead for row in waiting} == {0}, name
        assert any(row.attempts and row.error for row in waiting), name
        assert pending[name] == len(waiting), name

    for name in FAULTS:
        running.vendors[name].server.fault = None
    await running.shows_what_is_due(*FAULTS)
    assert await running.demonstration.settled(30)
    for name in FAULTS:
        assert all(row.sent == row.wanted and row.error is None for row in await running.pushes(name)), name
        assert running.line(name).state == "closed", name
    assert {vendor.shop.tally.regressions for vendor in running.vendors.values()} == {0}


async def test_what_leaves_after_an_outage_is_the_newest_state(install: Install) -> None:
    running = await install("away")
    await running.warm("away")
    shop, server = running.vendors["away"].shop, running.vendors["away"].server
    server.fault = faults.saying(503)
    await running.trade("away", 4)
    await running.breaks("away")
    await running.trade("away", 8)

    async def is_applied() -> bool:
        return (await running.depths()).ready == 0

    await eventually("everything is applied", is_applied)
    server.calls.clear()
    server.fault = None
    await running.shows_what_is_due("away")
    assert await running.demonstration.settled(30)
    sent = [(owner, version) for call in server.calls for owner, version in versions_in(call.body)]
    assert sent
    assert set(sent) <= shop.shown_versions().items()


@on_sqlite
async def test_retry_after_is_honoured_and_is_no_failure(install: Install) -> None:
    running = await install("throttled")
    await running.warm("throttled")
    server = running.vendors["throttled"].server
    server.calls.clear()
    server.fault = faults.throttling(1.5)
    await running.trade("throttled", 1)

    async def called_again() -> bool:
        return len(server.calls) >= 3

    await eventually("it calls again", called_again)
    server.fault = None
    gaps = [later.at - sooner.at for sooner, later in zip(server.calls, server.calls[1:], strict=False)]
    assert min(gaps[:2]) >= 1.4
    assert running.line("throttled").state == "closed"
    await running.shows_what_is_due("throttled")


@on_sqlite
async def test_a_redirect_to_the_inside_is_not_followed(install: Install) -> None:
    running = await install("lured")
    server = running.vendors["lured"].server
    async with FaultServer() as inside:
        server.fault = faults.redirecting(f"{inside.url}/admin")
        await running.trade("lured")
        await running.breaks("lured")
        assert inside.calls == []
    server.fault = None
    await running.shows_what_is_due("lured")


async def test_what_a_vendor_rejects_is_a_dead_letter_until_somebody_sets_it_due(install: Install) -> None:
    running = await install("strict")
    shop, server = running.vendors["strict"].shop, running.vendors["strict"].server
    server.fault = faults.saying(503)
    await running.trade("strict", 8)
    gone, *others = shop.book.customers
    assert others
    customer = shop.book.customers[gone]
    shop.delete_customer(str(gone))
    server.fault = None
    await running.shows_what_is_due("strict")
    assert await running.demonstration.settled(30)
    depths = await running.depths()
    assert (depths.dead, depths.pending) == ({"strict": 1}, {})
    (dead,) = [row for row in await running.pushes("strict") if row.dead]
    assert "Owner does not exist" in dead.error

    shop.book.customers[gone] = customer
    await running.set_dead_letters_due()
    await running.shows_what_is_due("strict")
    assert await running.demonstration.settled(30)
    assert (await running.depths()).dead == {}


@on_sqlite
async def test_what_fails_too_often_is_a_dead_letter_too(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BalanceSink, "retry", RetryPolicy(waits=(0.05, 0.05)))
    running = await install("ailing")
    running.vendors["ailing"].server.fault = faults.saying(503)
    await running.trade("ailing", 1)

    async def is_given_up() -> bool:
        return (await running.depths()).dead == {"ailing": 1}

    await eventually("it is given up", is_given_up)
    assert (await running.depths()).pending == {}
    running.vendors["ailing"].server.fault = None
    await running.set_dead_letters_due()
    await running.shows_what_is_due("ailing")


def versions_in(body: bytes) -> list[tuple[str, int]]:
    """The customers of a push, with the versions of what it says of them."""
    fields = msgspec.json.decode(body)["variables"]["metafields"] if b"metafields" in body else []
    return [(field["ownerId"].rpartition("/")[2], msgspec.json.decode(field["value"])["version"]) for field in fields]
