"""Forgeries of webhooks that a careful receiver refuses."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from stampcard.testing.simulator import SignedRequest
from stampcard_hubspot.simulated_events import STAMP, V1, V3, VERSION, resigned, signed, v1, v3, written

#: Milliseconds after which a signature is too old.
_FRESH = 300_000


class Forger:
    """Knows how genuine requests are signed, so that it can also send an old one again."""

    def __init__(self, target: Callable[[], str]) -> None:
        self.secrets: list[str] = []
        self._target = target

    def secret_of(self, request: SignedRequest) -> str:
        """The secret that a request was signed with; empty if it is none of ours."""
        told = request.headers.get(V1)
        return next((secret for secret in self.secrets if v1(secret, request.body) == told), "")

    def forged(self, request: SignedRequest, chance: random.Random) -> SignedRequest:
        ways = (self._wrongly_signed, self._emptily_signed, _unsigned, self._late, _altered, _by_the_old_way)
        return chance.choice(ways)(request)

    def _wrongly_signed(self, request: SignedRequest) -> SignedRequest:
        return self._with_secret(request, "a guess")

    def _emptily_signed(self, request: SignedRequest) -> SignedRequest:
        return self._with_secret(request, "")

    def _late(self, request: SignedRequest) -> SignedRequest:
        """A genuine one of some minutes ago, as somebody sends it who listened."""
        then = int(request.headers[STAMP]) - _FRESH - 60_000
        return signed(request.body, self.secret_of(request) or "a guess", self._target(), then)

    def _with_secret(self, request: SignedRequest, secret: str) -> SignedRequest:
        now = int(request.headers[STAMP])
        return resigned(request, {V3: v3(secret, "POST", self._target(), request.body, now)})


def _unsigned(request: SignedRequest) -> SignedRequest:
    return resigned(request, {V3: None, V1: None, VERSION: None})


def _by_the_old_way(request: SignedRequest) -> SignedRequest:
    """With the signature that has no time in it alone, which is genuine."""
    return resigned(request, {V3: None, STAMP: None})


def _altered(request: SignedRequest) -> SignedRequest:
    events = [{**event, "objectId": 1} for event in json.loads(request.body)]
    return SignedRequest(headers=request.headers, body=written(events))
