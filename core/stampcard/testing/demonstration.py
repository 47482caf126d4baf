"""A simulated shop against a real, served Stampcard, and the proof that not a point is missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import func, select

from stampcard.app import Application
from stampcard.domain.value import Value
from stampcard.program.reading import read_program
from stampcard.sealing import new_key_text
from stampcard.settings import DeliverSettings, HttpSettings, SecuritySettings, Settings
from stampcard.storage import migrating
from stampcard.storage.database import Database
from stampcard.storage.depths import load_depths
from stampcard.storage.programming import store_version
from stampcard.storage.tables import balance, fetch
from stampcard.storage.verifying import verify
from stampcard.testing.simulator import ShopSimulator
from stampcard_webhooks.server import serving

CONNECTION = "shop"
#: What the demo's program pays: points per unit of money, and for joining.
RATE, WELCOME = Decimal(1), 50
#: The program began before the simulated history does.
BEFORE = timedelta(days=60)
#: Settled means: nothing waits, so many times in a row, with such a pause (seconds) between.
QUIET, PAUSE = 3, 0.1
#: The least share of orders that must have been refunded, and of how many orders that can be asked.
REFUNDED, ENOUGH = 0.05, 40


class Check(Value, frozen=True):
    """One claim of the proof and whether it holds."""

    claim: str
    holds: bool
    detail: str


@dataclass(slots=True)
class Demonstration:
    """A simulator and the application that serves it, running."""

    simulator: ShopSimulator
    application: Application
    address: str
    checks: list[Check] = field(default_factory=list)

    @property
    def target(self) -> str:
        """Where the simulated shop sends its webhooks."""
        return f"{self.address}/webhooks/{CONNECTION}"

    async def settled(self, within: float) -> bool:
        """Wait until nothing is left to apply, fetch or push; False if that takes longer than `within` seconds."""
        quiet = 0
        for _ in range(int(within / PAUSE)):
            quiet = quiet + 1 if await self.waiting() == 0 else 0
            if quiet == QUIET:
                return True
            await asyncio.sleep(PAUSE)
        return False

    async def waiting(self) -> int:
        """How many deliveries, fetches and pushes are under way."""
        merchant = self.application.setting.merchant
        depths = await self.application.database.read(lambda connection: load_depths(connection, merchant))
        wanted = select(func.count()).select_from(fetch).where(fetch.c.merchant == merchant)
        fetches = await self.application.database.read(lambda connection: connection.execute(wanted).scalar() or 0)
        return depths.ready + fetches + sum(depths.pending.values())

    async def points(self) -> int:
        """Points granted so far, net of what went back."""
        statement = select(-func.coalesce(func.sum(balance.c.issued), 0))
        return await self.application.database.read(lambda connection: connection.execute(statement).scalar() or 0)

    async def lag(self) -> float:
        """Seconds since the oldest waiting push became due."""
        merchant = self.application.setting.merchant
        depths = await self.application.database.read(lambda connection: load_depths(connection, merchant))
        oldest = depths.oldest.get(CONNECTION)
        return max(0.0, (self.application.clock.now() - oldest).total_seconds()) if oldest else 0.0

    async def prove(self) -> list[Check]:
        """Compare the shop's own books with what it was told, and the ledger with itself."""
        application, tally = self.application, self.simulator.tally
        merchant = application.setting.merchant
        verified = await application.database.read(lambda connection: verify(connection, merchant))
        depths = await application.database.read(lambda connection: load_depths(connection, merchant))
        expected, shown = self.simulator.expected(RATE, WELCOME), self.simulator.shown()
        wrong = {who for who in expected.keys() | shown.keys() if expected.get(who, 0) != shown.get(who, 0)}
        total = sum(expected.values())
        refunded = tally.refunded_orders / max(1, tally.orders)
        many = tally.orders >= ENOUGH
        first = str(verified.findings[0]) if verified.findings else "no difference"
        self.checks = [
            Check(claim="the shop's own books expect points", holds=total > 0, detail=f"{total} points"),
            Check(
                claim="at least 5 % of the orders were refunded",
                holds=refunded >= REFUNDED or not many,
                detail=f"{refunded:.1%}" + ("" if many else ", of too few to tell"),
            ),
            Check(
                claim="every balance in the shop equals what its books expect",
                holds=not wrong,
                detail=f"{len(expected)} customers, {len(wrong)} differ",
            ),
            Check(
                claim="the ledger sums to 0",
                holds=verified.total == 0 and verified.entries > 0,
                detail=f"{verified.entries} entries sum to {verified.total}",
            ),
            Check(claim="every balance is rebuilt from its entries", holds=not verified.findings, detail=first),
            Check(
                claim="no forged webhook was let in",
                holds=tally.forged_accepted == 0 and (tally.forged > 0 or not many),
                detail=f"{tally.forged} tried, {tally.forged_accepted} let in",
            ),
            Check(
                claim="every genuine webhook was taken in",
                holds=tally.given_up == 0 and tally.sent == tally.acknowledged,
                detail=f"{tally.acknowledged} of {tally.sent}",
            ),
            Check(
                claim="no push went back in time",
                holds=tally.regressions == 0,
                detail=f"{tally.pushes_received} pushes, {tally.regressions} older than the one before",
            ),
            Check(
                claim="nothing was set aside or given up",
                holds=depths.quarantined == 0 and not any(depths.dead.values()),
                detail=f"{depths.quarantined} quarantined, {sum(depths.dead.values())} dead letters",
            ),
        ]
        return self.checks


@asynccontextmanager
async def demonstrating(
    simulator: ShopSimulator,
    folder: Path,
    program: str,
    *,
    plugin: str,
    database: str | None = None,
    adapt: Callable[[Settings], Settings] = lambda settings: settings,
    plugins: Mapping[str, object] | None = None,
) -> AsyncIterator[Demonstration]:
    """Serve a fresh Stampcard in `folder` on a free port, connected to the simulator, with this program text.

    `adapt` may change the settings, `plugins` are beside those that are installed.
    """
    await simulator.start()
    key_file = folder / "stampcard.key"
    key_file.touch(mode=0o600)
    key_file.write_text(new_key_text(), encoding="utf8")
    settings = adapt(
        Settings(
            database=database or f"sqlite:///{folder / 'demo.db'}",
            key_file=key_file,
            programs=(),
            http=HttpSettings(port=0),
            security=SecuritySettings(outbound_allow=(urlsplit(simulator.api_url).netloc,)),
            deliver=DeliverSettings(coalesce=0.2),
            connections={CONNECTION: {"plugin": plugin, **simulator.settings()}},
        )
    )
    await asyncio.to_thread(prepare_database, settings.database, settings.merchant, program, simulator.clock.now())
    try:
        async with (
            Application(settings, clock=simulator.clock, plugins=plugins) as application,
            serving(application) as address,
        ):
            yield Demonstration(simulator=simulator, application=application, address=address)
    finally:
        await simulator.stop()


def prepare_database(url: str, merchant: str, text: str, now: datetime) -> None:
    """Make the database, with a program that began before the history does."""
    program = read_program(text, "demo program")
    database = Database(url)
    try:
        migrating.upgrade(database)
        database.write_now(
            lambda connection: store_version(connection, merchant, program, text, "demo", "", now - BEFORE)
        )
    finally:
        database.close()
