from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import httpx
import msgspec

from stampcard.plugin import ConnectionContext, Rejected, RetryLater
from stampcard_hubspot.calling import CallFailed, call, failure, later

if TYPE_CHECKING:
    from stampcard_hubspot.settings import HubSpotSettings

#: Of the dated API: v1 ends in February 2027 (https://developers.hubspot.com/changelog/v1-oauth-api-deprecation).
TOKEN: Final = "/oauth/2026-03/token"  # noqa: S105 - a path
INSTALL: Final = "install"
#: A token, which lives for half an hour, is replaced this long before its end.
EARLY = timedelta(minutes=5)
_REFUSALS = frozenset({400, 401, 403})


class Grant(msgspec.Struct, frozen=True):
    """What HubSpot answers; `hub_id` is the account that let the app in."""

    access_token: str
    expires_in: float
    refresh_token: str = ""
    hub_id: int | None = None
    scopes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Grant(…)"


class Kept(msgspec.Struct, frozen=True):
    """A token as it is stored, together with what renews it: both are written at once, before either is used."""

    access_token: str
    expires_at: datetime
    refresh_token: str
    scopes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Kept(…)"


class Tokens:
    """The token of the API: a fixed one of a private app, or one of an app that somebody installed.

    A granted token is kept in the store, so that restarts and other processes use it too. Only one of all processes asks for
    another at a time. A token is replaced by its age; one that is refused before is replaced once, for HubSpot says that a 401
    alone is no reason to (https://developers.hubspot.com/apps/api_guidelines).
    """

    def __init__(self, context: ConnectionContext[HubSpotSettings]) -> None:
        settings = context.settings
        self._context = context
        self._fixed = settings.access_token.get_secret_value() if settings.access_token else None
        self._lock = asyncio.Lock()
        self._kept: Kept | None = None
        self._doubted = ""
        # A token must never reach another host or app than the one it was given for.
        self._key = f"token {settings.api_url} {settings.client_id} {settings.portal_id}"
        #: The settings to look at when the token is refused.
        self.blame = "access_token" if self._fixed else "client_id and client_secret"
        self.is_installed_app = self._fixed is None
        #: What a person is to open before any call can succeed; empty where that is not it.
        self.to_open = ""

    @property
    def address(self) -> str:
        """What a person opens to install the app."""
        return f"{self._context.public_url.rstrip('/')}/connections/{self._context.name}/{INSTALL}"

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
        if self._fixed or refused == self._doubted:
            raise later(f"HubSpot refuses the credentials (401): check {self.blame}")
        async with self._lock:
            known = (self._good(self._kept), self._good(await self.stored()))
            token = next((one for one in known if one not in {None, refused}), None)
            if token is None:
                token = self._doubted = await self._next(refused)
            return token

    async def install(self, code: str, redirect: str) -> Kept:
        """Keep what HubSpot grants to an app that is being installed; raises CallFailed."""
        async with self._context.store.hold(self._key):
            return await self._ask({"grant_type": "authorization_code", "code": code, "redirect_uri": redirect})

    async def stored(self) -> Kept | None:
        """The token that is kept, if any."""
        try:
            self._kept = msgspec.json.decode(await self._context.store.get(self._key) or b"null", type=Kept | None)
        except msgspec.MsgspecError:
            self._kept = None
        return self._kept

    def _good(self, kept: Kept | None) -> str | None:
        is_good = kept is not None and self._context.clock.now() < kept.expires_at - EARLY
        return kept.access_token if kept is not None and is_good else None

    async def _next(self, refused: str | None) -> str:
        """A new token; whoever waited for another process to get one uses that."""
        async with self._context.store.hold(self._key):
            token = self._good(await self.stored())
            if token not in {None, refused}:
                return token
            kept = self._kept
            if kept is None or not kept.refresh_token:
                self.to_open = self.address
                raise later(f"nobody let the app into HubSpot yet: open {self.address}")
            return (await self._ask({"grant_type": "refresh_token", "refresh_token": kept.refresh_token})).access_token

    async def _ask(self, form: Mapping[str, str]) -> Kept:
        settings, asked_at = self._context.settings, self._context.clock.now()
        secret = settings.client_secret.get_secret_value() if settings.client_secret else ""
        content = urlencode({"client_id": settings.client_id or "", "client_secret": secret, **form}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        response = await call(self._context, "POST", TOKEN, content=content, headers=headers)
        if response.status_code in _REFUSALS:
            raise CallFailed(self._refusal(response.status_code, form))
        if response.status_code != httpx.codes.OK:
            raise failure(response, self.blame)
        try:
            grant = msgspec.json.decode(response.content, type=Grant)
            until = asked_at + timedelta(seconds=grant.expires_in)
        except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError, ValueError):
            raise later("HubSpot's answer holds no token") from None
        if grant.hub_id not in {None, settings.portal_id}:
            raise CallFailed(Rejected(reason="the app was let into another account: choose that of portal_id"))
        refresh = grant.refresh_token or form.get("refresh_token", "")
        kept = Kept(grant.access_token, until, refresh, grant.scopes or self._scopes())
        await self._context.store.set(self._key, msgspec.json.encode(kept))
        self._kept, self.to_open = kept, ""
        return kept

    def _scopes(self) -> tuple[str, ...]:
        return self._kept.scopes if self._kept is not None else ()

    def _refusal(self, status: int, form: Mapping[str, str]) -> RetryLater | Rejected:
        if form["grant_type"] == "refresh_token":
            self.to_open = self.address
            return RetryLater(
                reason=f"HubSpot renews no token ({status}): check {self.blame}, or install the app again: {self.address}"
            )
        return Rejected(
            reason=f"HubSpot does not take this installation ({status}): check {self.blame}, and begin anew"
        )
