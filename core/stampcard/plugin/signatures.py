"""Checks of signatures, once for all vendors: constant time, several secrets, one exception."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from stampcard.errors import InvalidSignature


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
        fits |= hmac.compare_digest(hmac.digest(secret, message, hashlib.sha256), given)
    if not fits:
        raise InvalidSignature("the signature does not fit the body", setting)
