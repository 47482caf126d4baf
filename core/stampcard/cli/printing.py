"""What a command says: data on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any


def say(text: str) -> None:
    """Progress, warnings and errors, for the person at the terminal."""
    print(text, file=sys.stderr)


def show(text: str) -> None:
    """Data."""
    print(text)


def show_json(data: Any) -> None:
    """Data for other programs; what JSON has no word for is written as text."""
    print(json.dumps(data, indent=2, ensure_ascii=False, default=_written))


def show_table(rows: Sequence[Sequence[object]]) -> None:
    """Rows in aligned columns; the last column takes what it needs."""
    texts = [[moment(cell) if isinstance(cell, datetime) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        show("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def moment(at: datetime) -> str:
    """A moment to the second, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def _written(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
