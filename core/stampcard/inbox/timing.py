"""What time alone brings due is booked by a loop; a reader folds the same way, so its being late is never seen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from stampcard.applying.setting import Setting, Stale
from stampcard.applying.settling import settle_due
from stampcard.calling.leases import Lease
from stampcard.clock import Clock
from stampcard.domain.decisions import Change
from stampcard.errors import Unavailable
from stampcard.inbox.working import Surroundings
from stampcard.storage.database import Database
from stampcard.storage.inboxing import forget_answers, forget_bodies

log = structlog.get_logger()

BATCH = 500
REST = 1.0
#: How often bodies whose time of keeping is over are looked for.
TIDYING = timedelta(hours=1)
#: How long the answer to a request with an Idempotency-Key is kept.
ANSWERS = timedelta(days=7)


class Timer:
    """Books due wallets and forgets old bodies, in whichever process holds the lease."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        owner: str,
        surroundings: Surroundings,
        told: Callable[[Sequence[Change]], Awaitable[None]],
        keep: tuple[timedelta, timedelta],
    ) -> None:
        """`keep`: how long the bodies of applied and of quarantined deliveries stay."""
        self._database = database
        self._clock = clock
        self._around = surroundings
        self._told = told
        self._keep = keep
        self._lease = Lease(database, clock, surroundings.setting.merchant, "timers", owner)
        self._stop = asyncio.Event()
        self._tidied_at: datetime | None = None
        self.ticked_at: datetime | None = None

    async def run(self) -> None:
        """Tick until `stop`."""
        while not self._stop.is_set():
            busy = 0
            try:
                if await self._lease.hold() is not None:
                    busy = await self.tick()
                self.ticked_at = self._clock.now()
            except (Unavailable, SQLAlchemyError) as error:
                log.warning("timers_wait", error=type(error).__name__)
            if busy < BATCH:
                await self._rest()
        await self._lease.give_back()

    def stop(self) -> None:
        """End after the batch at hand."""
        self._stop.set()

    async def tick(self) -> int:
        """Book one batch of due wallets; answers how many there were."""
        now = self._clock.now()
        while True:
            setting = self._around.setting
            try:
                booked, changes = await self._database.write(_booking(setting, now))
                break
            except Stale:
                await self._around.refresh()
        await self._told(changes)
        if self._tidied_at is None or now - self._tidied_at > TIDYING:
            self._tidied_at = now
            done, quarantined = self._keep
            await self._database.write(
                lambda connection: forget_bodies(connection, setting.merchant, now - done, now - quarantined)
            )
            await self._database.write(lambda connection: forget_answers(connection, setting.merchant, now - ANSWERS))
        return booked

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(REST):
                await self._stop.wait()
        except TimeoutError:
            pass


def _booking(setting: Setting, now: datetime) -> Callable[[Connection], tuple[int, list[Change]]]:
    return lambda connection: settle_due(connection, setting, now, BATCH)
