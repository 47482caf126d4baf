"""Callbacks of the simulated Google: to the address that a card's class names, each sent once."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import aiohttp

from stampcard.testing.simulator import SignedRequest
from stampcard_google_wallet.simulated_signing import Notary

#: Seconds that Google waits for an answer.
_PATIENCE = 15.0


class Hooks:
    """Sends callbacks; `route`: where our public address really leads, if elsewhere."""

    def __init__(self, notary: Notary, chance: random.Random) -> None:
        self.route = ""
        self.sent: list[SignedRequest] = []
        self._notary, self._chance = notary, chance

    def message(self, kind: str, class_id: str, cards: Sequence[str]) -> dict[str, Any]:
        """What tells of one card, or of several."""
        about = {"objectId": cards[0]} if len(cards) == 1 else {"objectIds": list(cards)}
        nonce = f"{self._chance.getrandbits(128):032x}"
        return {"classId": class_id, **about, "eventType": kind, "count": 1, "nonce": nonce}

    def signed(self, message: Mapping[str, Any], issuer: str, now: datetime) -> SignedRequest:
        """A callback as it goes over the wire."""
        return written(self._notary.envelope(message, issuer, now))

    async def post(self, request: SignedRequest, url: str) -> int:
        """Send it; answers the status, or 0 where no answer came."""
        self.sent.append(request)
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(
                    self.route or url, data=request.body, headers=dict(request.headers), allow_redirects=False
                ) as answer,
            ):
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0


def written(envelope: Mapping[str, Any]) -> SignedRequest:
    headers = {"Content-Type": "application/json; charset=UTF-8", "User-Agent": "Googlebot"}
    return SignedRequest(headers=headers, body=json.dumps(envelope, ensure_ascii=False).encode())
