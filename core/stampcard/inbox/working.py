"""The loop that turns stored deliveries into entries: claim, prepare, commit, tell; one batch after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import structlog
from sqlalchemy import Row
from sqlalchemy.exc import SQLAlchemyError

from stampcard.applying.deliveries import Applied, Prepared, Settled, apply_deliveries, is_special, settle_alone
from stampcard.applying.setting import Setting, Stale
from stampcard.clock import Clock
from stampcard.engine.world import Facts
from stampcard.errors import Unavailable
from stampcard.host.connecting import Connection
from stampcard.inbox.preparing import prepare
from stampcard.storage.database import Database
from stampcard.storage.inboxing import claim
from stampcard.storage.stating import pause_if_flooded

log = structlog.get_logger()

FAILED = ("quarantined", "failed")
START, MOST, LEAST = 200, 500, 25
#: How long (seconds) the loop rests when nothing wakes it.
REST = 1.0


class Surroundings(Protocol):
    """What the loops need of the running application."""

    @property
    def setting(self) -> Setting: ...
    @property
    def connections(self) -> Mapping[str, Connection]: ...
    @property
    def sources(self) -> Mapping[str, str]: ...
    async def refresh(self) -> None: ...
    async def gather(self, setting: Setting, batch: Sequence[Prepared]) -> Sequence[Prepared]: ...
    async def gather_day(
        self, setting: Setting, on: str, at: datetime, members: Collection[str]
    ) -> Mapping[str, Facts]: ...


class Worker:
    """Applies deliveries until it is stopped; correctness never depends on how many workers there are."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        owner: str,
        surroundings: Surroundings,
        told: Callable[[Sequence[Prepared], Applied], Awaitable[None]],
    ) -> None:
        """`told` hears, after each commit, what was applied and what became of it."""
        self._database = database
        self._clock = clock
        self._owner = owner
        self._around = surroundings
        self._told = told
        self._size = START
        self.wake = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Work until `stop`; trouble with the database is waited out."""
        while not self._stopping:
            self.wake.clear()
            try:
                busy = await self.work_once()
            except (Unavailable, SQLAlchemyError) as error:
                log.warning("applying_waits", error=type(error).__name__)
                busy = False
            if not busy and not self._stopping:
                await _first(self.wake, REST)

    def stop(self) -> None:
        """End after the batch at hand."""
        self._stopping = True
        self.wake.set()

    async def work_once(self) -> int:
        """Apply one batch; answers how many deliveries it had."""
        setting = self._around.setting
        now = self._clock.now()
        claimed = await self._claim(setting, now)
        if not claimed:
            return 0
        batch = await asyncio.to_thread(
            prepare, claimed, self._around.connections, self._around.sources, setting.sealer
        )
        batch = list(await self._around.gather(setting, batch))
        together = [prepared for prepared in batch if not is_special(prepared)]
        for part in ([together] if together else []) + [[prepared] for prepared in batch if is_special(prepared)]:
            await self._apply(part)
        return len(claimed)

    async def _claim(self, setting: Setting, now: Any) -> list[Row[Any]]:
        call = self._database.read if self._database.is_sqlite else self._database.write
        return await call(lambda connection: claim(connection, setting.merchant, self._owner, now, self._size))

    async def _apply(self, batch: Sequence[Prepared]) -> None:
        """Apply a batch in one transaction; only when saving it fails, each delivery in its own."""
        try:
            applied = await self._commit(batch)
        except Unavailable:
            self._size = max(LEAST, self._size // 2)
            raise
        except Exception as error:  # noqa: BLE001 - whatever one delivery caused must not stop the line
            if len(batch) > 1:
                self._size = max(LEAST, self._size // 2)
                for prepared in batch:
                    await self._apply([prepared])
                return
            applied = await self._fail(batch[0], error)
        else:
            self._size = min(MOST, self._size + LEAST)
        await self._pause_flooded(batch, applied.settled)
        await self._told(batch, applied)

    async def _pause_flooded(self, batch: Sequence[Prepared], settled: Sequence[Settled]) -> None:
        """Where the same error fills the quarantine, pause the connection it comes from."""
        failed = {one.delivery: one.code for one in settled if one.status in FAILED and one.code != "set_aside"}
        floods = {(p.connection, failed[p.delivery]) for p in batch if p.delivery in failed}
        merchant = self._around.setting.merchant
        for name, code in sorted(floods):
            if await self._database.write(
                lambda connection: pause_if_flooded(connection, merchant, name, code, self._clock)  # noqa: B023 - runs before the next turn
            ):
                log.error("connection_paused", connection=name, code=code)

    async def _commit(self, batch: Sequence[Prepared]) -> Applied:
        while True:
            setting, now = self._around.setting, self._clock.now()
            try:
                return await self._database.write(
                    lambda connection: apply_deliveries(connection, setting, batch, now, self._owner)  # noqa: B023 - runs before the next turn
                )
            except Stale:
                await self._around.refresh()

    async def _fail(self, prepared: Prepared, error: Exception) -> Applied:
        log.error("delivery_failed", delivery=prepared.delivery, error=type(error).__name__)
        setting, now = self._around.setting, self._clock.now()
        detail = str(getattr(error, "orig", None) or error)
        settled = Settled(delivery=prepared.delivery, status="failed", code=type(error).__name__, detail=detail)
        await self._database.write(lambda connection: settle_alone(connection, setting, settled, now))
        return Applied(settled=(settled,))


async def _first(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
