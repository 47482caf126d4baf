"""Natural group commit: the next batch is whatever queued while the last commit ran."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from stampcard.domain.deliveries import Delivery
from stampcard.errors import Unavailable
from stampcard.sealing import Sealer
from stampcard.storage.database import Database
from stampcard.storage.inboxing import take_in
from stampcard.storage.numbering import Numbering

MAX_ROWS = 500
MAX_BYTES = 4 * 1024 * 1024
QUEUE_ROWS = 5000
QUEUE_BYTES = 32 * 1024 * 1024


class Batcher:
    """Stores deliveries durably, many in one commit; `add` returns once its own delivery is committed."""

    def __init__(
        self,
        database: Database,
        merchant: str,
        sealer: Sealer,
        numbering: Numbering,
        stored: Callable[[int, int], None],
    ) -> None:
        """`stored(new, duplicates)` is called after each commit."""
        self._database = database
        self._merchant = merchant
        self._sealer = sealer
        self._numbering = numbering
        self._stored = stored
        self._queue: deque[tuple[Delivery, asyncio.Future[None]]] = deque()
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None

    async def add(self, delivery: Delivery) -> None:
        """Store one delivery; raises Unavailable, with nothing promised, when the queue is full or the commit fails."""
        if len(self._queue) >= QUEUE_ROWS or self._bytes + len(delivery.body) > QUEUE_BYTES:
            raise Unavailable("the inbox queue", retry_after=2.0)
        committed = asyncio.get_running_loop().create_future()
        self._queue.append((delivery, committed))
        self._bytes += len(delivery.body)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._commit_all())
        await committed

    async def close(self) -> None:
        """Commit what is still queued."""
        if self._task is not None:
            await self._task

    async def _commit_all(self) -> None:
        while self._queue:
            await self._commit(self._next_batch())

    def _next_batch(self) -> list[tuple[Delivery, asyncio.Future[None]]]:
        batch: list[tuple[Delivery, asyncio.Future[None]]] = []
        size = 0
        while self._queue and len(batch) < MAX_ROWS and (not batch or size + len(self._queue[0][0].body) <= MAX_BYTES):
            batch.append(self._queue.popleft())
            size += len(batch[-1][0].body)
        self._bytes -= size
        return batch

    async def _commit(self, batch: list[tuple[Delivery, asyncio.Future[None]]]) -> None:
        """Commit a batch; where its data is at fault, halves of it, until the bad delivery is alone."""
        deliveries = [delivery for delivery, _ in batch]

        def work(connection: Connection) -> int:
            return take_in(connection, self._merchant, deliveries, self._sealer, self._numbering)

        try:
            new = await self._database.write(work)
        except (SQLAlchemyError, ValueError) as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._commit(batch[:middle])
                await self._commit(batch[middle:])
                return
            self._answer(batch, Unavailable(f"the database ({type(error).__name__})"))
        except BaseException as error:
            self._answer(batch, Unavailable("the database") if isinstance(error, Exception) else error)
            if not isinstance(error, Exception):
                raise
        else:
            self._stored(new, len(batch) - new)
            self._answer(batch, None)

    @staticmethod
    def _answer(batch: list[tuple[Delivery, asyncio.Future[None]]], error: BaseException | None) -> None:
        for _, committed in batch:
            if committed.done():
                continue
            if error is None:
                committed.set_result(None)
            else:
                committed.set_exception(error)
