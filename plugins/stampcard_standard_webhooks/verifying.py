"""Who sent a webhook: each way of signing proves the raw bytes, and ends in InvalidSignature or in nothing.

Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from cryptography.exceptions import InvalidSignature as DoesNotFit
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from stampcard.plugin import InvalidSignature, UnverifiedRequest, check_hmac_sha256_base64
from stampcard_standard_webhooks.signing import LONGEST, PREFIX, SHORTEST, key_of

Way = Literal["standard", "hmac-sha256-hex", "hmac-sha256-base64", "token"]
PUBLIC = "whpk_"
SETTING = "webhook_secrets"
#: A receiver need not look at more than this of what nobody vouched for yet.
_LONGEST_HEADER, _MOST_SIGNATURES = 8192, 20
_ID = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,200}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_HEX = re.compile(r"(?:sha256=)?([0-9a-fA-F]{64})")
_PUBLIC_LENGTH = 32


class Proof(ABC):
    """One way to prove who sent a request."""

    @abstractmethod
    def check(self, request: UnverifiedRequest) -> None:
        """Raise InvalidSignature, with a plain reason, unless one of the secrets vouches for the request."""


class Standard(Proof):
    """Standard Webhooks 1.0.0, versions v1 and v1a."""

    def __init__(self, secrets: Sequence[str], tolerance: timedelta) -> None:
        self._keys = tuple(key_of(secret) for secret in secrets if not secret.startswith(PUBLIC))
        self._public = tuple(public_key_of(secret) for secret in secrets if secret.startswith(PUBLIC))
        self._tolerance = tolerance

    def check(self, request: UnverifiedRequest) -> None:
        id_, timestamp = request.header("webhook-id"), request.header("webhook-timestamp")
        if not id_ or not timestamp or not request.header("webhook-signature"):
            raise InvalidSignature("webhook-id, webhook-timestamp and webhook-signature must all be there", SETTING)
        if not _ID.fullmatch(id_):
            raise InvalidSignature("webhook-id is not printable text of at most 200 letters without dots")
        if not _TIMESTAMP.fullmatch(timestamp):
            raise InvalidSignature("webhook-timestamp is not a number of seconds")
        content = b".".join((id_.encode("ascii"), timestamp.encode("ascii"), request.body))
        if not self._fits(request.header("webhook-signature"), content):
            raise InvalidSignature("no signature fits the body, its id and its timestamp", SETTING)
        # Last, so that only who is genuine learns how our clock goes.
        if abs(request.received_at.timestamp() - int(timestamp)) > self._tolerance.total_seconds():
            raise InvalidSignature("webhook-timestamp is too old, or lies ahead: look at both clocks", "tolerance")

    def _fits(self, header: str, content: bytes) -> bool:
        if len(header) > _LONGEST_HEADER or not header.isascii():
            raise InvalidSignature("webhook-signature is too long, or holds letters that no signature has")
        entries = list(filter(None, header.split(" ")))
        if len(entries) > _MOST_SIGNATURES:
            raise InvalidSignature("webhook-signature holds more signatures than anybody sends")
        dues = [hmac.digest(key, content, hashlib.sha256) for key in self._keys]
        fits = False
        for entry in entries:
            version, comma, text = entry.partition(",")
            if not comma:
                raise InvalidSignature("webhook-signature is not a list of VERSION,SIGNATURE with spaces between")
            if version == "v1":
                given = _decoded(text)
                for due in dues:
                    fits |= hmac.compare_digest(due, given)
            elif version == "v1a":
                given = _decoded(text)
                fits |= any(_is_signed(key, given, content) for key in self._public)
        return fits


class Signed(Proof):
    """An HMAC-SHA256 of the body alone, in one header; nothing in it tells when it was sent."""

    def __init__(self, secrets: Sequence[str], header: str, way: Way) -> None:
        self._secrets = [secret.encode() for secret in secrets]
        self._header = header
        self._is_hex = way == "hmac-sha256-hex"

    def check(self, request: UnverifiedRequest) -> None:
        text = request.header(self._header)
        if not text:
            raise InvalidSignature(f"the header {self._header} is missing", "signature_header")
        if self._is_hex:
            given = _HEX.fullmatch(text)
            if given is None:
                raise InvalidSignature(f"the header {self._header} is not an HMAC-SHA256 in hex", "signature")
            text = base64.b64encode(bytes.fromhex(given[1])).decode()
        check_hmac_sha256_base64(self._secrets, request.body, text, setting=SETTING)


class Token(Proof):
    """A shared word in one header: it proves who sent, not that the body arrived as it left."""

    def __init__(self, secrets: Sequence[str], header: str) -> None:
        self._secrets = [secret.encode() for secret in secrets]
        self._header = header

    def check(self, request: UnverifiedRequest) -> None:
        # What a header holds that is no text comes as surrogates.
        given = request.header(self._header).encode(errors="backslashreplace")
        if not given:
            raise InvalidSignature(f"the header {self._header} is missing", "signature_header")
        fits = False
        for secret in self._secrets:
            fits |= hmac.compare_digest(secret, given)
        if not fits:
            raise InvalidSignature(f"the header {self._header} holds another token", SETTING)


def proof_of(way: Way, secrets: Sequence[str], header: str, tolerance: timedelta) -> Proof:
    """How requests are proven."""
    if way == "standard":
        return Standard(secrets, tolerance)
    return Token(secrets, header) if way == "token" else Signed(secrets, header, way)


def public_key_of(text: str) -> Ed25519PublicKey:
    """The key that ``whpk_`` stands for; raises ValueError."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.removeprefix(PUBLIC).encode(), validate=True))
    except (ValueError, binascii.Error):
        raise ValueError(f"must be {PUBLIC} and the base64 of {_PUBLIC_LENGTH} bytes") from None


def check_secret(text: str) -> None:
    """Raise ValueError for what is neither a secret nor a public key of Standard Webhooks; it is never quoted."""
    if text.startswith(PUBLIC):
        public_key_of(text)
    elif text.startswith(PREFIX):
        key_of(text)
    else:
        raise ValueError(
            f"must be {PREFIX} and the base64 of {SHORTEST} to {LONGEST} random bytes, or {PUBLIC} and a key"
        )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        raise InvalidSignature("webhook-signature holds a signature that is not base64") from None


def _is_signed(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content)
    except DoesNotFit:
        return False
    return True
