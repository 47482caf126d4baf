"""Addresses that save cards: a signed token, or a short one that Google gave for it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from stampcard_google_wallet.simulated_book import Body, Book, Refusal
from stampcard_google_wallet.simulated_signing import Account

#: Letters of an address that browsers surely take.
LONGEST = 1800
_PARTS: Mapping[str, str] = {"loyaltyClasses": "loyaltyClass", "loyaltyObjects": "loyaltyObject"}


class Saving:
    """Knows whose tokens count, and what they name."""

    def __init__(self, book: Book, account: Account, chance: random.Random) -> None:
        self._book, self._account, self._chance = book, account, chance
        self._short: dict[str, list[str]] = {}

    def insert(self, token: str, base: str) -> Body:
        """Make what a token holds, and give a short address for it."""
        names = self._make(self._payload(token))
        short = f"{self._chance.getrandbits(128):032x}"
        self._short[short] = names
        return {"saveUri": f"{base}/gp/v/save/{short}", "resources": {}}

    def save(self, token: str) -> list[str]:
        """Put what an address names into somebody's phone; raises Refusal."""
        names = self._short.get(token)
        if names is None:
            if len(token) > LONGEST:
                raise Refusal(414, "tooLong", "The address is too long for some browsers.")
            names = self._make(self._payload(token))
        self._book.saved.update(names)
        return names

    def _payload(self, token: str) -> Mapping[str, Any]:
        claims = self._account.claims(token)
        if claims is None or claims.get("aud") != "google" or claims.get("typ") != "savetowallet":
            raise Refusal(400, "invalidJwt", "The token is not signed as it has to be.")
        late = self._book.now().timestamp() - claims["iat"]
        if late < 0 or not all(urlsplit(one).netloc for one in claims["origins"]):
            raise Refusal(400, "invalidJwt", "The token is of another time, or names no origins.")
        payload: Mapping[str, Any] = claims["payload"]
        if payload.keys() - _PARTS.keys():
            raise Refusal(400, "invalidJwt", f"The payload names {sorted(payload.keys() - _PARTS.keys())}.")
        return payload

    def _make(self, payload: Mapping[str, Any]) -> list[str]:
        """Make what is not there yet; what is there stays as it is, and needs no more than its name."""
        for part, kind in _PARTS.items():
            for body in payload.get(part, ()):
                if body["id"] not in self._book.kept[kind]:
                    self._book.insert(kind, body)
        return [body["id"] for body in payload["loyaltyObjects"]]
