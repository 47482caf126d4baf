from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import httpx
import msgspec

from stampcard.plugin import ConnectionContext, RetryLater
from stampcard_google_wallet.calling import CallFailed, decoded, later, seconds
from stampcard_google_wallet.settings import ServiceAccount
from stampcard_google_wallet.signing import signed

if TYPE_CHECKING:
    from stampcard_google_wallet.settings import GoogleWalletSettings

SCOPE: Final = "https://www.googleapis.com/auth/wallet_object.issuer"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: How long an assertion of ours is good, and how long before its end a token, which lives for an hour, is replaced.
LIFE, EARLY = timedelta(hours=1), timedelta(minutes=5)
_REFUSALS = frozenset({400, 401, 403})
#: By https://developers.google.com/identity/protocols/oauth2/service-account#jwt-auth-error-codes.
_HINTS = {
    "invalid_grant": "give service_account a new key of {email}, and look whether this machine's clock is right",
    "invalid_client": "check service_account and token_url",
    "unauthorized_client": "enable the Google Wallet API in the project of {email}",
    "disabled_client": "the service account {email} is disabled: enable it in the Google Cloud console",
}


class _Grant(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float


class _Refusal(msgspec.Struct, frozen=True):
    error: str = ""


class Kept(msgspec.Struct, frozen=True):
    """A token as it is stored."""

    access_token: str
    expires_at: datetime

    def __repr__(self) -> str:
        return "Kept(…)"


class Tokens:
    """The token of the API, had for an assertion that the service account's key signs (RFC 7523).

    It is kept in the store, so that restarts and other processes use it too; only one of all processes asks for another at
    a time. A token is replaced by its age; one that is refused before is replaced once, and again after it was good.
    """

    def __init__(self, context: ConnectionContext[GoogleWalletSettings], account: ServiceAccount) -> None:
        self._context, self._account = context, account
        self._lock = asyncio.Lock()
        self._kept: Kept | None = None
        #: A token that was had for one that was refused, and is not known to be good.
        self._doubted = ""
        # A token must never reach another host, nor speak for another account or key, than it was given for.
        self._key = f"token {context.settings.api_url} {account.email} {account.key_id}"

    async def current(self) -> str:
        """A token that should be good; raises CallFailed, or the store's PluginError."""
        if token := self._good(self._kept):
            return token
        async with self._lock:
            return self._good(self._kept) or self._good(await self._stored()) or await self._next("")

    async def renewed(self, refused: str) -> str:
        """Another token than the one that was refused; raises CallFailed, or the store's PluginError."""
        if refused == self._doubted:
            raise later("Google refuses the token (401): check service_account")
        async with self._lock:
            known = (self._good(self._kept), self._good(await self._stored()))
            token = next((one for one in known if one not in {None, refused}), None)
            if token is None:
                token = self._doubted = await self._next(refused)
            return token

    def trust(self, token: str) -> None:
        """A call with this token succeeded: where it is refused later, another is had again."""
        if token == self._doubted:
            self._doubted = ""

    async def _stored(self) -> Kept | None:
        self._kept = decoded(await self._context.store.get(self._key) or b"null", Kept)
        return self._kept

    def _good(self, kept: Kept | None) -> str | None:
        is_good = kept is not None and self._context.clock.now() < kept.expires_at - EARLY
        return kept.access_token if kept is not None and is_good else None

    async def _next(self, refused: str) -> str:
        """A new token; whoever waited for another process to get one uses that."""
        async with self._context.store.hold(self._key):
            token = self._good(await self._stored())
            if token not in {None, refused}:
                return token
            self._kept = await self._asked()
            await self._context.store.set(self._key, msgspec.json.encode(self._kept))
            return self._kept.access_token

    async def _asked(self) -> Kept:
        now, url = self._context.clock.now(), self._context.settings.token_url
        claims = {"iss": self._account.email, "scope": SCOPE, "aud": url, "iat": int(now.timestamp())}
        claims["exp"] = int((now + LIFE).timestamp())
        content = urlencode({"grant_type": GRANT, "assertion": signed(self._account, claims)}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        try:
            response = await self._context.http.post(url, content=content, headers=headers, follow_redirects=False)
        except httpx.HTTPError as error:
            # The error holds the request with its assertion: its name is all that may leave.
            raise later(f"no answer from Google where tokens are had: {type(error).__name__}") from None
        if not response.is_success:
            raise self._failure(response)
        grant = decoded(response.content, _Grant)
        if grant is None or not 0 < grant.expires_in < LIFE.total_seconds() * 24:
            raise later("Google's answer holds no token: check token_url")
        return Kept(grant.access_token, now + timedelta(seconds=grant.expires_in))

    def _failure(self, response: httpx.Response) -> CallFailed:
        status, told = response.status_code, decoded(response.content, _Refusal)
        error = told.error if told is not None else ""
        if status not in _REFUSALS:
            after = seconds(response.headers.get("retry-after", ""))
            return CallFailed(RetryLater(reason=f"Google gives no token ({status})", after=after))
        hint = _HINTS.get(error, "check service_account and token_url").format(email=self._account.email)
        return later(f"Google gives no token for this key ({error if error in _HINTS else status}): {hint}")
