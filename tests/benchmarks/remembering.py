# ruff: noqa: T201 - a script that people run
"""A long trial: many orders of a shop's past, read by a real server that is killed on the way, in memory that stays flat.

Meanwhile webhooks come, and wait no longer than otherwise.

    python -P tests/benchmarks/remembering.py [ORDERS]

Ends with 1 where an order is missing, counted twice, or the ledger does not hold. What `make test` runs of it is small:
tests/flows/test_killing.py.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

import aiohttp
from sqlalchemy import func, select

from stampcard.clock import SystemClock
from stampcard.storage.backfilling import Backfill, begin_backfill, load_backfill
from stampcard.storage.database import Database
from stampcard.storage.depths import Depths, load_depths
from stampcard.storage.tables import fetch, order_state
from stampcard.storage.verifying import verify
from stampcard.testing.demonstration import CONNECTION, RATE, WELCOME
from stampcard.testing.processes import Server, install, starting
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulator import ShopifySimulator

ORDERS = 10_000
#: Seconds between two looks at the server.
LOOK = 0.5
#: The demo's program is there since 60 days.
PLAN = ShopPlan(api_failures=0.0, test_orders=0.0, days=50, bucket=20_000.0, restore_rate=2_000.0)


class Watch:
    """Looks at the database and at the server's memory (MB)."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.idle = self.peak = 0.0
        self.course: list[tuple[int, float]] = []

    def memory(self, server: Server, done: int = 0) -> None:
        now = resident(server.pid)
        self.idle = self.idle or now
        self.peak = max(self.peak, now)
        self.course.append((done, now))

    def backfill(self) -> Backfill:
        found = self.database.read_now(lambda connection: load_backfill(connection, "main", "shop"))
        assert found is not None
        return found

    def depths(self) -> Depths:
        return self.database.read_now(lambda connection: load_depths(connection, "main"))

    def wanted(self) -> int:
        statement = select(func.count()).select_from(fetch)
        return self.database.read_now(lambda connection: connection.execute(statement).scalar() or 0)


def resident(pid: int) -> float:
    """MB of a process that are in memory."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf8").splitlines()
    (found,) = [line for line in lines if line.startswith("VmRSS:")]
    return int(found.split()[1]) / 1024


async def _run(folder: Path, orders: int) -> bool:
    shop, url = ShopifySimulator(3, PLAN), f"sqlite:///{folder / 'stampcard.db'}"
    for _ in shop.history(orders):  # webhooks that nobody ever got
        pass
    await shop.start()
    program = files("stampcard.cli").joinpath("templates/demo.yaml").read_text(encoding="utf8")
    config = await asyncio.to_thread(install, folder, shop, program, plugin="shopify", database=url)
    watch = Watch(Database(url))
    try:
        await _read(config, shop, watch, orders)
        return _check(shop, watch)
    finally:
        watch.database.close()
        await shop.stop()


async def _read(config: Path, shop: ShopifySimulator, watch: Watch, orders: int) -> None:
    async with starting(config) as server:
        await asyncio.sleep(2.0)
        watch.memory(server)
        watch.database.write_now(lambda c: begin_backfill(c, "main", "shop", SystemClock().now(), None))
        began = time.monotonic()
        while (done := watch.backfill().done) < orders // 2:
            watch.memory(server, done)
            await asyncio.sleep(LOOK)
        server.kill()
        first = watch.backfill().done
    killed = time.monotonic()
    async with starting(config) as server:
        again, waits, over = time.monotonic(), list[float](), asyncio.Event()
        live = asyncio.create_task(_live(shop, server.address, waits, over))
        ended = applied = 0.0
        while not applied or any(watch.depths().pending.values()):
            watch.memory(server, watch.backfill().done)
            if not ended and watch.backfill().ended_at is not None:
                ended = time.monotonic()
                over.set()
                await live
            if ended and not applied and not watch.depths().ready and not watch.wanted():
                applied = time.monotonic()
            await asyncio.sleep(LOOK)
        pushed = time.monotonic()
        await server.stop()
    spent = (killed - began) + (applied - again)
    print(f"killed after {first} orders; all read after {spent - (applied - ended):.0f} s, applied after {spent:.0f} s")
    print(f"{orders / spent:.0f} orders a second; all balances pushed {pushed - applied:.0f} s later")
    waits.sort()
    print(f"{len(waits)} webhooks meanwhile, answered within {waits[len(waits) // 2] * 1000:.0f} ms (half of them), "
          f"{waits[int(len(waits) * 0.99)] * 1000:.0f} ms (99 %), {waits[-1] * 1000:.0f} ms at most")  # fmt: skip
    print(f"memory of the server: {watch.idle:.0f} MB idle, {watch.peak:.0f} MB at most")
    print(
        "after so many orders:",
        ", ".join(f"{done}: {now:.0f} MB" for done, now in watch.course[:: len(watch.course) // 16]),
    )


async def _live(shop: ShopifySimulator, address: str, waits: list[float], over: asyncio.Event) -> None:
    """Orders as they come, a few a second; `waits`: seconds until each webhook was answered."""
    customers = itertools.cycle(list(shop.book.customers))
    async with aiohttp.ClientSession() as session:
        while not over.is_set():
            for request in shop.buy(str(next(customers))):
                began = time.monotonic()
                posted = session.post(f"{address}/webhooks/{CONNECTION}", data=request.body, headers=request.headers)
                async with posted as answer:
                    answer.raise_for_status()
                waits.append(time.monotonic() - began)
            await asyncio.sleep(0.1)


def _check(shop: ShopifySimulator, watch: Watch) -> bool:
    orders = len(shop.book.orders)
    verified = watch.database.read_now(lambda connection: verify(connection, "main"))
    statement = select(func.count()).select_from(order_state)
    known = watch.database.read_now(lambda connection: connection.execute(statement).scalar() or 0)
    depths = watch.depths()
    due, shown = shop.expected(RATE, WELCOME), shop.shown()
    wrong = sum(due.get(who, 0) != shown.get(who, 0) for who in due.keys() | shown.keys())
    print(f"{known} of {orders} orders are known, {depths.quarantined} in quarantine")
    print(
        f"{len(due)} customers, {wrong} balances differ from the shop's books; {len(verified.findings)} findings of verify"
    )
    return (known, depths.quarantined, wrong, verified.total, verified.findings) == (orders, 0, 0, 0, ())


def main() -> None:
    """Run the trial."""
    orders = int(sys.argv[1]) if len(sys.argv) > 1 else ORDERS
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if asyncio.run(_run(Path(folder), orders)) else 1)


if __name__ == "__main__":
    main()
