"""People who are sent away to a vendor's page and come back: what they carry counts once, and not for long."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any

import msgspec

from stampcard.plugin.connections import ConnectionContext

_KEY = "visits"


class _Visit(msgspec.Struct, frozen=True):
    """Only a digest of what somebody carries is kept, and until when it is good."""

    digest: str
    until: datetime


class Visits:
    """The visits of one connection that are under way, kept in its store, so that any process may see their end."""

    def __init__(self, context: ConnectionContext[Any], patience: timedelta, most: int = 1000) -> None:
        """`patience`: how long somebody may take. `most` may be on their way at once; of more, the oldest begin again.

        No visitor may begin so often within that time that somebody else is pushed out: the host lets two seconds pass between them.
        """
        self._context, self._patience, self._most = context, patience, most

    async def begin(self) -> str:
        """A new word that nobody can guess, for a vendor to hand back: a state of OAuth, say."""
        word = secrets.token_urlsafe(24)
        async with self._context.store.hold(_KEY):
            known = await self._known()
            visit = _Visit(_digest(word), self._context.clock.now() + self._patience)
            await self._keep([*known, visit][-self._most :])
        return word

    async def end(self, word: str) -> bool:
        """Whether somebody was sent with this word and came back in time; it counts no more then."""
        digest = _digest(word)
        async with self._context.store.hold(_KEY):
            known = await self._known()
            others = [visit for visit in known if not hmac.compare_digest(visit.digest, digest)]
            if len(others) == len(known):
                return False
            await self._keep(others)
            return True

    async def _known(self) -> list[_Visit]:
        """Those whose time is not over, the oldest first."""
        try:
            stored = await self._context.store.get(_KEY)
            known = msgspec.json.decode(stored or b"[]", type=list[_Visit])
        except msgspec.MsgspecError:
            known = []
        now = self._context.clock.now()
        return [visit for visit in known if now < visit.until]

    async def _keep(self, visits: list[_Visit]) -> None:
        await self._context.store.set(_KEY, msgspec.json.encode(visits))


def _digest(word: str) -> str:
    return hashlib.sha256(word.encode(errors="replace")).hexdigest()
