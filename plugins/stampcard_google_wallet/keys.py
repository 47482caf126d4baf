from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from stampcard.plugin import CannotVerify, ConnectionContext
from stampcard_google_wallet.calling import CallFailed, later
from stampcard_google_wallet.verifying import RootKey, root_keys

if TYPE_CHECKING:
    from stampcard_google_wallet.settings import GoogleWalletSettings

#: How long a key that nobody knows is not asked about again, for forgeries must not make us call; and how long after a
#: look that failed.
DOUBT, AGAIN = timedelta(hours=1), timedelta(minutes=1)
#: Seconds that a connection waits for the keys before it goes on without.
PATIENCE = 3.0


class RootKeys:
    """Google's keys, had in the background and kept, in the store too, until they are over."""

    def __init__(self, context: ConnectionContext[GoogleWalletSettings]) -> None:
        self._context = context
        self._key = f"keys {context.settings.keys_url}"
        self._found: Sequence[RootKey] = ()
        self._rests_until: datetime | None = None
        self._task: asyncio.Task[None] | None = None
        self._problem = ""

    async def begin(self) -> None:
        """Have the keys, but do not keep a connection waiting for them."""
        task = self.ask()
        if task is not None:
            await asyncio.wait({task}, timeout=PATIENCE)

    def good(self, now: datetime) -> Sequence[RootKey]:
        """The keys that count; raises CannotVerify where there is none now, and asks for them."""
        found = [key for key in self._found if key.counts(now)]
        if not found:
            self.ask()
            raise CannotVerify(f"Google's keys are not here yet{self._problem and ': '}{self._problem}")
        return found

    def doubt(self, now: datetime) -> None:
        """Somebody signs with a key that is none of these: perhaps it is a new one."""
        if self._rests_until is None or now >= self._rests_until:
            self.ask(anew=True)

    def ask(self, *, anew: bool = False) -> asyncio.Task[None] | None:
        """Have the keys in the background, once at a time; nothing where there is no event loop."""
        if self._task is None or self._task.done():
            try:
                self._task = asyncio.get_running_loop().create_task(self._have(anew=anew))
            except RuntimeError:
                return None
        return self._task

    async def refresh(self) -> None:
        """Have keys that count; raises CallFailed, or the store's PluginError."""
        now = self._context.clock.now()
        if not any(key.counts(now) for key in self._found):
            await self._load(anew=False)

    async def _have(self, *, anew: bool) -> None:
        try:
            await self._load(anew=anew)
        except Exception as error:  # noqa: BLE001 - whatever it was, the next callback asks again
            self._problem = error.problem if isinstance(error, CallFailed) else type(error).__name__

    async def _load(self, *, anew: bool) -> None:
        now, store = self._context.clock.now(), self._context.store
        known = root_keys(await store.get(self._key) or b"")
        if anew or not any(key.counts(now) for key in known):
            self._rests_until = now + AGAIN
            content = await self._fetched()
            known = root_keys(content)
            if not any(key.counts(now) for key in known):
                raise later("none of the keys that Google publishes counts: check keys_url, and this machine's clock")
            await store.set(self._key, content)
            self._rests_until = now + DOUBT
        self._found, self._problem = known, ""

    async def _fetched(self) -> bytes:
        try:
            response = await self._context.http.get(self._context.settings.keys_url, follow_redirects=False)
        except httpx.HTTPError as error:
            raise later(f"no answer from Google where its keys are: {type(error).__name__}") from None
        if not response.is_success:
            raise later(f"Google gives no keys ({response.status_code}): check keys_url")
        return response.content
