"""Figures that follow from others of their row; what a formula says in words is what it works out."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeAlias

from stampcard.domain.value import Value

#: Shares are told in ten-thousandths, money in hundredths.
SHARE, CENT = Decimal("0.0001"), Decimal("0.01")
Row: TypeAlias = Mapping[str, Any]


class Sum(Value, frozen=True):
    """Some figures of a row, less others."""

    plus: tuple[str, ...]
    minus: tuple[str, ...] = ()

    def of(self, row: Row) -> Any:
        """The figure for that row."""
        return sum(row[name] for name in self.plus) - sum(row[name] for name in self.minus)

    def __str__(self) -> str:
        return " + ".join(self.plus) + "".join(f" − {name}" for name in self.minus)


class Ratio(Value, frozen=True):
    """One figure of a row in another; nothing where either is missing, or there is nothing to divide by."""

    part: str
    whole: str
    exact: Decimal = SHARE

    def of(self, row: Row) -> Decimal | None:
        """The figure for that row."""
        part, whole = row[self.part], row[self.whole]
        if part is None or not whole:
            return None
        return (Decimal(part) / Decimal(whole)).quantize(self.exact, ROUND_HALF_UP)

    def __str__(self) -> str:
        return f"{self.part} ÷ {self.whole}"


class Money(Value, frozen=True):
    """Points by what a point is worth; nothing in a wallet without a value."""

    points: str
    each: str

    def of(self, row: Row) -> Decimal | None:
        """The figure for that row."""
        each = row[self.each]
        if each is None:
            return None
        points = Decimal(row[self.points]).scaleb(-row["scale"])
        return (points * Decimal(each)).quantize(CENT, ROUND_HALF_UP)

    def __str__(self) -> str:
        return f"{self.points} × {self.each}"


Formula: TypeAlias = Sum | Ratio | Money
