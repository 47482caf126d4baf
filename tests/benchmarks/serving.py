"""The servers, each for a process of its own: bare aiohttp, Stampcard, and a vendor who answers slowly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import psutil
import samples
import uvloop
from aiohttp import web
from processes import MEASURED, MEASURING, Child, answering, running
from signing import settings

from stampcard.app import Application
from stampcard.cli.logging import configure
from stampcard.clock import SystemClock
from stampcard.domain.value import Value
from stampcard.plugin import Rate
from stampcard.sealing import new_key_text
from stampcard.settings import DeliverSettings, HttpSettings, SecuritySettings, Settings
from stampcard.testing.demonstration import prepare_database
from stampcard_shopify.balances import BalanceSink
from stampcard_webhooks.server import serving

#: Seconds that the vendor takes for an answer.
VENDOR_TAKES = 0.05


def bare(pipe: Connection) -> None:
    """aiohttp under uvloop that reads a body and answers 200."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    application = web.Application()
    application.router.add_post("/webhooks/shop", answer)
    uvloop.run(_listen(pipe, application, _cpu))


def stampcard(pipe: Connection, database: str, folder: str, api_url: str, loops: bool) -> None:
    """Stampcard itself; without `loops` it only receives."""
    configure("json", "error")
    # Shopify's pace, 10 calls a second, would be measured otherwise, not ours.
    BalanceSink.rate = Rate(per_second=1e6, burst=1_000_000)
    uvloop.run(_serve(pipe, _settings(database, Path(folder), api_url), loops))


def vendor(pipe: Connection) -> None:
    """The one call of Shopify's Admin API that pushes need, answered after a while; remembers who was told when."""
    uvloop.run(_sell(pipe))


class Push(msgspec.Struct, frozen=True, rename="camel"):
    owner_id: str


class Variables(msgspec.Struct, frozen=True):
    metafields: tuple[Push, ...]


class Call(msgspec.Struct, frozen=True):
    variables: Variables


class Told(Value, frozen=True):
    """What the vendor was told since it was last asked to forget: customer → when, and how often in all."""

    first: dict[int, float]
    pushes: int
    calls: int


async def _sell(pipe: Connection) -> None:
    first: dict[int, float] = {}
    pushes: list[int] = []

    async def take(request: web.Request) -> web.Response:
        at = time.monotonic()
        call = msgspec.json.decode(await request.read(), type=Call)
        pushes.append(len(call.variables.metafields))
        for push in call.variables.metafields:
            first.setdefault(int(push.owner_id.rpartition("/")[2]), at)
        await asyncio.sleep(VENDOR_TAKES - (time.monotonic() - at))
        return web.json_response({"data": {"metafieldsSet": {"userErrors": []}}})

    async def answer(question: str) -> Any:
        if question == "count":
            return len(first)
        told = Told(first=dict(first), pushes=sum(pushes), calls=len(pushes))
        if question == "forget":
            first.clear()
            pushes.clear()
        return told

    application = web.Application(client_max_size=1024**2)
    application.router.add_post("/admin/api/{version}/graphql.json", take)
    await _listen(pipe, application, answer)


async def _listen(pipe: Connection, application: web.Application, answer: Callable[[Any], Any]) -> None:
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    try:
        await answering(pipe, tuple(runner.addresses[0][:2]), answer)
    finally:
        await runner.cleanup()


async def _serve(pipe: Connection, settings: Settings, loops: bool) -> None:
    application = Application(settings)
    await application.open(loops=loops)
    try:
        async with serving(application) as address:
            host, _, port = address.removeprefix("http://").partition(":")
            await answering(pipe, (host, int(port)), _cpu)
    finally:
        await application.close()


async def _cpu(question: object) -> float:
    """Seconds of the processor that this process has used, or the megabytes of memory that it has."""
    return psutil.Process().memory_info().rss / 1e6 if question == "memory" else time.process_time()


def _settings(database: str, folder: Path, api_url: str) -> Settings:
    key_file = folder / "stampcard.key"
    key_file.touch(mode=0o600)
    key_file.write_text(new_key_text(), encoding="utf8")
    return Settings(
        database=database,
        key_file=key_file,
        programs=(),
        http=HttpSettings(port=0),
        security=SecuritySettings(outbound_allow=("127.0.0.0/8",)),
        deliver=DeliverSettings(),
        connections={"shop": settings(api_url)},
    )


@contextmanager
def bare_server() -> Iterator[Child]:
    """The floor of receiving, on the core of what is measured."""
    with running(bare, core=MEASURED) as server:
        yield server


@contextmanager
def stampcard_server(
    database: str | None = None, *, api_url: str = "http://127.0.0.1:1", loops: bool = True
) -> Iterator[Child]:
    """Stampcard under 20 rules over an empty database: a fresh SQLite file, or the given migrated PostgreSQL."""
    with TemporaryDirectory(prefix="stampcard-bench-") as folder:
        url = database or f"sqlite:///{Path(folder) / 'bench.db'}"
        prepare_database(url, "main", samples.program_text(), SystemClock().now())
        with running(stampcard, url, folder, api_url, loops, core=MEASURED) as server:
            yield server


@contextmanager
def vendor_server() -> Iterator[Child]:
    """The slow vendor, on the core of what measures."""
    with running(vendor, core=MEASURING) as server:
        yield server
