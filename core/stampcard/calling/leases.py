"""Holding a lease from the loops: taken, renewed before it ends, given back on the way out."""

from __future__ import annotations

from datetime import datetime, timedelta

from stampcard.clock import Clock
from stampcard.storage import leasing
from stampcard.storage.database import Database

SPAN = timedelta(seconds=40)
#: Renewed so early that a call which leaves now, and the ten seconds to settle it, always fit into what remains.
RENEWAL = timedelta(seconds=5)


class Lease:
    """One named job's lease for one merchant."""

    def __init__(self, database: Database, clock: Clock, merchant: str, name: str, owner: str) -> None:
        self._database = database
        self._clock = clock
        self._merchant = merchant
        self.name = name
        self._owner = owner
        self._token: int | None = None
        self._renew_at: datetime | None = None

    async def hold(self) -> int | None:
        """Our token, or None while another process has the job; asks the database every few seconds."""
        now = self._clock.now()
        if self._token is not None and self._renew_at is not None and now < self._renew_at:
            return self._token
        self._token = await self._database.write(
            lambda connection: leasing.take(connection, self._merchant, self.name, self._owner, now, SPAN)
        )
        self._renew_at = now + RENEWAL
        return self._token

    async def give_back(self) -> None:
        """Let another process have the job."""
        token, self._token = self._token, None
        if token is not None:
            await self._database.write(
                lambda connection: leasing.give_back(connection, self._merchant, self.name, token)
            )
