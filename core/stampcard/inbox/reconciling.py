"""Finding orders of which no webhook told: vendors promise neither that all come, nor that any comes in time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import Connection as DatabaseConnection

from stampcard.applying.setting import Setting
from stampcard.calling.leases import Lease
from stampcard.calling.looping import Loop
from stampcard.clock import Clock
from stampcard.errors import told
from stampcard.host.connecting import Connection
from stampcard.plugin.orders import Listing, OrderList
from stampcard.storage.database import Database
from stampcard.storage.reconciling import behind, note_reconciled, reconciled_until, want

log = structlog.get_logger()

#: How much of what was looked at is looked at again.
OVERLAP = timedelta(minutes=15)
#: How long somebody who wants us to look further back waits after the last look.
AGAIN = timedelta(minutes=1)
#: Seconds between two looks at the clock.
REST = 5.0
#: What is told of the way: how many orders were looked at, and how many of them are wanted.
Told = Callable[[int, int], None]


class Reconciler(Loop):
    """Looks through one connection's orders, in whichever process holds its lease."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        owner: str,
        connection: Connection,
        setting: Callable[[], Setting],
        source: Callable[[str], str],
    ) -> None:
        """`source`: the connection that owns the references of this one's orders."""
        lease = Lease(database, clock, setting().merchant, f"reconcile:{connection.name}", owner)
        super().__init__(lease, connection.name)
        self._database, self._clock, self._connection = database, clock, connection
        self._setting, self._source = setting, source
        self._next = clock.now()
        self._known: datetime | None = None
        self._again = self._next

    async def turn(self) -> float:
        """Look, if it is time to, or somebody wants us to look further back."""
        if self._name in self._setting().active:
            now, mark = self._clock.now(), await self._mark()
            is_wanted = mark is not None and self._known is not None and mark < self._known and now >= self._again
            if is_wanted or now >= self._next:
                self._again = now + AGAIN
                await self._look()
                self._known = max(filter(None, (self._known, await self._mark())), default=None)
        return REST

    async def _mark(self) -> datetime | None:
        merchant = self._setting().merchant
        return await self._database.read(lambda connection: reconciled_until(connection, merchant, self._name))

    async def _look(self) -> None:
        if await self._lease.hold() is None:
            return
        orders = self._connection.capabilities.orders if self._connection.capabilities is not None else None
        if orders is None:
            return
        self._next = self._clock.now() + orders.every
        merchant = self._setting().merchant
        known = await self._mark()
        if known is None:
            # What was before a connection is asked for by people: `connection reconcile --since`.
            now = self._clock.now()
            await self._database.write(lambda connection: note_reconciled(connection, merchant, self._name, now, 0))
            return
        since, source = known - OVERLAP, self._source(self._name)
        try:
            await reconcile(self._database, self._clock, merchant, self._name, source, orders, since, self._holds)
        except Exception as error:  # noqa: BLE001 - a plugin's own code; the next turn looks at all of it again
            log.warning("reconciling_failed", connection=self._name, error=told(error))

    async def _holds(self) -> bool:
        return not self._stopping and await self._lease.hold() is not None


async def reconcile(
    database: Database,
    clock: Clock,
    merchant: str,
    name: str,
    source: str,
    orders: OrderList,
    since: datetime,
    goes_on: Callable[[], Awaitable[bool]] | None = None,
    told_: Told = lambda _, __: None,
) -> tuple[int, int]:
    """Want every order that changed since then and is not known so; answers how many were looked at, and are wanted.

    What it wants is fetched and applied like any other delivery. Raises whatever the plugin raises; nothing is noted then.
    """
    started, looked, wanted, place = clock.now(), 0, 0, ""
    while True:
        await clock.sleep(orders.pace())
        page = await orders.changed(since, place)
        wanted += await database.write(partial(_want, merchant, name, source, page.orders, clock.now()))
        looked += len(page.orders)
        told_(looked, wanted)
        place = page.place
        if not place:
            # Whoever looks at the last hours by hand says nothing of what was before.
            known = await database.read(lambda connection: reconciled_until(connection, merchant, name))
            if known is None or since <= known:
                note = partial(note_reconciled, merchant=merchant, name=name, until=started, found=wanted)
                await database.write(note)
            return looked, wanted
        if goes_on is not None and not await goes_on():
            return looked, wanted


def _want(
    merchant: str, name: str, source: str, listed: Sequence[Listing], now: datetime, connection: DatabaseConnection
) -> int:
    missing = behind(connection, merchant, source, listed)
    want(connection, merchant, name, missing, now)
    return len(missing)
