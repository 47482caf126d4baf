"""Who may call the simulated HubSpot: the private app's token, and what apps get over OAuth."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from stampcard_hubspot.simulated_errors import Refusal
from stampcard_hubspot.simulated_values import iso

#: Seconds that an OAuth token lives.
LIFE = 1800
SCOPES = (
    "oauth",
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.schemas.contacts.read",
    "crm.schemas.contacts.write",
    "crm.lists.read",
    "crm.lists.write",
    "communication_preferences.read_write",
    "timeline",
)
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Token:
    """What a caller shows; `ends` is 0 for a private app's, which lives on."""

    scopes: frozenset[str]
    ends: int = 0


@dataclass(frozen=True, slots=True)
class _Code:
    scopes: frozenset[str]
    redirect: str


class Tokens:
    """All tokens and codes that are out."""

    def __init__(self, portal: int, client_id: str, secret: str, now: Callable[[], int], chance: random.Random) -> None:
        self.client_id, self.client_secret = client_id, secret
        self._portal, self._now, self._chance = portal, now, chance
        self._tokens: dict[str, Token] = {}
        self._refresh: dict[str, frozenset[str]] = {}
        self._codes: dict[str, _Code] = {}

    def issue(self, scopes: Sequence[str] = SCOPES, *, life: int = 0) -> str:
        """A new access token; with a life in seconds it is one of OAuth."""
        text = f"{'CKa' if life else 'pat-eu1-'}{self._chance.getrandbits(128):032x}"
        self._tokens[text] = Token(frozenset(scopes), self._now() + life * 1000 if life else 0)
        return text

    def revoke(self, text: str) -> None:
        """Let an access or refresh token be good no more."""
        self._tokens.pop(text, None)
        self._refresh.pop(text, None)

    def known(self, header: str) -> Token:
        """The token of an Authorization header; raises Refusal."""
        kind, _, text = header.partition(" ")
        token = self._tokens.get(text) if kind == "Bearer" else None
        if token is None:
            raise Refusal(401, "Authentication credentials not found.", "INVALID_AUTHENTICATION")
        late = self._now() - token.ends
        if token.ends and late >= 0:
            message = f"The OAuth token used to make this call expired {late // 1000} second(s) ago."
            raise Refusal(401, message, "EXPIRED_AUTHENTICATION", context={"expire time": [iso(token.ends)]})
        return token

    async def authorize(self, request: web.Request) -> web.Response:
        """The page where a person lets the app in, which they do at once."""
        asked = request.query
        if asked.get("client_id") != self.client_id or not asked.get("redirect_uri") or not asked.get("scope"):
            return web.Response(status=400, text="Authorization failed: client_id, redirect_uri and scope are needed.")
        scopes = frozenset(asked["scope"].split())
        if unknown := scopes - set(SCOPES):
            return web.Response(status=400, text=f"Authorization failed: no app has {', '.join(sorted(unknown))}.")
        text = f"{self._chance.getrandbits(128):032x}"
        self._codes[text] = _Code(scopes, asked["redirect_uri"])
        back = {"code": text} | ({"state": asked["state"]} if "state" in asked else {})
        joint = "&" if "?" in asked["redirect_uri"] else "?"
        return web.Response(status=302, headers={"Location": f"{asked['redirect_uri']}{joint}{urlencode(back)}"})

    async def token(self, request: web.Request) -> web.Response:
        """Tokens for a code, or a new access token for a refresh token; the parameters stand in the body."""
        if request.content_type != _FORM:
            raise Refusal(415, "HTTP 415 Unsupported Media Type")
        form = {name: str(text) for name, text in (await request.post()).items()}
        if form.get("client_id") != self.client_id or form.get("client_secret") != self.client_secret:
            return self._refused("BAD_CLIENT_ID", "missing or unknown client id", "invalid_client")
        match form.get("grant_type"):
            case "authorization_code":
                return self._redeem(form)
            case "refresh_token":
                return self._renew(form)
        return self._refused("BAD_GRANT_TYPE", "missing or unknown grant type", "unsupported_grant_type")

    def _redeem(self, form: Mapping[str, str]) -> web.Response:
        code = self._codes.pop(form.get("code", ""), None)
        if code is None:
            return self._refused("BAD_AUTH_CODE", "missing or unknown auth code", "invalid_grant")
        if form.get("redirect_uri") != code.redirect:
            return self._refused("MISMATCH_REDIRECT_URI_AUTH_CODE", "redirect uri mismatch", "invalid_grant")
        text = f"eu1-{self._chance.getrandbits(128):032x}"
        self._refresh[text] = code.scopes
        return self._given(text)

    def _renew(self, form: Mapping[str, str]) -> web.Response:
        text = form.get("refresh_token", "")
        if text not in self._refresh:
            return self._refused("BAD_REFRESH_TOKEN", "missing or invalid refresh token", "invalid_grant")
        return self._given(text)

    def _given(self, refresh: str) -> web.Response:
        scopes = self._refresh[refresh]
        told: dict[str, Any] = {
            "token_type": "bearer",
            "refresh_token": refresh,
            "access_token": self.issue(sorted(scopes), life=LIFE),
            "expires_in": LIFE,
            "hub_id": self._portal,
            "user_id": 501,
            "scopes": sorted(scopes),
        }
        return web.json_response(told)

    def _refused(self, status: str, message: str, error: str) -> web.Response:
        told = {"status": status, "message": message, "error": error, "error_description": message}
        return web.json_response(told | {"correlationId": f"{self._chance.getrandbits(128):032x}"}, status=400)
