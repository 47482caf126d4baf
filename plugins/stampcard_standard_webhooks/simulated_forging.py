"""What somebody sends who knows no secret of the till, but may have seen its webhooks."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stampcard.testing.simulator import SignedRequest
from stampcard_standard_webhooks.simulated_bodies import written
from stampcard_standard_webhooks.simulated_signing import (
    ID,
    SIGNATURE,
    TIMESTAMP,
    Keys,
    content,
    envelope,
    keyed,
    secret_of,
    v1,
)

#: Seconds by which a webhook is too old, or ahead: an hour.
_AWAY = 3600


class Forger:
    """Makes forgeries under the id of the genuine one, so that a receiver that remembers too early loses that."""

    def __init__(self, keys: Keys) -> None:
        # Only to make what nobody can make without them but could have caught: old ones, and one from tomorrow.
        self._keys = keys

    def forge(self, request: SignedRequest, chance: random.Random) -> SignedRequest:
        return chance.choice(self.ways())(request)

    def ways(self) -> tuple[Callable[[SignedRequest], SignedRequest], ...]:
        return (
            self.guessed,
            self.keyed_by_text,
            self.keyed_by_the_public_key,
            self.signed_by_another,
            self.unsigned,
            self.of_another_version,
            self.altered,
            self.renamed,
            self.moved,
            self.caught_long_ago,
            self.ahead,
        )

    def guessed(self, request: SignedRequest) -> SignedRequest:
        return self._resigned(request, v1(secret_of(sha256(b"a guess").digest()), self._content(request)))

    def keyed_by_text(self, request: SignedRequest) -> SignedRequest:
        """By somebody who takes the public key's text for a secret."""
        return self._resigned(request, keyed(self._keys.public.encode(), self._content(request)))

    def keyed_by_the_public_key(self, request: SignedRequest) -> SignedRequest:
        """By somebody who hopes that the public key is also taken for a secret."""
        return self._resigned(request, v1(self._keys.public, self._content(request)))

    def signed_by_another(self, request: SignedRequest) -> SignedRequest:
        other = Keys(random.Random("another"))
        other.private = Ed25519PrivateKey.from_private_bytes(sha256(b"another").digest())
        return self._resigned(request, other.v1a(self._content(request)))

    def unsigned(self, request: SignedRequest) -> SignedRequest:
        headers = {name: text for name, text in request.headers.items() if name != SIGNATURE}
        return SignedRequest(headers=headers, body=request.body)

    def of_another_version(self, request: SignedRequest) -> SignedRequest:
        """With the genuine signature, under a version that proves nothing."""
        return self._resigned(request, request.headers[SIGNATURE].replace("v1", "v0"))

    def altered(self, request: SignedRequest) -> SignedRequest:
        body = json.loads(request.body)
        body["data"]["reference"] = "somebody-else"
        return SignedRequest(headers=request.headers, body=written(body))

    def renamed(self, request: SignedRequest) -> SignedRequest:
        """The same again under another id, to count twice."""
        return SignedRequest(headers={**request.headers, ID: request.headers[ID] + "x"}, body=request.body)

    def moved(self, request: SignedRequest) -> SignedRequest:
        """As if it had been sent a little later."""
        at = str(int(request.headers[TIMESTAMP]) + 1)
        return SignedRequest(headers={**request.headers, TIMESTAMP: at}, body=request.body)

    def caught_long_ago(self, request: SignedRequest) -> SignedRequest:
        return self._at(request, -_AWAY)

    def ahead(self, request: SignedRequest) -> SignedRequest:
        return self._at(request, _AWAY)

    def _at(self, request: SignedRequest, seconds: int) -> SignedRequest:
        return self._keys.seal(request.headers[ID], int(request.headers[TIMESTAMP]) + seconds, request.body)

    def _content(self, request: SignedRequest) -> bytes:
        return content(request.headers[ID], int(request.headers[TIMESTAMP]), request.body)

    def _resigned(self, request: SignedRequest, signature: str) -> SignedRequest:
        return envelope(request.headers[ID], int(request.headers[TIMESTAMP]), request.body, signature)
