"""What conditions may ask of a member's past: history.spend.last_year >= 1000."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import Literal

from stampcard.domain.value import Value
from stampcard.program.periods import clamped

Of = Literal["orders", "spend", "points", "redemptions", "redeemed"]

#: What is counted; money in the program's currency, points (earned, and spent on rewards) in whole points.
MEASURES: tuple[Of, ...] = ("orders", "spend", "points", "redemptions", "redeemed")
#: What is counted of the rewards that a member took or was given.
OF_REWARDS = frozenset({"redemptions", "redeemed"})


def _month(day: date, back: int) -> date:
    months = day.year * 12 + day.month - 1 - back
    return date(months // 12, months % 12 + 1, 1)


#: Window → its first day and the day behind its last, seen from a day of the program's zone; that day itself is inside.
WINDOWS: Mapping[str, Callable[[date], tuple[date, date]]] = {
    "ever": lambda day: (date.min, day + timedelta(days=1)),
    "today": lambda day: (day, day + timedelta(days=1)),
    "this_week": lambda day: (day - timedelta(days=day.weekday()), day + timedelta(days=1)),
    "this_month": lambda day: (_month(day, 0), day + timedelta(days=1)),
    "this_year": lambda day: (date(day.year, 1, 1), day + timedelta(days=1)),
    "last_month": lambda day: (_month(day, 1), _month(day, 0)),
    "last_year": lambda day: (date(day.year - 1, 1, 1), date(day.year, 1, 1)),
    "days_7": lambda day: (day - timedelta(days=6), day + timedelta(days=1)),
    "days_30": lambda day: (day - timedelta(days=29), day + timedelta(days=1)),
    "days_90": lambda day: (day - timedelta(days=89), day + timedelta(days=1)),
    "months_12": lambda day: (clamped(day.year - 1, day.month, day.day) + timedelta(days=1), day + timedelta(days=1)),
}


class Asked(Value, frozen=True):
    """One figure of a member's past."""

    of: Of
    window: str

    @property
    def is_amount(self) -> bool:
        """Whether it may have decimals."""
        return self.of not in {"orders", "redemptions"}


#: Variable → what it asks.
HISTORY: Mapping[str, Asked] = {
    f"history.{of}.{window}": Asked(of=of, window=window) for of in MEASURES for window in WINDOWS
}


def asks_for_rewards(reads: Iterable[str]) -> bool:
    """Whether any of these variables asks for the rewards of a member's past."""
    return any(name in HISTORY and HISTORY[name].of in OF_REWARDS for name in reads)
