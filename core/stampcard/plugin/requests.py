"""Bytes from strangers, before and after somebody vouched for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from stampcard.domain.value import Value


class UnverifiedRequest(Value, frozen=True):
    """A webhook request as it came in. `headers` have lower-case names; `url` is built from the public_url setting."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime

    def header(self, name: str) -> str:
        """A header's value, or the empty text."""
        return self.headers.get(name.lower(), "")


class VerifiedRequest(Value, frozen=True):
    """What `verify` vouches for. `topic` selects the parser; `headers` are the few worth keeping with the delivery."""

    topic: str
    body: bytes
    headers: Mapping[str, str] = {}


class Reply(Value, frozen=True):
    """An answer that is due at once and stores nothing: a vendor's challenge or ping."""

    body: bytes = b""
    content_type: str = "text/plain"
    status: int = 200
