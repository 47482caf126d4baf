"""What HubSpot signs its webhooks with: version 3 of its signature.

https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from stampcard.plugin import InvalidSignature, UnverifiedRequest, check_hmac_sha256_base64

SIGNATURE, TIMESTAMP, OLDER = "x-hubspot-signature-v3", "x-hubspot-request-timestamp", "x-hubspot-signature"
SETTING = "webhook_secrets"
#: How old a request may be, by HubSpot; we allow as much for clocks that go ahead.
TOLERANCE = timedelta(minutes=5)
#: What HubSpot writes plainly in an address before it signs; nothing else is decoded.
PLAIN = {
    "%3A": ":",
    "%2F": "/",
    "%3F": "?",
    "%40": "@",
    "%21": "!",
    "%24": "$",
    "%27": "'",
    "%28": "(",
    "%29": ")",
    "%2A": "*",
    "%2C": ",",
    "%3B": ";",
}
_ESCAPED = re.compile("|".join(PLAIN), re.IGNORECASE)
_MILLIS = re.compile(r"[0-9]{1,16}")


def plainly(url: str) -> str:
    """An address as HubSpot signs it."""
    return _ESCAPED.sub(lambda found: PLAIN[found[0].upper()], url)


def check(secrets: Sequence[bytes], request: UnverifiedRequest) -> None:
    """Raise InvalidSignature unless one of the secrets signed this request, and not long ago."""
    signature, timestamp = request.header(SIGNATURE), request.header(TIMESTAMP)
    if not signature and request.header(OLDER):
        raise InvalidSignature(
            "only version 3 of HubSpot's signature counts: the older ones do not say when it was sent"
        )
    if not _MILLIS.fullmatch(timestamp):
        raise InvalidSignature(f"{TIMESTAMP} is missing, or is no number")
    head, tail = f"POST{plainly(request.url)}".encode(errors="replace"), timestamp.encode()
    check_hmac_sha256_base64(secrets, head + request.body + tail, signature, setting=f"{SETTING} and http.public_url")
    # Last, so that only who is genuine learns how our clock goes.
    if abs(request.received_at.timestamp() * 1000 - int(timestamp)) > TOLERANCE.total_seconds() * 1000:
        raise InvalidSignature(f"{TIMESTAMP} is too old, or lies ahead: look at both clocks")
