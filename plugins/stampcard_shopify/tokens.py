from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx
import msgspec

from stampcard.plugin import ConnectionContext, Rejected, RetryLater
from stampcard_shopify.posting import CallFailed, failure, post

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

#: A token is replaced this long before it expires.
EARLY = timedelta(minutes=5)
INSTALL = "install"
_REFUSALS = frozenset({400, 401, 403})


class Grant(msgspec.Struct, frozen=True):
    """What Shopify answers; a token without an end comes where none was asked for with one."""

    access_token: str
    expires_in: float | None = None
    refresh_token: str = ""
    scope: str = ""

    def __repr__(self) -> str:
        return "Grant(…)"


class Kept(msgspec.Struct, frozen=True):
    """A token as it is stored, together with what renews it: both are written at once, before either is used."""

    access_token: str
    expires_at: datetime | None = None
    refresh_token: str = ""
    scope: str = ""

    def __repr__(self) -> str:
        return "Kept(…)"


class Tokens:
    """The token of the Admin API: a fixed one, one by client credentials, or one of an app that was installed.

    A granted token is kept in the store, so that restarts and other processes use it too. Only one of all processes asks
    for another at a time. If it dies in between, the next one asks with the same refresh token: Shopify takes it again
    until its successor was used (https://shopify.dev/changelog/more-resilient-refreshes-for-expiring-offline-access-tokens).
    """

    def __init__(self, context: ConnectionContext[ShopifySettings]) -> None:
        settings = context.settings
        self._context = context
        self._fixed = settings.access_token.get_secret_value() if settings.access_token else None
        self._lock = asyncio.Lock()
        self._kept: Kept | None = None
        # A token must never reach another host or app than the one it was given for.
        self._key = f"token {settings.api_url} {settings.client_id}"
        #: The settings to look at when the token is refused.
        self.blame = "access_token" if self._fixed else "client_id and client_secret"
        self.is_installed_app = settings.grant == "installation"
        #: What a person is to open before any call can succeed; empty where that is not it.
        self.to_open = ""

    @property
    def address(self) -> str:
        """What a person opens to install the app."""
        return f"{self._context.public_url}/connections/{self._context.name}/{INSTALL}"

    async def current(self) -> str:
        """A token that should be good; raises CallFailed."""
        if self._fixed:
            return self._fixed
        if token := self._good(self._kept):
            return token
        async with self._lock:
            return self._good(self._kept) or self._good(await self.stored()) or await self._next(None)

    async def renewed(self, refused: str) -> str:
        """Another token than the one that was refused; raises CallFailed."""
        if self._fixed:
            raise CallFailed(RetryLater(reason=f"Shopify refuses the credentials (401): check {self.blame}"))
        async with self._lock:
            known = (self._good(self._kept), self._good(await self.stored()))
            return next((token for token in known if token not in {None, refused}), None) or await self._next(refused)

    async def install(self, form: Mapping[str, str]) -> Kept:
        """Keep what Shopify grants to an app that is being installed; raises CallFailed."""
        async with self._context.store.hold(self._key):
            return await self._ask({**form, "expiring": "1"})

    async def stored(self) -> Kept | None:
        """The token that is kept, if any."""
        try:
            self._kept = msgspec.json.decode(await self._context.store.get(self._key) or b"null", type=Kept | None)
        except msgspec.MsgspecError:
            self._kept = None
        return self._kept

    def _good(self, kept: Kept | None) -> str | None:
        if kept is None:
            return None
        is_good = kept.expires_at is None or self._context.clock.now() < kept.expires_at - EARLY
        return kept.access_token if is_good else None

    async def _next(self, refused: str | None) -> str:
        """A new token; whoever waited for another process to get one uses that."""
        async with self._context.store.hold(self._key):
            token = self._good(await self.stored())
            if token not in {None, refused}:
                return token
            return (await self._ask(self._form())).access_token

    def _form(self) -> Mapping[str, str]:
        if not self.is_installed_app:
            return {"grant_type": "client_credentials"}
        kept = self._kept
        if kept is None or not kept.refresh_token:
            self.to_open = self.address
            what = "the app is not installed at the shop" if kept is None else "the shop took the app's token away"
            raise CallFailed(RetryLater(reason=f"{what}: open {self.address}"))
        return {"grant_type": "refresh_token", "refresh_token": kept.refresh_token}

    async def _ask(self, form: Mapping[str, str]) -> Kept:
        settings, asked_at = self._context.settings, self._context.clock.now()
        secret = settings.client_secret.get_secret_value() if settings.client_secret else ""
        content = urlencode({"client_id": settings.client_id, "client_secret": secret, **form}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        response = await post(self._context, "/admin/oauth/access_token", content, headers)
        if response.status_code in _REFUSALS:
            raise CallFailed(self._refusal(response.status_code, form))
        if response.status_code != httpx.codes.OK:
            raise failure(response, self.blame)
        try:
            grant = msgspec.json.decode(response.content, type=Grant)
            until = None if grant.expires_in is None else asked_at + timedelta(seconds=grant.expires_in)
        except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError):
            raise CallFailed(RetryLater(reason="Shopify's answer holds no token")) from None
        kept = Kept(grant.access_token, until, grant.refresh_token, grant.scope)
        await self._context.store.set(self._key, msgspec.json.encode(kept))
        self._kept, self.to_open = kept, ""
        return kept

    def _refusal(self, status: int, form: Mapping[str, str]) -> RetryLater | Rejected:
        if form.get("grant_type") == "refresh_token":
            self.to_open = self.address
            return RetryLater(
                reason=f"Shopify renews no token ({status}): check {self.blame}, or install the app again"
            )
        if self.is_installed_app:
            return Rejected(
                reason=f"Shopify does not take this installation ({status}): check {self.blame}, and begin anew"
            )
        return RetryLater(reason=f"Shopify grants no token ({status}): check {self.blame}")
