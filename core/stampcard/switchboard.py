"""The connections that stand, and what runs for each; they come, change and go while everything else runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

import structlog

from stampcard.host.connecting import Connection, ConnectionSpec, Resources, connect_all, disconnect_all
from stampcard.host.discovering import PluginTable
from stampcard.outbox.dispatching import Dispatcher

log = structlog.get_logger()

#: Seconds that what is under way for a connection may take once it is unplugged.
UNPLUGGING = 10.0
#: Runs a loop, again and again if it fails.
Alive = Callable[[Callable[[], Awaitable[None]]], Coroutine[Any, Any, None]]


class Worker(Protocol):
    """What runs for a connection until it is told to stop."""

    async def run(self) -> None:
        """Work until `stop`."""

    def stop(self) -> None:
        """Begin nothing new."""


class Switchboard:
    """Plugs connections in and out; a connection whose settings changed is another one."""

    def __init__(
        self,
        table: PluginTable,
        resources: Resources,
        dispatcher: Callable[[Connection], Dispatcher],
        workers: Callable[[Connection], Sequence[Worker]],
    ) -> None:
        """`dispatcher` makes what sends to a connection, `workers` whatever else runs for it."""
        self.connections: Mapping[str, Connection] = {}
        self.dispatchers: dict[str, Dispatcher] = {}
        self._workers: dict[str, Sequence[Worker]] = {}
        self._table, self._resources = table, resources
        self._dispatcher, self._new_workers = dispatcher, workers
        self._specs: dict[str, ConnectionSpec] = {}
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._alive: Alive | None = None
        self._plugging = asyncio.Lock()

    async def plug(self, specs: Sequence[ConnectionSpec]) -> bool:
        """Let these connections stand and no others; answers whether that changed anything."""
        async with self._plugging:
            wanted = {spec.name: spec for spec in specs}
            gone = [name for name, spec in self._specs.items() if wanted.get(name) != spec]
            fresh = [spec for name, spec in wanted.items() if self._specs.get(name) != spec]
            if not gone and not fresh:
                return False
            for name in gone:
                await self._unplug(name)
            found = await connect_all(fresh, self._table, self._resources)
            for one in found.values():
                if one.problem:
                    log.error("connection_failed", connection=one.name, problem=one.problem)
            # A new mapping: whoever goes through the former one is not disturbed.
            self.connections = {**self.connections, **found}
            self._specs |= {spec.name: spec for spec in fresh}
            log.info("plugged", connections=sorted(self._specs), fresh=sorted(found), gone=sorted(gone))
            return True

    def equip(self) -> None:
        """Let something run for every connection for which nothing does."""
        for name, connection in self.connections.items():
            if connection.capabilities is None:
                continue
            if connection.sinks and name not in self.dispatchers:
                self.dispatchers[name] = self._dispatcher(connection)
                self._run(name, self.dispatchers[name].run)
            if name not in self._workers:
                self._workers[name] = self._new_workers(connection)
                for worker in self._workers[name]:
                    self._run(name, worker.run)

    def start(self, alive: Alive) -> None:
        """Begin to send and fetch."""
        self._alive = alive
        for name, dispatcher in self.dispatchers.items():
            self._run(name, dispatcher.run)
        for name, workers in self._workers.items():
            for worker in workers:
                self._run(name, worker.run)

    def stop(self) -> list[asyncio.Task[None]]:
        """Send and fetch nothing new; answers what ends soon."""
        for dispatcher in self.dispatchers.values():
            dispatcher.stop()
        for workers in self._workers.values():
            for worker in workers:
                worker.stop()
        return [task for tasks in self._tasks.values() for task in tasks]

    async def close(self) -> None:
        """Close the pools of all connections."""
        await disconnect_all(self.connections)

    def wake(self) -> None:
        """Let every dispatcher look at once for what is due."""
        for dispatcher in self.dispatchers.values():
            dispatcher.wake.set()

    def _run(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        if self._alive is not None:
            self._tasks.setdefault(name, []).append(asyncio.create_task(self._alive(loop)))

    async def _unplug(self, name: str) -> None:
        """Let what is under way for a connection end, and close its pool."""
        if name in self.dispatchers:
            self.dispatchers.pop(name).stop()
        for worker in self._workers.pop(name, ()):
            worker.stop()
        tasks = self._tasks.pop(name, [])
        if tasks:
            await asyncio.wait(tasks, timeout=UNPLUGGING)
        for task in tasks:
            task.cancel()
        connection = self.connections.get(name)
        self.connections = {other: one for other, one in self.connections.items() if other != name}
        self._specs.pop(name, None)
        if connection is not None:
            await disconnect_all({name: connection})
