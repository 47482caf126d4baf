"""A process that is killed under load, at every point that matters, loses nothing and counts nothing twice."""

from __future__ import annotations

import asyncio
import hashlib
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from sqlalchemy import select
from tests.flows.loads import until

from stampcard.clock import SystemClock
from stampcard.storage.backfilling import Backfill, begin_backfill, load_backfill
from stampcard.storage.database import Database
from stampcard.storage.depths import Depths, load_depths
from stampcard.storage.tables import balance, fetch, identity, inbox
from stampcard.storage.verifying import verify
from stampcard.testing.demonstration import RATE, WELCOME
from stampcard.testing.processes import Sender, Server, install, starting
from stampcard.testing.simulator import SignedRequest
from stampcard.testing.waiting import eventually
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulator import ShopifySimulator

ORDERS = 260
#: On PostgreSQL leases and claims outlive whoever held them; how long is not what is tried here.
HELD = {"MORTAL_HELD": "2"}

#: Where to die, and at which pass.
EVERYWHERE = {
    "before-storing": 5,
    "while-storing": 6,
    "after-storing": 7,
    "before-applying": 3,
    "while-applying": 3,
    "after-applying": 4,
    "while-keeping-what-was-fetched": 1,
    "after-keeping-what-was-fetched": 1,
    "before-pushing": 2,
    "after-pushing": 2,
    "while-settling-pushes": 2,
    "after-settling-pushes": 2,
}
#: Where to die while a past is read.
PAST = {"while-keeping-the-past": 4, "after-keeping-the-past": 2}
#: Where PostgreSQL differs: what is claimed and leased outlives the process.
SOME = {name: EVERYWHERE[name] for name in ("after-storing", "while-applying", "after-applying", "after-pushing")}


async def test_sqlite_loses_nothing_wherever_the_process_is_killed(
    tmp_path: Path, program: str, stampcard: Sequence[str]
) -> None:
    await die_again_and_again(f"sqlite:///{tmp_path / 'stampcard.db'}", tmp_path, program, stampcard, EVERYWHERE)


async def test_postgresql_loses_nothing_wherever_the_process_is_killed(
    tmp_path: Path, program: str, stampcard: Sequence[str], new_postgresql: Callable[[], str]
) -> None:
    await die_again_and_again(new_postgresql(), tmp_path, program, stampcard, SOME, HELD)


async def test_a_past_is_read_once_wherever_the_process_is_killed(
    tmp_path: Path, program: str, stampcard: Sequence[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'stampcard.db'}"
    shop = ShopifySimulator(4, ShopPlan(api_failures=0.0, test_orders=0.0))
    list(shop.history(ORDERS))  # webhooks that nobody ever got
    await shop.start()
    config = await asyncio.to_thread(install, tmp_path, shop, program, plugin="shopify", database=url)
    begin(url)
    small = {"MORTAL_PIECE": "65536"}
    places: list[str] = []
    try:
        for point, passes in PAST.items():
            environment = {**small, "MORTAL": f"{point}:{passes}"}
            async with starting(config, entry=stampcard, environment=environment) as server:
                assert await server.ended() == -signal.SIGKILL, f"{point}: {server.output}"
            check_store(url, ())
            places.append(reading(url).place)
        assert "" not in places, "the past was read before every point was passed"
        assert len(set(places)) > 1
        async with starting(config, entry=stampcard, environment=small) as server:
            await eventually("all is read", lambda: asyncio.to_thread(lambda: reading(url).ended_at is not None))
            await eventually("everything is applied and pushed", lambda: asyncio.to_thread(is_done, url))
            assert await server.stop() == 0, server.output
    finally:
        await shop.stop()
    assert len(shop.exports.all) == 1
    check_store(url, ())
    check_applied(url, shop)


def begin(url: str) -> None:
    """Let the shop's past be read."""
    database = Database(url)
    try:
        database.write_now(lambda c: begin_backfill(c, "main", "shop", SystemClock().now(), None))
    finally:
        database.close()


def reading(url: str) -> Backfill:
    """How far that is."""
    database = Database(url)
    try:
        found = database.read_now(lambda connection: load_backfill(connection, "main", "shop"))
    finally:
        database.close()
    assert found is not None
    return found


async def die_again_and_again(
    url: str,
    folder: Path,
    program: str,
    stampcard: Sequence[str],
    points: Mapping[str, int],
    held: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """One load, many deaths; after each one the database holds what was acknowledged and its ledger is right."""
    plan = ShopPlan(api_failures=0.0, fates={"partial": 10, "cancelled": 5, "enlarged": 20, "reduced_late": 10})
    shop = ShopifySimulator(3, plan)
    await shop.start()
    config = await asyncio.to_thread(install, folder, shop, program, plugin="shopify", database=url)
    lives: list[Server] = []
    passed: list[str] = []
    sender = Sender(lambda: lives[-1].address if lives else "", pause=0.1)
    load = asyncio.create_task(sender.send(until(lambda: len(passed) == len(points), shop)))
    try:
        for point, passes in points.items():
            async with starting(config, entry=stampcard, environment={**held, "MORTAL": f"{point}:{passes}"}) as server:
                lives.append(server)
                assert await server.ended() == -signal.SIGKILL, f"{point}: {server.output}"
            check_store(url, sender.acknowledged)
            passed.append(point)
        async with starting(config, entry=stampcard, environment=held) as server:
            lives.append(server)
            sender.pause = 0.0
            await load
            await eventually("everything is applied and pushed", lambda: asyncio.to_thread(is_done, url))
            assert await server.stop() == 0, server.output
    finally:
        load.cancel()
        await shop.stop()
    check_store(url, sender.acknowledged)
    check_applied(url, shop)


def check_store(url: str, acknowledged: Iterable[SignedRequest]) -> None:
    """Acknowledged ⊆ stored, nothing twice, and a ledger without a difference."""
    database = Database(url)
    try:
        keys = select(inbox.c.key, inbox.c.body_hash)
        stored = Counter(map(tuple, database.read_now(lambda connection: connection.execute(keys).all())))
        verified = database.read_now(lambda connection: verify(connection, "main"))
    finally:
        database.close()
    promised = {(r.headers["X-Shopify-Webhook-Id"], hashlib.sha256(r.body).hexdigest()) for r in acknowledged}
    assert promised <= stored.keys()
    assert set(stored.values()) <= {1}
    assert (verified.total, verified.findings) == (0, ())


def check_applied(url: str, shop: ShopifySimulator) -> None:
    """Stored ⊆ applied, each order's points exactly once, and the shop shows them."""
    database = Database(url)
    try:
        statuses = select(inbox.c.status).distinct()
        assert database.read_now(lambda connection: connection.execute(statuses).scalars().all()) == ["done"]
        figures = select(identity.c.reference, balance.c.active).join(balance, balance.c.member == identity.c.member)
        rows: Sequence[tuple[str, int]] = [
            (row.reference, row.active) for row in database.read_now(lambda c: c.execute(figures).all())
        ]
    finally:
        database.close()
    expected = shop.expected(RATE, WELCOME)
    assert sum(expected.values()) > 0
    assert dict(rows) == expected
    assert shop.shown() == expected
    assert shop.tally.regressions == 0


def is_done(url: str) -> bool:
    database = Database(url)
    try:
        depths: Depths = database.read_now(lambda connection: load_depths(connection, "main"))
        fetches = database.read_now(lambda connection: connection.execute(select(fetch)).all())
    finally:
        database.close()
    return depths.ready == 0 and not fetches and not any(depths.pending.values())
