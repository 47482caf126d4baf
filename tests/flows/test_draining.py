"""SIGTERM under load ends `stampcard serve` without losing anything, and the next one goes on."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.flows.loads import until

from stampcard.storage.database import Database
from stampcard.storage.depths import load_depths
from stampcard.storage.tables import fetch, inbox, lease, outbox
from stampcard.storage.verifying import verify
from stampcard.testing.demonstration import RATE, WELCOME
from stampcard.testing.processes import Sender, install, starting
from stampcard.testing.waiting import eventually
from stampcard_shopify.simulator import ShopifySimulator


@pytest.fixture
async def serving_shop(shop: ShopifySimulator) -> AsyncIterator[ShopifySimulator]:
    await shop.start()
    yield shop
    await shop.stop()


def is_done(database: Database) -> bool:
    depths = database.read_now(lambda connection: load_depths(connection, "main"))
    fetches = database.read_now(lambda connection: connection.execute(select(func.count(fetch.c.reference))).scalar())
    return depths.ready == 0 and not fetches and not any(depths.pending.values())


async def test_a_server_that_is_asked_to_end_loses_nothing_and_the_next_goes_on(
    serving_shop: ShopifySimulator, database_url: str, tmp_path: Path, program: str, stampcard: Sequence[str]
) -> None:
    shop = serving_shop
    config = await asyncio.to_thread(install, tmp_path, shop, program, plugin="shopify", database=database_url)
    address, ended = "", False
    sender = Sender(lambda: address)
    load = asyncio.create_task(sender.send(until(lambda: ended, shop)))

    async def under_load() -> bool:
        return len(sender.acknowledged) > 150 and shop.tally.pushes_received > 0

    async with starting(config, entry=stampcard) as server:
        address = server.address
        await eventually("it is under load", under_load)
        assert await server.stop() == 0, server.output
        address, ended = "", True
    assert not load.done()
    database = Database(database_url)
    try:
        hashes = set(
            database.read_now(lambda connection: connection.execute(select(inbox.c.body_hash)).scalars().all())
        )
        assert {hashlib.sha256(request.body).hexdigest() for request in sender.acknowledged} <= hashes
        halves = select(func.count()).where(outbox.c.status == "attempting")
        assert database.read_now(lambda connection: connection.execute(halves).scalar()) == 0
        held = select(lease.c.name).where(lease.c.owner != "")
        assert database.read_now(lambda connection: connection.execute(held).scalars().all()) == []
        assert shop.tally.regressions == 0

        async with starting(config, entry=stampcard) as server:
            address = server.address
            await load
            await eventually("the next one finishes", lambda: asyncio.to_thread(is_done, database))
            assert await server.stop() == 0, server.output
        assert shop.shown() == shop.expected(RATE, WELCOME)
        assert shop.tally.regressions == 0
        verified = database.read_now(lambda connection: verify(connection, "main"))
        assert (verified.total, verified.findings) == (0, ())
    finally:
        database.close()


async def test_a_second_server_on_the_same_sqlite_file_is_refused(
    serving_shop: ShopifySimulator, tmp_path: Path, program: str, stampcard: Sequence[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'stampcard.db'}"
    config = await asyncio.to_thread(install, tmp_path, serving_shop, program, plugin="shopify", database=url)
    async with starting(config, entry=stampcard) as first:
        async with starting(config, entry=stampcard) as second:
            assert await second.ended() == 3
            assert second.address == ""
        (told,) = [line for line in second.output.splitlines() if line.startswith("error: ")]
        assert "stampcard.db is already served by another process" in told
        assert "postgresql://" in told
        assert first.code is None, "the first serves on"
        assert await first.stop() == 0
    async with starting(config, entry=stampcard) as third:
        assert third.address, third.output
        assert await third.stop() == 0


async def test_two_servers_share_a_postgresql_database(
    serving_shop: ShopifySimulator,
    tmp_path: Path,
    program: str,
    stampcard: Sequence[str],
    new_postgresql: Callable[[], str],
) -> None:
    shop, url = serving_shop, new_postgresql()
    config = await asyncio.to_thread(install, tmp_path, shop, program, plugin="shopify", database=url)
    addresses: list[str] = []
    turns = iter(range(1_000_000))
    sender = Sender(lambda: addresses[next(turns) % len(addresses)])
    database = Database(url)
    try:
        async with starting(config, entry=stampcard) as one, starting(config, entry=stampcard) as two:
            addresses += [one.address, two.address]
            await sender.send(shop.history(80))
            assert await one.stop() == 0
            addresses.remove(one.address)
            await eventually("the other finishes", lambda: asyncio.to_thread(is_done, database))
            assert await two.stop() == 0
        assert shop.shown() == shop.expected(RATE, WELCOME)
        assert shop.tally.regressions == 0
        verified = database.read_now(lambda connection: verify(connection, "main"))
        assert (verified.total, verified.findings) == (0, ())
    finally:
        database.close()
