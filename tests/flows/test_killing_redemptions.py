"""A process that is killed while it makes rewards real makes no code twice and loses no point."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import aiohttp
from sqlalchemy import select

from stampcard.clock import SystemClock
from stampcard.domain.scopes import ADMIN
from stampcard.storage.database import Database
from stampcard.storage.keys import create_key
from stampcard.storage.tables import identity, redemption
from stampcard.storage.verifying import verify
from stampcard.testing.processes import Sender, Server, install, starting
from stampcard.testing.waiting import eventually
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulator import ShopifySimulator

PROGRAM = """
program: club
currency: USD
timezone: America/Toronto
wallets: {points: {}}
rules:
  - {id: hello, on: sign_up, award: 100000}
rewards:
  five: {gives: 5 USD off, price: 10, hold: 1 day}
"""
#: How long what a dead process held is waited for, and how long an effect may take to be visible.
HELD = {"MORTAL_HELD": "1"}
#: Where to die, and at which pass.
EVERYWHERE = {
    "while-redeeming": 2,
    "after-redeeming": 3,
    "after-announcing": 2,
    "before-issuing": 2,
    "after-issuing": 2,
    "while-settling-commands": 2,
    "after-settling-commands": 2,
    "while-moving-on": 2,
    "after-moving-on": 2,
}
#: Where PostgreSQL differs: what is claimed and leased outlives the process.
SOME = {name: EVERYWHERE[name] for name in ("after-redeeming", "after-issuing", "after-settling-commands")}


async def test_sqlite_makes_no_code_twice_wherever_the_process_is_killed(
    tmp_path: Path, stampcard: Sequence[str]
) -> None:
    await die_again_and_again(f"sqlite:///{tmp_path / 'stampcard.db'}", tmp_path, stampcard, EVERYWHERE)


async def test_postgresql_makes_no_code_twice_wherever_the_process_is_killed(
    tmp_path: Path, stampcard: Sequence[str], new_postgresql: Callable[[], str]
) -> None:
    await die_again_and_again(new_postgresql(), tmp_path, stampcard, SOME)


async def die_again_and_again(url: str, folder: Path, stampcard: Sequence[str], points: dict[str, int]) -> None:
    shop = ShopifySimulator(5, ShopPlan(api_failures=0.0))
    await shop.start()
    config = await asyncio.to_thread(install, folder, shop, PROGRAM, plugin="shopify", database=url)
    lives: list[Server] = []
    try:
        members, key = await joined(shop, url, config, stampcard)
        wishing = asyncio.create_task(wish(lambda: lives[-1].address if lives else "", members, key))
        try:
            for point, passes in points.items():
                environment = {**HELD, "MORTAL": f"{point}:{passes}"}
                async with starting(config, entry=stampcard, environment=environment) as server:
                    lives.append(server)
                    assert await server.ended() == -signal.SIGKILL, f"{point}: {server.output}"
                check(url)
            async with starting(config, entry=stampcard, environment=HELD) as server:
                lives.append(server)
                assert not wishing.done(), wishing.exception()
                wishing.cancel()
                await asyncio.wait([wishing])
                await eventually("every reward is issued", lambda: asyncio.to_thread(is_issued, url))
                assert await server.stop() == 0, server.output
        finally:
            wishing.cancel()
    finally:
        await shop.stop()
    check(url)
    assert len(shop.discounts.codes) == count(url) >= len(points)


async def joined(shop: ShopifySimulator, url: str, config: Path, stampcard: Sequence[str]) -> tuple[list[str], str]:
    """Members with points, and a key to redeem for them."""
    async with starting(config, entry=stampcard) as server:
        await Sender(lambda: server.address, pause=0.0).send(shop.history(30))
        await eventually("there are members", lambda: asyncio.to_thread(lambda: len(known(url)) > 3))
        assert await server.stop() == 0
    database = Database(url)
    try:
        now = SystemClock().now()
        _, key = database.write_now(lambda c: create_key(c, "main", "till", (ADMIN,), None, now))
    finally:
        database.close()
    return known(url), key


def known(url: str) -> list[str]:
    database = Database(url)
    try:
        return list(database.read_now(lambda c: c.execute(select(identity.c.member)).scalars()))
    finally:
        database.close()


async def wish(address: Callable[[], str], members: list[str], key: str) -> None:
    """Redeem again and again; what was not answered is asked again under the same key, until it is."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
        for number in range(100_000):
            member, done = members[number % len(members)], False
            while not done:
                try:
                    url = f"{address()}/api/v1/members/{member}/redemptions"
                    headers = {"Idempotency-Key": f"wish-{number}"}
                    async with session.post(url, json={"reward": "five"}, headers=headers) as response:
                        done = response.status == 201
                        assert response.status in {201, 503}, await response.text()
                except (aiohttp.ClientError, ValueError):
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.02)


def check(url: str) -> None:
    """The ledger is right; each wish has one redemption, each redemption one code."""
    database = Database(url)
    try:
        found = database.read_now(lambda connection: verify(connection, "main"))
        prints = list(database.read_now(lambda c: c.execute(select(redemption.c.code_print)).scalars()))
    finally:
        database.close()
    assert (found.total, found.findings) == (0, ())
    assert set(Counter(prints).values()) <= {1}


def is_issued(url: str) -> bool:
    database = Database(url)
    try:
        statuses = database.read_now(lambda c: c.execute(select(redemption.c.status).distinct()).scalars().all())
    finally:
        database.close()
    return statuses == ["issued"]


def count(url: str) -> int:
    database = Database(url)
    try:
        return len(database.read_now(lambda c: c.execute(select(redemption.c.id)).all()))
    finally:
        database.close()
