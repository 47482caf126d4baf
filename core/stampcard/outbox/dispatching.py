"""One loop per connection: whoever holds its lease sends what is due, a few calls at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from stampcard.applying.setting import Setting
from stampcard.calling.leases import Lease
from stampcard.calling.lines import Line
from stampcard.calling.looping import Loop
from stampcard.clock import Clock
from stampcard.domain.commands import AUDIENCE, CONTACT, PASS, STATES
from stampcard.errors import Unavailable
from stampcard.host.channels import ChannelSink
from stampcard.host.connecting import Connection
from stampcard.outbox.commanding import Commanding
from stampcard.outbox.contacting import Contacting
from stampcard.outbox.enlisting import Enlisting
from stampcard.outbox.messaging import Messaging
from stampcard.outbox.presenting import Presenting
from stampcard.outbox.pushing import Pushing
from stampcard.plugin.outcomes import Outcome
from stampcard.storage.database import Database

log = structlog.get_logger()

#: Calls of one sink that may be under way at once.
FLIGHTS = 4
#: How long (seconds) a connection with nothing due rests, unless it is woken.
REST = 0.25


Job = Pushing | Commanding | Contacting | Enlisting | Presenting


class Dispatcher(Loop):
    """Delivers for one connection until it is stopped."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        owner: str,
        connection: Connection,
        setting: Callable[[], Setting],
        told: Callable[[str, str, Sequence[Outcome]], None],
        stored: Callable[[], None],
    ) -> None:
        """`told(connection, kind, outcomes)` is called after each call, `stored()` when something was put into the inbox."""
        now = setting()
        lease = Lease(database, clock, now.merchant, f"connection:{connection.name}", owner)
        super().__init__(lease, connection.name)
        self._setting = setting
        self._told = told

        def job(line: Line) -> Job:
            if line.sink.kind == CONTACT:
                return Contacting(database, clock, line, connection, setting, stored)
            if line.sink.kind == AUDIENCE:
                return Enlisting(database, clock, line, connection, setting)
            if line.sink.kind == PASS:
                return Presenting(database, clock, line, setting)
            if line.sink.kind in STATES:
                return Pushing(database, clock, now.merchant, line, min(now.coalesce, now.longest))
            if isinstance(line.sink, ChannelSink):
                return Messaging(database, clock, line, setting, stored)
            return Commanding(database, clock, now.merchant, now.sealer, line, now.numbering)

        self.jobs = [job(Line(connection.name, sink)) for sink in connection.sinks]
        self._flights: set[asyncio.Task[None]] = set()
        self._count = dict.fromkeys((job.line.sink.kind for job in self.jobs), 0)

    async def end(self) -> None:
        """Let the calls under way end."""
        if self._flights:
            await asyncio.wait(self._flights)

    async def turn(self) -> float:
        """Let every sink with room send one more batch; answers how long to rest."""
        if self._name not in self._setting().active:
            return 1.0
        token = await self._lease.hold()
        if token is None:
            return 1.0
        pauses = [await self._launch(job, token) for job in self.jobs]
        return min(pauses, default=1.0)

    async def _launch(self, job: Job, token: int) -> float:
        kind = job.line.sink.kind
        if self._count[kind] >= FLIGHTS:
            return REST
        items = await self._due(job)
        if not items:
            return REST
        flight = asyncio.create_task(self._fly(job, items, token))
        self._count[kind] += 1
        self._flights.add(flight)
        flight.add_done_callback(self._flights.discard)
        return 0.0

    async def _waited(self, job: Job) -> bool:
        """Wait until the line lets a call through, or everything ends; whether that took any time."""
        waited = False
        while (pause := job.line.wait()) > 0 and not self._stopping:
            waited = True
            await asyncio.sleep(min(pause, 1.0))
        return waited

    async def _due(self, job: Job) -> Sequence[Any]:
        return await job.due(self._setting().programs) if isinstance(job, Pushing) else await job.due()

    async def _fly(self, job: Job, items: Sequence[Any], token: int) -> None:
        kind = job.line.sink.kind
        try:
            if await self._waited(job):
                # Much may have changed meanwhile: the figures, and who has the lease.
                job.release(items)
                items = ()  # another flight may take them now
                renewed = None if self._stopping else await self._lease.hold()
                items = await self._due(job) if renewed is not None else ()
                if renewed is None or not items:
                    return
                token = renewed
            outcomes = await job.send(items, self._lease.name, token)
            self._told(self._name, kind, outcomes)
        except (Unavailable, SQLAlchemyError) as error:
            log.warning("settling_failed", connection=self._name, kind=kind, error=type(error).__name__)
        finally:
            job.release(items)
            self._count[kind] -= 1
            self.wake.set()
