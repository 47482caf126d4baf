"""Reading a connection's past, page by page: each page's orders and the place behind it are kept in one transaction."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from stampcard.applying.setting import Setting
from stampcard.calling.leases import Lease
from stampcard.calling.looping import Loop
from stampcard.clock import Clock
from stampcard.domain.deliveries import Delivery
from stampcard.domain.value import replace
from stampcard.errors import PluginError, told
from stampcard.host.connecting import Connection
from stampcard.plugin.orders import HistoryPage, OrderHistory
from stampcard.storage.backfilling import Backfill, Terms, keep_page, load_backfill
from stampcard.storage.database import Database
from stampcard.storage.inboxing import count_ready

log = structlog.get_logger()

#: While so many deliveries wait to be applied, none of the past are read.
FULL = 500
#: Seconds between two looks for something to do, and for room.
REST, ROOM = 1.0, 0.1
ATTEMPT = 25.0
#: Longest pause (seconds) between two tries.
PATIENCE = 3600.0


class Backfiller(Loop):
    """Reads one connection's past, in whichever process holds its lease."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        owner: str,
        connection: Connection,
        setting: Callable[[], Setting],
        stored: Callable[[], None],
    ) -> None:
        """`stored()` is called when orders were taken in."""
        lease = Lease(database, clock, setting().merchant, f"backfill:{connection.name}", owner)
        super().__init__(lease, connection.name)
        self._database, self._clock = database, clock
        self._connection, self._setting, self._stored = connection, setting, stored

    async def turn(self) -> float:
        """Read the next page, if one is wanted and there is room."""
        setting = self._setting()
        history = self._connection.capabilities.history if self._connection.capabilities is not None else None
        if history is None or self._name not in setting.active:
            return REST
        known = await self._database.read(lambda connection: load_backfill(connection, setting.merchant, self._name))
        if known is None or not known.goes_on:
            return REST
        now = self._clock.now()
        wait = max(history.pace(), (known.terms.next_at - now).total_seconds() if known.terms.next_at else 0.0)
        if wait > 0:
            return min(wait, REST)
        if await self._lease.hold() is None:
            return REST
        if await self._database.read(lambda connection: count_ready(connection, setting.merchant, now, FULL)) >= FULL:
            return ROOM
        await self._step(setting, history, known)
        return 0.0

    async def _step(self, setting: Setting, history: OrderHistory, known: Backfill) -> None:
        """One page, or why there is none, and where that leaves us."""
        deliveries: Sequence[Delivery] = ()
        try:
            async with asyncio.timeout(ATTEMPT):
                after, deliveries = await self._read(history, known)
        except Exception as error:  # noqa: BLE001 - a plugin's own code; the same place is read again later
            log.warning("backfill_failed", connection=self._name, error=told(error))
            after = _failed(known, told(error), self._clock.now())
        keep = partial(
            keep_page, merchant=setting.merchant, before=known, after=after, deliveries=deliveries,
            sealer=setting.sealer, numbering=setting.numbering,
        )  # fmt: skip
        if await self._database.write(keep) and deliveries:
            self._stored()

    async def _read(self, history: OrderHistory, known: Backfill) -> tuple[Backfill, Sequence[Delivery]]:
        if not known.terms.counted:
            total = await history.count(known.terms.since)
            return replace(known, total=total or 0, terms=_well(known, counted=True)), ()
        page = await history.read(known.terms.since, known.place)
        now = self._clock.now()
        next_at = now + timedelta(seconds=page.wait) if page.wait > 0 else None
        after = replace(
            known,
            place=page.place,
            done=known.done + len(page.deliveries),
            ended_at=None if page.place else now,
            terms=_well(known, next_at=next_at, note=page.note),
        )
        return after, [self._checked(one, now) for one in self._whole(page, known)]

    def _whole(self, page: HistoryPage, known: Backfill) -> Sequence[Delivery]:
        """The page's deliveries; raises PluginError for a page that leads nowhere."""
        if page.place and page.place == known.place and page.wait <= 0:
            raise PluginError(self._connection.plugin, "its history says that there is more, and not where")
        return page.deliveries

    def _checked(self, delivery: Delivery, now: datetime) -> Delivery:
        """A delivery as one of the past; raises PluginError for what a plugin may not say."""
        if delivery.connection != self._name or not delivery.read_at:
            raise PluginError(self._connection.plugin, "its history brought what is none of its own fetched orders")
        return replace(delivery, past=True, received_at=now)


def _well(known: Backfill, **changes: Any) -> Terms:
    """The terms after a try that brought something."""
    return replace(known.terms, trouble="", tries=0, **{"next_at": None, **changes})


def _failed(known: Backfill, trouble: str, now: datetime) -> Backfill:
    """The same place, to be read again later."""
    tries = known.terms.tries
    pause = min(PATIENCE, 5.0 * 2 ** min(tries, 10)) * random.uniform(0.5, 1.0)
    terms = replace(known.terms, trouble=trouble, tries=tries + 1, next_at=now + timedelta(seconds=pause))
    return replace(known, terms=terms)
