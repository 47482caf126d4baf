"""What is stored about connections: whether they are active, and the few secrets that plugins keep."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Row, delete, select

from stampcard.clock import Clock, to_micros
from stampcard.sealing import Sealer
from stampcard.storage import saving
from stampcard.storage.database import Database
from stampcard.storage.revising import bump
from stampcard.storage.tables import connection_state, store


def load_states(connection: Connection, merchant: str) -> Sequence[Row[tuple[str, str, str, str, int]]]:
    """Every stored state; a connection without one is active."""
    return connection.execute(select(connection_state).where(connection_state.c.merchant == merchant)).all()


def set_state(connection: Connection, merchant: str, name: str, state: str, reason: str, clock: Clock) -> None:
    """Pause, end or resume a connection, on all processes within a second."""
    if state == "active":
        connection.execute(
            delete(connection_state).where(
                connection_state.c.merchant == merchant, connection_state.c.connection == name
            )
        )
    else:
        since = to_micros(clock.now())
        row = {"merchant": merchant, "connection": name, "state": state, "reason": reason, "since": since}
        saving.upsert(connection, "connection_state", [row])
    bump(connection, merchant)


class SealedStore:
    """The store of one connection, for its plugin."""

    def __init__(self, database: Database, merchant: str, name: str, sealer: Sealer) -> None:
        self._database = database
        self._merchant = merchant
        self._name = name
        self._sealer = sealer

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

    def _about(self, key: str) -> bytes:
        return f"store:{self._merchant}:{self._name}:{key}".encode()
