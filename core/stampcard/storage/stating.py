"""What is stored about connections: whether they are active, and the few secrets that plugins keep."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, Row, func, select

from stampcard.clock import Clock, SystemClock, to_micros
from stampcard.errors import PluginError
from stampcard.sealing import Sealer
from stampcard.storage import leasing, saving
from stampcard.storage.database import Database
from stampcard.storage.revising import bump
from stampcard.storage.tables import connection_state, inbox, store

#: More deliveries than this, failing alike within the window, pause their connection.
MOST_ALIKE = 50
WINDOW = timedelta(minutes=10)
#: How long a key of a store is held at most, and how often (seconds) whoever waits for it looks again.
HELD = timedelta(seconds=30)
POLL = 0.05


def load_states(connection: Connection, merchant: str) -> Sequence[Row[tuple[str, str, str, str, int]]]:
    """The state of every connection that is not active."""
    stopped = select(connection_state).where(
        connection_state.c.merchant == merchant, connection_state.c.state != "active"
    )
    return connection.execute(stopped).all()


def was_resumed(connection: Connection, merchant: str, name: str, since: datetime) -> bool:
    """Whether somebody let a connection work again after a moment."""
    resumed = select(connection_state.c.connection).where(
        connection_state.c.merchant == merchant,
        connection_state.c.connection == name,
        connection_state.c.state == "active",
        connection_state.c.since > to_micros(since),
    )
    return connection.execute(resumed).first() is not None


def set_state(connection: Connection, merchant: str, name: str, state: str, reason: str, clock: Clock) -> None:
    """Pause, end or resume a connection, on all processes within a second."""
    since = to_micros(clock.now())
    row = {"merchant": merchant, "connection": name, "state": state, "reason": reason, "since": since}
    saving.upsert(connection, "connection_state", [row])
    bump(connection, merchant)


def pause_if_flooded(connection: Connection, merchant: str, name: str, code: str, clock: Clock) -> bool:
    """Pause a connection whose deliveries keep failing alike: its rows had better wait than all be set aside."""
    since = to_micros(clock.now() - WINDOW)
    statement = select(func.count()).where(
        inbox.c.merchant == merchant,
        inbox.c.status == "quarantined",
        inbox.c.connection == name,
        inbox.c.code == code,
        inbox.c.settled_at >= since,
    )
    count = connection.execute(statement).scalar() or 0
    if count <= MOST_ALIKE:
        return False
    reason = f"{count} deliveries failed alike ({code}): mend the cause, resume the connection, replay them"
    set_state(connection, merchant, name, "paused", reason, clock)
    return True


class SealedStore:
    """The store of one connection, for its plugin."""

    def __init__(self, database: Database, merchant: str, name: str, sealer: Sealer) -> None:
        self._database = database
        self._merchant = merchant
        self._name = name
        self._sealer = sealer
        self._turns: dict[str, asyncio.Lock] = {}

    async def get(self, key: str) -> bytes | None:
        """The stored value, or None."""
        statement = select(store.c.value_sealed).where(
            store.c.merchant == self._merchant, store.c.connection == self._name, store.c.key == key
        )
        sealed = await self._database.read(lambda connection: connection.execute(statement).scalar())
        return None if sealed is None else self._sealer.open(sealed, self._about(key))

    async def set(self, key: str, value: bytes) -> None:
        """Store a value; returns once it is committed."""
        row = {
            "merchant": self._merchant,
            "connection": self._name,
            "key": key,
            "value_sealed": self._sealer.seal(value, self._about(key)),
        }
        await self._database.write(lambda connection: saving.upsert(connection, "store", [row]))

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Let nobody else hold the key until the block ends, or its time is over."""
        # Of all who wait here one alone asks the database, however many strangers knock at an address of the plugin's.
        turn, begun = self._turns.setdefault(key, asyncio.Lock()), time.monotonic()
        try:
            async with asyncio.timeout(HELD.total_seconds()):
                await turn.acquire()
        except TimeoutError:
            raise self._late(key) from None
        try:
            async with self._lease(key, begun):
                yield
        finally:
            turn.release()

    @asynccontextmanager
    async def _lease(self, key: str, begun: float) -> AsyncIterator[None]:
        name, owner = f"store:{self._name}:{key}", os.urandom(8).hex()
        # Leases of processes that share a database go by the machine's clock, whatever a plugin's clock says.
        clock = SystemClock()
        take = partial(leasing.take, merchant=self._merchant, name=name, owner=owner, span=HELD)
        while (token := await self._database.write(partial(take, now=clock.now()))) is None:
            if time.monotonic() - begun > HELD.total_seconds():
                raise self._late(key)
            await clock.sleep(POLL)
        try:
            yield
        finally:
            give_back = partial(leasing.give_back, merchant=self._merchant, name=name, token=token)
            await self._database.write(give_back)

    def _late(self, key: str) -> PluginError:
        return PluginError(self._name, f"somebody else holds {key!r} of its store for too long")

    def _about(self, key: str) -> bytes:
        return f"store:{self._merchant}:{self._name}:{key}".encode()
