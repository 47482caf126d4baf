"""A served installation over each kind of database, and callers with keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import Connection

from stampcard.app import Application
from stampcard.applying.unit import Setting, Unit
from stampcard.domain.scopes import ADMIN
from stampcard.plugin import (
    BalancePush,
    Capabilities,
    Command,
    ConnectionContext,
    Delivered,
    Health,
    Outcome,
    PluginManifest,
    PluginSettings,
    Sink,
    hookimpl,
)
from stampcard.program.reading import read_program
from stampcard.sealing import new_key_text
from stampcard.settings import HttpSettings, Settings
from stampcard.storage.database import Database
from stampcard.storage.keys import create_key
from stampcard.storage.programming import store_version
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


class MovableClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 10, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def forward(self, **span: float) -> None:
        self.at += timedelta(**span)


class BalanceSink(Sink[BalancePush]):
    kind = "balance"
    batch_size = 10

    async def deliver(self, items: Sequence[BalancePush]) -> Sequence[Outcome]:
        return [Delivered() for _ in items]


class NoteSink(Sink[Command]):
    kind = "note"

    async def deliver(self, items: Sequence[Command]) -> Sequence[Outcome]:
        return [Delivered() for _ in items]


class Nowhere(PluginSettings):
    broken: bool = False


class Shop:
    """A plugin that calls nobody and says how it is."""

    def __init__(self) -> None:
        self.health = Health(ok=True)
        self.asked = 0
        self.answers: Callable[[], Awaitable[None]] | None = None

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="shopping", summary="for tests", settings=Nowhere)

    @hookimpl
    async def connect(self, context: ConnectionContext[Nowhere]) -> Capabilities:
        if context.settings.broken:
            message = "the shop is closed"
            raise RuntimeError(message)
        return Capabilities(sinks=(BalanceSink(), NoteSink()), check_health=self.check)

    async def check(self) -> Health:
        self.asked += 1
        if self.answers is not None:
            await self.answers()
        return self.health


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
    clock: MovableClock
    shop: Shop
    session: aiohttp.ClientSession
    keys: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)

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
            read = await response.json(content_type=None) if response.content_length else None
            return Reply(response.status, read, {name.lower(): value for name, value in response.headers.items()})

    async def work(self, work: Callable[[Unit], Any]) -> Any:
        """One unit of work beside HTTP."""
        setting: Setting = self.application.setting

        def run(connection: Any) -> Any:
            unit = Unit(connection, setting, self.clock.now())
            answer = work(unit)
            unit.save()
            return answer

        return await self.application.database.write(run)


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

        async def start(url: str, *, loops: bool = False, connections: Mapping[str, Any] | None = None) -> Served:
            shops = {"shop": {"plugin": "shopping"}} if connections is None else connections
            clock, shop = MovableClock(), Shop()
            settings = settings_in(tmp_path, url, shops)
            long_ago = clock.now() - timedelta(days=100)
            database = Database(url)
            for merchant in ("main", "other"):
                database.write_now(partial(apply_program, merchant=merchant, at=long_ago))
            database.close()
            application = Application(settings, clock=clock, plugins={"shopping": shop})
            await application.open(loops=loops)
            stack.push_async_callback(application.close)
            address = await stack.enter_async_context(serving(application))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Served(application, address, clock, shop, session)

        yield start


@pytest.fixture
async def served(serve: Serving, database_url: str) -> Served:
    """An installation on each kind of database."""
    return await serve(database_url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a new SQLite file, in the newest shape."""
    from stampcard.storage import migrating

    url = f"sqlite:///{tmp_path / 'api.db'}"
    database = Database(url)
    migrating.upgrade(database)
    database.close()
    return url


@pytest.fixture
async def api(serve: Serving, sqlite_url: str) -> Served:
    """An installation on SQLite, for what does not depend on the database."""
    return await serve(sqlite_url)
