"""Signatures by the Standard Webhooks specification 1.0.0, version v1 (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

PREFIX = "whsec_"
#: How many bytes a secret has.
SHORTEST, LONGEST = 24, 64


def key_of(secret: str) -> bytes:
    """The bytes that a secret stands for; raises ValueError, which never quotes it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX).encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        key = b""
    if not secret.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(f"must be {PREFIX} and the base64 of {SHORTEST} to {LONGEST} random bytes")
    return key


def signatures(keys: Iterable[bytes], id_: str, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature``: one signature for each key, so that a receiver may know any of them."""
    content = b"%b.%d.%b" % (id_.encode(), timestamp, body)
    return " ".join(f"v1,{base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()}" for key in keys)
