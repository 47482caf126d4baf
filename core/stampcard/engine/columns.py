"""What a report is: its columns, what each means, and how those that follow from others are worked out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from stampcard.domain.value import Value
from stampcard.engine.formulas import Formula, Row, Sum

#: text; day; count; points: an integer in the wallet's smallest unit; money: in the currency beside it; share: 1 is all;
#: number: with its decimals.
Kind = Literal["text", "day", "count", "points", "money", "share", "number"]


class Column(Value, frozen=True):
    """One figure of each row; with a formula it follows from others of the row."""

    name: str
    kind: Kind
    means: str
    formula: Formula | None = None


class Identity(Value, frozen=True):
    """What holds for every row: one figure is what others come to."""

    of: str
    formula: Sum


class Report(Value, frozen=True):
    """A report: `about` in a sentence, `notes` on what it counts and when; `splits`: into periods, `by_wallet`: one may be asked for."""

    name: str
    about: str
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    identities: tuple[Identity, ...] = ()
    splits: bool = False
    by_wallet: bool = False

    def completed(self, rows: Iterable[Row]) -> list[dict[str, Any]]:
        """The rows with every column, in its order."""
        return [self._completed(row) for row in rows]

    def _completed(self, row: Row) -> dict[str, Any]:
        figures = dict(row)
        for column in self.columns:
            if column.formula is not None:
                figures[column.name] = column.formula.of(figures)
        return {column.name: figures[column.name] for column in self.columns}
