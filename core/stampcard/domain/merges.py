"""Two members who turned out to be one person."""

from __future__ import annotations

from datetime import datetime

from stampcard.domain.value import Value


class Merge(Value, frozen=True):
    """All of `source` went on in `target`; `by` is who said so: a person, or a connection. `undone_at`: both apart again."""

    id: str
    source: str
    target: str
    at: datetime
    by: str = ""
    note: str = ""
    undone_at: datetime | None = None
    undone_by: str = ""
