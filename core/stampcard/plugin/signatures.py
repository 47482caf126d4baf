"""Checks of signatures, once for all vendors: constant time, several secrets, one exception."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from functools import lru_cache

from stampcard.errors import InvalidSignature


@lru_cache(maxsize=256)
def _keyed(secret: bytes) -> hmac.HMAC:
    """The HMAC of nothing yet; copying it is cheaper than beginning anew for each message."""
    return hmac.new(secret, digestmod="sha256")


def check_hmac_sha256_base64(secrets: Sequence[bytes], message: bytes, signature: str, *, setting: str = "") -> None:
    """Raise InvalidSignature unless the base64 text is the HMAC-SHA256 of `message` under one of the secrets.

    `setting` is named in the error, so that the reader knows where to look.
    """
    if not signature:
        raise InvalidSignature("the signature header is missing", setting)
    try:
        given = base64.b64decode(signature.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raise InvalidSignature("the signature header is not base64", setting) from None
    fits = False
    for secret in secrets:
        keyed = _keyed(secret).copy()
        keyed.update(message)
        fits |= hmac.compare_digest(keyed.digest(), given)
    if not fits:
        raise InvalidSignature("the signature does not fit the body", setting)
