"""Doing something again and again until told to stop, in whichever process holds the lease for it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

import structlog
from sqlalchemy.exc import SQLAlchemyError

from stampcard.calling.leases import Lease
from stampcard.errors import Unavailable

log = structlog.get_logger()


class Loop(ABC):
    """One turn after the other, with a rest between them that `wake` cuts short; trouble with the database is waited out."""

    #: How long (seconds) it rests after trouble.
    patience: float = 1.0

    def __init__(self, lease: Lease, connection: str) -> None:
        self._lease = lease
        self._name = connection
        self.wake = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Go on until `stop`, then give the lease back."""
        while not self._stopping:
            self.wake.clear()
            try:
                pause = await self.turn()
            except (Unavailable, SQLAlchemyError) as error:
                log.warning("loop_waits", loop=type(self).__name__, connection=self._name, error=type(error).__name__)
                pause = self.patience
            if pause and not self._stopping:
                try:
                    async with asyncio.timeout(pause):
                        await self.wake.wait()
                except TimeoutError:
                    pass
        await self.end()
        await self._lease.give_back()

    def stop(self) -> None:
        """Begin no other turn."""
        self._stopping = True
        self.wake.set()

    @abstractmethod
    async def turn(self) -> float:
        """Do what is due; answers how many seconds to rest."""

    async def end(self) -> None:  # noqa: B027 - most have nothing under way then
        """Let what is under way end."""
