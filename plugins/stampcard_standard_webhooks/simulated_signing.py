"""Standard Webhooks once more, in words of the simulator's own: signing what leaves, judging what comes.

The specification: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import random
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac_of
from zlib import crc32

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stampcard.testing.simulator import SignedRequest

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
#: Seconds that a clock may be wrong.
_TOLERANCE = 300


class Keys:
    """What the till signs with while its secret is rotated: the newer, the former, and a private key."""

    def __init__(self, chance: random.Random) -> None:
        self.newer, self.former = (secret_of(chance.randbytes(size)) for size in (32, 24))
        self.private = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))

    @property
    def public(self) -> str:
        return "whpk_" + _text(self.private.public_key().public_bytes_raw())

    def known(self) -> list[str]:
        """What a receiver is told of them."""
        return [self.newer, self.former, self.public]

    def seal(self, id_: str, at: int, body: bytes) -> SignedRequest:
        """The webhook as it leaves at that time; its id decides which keys vouch for it."""
        signed = content(id_, at, body)
        newer, former = v1(self.newer, signed), v1(self.former, signed)
        ways = (newer, former, f"{newer} {former}", self.v1a(signed), f"v9,bm90IHlldA== {newer} {self.v1a(signed)}")
        return envelope(id_, at, body, ways[crc32(id_.encode()) % len(ways)])

    def v1a(self, signed: bytes) -> str:
        return "v1a," + _text(self.private.sign(signed))


def secret_of(key: bytes) -> str:
    return "whsec_" + _text(key)


def content(id_: str, at: int, body: bytes) -> bytes:
    """What is signed."""
    return f"{id_}.{at}.".encode() + body


def v1(secret: str, signed: bytes) -> str:
    return keyed(b64decode(secret.partition("_")[2]), signed)


def keyed(key: bytes, signed: bytes) -> str:
    return "v1," + _text(hmac_of(key, signed, sha256).digest())


def envelope(id_: str, at: int, body: bytes, signature: str) -> SignedRequest:
    headers = {"Content-Type": "application/json", ID: id_, TIMESTAMP: str(at), SIGNATURE: signature}
    return SignedRequest(headers=headers, body=body)


def doubt(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> str:
    """Why a webhook is not believed by who knows these secrets; empty if it is. Names of headers in small letters."""
    id_, at, told = (headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not id_ or "." in id_:
        return "no id, or one with a dot"
    if not at.isdecimal() or abs(now - int(at)) > _TOLERANCE:
        return "not of now"
    due = [v1(secret, content(id_, int(at), body)) for secret in secrets]
    if not any(compare_digest(one, given) for one in due for given in told.split()):
        return "no signature fits"
    return ""


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()
