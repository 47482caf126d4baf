"""A served installation over each kind of database, and callers with keys."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, Select, select, update

from stampcard.app import Application
from stampcard.applying.deliveries import Prepared, apply_deliveries
from stampcard.applying.unit import Sourced
from stampcard.clock import to_micros
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import Event
from stampcard.domain.scopes import ADMIN
from stampcard.plugin import (
    Absent,
    Audit,
    BalancePush,
    Capabilities,
    Command,
    ConnectionContext,
    Delivered,
    Done,
    Fulfilment,
    Health,
    InvalidSignature,
    Lookup,
    OrderHistory,
    OrderList,
    Outcome,
    PluginError,
    PluginManifest,
    PluginSettings,
    Refetch,
    RewardKind,
    Route,
    ShopperSource,
    Sink,
    Subscribed,
    Subscriptions,
    Support,
    Unknown,
    UnverifiedRequest,
    Voucher,
    hookimpl,
)
from stampcard.program.reading import read_program
from stampcard.sealing import new_key_text
from stampcard.settings import HttpSettings, Settings
from stampcard.storage import saving
from stampcard.storage.database import Database
from stampcard.storage.inboxing import take_in
from stampcard.storage.keys import create_key
from stampcard.storage.programming import store_version
from stampcard.storage.tables import inbox
from stampcard.testing.clock import FakeClock
from stampcard_webhooks.server import serving

PROGRAM = """
program: main
name: Beans
currency: EUR
timezone: Europe/Berlin
attributes: {colour: string, cups: integer}
events: {review: {stars: integer}}
wallets: {points: {expire: 30 days}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
  - {id: welcome, on: sign_up, award: 10}
  - {id: review, on: review, when: event.data.stars >= 3, award: 5}
"""


#: A program with a reward of every way to be made real.
REWARDS = """
program: main
currency: EUR
timezone: Europe/Berlin
attributes: {colour: string}
wallets:
  points: {refunds: {spent: proportional}}
  miles: {}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR, wallet: points}
  - {id: thanks, on: purchase, award: reward treat, when: order.total >= 50}
rewards:
  five-off: {name: Five off, gives: 5 EUR off, wallet: points, price: 50, valid: 30 days, by: shop}
  own: {gives: 10 % off, wallet: points, price: 20, by: own, prefix: HI, valid: 10 days, unused: return}
  mug: {gives: merchandise, wallet: points, price: 30, stock: 2}
  once: {gives: 5 EUR off, wallet: points, price: 10, by: own, limits: 1 time per month}
  treat: {gives: free shipping, by: own}
  fly: {gives: 200 to miles, wallet: points, price: 40}
  red: {gives: 1 EUR off, wallet: points, price: 1, by: own, when: member.attributes.colour == 'red'}
  cart: {gives: 1 EUR off, wallet: points, price: 1, by: own, when: order.total >= 20.0}
  printed: {gives: 3 EUR off, wallet: points, price: 5, by: pool}
  sealed: {gives: gift card 25 EUR, wallet: points, price: 1}
"""


class BalanceSink(Sink[BalancePush]):
    kind = "balance"
    batch_size = 10

    async def deliver(self, items: Sequence[BalancePush]) -> Sequence[Outcome]:
        return [Delivered() for _ in items]


class NoteSink(Sink[Command]):
    kind = "note"

    async def deliver(self, items: Sequence[Command]) -> Sequence[Outcome]:
        return [Delivered() for _ in items]


class Vouchers(Fulfilment):
    """Makes every voucher real, unless a test says what becomes of the next ones."""

    kinds: Mapping[RewardKind, Support] = {"amount_off": Support(level="yes"), "free_shipping": Support(level="yes")}
    batch_size = 5

    def __init__(self) -> None:
        self.made: dict[str, Voucher] = {}
        self.outcomes: list[Outcome | Exception] = []
        self.withdrawn: set[str] = set()
        self.attempts = 0

    async def issue(self, vouchers: Sequence[Voucher]) -> Sequence[Outcome]:
        return [self._next(voucher) for voucher in vouchers]

    def _next(self, voucher: Voucher) -> Outcome:
        self.attempts += 1
        outcome = self.outcomes.pop(0) if self.outcomes else Delivered(result={"id": voucher.key})
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, Delivered | Unknown):  # an unknown one succeeded in truth
            assert voucher.code not in self.made
            self.made[voucher.code] = voucher
        return outcome

    async def withdraw(self, vouchers: Sequence[Voucher]) -> Sequence[Outcome]:
        self.withdrawn |= {voucher.code for voucher in vouchers}
        return [Delivered() for _ in vouchers]

    async def restore(self, vouchers: Sequence[Voucher]) -> Sequence[Outcome]:
        self.withdrawn -= {voucher.code for voucher in vouchers}
        return [Delivered() for _ in vouchers]

    async def lookup(self, voucher: Voucher, action: Literal["issue", "withdraw", "restore"]) -> Lookup:  # noqa: ARG002 - every action is seen by the code
        return Done() if voucher.code in self.made else Absent()


class Cookies(ShopperSource):
    """Believes a header, where the shop's secret stands beside it."""

    origins = ("https://shop.example",)

    def identify(self, request: UnverifiedRequest) -> str | None:
        if request.header("x-secret") != "sesame":
            raise InvalidSignature("no secret")
        return request.header("x-customer") or None


class Mailing(Subscriptions):
    """A vendor that sends two topics once it is told to."""

    def __init__(self) -> None:
        self.sent: set[str] = set()
        self.closed = False

    async def look(self, address: str) -> Audit:
        if self.closed:
            raise PluginError("shopping", "the shop does not answer")
        good = tuple(Subscribed(topic=topic, address=address) for topic in sorted(self.sent))
        return Audit(good=good, missing=tuple(sorted({"a", "b"} - self.sent)), by_hand=("ring the bell",))

    async def mend(self, address: str, but: Collection[str] = ()) -> Audit:
        self.sent |= {"a", "b"} - set(but)
        return await self.look(address)

    async def end(self, address: str) -> int:  # noqa: ARG002 - there is one only
        count, self.sent = len(self.sent), set()
        return count


class Nowhere(PluginSettings):
    broken: bool = False
    token: SecretStr | None = None
    api_url: str = ""


class Shop:
    """A plugin that calls nobody and says how it is."""

    def __init__(self) -> None:
        self.health = Health(ok=True)
        self.asked = 0
        self.answers: Callable[[], Awaitable[None]] | None = None
        self.vouchers = Vouchers()
        self.mailing = Mailing()
        self.routes: tuple[Route, ...] = ()
        self.history: OrderHistory | None = None
        self.orders: OrderList | None = None

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="shopping", summary="for tests", settings=Nowhere)

    @hookimpl
    async def connect(self, context: ConnectionContext[Nowhere]) -> Capabilities:
        if context.settings.broken:
            message = "the shop is closed"
            raise RuntimeError(message)
        sinks = (BalanceSink(), NoteSink())
        return Capabilities(
            subscriptions=self.mailing,
            sinks=sinks,
            fulfil=self.vouchers,
            shopper=Cookies(),
            fetch=_nothing if self.orders is not None else None,
            orders=self.orders,
            history=self.history,
            routes=self.routes,
            check_health=self.check,
        )

    async def check(self) -> Health:
        self.asked += 1
        if self.answers is not None:
            await self.answers()
        return self.health


async def _nothing(_: Sequence[Refetch]) -> Sequence[Delivery]:
    return []


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Served:
    """An application that listens, and the ways to call it."""

    application: Application
    address: str
    clock: FakeClock
    shop: Shop
    session: aiohttp.ClientSession
    keys: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def key(self, *scopes: str, merchant: str = "main", lives: timedelta | None = None) -> str:
        now = self.clock.now()
        ends = now + lives if lives else None
        _, text = await self.application.database.write(
            lambda connection: create_key(connection, merchant, "test", scopes or (ADMIN,), ends, now)
        )
        return text

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        merchant: str = "main",
        scopes: Collection[str] = (ADMIN,),
        key: str | None = None,
        **options: Any,
    ) -> Reply:
        """One call with a key of these scopes, or with `key`; "" sends none."""
        if key is None:
            known = (merchant, tuple(scopes))
            if known not in self.keys:
                self.keys[known] = await self.key(*scopes, merchant=merchant)
            key = self.keys[known]
        headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **options.pop("headers", {})}
        if body is not None:
            options["json"] = body
        url = path if path.startswith(("/livez", "/readyz", "/metrics")) else f"/api/v1{path}"
        async with self.session.request(method, self.address + url, headers=headers, **options) as response:
            read_as = (
                response.text if response.content_type == "text/csv" else partial(response.json, content_type=None)
            )
            read = await read_as() if response.content_length else None
            return Reply(response.status, read, {name.lower(): value for name, value in response.headers.items()})

    async def read(self, statement: Select[Any]) -> Sequence[Any]:
        """Rows of a statement, beside HTTP."""
        return await self.application.database.read(lambda connection: connection.execute(statement).all())

    async def store(self, table: str, *rows: Mapping[str, Any]) -> None:
        """Rows of a table, beside HTTP."""
        await self.application.database.write(
            lambda connection: saving.upsert(connection, table, [{"merchant": "main", **row} for row in rows])
        )

    @property
    def rewards(self) -> str:
        """The program that `prepare` gives."""
        return REWARDS

    async def prepare(self, text: str = REWARDS) -> None:
        """Give the merchant a program with rewards."""
        program, at = read_program(text, "test"), self.clock.now() - timedelta(days=1)
        await self.application.database.write(
            lambda connection: store_version(connection, "main", program, text, "test", "", at)
        )
        await self.application.refresh()

    async def rich(self, points: int = 100, reference: str = "1", **attributes: Any) -> str:
        """A member with so many points, beside what joining gives."""
        identity = {"connection": "shop", "reference": reference}
        made = await self.call("POST", "/members", {"identity": identity, "attributes": attributes})
        member = str(made.body["id"])
        body = {"wallet": "points", "points": points, "reason": "a gift"}
        assert (await self.call("POST", f"/members/{member}/adjustments", body)).status == 201
        return member

    async def figures(self, member: str) -> tuple[int, int, int]:
        """Active, held and spent points."""
        balance = (await self.call("GET", f"/members/{member}")).body["balances"]["points"]
        return balance["active"], balance["held"], balance["spent"]

    async def turn(self) -> None:
        """Let the shop's dispatcher send what is due, and apply what it answered."""
        dispatcher = self.application.dispatchers["shop"]
        for _ in range(2):
            await dispatcher.turn()
            while dispatcher._flights:
                await asyncio.gather(*dispatcher._flights)
            while await self.application.worker.work_once():
                pass

    async def take_in(self, *keys: str, merchant: str = "main") -> list[str]:
        """Deliveries that nobody has applied; answers their ids."""
        setting, now = self.application.setting, self.clock.now()
        taken = [
            Delivery(connection="shop", key=key, topic="t", body=key.encode(), received_at=now, headers={"x-key": key})
            for key in keys
        ]
        await self.application.database.write(
            lambda connection: take_in(connection, merchant, taken, setting.sealer, setting.numbering)
        )
        rows = await self.read(select(inbox.c.key, inbox.c.id).where(inbox.c.merchant == merchant))
        ids = {row.key: str(row.id) for row in rows}
        return [ids[key] for key in keys]

    async def apply(self, *events: Event) -> None:
        """Events of the shop, each by a delivery of its own."""
        setting, now = self.application.setting, self.clock.now()
        keys = [f"event-{next(self.numbers)}" for _ in events]
        ids = await self.take_in(*keys)
        batch = [
            Prepared(
                delivery=int(id_),
                connection="shop",
                source="shop",
                events=(Sourced(event=event, connection="shop", source="shop", received_at=now, delivery=int(id_)),),
            )
            for id_, event in zip(ids, events, strict=True)
        ]
        claimed = {"claimed_by": "me", "claimed_until": to_micros(now + timedelta(minutes=1))}

        def work(connection: Connection) -> None:
            connection.execute(update(inbox).where(inbox.c.id.in_([int(id_) for id_ in ids])).values(claimed))
            settled = apply_deliveries(connection, setting, batch, now, "me").settled
            assert [one.status for one in settled] == ["done"] * len(ids)

        await self.application.database.write(work)


def settings_in(folder: Path, database: str, connections: Mapping[str, dict[str, Any]]) -> Settings:
    key_file = folder / "stampcard.key"
    key_file.touch(mode=0o600)
    key_file.write_text(new_key_text(), encoding="utf8")
    program = folder / "program.yaml"
    program.write_text(PROGRAM, encoding="utf8")
    return Settings(
        database=database,
        key_file=key_file,
        programs=(str(program),),
        http=HttpSettings(port=0),
        connections=dict(connections),
    )


def apply_program(connection: Connection, merchant: str, at: datetime) -> None:
    store_version(connection, merchant, read_program(PROGRAM, "test"), PROGRAM, "test", "", at)


Serving = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serving]:
    """Serves an installation over a database; its loops rest unless a test wants them."""
    async with AsyncExitStack() as stack:

        async def start(
            url: str,
            *,
            loops: bool = False,
            connections: Mapping[str, Any] | None = None,
            plugins: Mapping[str, Any] | None = None,
        ) -> Served:
            shops = {"shop": {"plugin": "shopping"}} if connections is None else connections
            clock, shop = FakeClock(), Shop()
            settings = settings_in(tmp_path, url, shops)
            long_ago = clock.now() - timedelta(days=100)
            database = Database(url)
            for merchant in ("main", "other"):
                database.write_now(partial(apply_program, merchant=merchant, at=long_ago))
            database.close()
            application = Application(settings, clock=clock, plugins={"shopping": shop, **(plugins or {})})
            await application.open(loops=loops)
            stack.push_async_callback(application.close)
            address = await stack.enter_async_context(serving(application))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Served(application, address, clock, shop, session)

        yield start


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """The URL of a new SQLite file, in the newest shape."""
    shutil.copy(sqlite_template, tmp_path / "api.db")
    return f"sqlite:///{tmp_path / 'api.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
async def served(request: pytest.FixtureRequest, serve: Serving) -> Served:
    """An installation on each kind of database."""
    if request.param == "sqlite":
        return await serve(request.getfixturevalue("sqlite_url"))
    make: Callable[[], str] = request.getfixturevalue("new_postgresql")
    return await serve(make())


@pytest.fixture
async def api(serve: Serving, sqlite_url: str) -> Served:
    """An installation on SQLite, for what does not depend on the database."""
    return await serve(sqlite_url)
