from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx
import msgspec

from stampcard.plugin import ConnectionContext, RetryLater
from stampcard_shopify.posting import CallFailed, failure, post

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

#: A token is replaced this long before it expires.
EARLY = timedelta(minutes=5)


class _Grant(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float


class _Kept(msgspec.Struct, frozen=True):
    access_token: str
    expires_at: datetime


class Tokens:
    """The token of the Admin API: a fixed one, or one by client credentials that is asked for once for all callers.

    A granted token is kept in the store, so that restarts and other processes use it too.
    """

    def __init__(self, context: ConnectionContext[ShopifySettings]) -> None:
        settings = context.settings
        self._context = context
        self._fixed = settings.access_token.get_secret_value() if settings.access_token else None
        self._lock = asyncio.Lock()
        self._kept: _Kept | None = None
        # A token must never reach another host or app than the one it was given for.
        self._key = f"token {settings.api_url} {settings.client_id}"
        #: The settings to look at when the token is refused.
        self.blame = "access_token" if self._fixed else "client_id and client_secret"

    async def current(self) -> str:
        """A token that should be good; raises CallFailed."""
        if self._fixed:
            return self._fixed
        async with self._lock:
            return self._good(self._kept) or self._good(await self._stored()) or await self._ask()

    async def renewed(self, refused: str) -> str:
        """Another token than the one that was refused; raises CallFailed."""
        if self._fixed:
            raise CallFailed(RetryLater(reason=f"Shopify refuses the credentials (401): check {self.blame}"))
        async with self._lock:
            known = (self._good(self._kept), self._good(await self._stored()))
            return next((token for token in known if token not in {None, refused}), None) or await self._ask()

    def _good(self, kept: _Kept | None) -> str | None:
        is_good = kept is not None and self._context.clock.now() < kept.expires_at - EARLY
        return kept.access_token if kept and is_good else None

    async def _stored(self) -> _Kept | None:
        try:
            self._kept = msgspec.json.decode(await self._context.store.get(self._key) or b"null", type=_Kept | None)
        except msgspec.MsgspecError:
            self._kept = None
        return self._kept

    async def _ask(self) -> str:
        settings, asked_at = self._context.settings, self._context.clock.now()
        secret = settings.client_secret.get_secret_value() if settings.client_secret else ""
        form = {"client_id": settings.client_id, "client_secret": secret, "grant_type": "client_credentials"}
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        response = await post(self._context, "/admin/oauth/access_token", urlencode(form).encode(), headers)
        if response.status_code in {400, 401, 403}:
            raise CallFailed(RetryLater(reason=f"Shopify grants no token ({response.status_code}): check {self.blame}"))
        if response.status_code != httpx.codes.OK:
            raise failure(response, self.blame)
        try:
            grant = msgspec.json.decode(response.content, type=_Grant)
            self._kept = _Kept(grant.access_token, asked_at + timedelta(seconds=grant.expires_in))
        except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError):
            raise CallFailed(RetryLater(reason="Shopify's answer holds no token")) from None
        await self._context.store.set(self._key, msgspec.json.encode(self._kept))
        return self._kept.access_token
