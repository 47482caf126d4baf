"""Reading records at their source: what is fetched becomes a delivery like any other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Connection as DatabaseConnection
from sqlalchemy import Row, delete, select, tuple_, update

from stampcard.applying.setting import Setting
from stampcard.calling.leases import Lease
from stampcard.calling.looping import Loop
from stampcard.clock import Clock, to_micros
from stampcard.domain.commands import CONTACT
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import Refetch
from stampcard.domain.value import replace
from stampcard.host.connecting import Connection
from stampcard.plugin.capabilities import Fetch
from stampcard.storage.database import Database
from stampcard.storage.inboxing import take_in
from stampcard.storage.tables import fetch

log = structlog.get_logger()

BATCH = 100
REST = 0.5
ATTEMPT = 25.0
#: Longest pause (seconds) between two tries of a fetch; it is tried until it succeeds.
PATIENCE = 3600.0


class Fetcher(Loop):
    """Fetches for one connection, in whichever process holds its lease."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        owner: str,
        connection: Connection,
        setting: Callable[[], Setting],
        stored: Callable[[], None],
    ) -> None:
        """`stored()` is called when something was fetched."""
        super().__init__(Lease(database, clock, setting().merchant, f"fetch:{connection.name}", owner), connection.name)
        self._database = database
        self._clock = clock
        self._connection = connection
        self._setting = setting
        self._stored = stored

    async def turn(self) -> float:
        """Fetch what is due."""
        if self._name not in self._setting().active or await self._lease.hold() is None:
            return REST
        return 0.0 if await self.fetch_once() else REST

    async def fetch_once(self) -> int:
        """Fetch one batch of wanted records, each stored as soon as it is here; answers how many were wanted."""
        wanted = await self._database.read(self._due)
        capabilities = self._connection.capabilities
        if capabilities is None or capabilities.fetch is None:
            return 0
        # A CRM gives many contacts at once; orders are read one by one, so that none holds another up.
        contacts = [row for row in wanted if row.kind == CONTACT]
        for rows in filter(None, (contacts, *([row] for row in wanted if row.kind != CONTACT))):
            if self._stopping or await self._lease.hold() is None:
                break
            await self._fetch(rows, capabilities.fetch)
        return len(wanted)

    async def _fetch(self, rows: Sequence[Row[Any]], fetch_: Fetch) -> None:
        """Fetch records in one call; what fails is postponed."""
        try:
            async with asyncio.timeout(ATTEMPT):
                deliveries = list(await fetch_([Refetch(kind=row.kind, reference=row.reference) for row in rows]))
        except Exception as error:  # noqa: BLE001 - whatever it was, the record is still wanted
            failure = type(error).__name__
            log.warning("fetch_failed", connection=self._connection.name, error=failure)
            await self._database.write(lambda connection: self._postpone(connection, rows, failure))
            return
        if rows[0].kind == CONTACT:  # each look at a contact counts, also where it shows nothing new
            deliveries = [replace(one, key=f"{one.key}@{one.read_at}") for one in deliveries]
        await self._database.write(lambda connection: self._store(connection, rows, deliveries))
        self._stored()

    def _due(self, connection: DatabaseConnection) -> Sequence[Row[Any]]:
        now = to_micros(self._clock.now())
        statement = (
            select(fetch)
            .where(
                fetch.c.merchant == self._setting().merchant,
                fetch.c.connection == self._connection.name,
                fetch.c.due_at <= now,
            )
            .order_by(fetch.c.due_at)
            .limit(BATCH)
        )
        return connection.execute(statement).all()

    def _store(self, connection: DatabaseConnection, wanted: Sequence[Row[Any]], deliveries: list[Delivery]) -> None:
        """Take in what came and cross the wishes off in the same transaction, but for those renewed meanwhile."""
        setting = self._setting()
        if deliveries:
            # Only a backfill brings what counts as of the past, whatever a plugin says.
            live = [replace(delivery, past=False) for delivery in deliveries]
            take_in(connection, setting.merchant, live, setting.sealer, setting.numbering)
        done = [(row.kind, row.reference, row.wanted_at) for row in wanted]
        connection.execute(
            delete(fetch).where(
                fetch.c.merchant == setting.merchant,
                fetch.c.connection == self._connection.name,
                tuple_(fetch.c.kind, fetch.c.reference, fetch.c.wanted_at).in_(done),
            )
        )

    def _postpone(self, connection: DatabaseConnection, wanted: Sequence[Row[Any]], error: str) -> None:
        now = self._clock.now()
        for row in wanted:
            pause = min(PATIENCE, 5.0 * 2 ** min(row.attempts, 10)) * random.uniform(0.5, 1.0)
            connection.execute(
                update(fetch)
                .where(
                    fetch.c.merchant == row.merchant,
                    fetch.c.connection == row.connection,
                    fetch.c.kind == row.kind,
                    fetch.c.reference == row.reference,
                )
                .values(attempts=row.attempts + 1, due_at=to_micros(now + timedelta(seconds=pause)), error=error)
            )
