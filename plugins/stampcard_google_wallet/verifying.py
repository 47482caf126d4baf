"""What Google signs its callbacks with: ECv2SigningOnly.

https://developers.google.com/wallet/retail/loyalty-cards/use-cases/use-callbacks-for-saves-and-deletions
A root key signs a key for some days, and that one signs the message, for one recipient: us.
"""

from __future__ import annotations

import base64
from collections.abc import Collection
from datetime import datetime

import msgspec
from cryptography.exceptions import InvalidSignature as Unfit
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from stampcard.plugin import InvalidSignature
from stampcard_google_wallet.calling import decoded

SENDER, PROTOCOL = "GooglePayPasses", "ECv2SigningOnly"
#: Each one is a computation that a stranger asks for.
_MOST = 5
Millis = int | str | None


class IntermediateKey(msgspec.Struct, frozen=True, rename="camel"):
    signed_key: str
    signatures: tuple[str, ...] | str


class Envelope(msgspec.Struct, frozen=True, rename="camel"):
    """A callback as it comes: who vouches for whom, and the message as the text that is signed."""

    protocol_version: str
    signature: str
    intermediate_signing_key: IntermediateKey
    signed_message: str


class _SignedKey(msgspec.Struct, frozen=True, rename="camel"):
    key_value: str
    key_expiration: Millis = None


class _Ending(msgspec.Struct, frozen=True, rename="camel"):
    exp_time_millis: Millis = None


class RootKey(msgspec.Struct, frozen=True):
    """One of Google's; `until`: in milliseconds since 1970."""

    key: EllipticCurvePublicKey
    until: int

    def counts(self, now: datetime) -> bool:
        return _is_ahead(self.until, now)


def root_keys(content: bytes) -> list[RootKey]:
    """Those of Google's published keys that sign callbacks and say how long they count; all else is left out."""
    listed = decoded(content, _Listed)
    raw = listed.keys if listed is not None else decoded(content, list[msgspec.Raw]) or [msgspec.Raw(content)]
    found = [_root_key(bytes(one)) for one in raw]
    return [key for key in found if key is not None]


class _Listed(msgspec.Struct, frozen=True):
    keys: list[msgspec.Raw]


class _Published(_SignedKey, frozen=True, rename="camel"):
    protocol_version: str = ""


def _root_key(content: bytes) -> RootKey | None:
    told = decoded(content, _Published)
    if told is None or told.protocol_version != PROTOCOL:
        return None
    key, until = public_key(told.key_value), _millis(told.key_expiration)
    return None if key is None or until is None else RootKey(key, until)


def check(envelope: Envelope, roots: Collection[RootKey], issuer: str, now: datetime) -> None:
    """Raise InvalidSignature unless Google signed the message, for this issuer, and it still counts.

    UnknownRoot: none of these root keys vouches for the key that signed it.
    """
    between = envelope.intermediate_signing_key
    signatures = (between.signatures,) if isinstance(between.signatures, str) else between.signatures
    if envelope.protocol_version != PROTOCOL or len(signatures) > _MOST:
        raise InvalidSignature(f"it is not signed by {PROTOCOL}")
    vouched = lengths(SENDER, PROTOCOL, between.signed_key)
    if not any(_fits(root.key, one, vouched) for root in roots if root.counts(now) for one in signatures):
        raise UnknownRoot("no key of Google's vouches for the key that signed it")
    signing = decoded(between.signed_key.encode(), _SignedKey)
    key = public_key(signing.key_value) if signing is not None else None
    if signing is None or key is None or not _is_ahead(_millis(signing.key_expiration), now):
        raise InvalidSignature("the key that signed it is over: look at this machine's clock")
    if not _fits(key, envelope.signature, lengths(SENDER, issuer, PROTOCOL, envelope.signed_message)):
        raise InvalidSignature("the signature does not fit the message", "issuer_id")
    # Last, so that only who is genuine learns how our clock goes.
    ending = decoded(envelope.signed_message.encode(), _Ending)
    if ending is None or not _is_ahead(_millis(ending.exp_time_millis), now):
        raise InvalidSignature("the message is over: look at this machine's clock")


class UnknownRoot(InvalidSignature):
    """Forged, or signed under a key that Google published only lately."""


def lengths(*parts: str) -> bytes:
    """What is signed: each part behind the number of its bytes, of four bytes, the lowest first."""
    try:
        written = [part.encode() for part in parts]
    except UnicodeEncodeError:
        raise InvalidSignature("it holds what is no text") from None
    return b"".join(len(part).to_bytes(4, "little") + part for part in written)


def public_key(text: str) -> EllipticCurvePublicKey | None:
    """A key on the curve P-256, in base64 of DER; None for anything else."""
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1) else None


def _fits(key: EllipticCurvePublicKey, signature: str, content: bytes) -> bool:
    try:
        key.verify(base64.b64decode(signature, validate=True), content, ECDSA(SHA256()))
    except (Unfit, ValueError):
        return False
    return True


def _millis(told: Millis) -> int | None:
    """Milliseconds since 1970, which Google writes as text or as a number."""
    text = str(told) if told is not None else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else None  # noqa: PLR2004 - some 30,000 years


def _is_ahead(millis: int | None, now: datetime) -> bool:
    return millis is not None and now.timestamp() * 1000 < millis
