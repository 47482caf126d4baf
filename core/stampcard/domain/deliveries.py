"""Raw things that came in, before anybody understood them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from stampcard.domain.value import Value


class Delivery(Value, frozen=True):
    """Raw bytes from a source, already verified, or fetched by ourselves.

    `key`: what makes the delivery the same as an earlier one. `topic` selects the parser and proves nothing. `read_at`:
    microseconds since 1970 if we fetched it, else 0. `past`: a backfill brought it; the host alone says so.
    """

    connection: str
    key: str
    topic: str
    body: bytes
    received_at: datetime
    read_at: int = 0
    headers: Mapping[str, str] = {}
    past: bool = False
