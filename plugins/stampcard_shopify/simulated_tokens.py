"""The simulated shop's tokens: by client credentials, by an installation, and renewed by rotating refresh tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from stampcard.plugin import Clock

DAY, HOUR, QUARTER = timedelta(seconds=86_399), timedelta(hours=1), timedelta(days=90)
SCOPES = (
    "read_orders,write_customers,read_customer_merge,write_discounts,write_gift_cards,"
    "write_store_credit_account_transactions,read_store_credit_accounts"
)
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


class Tokens:
    """Access tokens of one app at one shop.

    A refresh token may be used again until the one that replaced it was: so a lost answer locks nobody out.
    """

    def __init__(self, shop: str, client_id: str, client_secret: str, clock: Clock, chance: random.Random) -> None:
        self.scopes = SCOPES
        self._shop, self._client_id, self._secret = shop, client_id, client_secret
        self._clock, self._chance = clock, chance
        self._valid: dict[str, datetime | None] = {}
        self._codes: dict[str, str] = {}
        #: Refresh token → the one that it replaced, and until when it counts.
        self._refreshing: dict[str, tuple[str, datetime]] = {}
        self.refreshed = 0

    def issue(self, form: Mapping[str, Any]) -> dict[str, Any] | str:
        """What is granted, or the error."""
        given = (str(form.get("client_id", "")), str(form.get("client_secret", "")))
        own = (self._client_id, self._secret)
        if not all(hmac.compare_digest(one.encode(), two.encode()) for one, two in zip(given, own, strict=True)):
            return "invalid_client"
        expiring = form.get("expiring") == "1"
        match form.get("grant_type", ""):
            case "client_credentials":
                return self._granted(DAY, {})
            case "refresh_token":
                return self._refresh(str(form.get("refresh_token", "")))
            case "":
                return (
                    self._offline(expiring=expiring)
                    if self._codes.pop(str(form.get("code")), None)
                    else "invalid_request"
                )
            case kind if kind == _EXCHANGE and str(form.get("subject_token", "")).count(".") == 2:  # noqa: PLR2004
                return self._offline(expiring=expiring)
            case _:
                return "unsupported_grant_type"

    def agree(self, query: Mapping[str, str]) -> str | None:
        """Where somebody who agrees to an installation is sent back to."""
        if query.get("client_id") != self._client_id or not query.get("redirect_uri"):
            return None
        code = f"{self._chance.getrandbits(128):032x}"
        self._codes[code] = query.get("scope", "")
        return f"{query['redirect_uri']}?{self.signed(code=code, state=query.get('state', ''))}"

    def signed(self, **told: str) -> str:
        """A query as Shopify signs it."""
        whole = {"shop": self._shop, "timestamp": str(int(self._clock.now().timestamp())), **told}
        message = urlencode(sorted(whole.items()), quote_via=quote, safe="")
        return urlencode(
            {**whole, "hmac": hmac.new(self._secret.encode(), message.encode(), hashlib.sha256).hexdigest()}
        )

    def session(self) -> str:
        """A session token of a member of the shop's staff."""
        now = int(self._clock.now().timestamp())
        shop = f"https://{self._shop}"
        claims = {"iss": f"{shop}/admin", "dest": shop, "aud": self._client_id, "sub": "42"}
        times = {"exp": now + 60, "nbf": now, "iat": now}
        parts = [_coded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims | times)]
        signature = hmac.new(self._secret.encode(), ".".join(parts).encode(), hashlib.sha256).digest()
        return ".".join([*parts, _coded(signature)])

    def accepts(self, token: str) -> bool:
        if token not in self._valid:
            return False
        until = self._valid[token]
        return until is None or self._clock.now() < until

    def revoke_all(self) -> None:
        self._valid.clear()

    def uninstall(self) -> None:
        """The shop took the app out: nothing that was granted counts."""
        self.revoke_all()
        self._refreshing.clear()
        self._codes.clear()

    def _offline(self, *, expiring: bool) -> dict[str, Any]:
        if not expiring:
            return self._granted(None, {})
        return self._granted(HOUR, self._renewable(""))

    def _refresh(self, refresh: str) -> dict[str, Any] | str:
        known = self._refreshing.get(refresh)
        if known is None or known[1] <= self._clock.now():
            return "invalid_grant"
        self.refreshed += 1
        # Whoever uses a token has it: what it replaced is over, and so are others that replaced it meanwhile.
        self._refreshing.pop(known[0], None)
        for other in [one for one, (before, _) in self._refreshing.items() if before == refresh]:
            del self._refreshing[other]
        return self._granted(HOUR, self._renewable(refresh))

    def _renewable(self, before: str) -> dict[str, Any]:
        fresh = f"renewing-{self._chance.getrandbits(128):032x}"
        self._refreshing[fresh] = (before, self._clock.now() + QUARTER)
        return {"refresh_token": fresh, "refresh_token_expires_in": int(QUARTER.total_seconds())}

    def _granted(self, life: timedelta | None, more: Mapping[str, Any]) -> dict[str, Any]:
        token = f"simulated-{self._chance.getrandbits(128):032x}"
        self._valid[token] = None if life is None else self._clock.now() + life
        told = {} if life is None else {"expires_in": int(life.total_seconds())}
        return {"access_token": token, "scope": self.scopes, **told, **more}


def _coded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
