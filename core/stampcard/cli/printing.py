"""What a command says: data on stdout, everything else on stderr."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

#: Signs that give orders to a terminal: what vendors and their customers wrote may hold some.
_ORDERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")


def say(text: str) -> None:
    """Progress, warnings and errors, for the person at the terminal."""
    print(_harmless(text), file=sys.stderr)


def show(text: str) -> None:
    """Data."""
    print(_harmless(text))


def show_json(data: Any) -> None:
    """Data for other programs; what JSON has no word for is written as text."""
    written = json.dumps(data, indent=2, ensure_ascii=False, default=_written)
    print(_ORDERS.sub(lambda found: f"\\u{ord(found[0]):04x}", written))


def show_table(rows: Sequence[Sequence[object]]) -> None:
    """Rows in aligned columns; the last column takes what it needs."""
    texts = [[_cell(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        show("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cell(cell: object) -> str:
    text = moment(cell) if isinstance(cell, datetime) else str(cell)
    return _harmless(text).replace("\r\n", "\n").replace("\n", r"\x0a")


def _harmless(text: str) -> str:
    return _ORDERS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def moment(at: datetime) -> str:
    """A moment to the second, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def figure(points: int, scale: int) -> Decimal:
    """Points of a wallet as members read them."""
    return Decimal(points).scaleb(-scale)


def _written(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
