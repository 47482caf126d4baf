"""Forgeries of callbacks that a careful receiver refuses."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from stampcard.plugin import Clock
from stampcard.testing.simulator import SignedRequest
from stampcard_google_wallet.simulated_hooks import written
from stampcard_google_wallet.simulated_signing import Notary

Envelope = dict[str, Any]


class Forger:
    """Knows Google's keys, so that it can also sign for others, or too early."""

    def __init__(self, notary: Notary, clock: Clock) -> None:
        self._notary, self._clock = notary, clock

    def forged(self, request: SignedRequest, issuer: str, chance: random.Random) -> SignedRequest:
        """One forgery or another of a callback to that issuer."""
        way = chance.choice((self._by_a_stranger, self._for_another, self._late, _altered, _unsigned, _by_another_way))
        return written(way(json.loads(request.body), issuer))

    def _by_a_stranger(self, envelope: Envelope, issuer: str) -> Envelope:
        """All of it right, but nobody knows the root."""
        return Notary().envelope(json.loads(envelope["signedMessage"]), issuer, self._clock.now())

    def _for_another(self, envelope: Envelope, issuer: str) -> Envelope:
        """A genuine one that another issuer got, about our card."""
        return self._notary.envelope(json.loads(envelope["signedMessage"]), f"{issuer}1", self._clock.now())

    def _late(self, envelope: Envelope, issuer: str) -> Envelope:
        """A genuine one of days ago, as somebody sends it who listened."""
        message = json.loads(envelope["signedMessage"])
        del message["expTimeMillis"]
        return self._notary.envelope(message, issuer, self._clock.now() - timedelta(days=3))


def _altered(envelope: Envelope, issuer: str) -> Envelope:
    message = json.loads(envelope["signedMessage"]) | {"objectId": f"{issuer}.somebody-else"}
    return envelope | {"signedMessage": json.dumps(message)}


def _unsigned(envelope: Envelope, _: str) -> Envelope:
    return envelope | {"signature": ""}


def _by_another_way(envelope: Envelope, _: str) -> Envelope:
    return envelope | {"protocolVersion": "ECv1"}


Way = Callable[[Envelope, str], Envelope]
