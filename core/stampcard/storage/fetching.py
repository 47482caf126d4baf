"""Records that are to be read at their source."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from stampcard.clock import to_micros
from stampcard.storage import saving


def want_records(
    connection: Connection, merchant: str, name: str, kind: str, references: Collection[str], now: datetime
) -> None:
    """Let these records be fetched as soon as it can be; who is wanted already is wanted anew."""
    at = to_micros(now)
    row = {"merchant": merchant, "connection": name, "kind": kind, "wanted_at": at, "due_at": at, "attempts": 0}
    saving.upsert(connection, "fetch", [{**row, "reference": reference} for reference in sorted(references)])
