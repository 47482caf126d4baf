"""Short forms of the program file for lengths of time and for days: "12 months", "60 days", "12-31"."""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta
from typing import Annotated, Any, Literal, get_args

from pydantic import PlainSerializer, PlainValidator

from stampcard.program.amounts import Short, schema

Unit = Literal["days", "months", "years"]

#: Longest period for each unit; beyond it a date would leave the calendar.
LONGEST: dict[Unit, int] = {"days": 36_500, "months": 1_200, "years": 100}

_UNITS = "|".join(unit.removesuffix("s") for unit in get_args(Unit))
PERIOD = rf"([1-9][0-9]{{0,5}}) +({_UNITS})s?"
YEAR_DAY = r"[0-9]{2}-[0-9]{2}"
_PERIOD = re.compile(PERIOD)
_SPAN = re.compile(r"([1-9][0-9]{0,4}) +(minute|hour|day)s?")
_SPANS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_LEAP = 2024


class Period(Short):
    """A length of time on the calendar."""

    count: int
    unit: Unit

    def after(self, day: date) -> date:
        """The day that lies one period later; the 31st becomes the last day of a shorter month."""
        if self.unit == "days":
            return day + timedelta(days=self.count)
        months = day.year * 12 + day.month - 1 + self.count * (12 if self.unit == "years" else 1)
        return clamped(months // 12, months % 12 + 1, day.day)

    def __str__(self) -> str:
        unit = self.unit if self.count > 1 else self.unit.removesuffix("s")
        return f"{self.count} {unit}"


class YearDay(Short):
    """A day of every year; 29 February is the 28th where there is none."""

    month: int
    day: int

    def of(self, year: int) -> date:
        """That day in a year."""
        return clamped(year, self.month, self.day)

    def __str__(self) -> str:
        return f"{self.month:02}-{self.day:02}"


def clamped(year: int, month: int, day: int) -> date:
    """That day, or the last of a shorter month."""
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))


def read_period(written: Any) -> Period:
    """The period that "12 months" means; raises ValueError."""
    if isinstance(written, Period):
        return written
    found = _PERIOD.fullmatch(written.strip()) if isinstance(written, str) else None
    if found is None:
        message = "write a number with days, months or years, such as '12 months'"
        raise ValueError(message)
    count, unit = int(found[1]), next(unit for unit in LONGEST if unit == f"{found[2]}s")
    if count > LONGEST[unit]:
        message = f"{count} {unit} is too long: at most {LONGEST[unit]} {unit}"
        raise ValueError(message)
    return Period(count=count, unit=unit)


def read_days(written: Any) -> Period:
    """Like `read_period`, for what counts in days only."""
    period = read_period(written)
    if period.unit != "days":
        message = "write a number of days, such as '14 days'"
        raise ValueError(message)
    return period


def read_year_day(written: str) -> YearDay:
    """The day that "12-31" means; raises ValueError."""
    found = re.fullmatch(r"([0-9]{2})-([0-9]{2})", written.strip())
    try:
        return YearDay(month=date(_LEAP, int(found[1]), int(found[2])).month, day=int(found[2]))  # type: ignore[index]
    except (TypeError, ValueError):
        message = f"{written!r} is no day of the year: write month and day, such as '12-31'"
        raise ValueError(message) from None


def read_lateness(written: Any) -> timedelta:
    """The time that "60 days" means; raises ValueError."""
    if isinstance(written, timedelta):
        return written
    return timedelta(days=read_days(written).count)


def read_span(written: Any) -> timedelta | None:
    """The time that "30 minutes", "1 hour" or "7 days" means, None for "none"; raises ValueError."""
    if written is None or written == "none" or isinstance(written, timedelta):
        return None if written == "none" else written
    found = _SPAN.fullmatch(written.strip()) if isinstance(written, str) else None
    if found is None:
        message = "write none, or a number of minutes, hours or days, such as '1 hour'"
        raise ValueError(message)
    return int(found[1]) * _SPANS[found[2]]


def span_text(span: timedelta | None) -> str:
    """A span as it is written: "1 hour", or "none"."""
    if span is None:
        return "none"
    unit, length = next((u, n) for u, n in reversed(_SPANS.items()) if not span % n)
    return f"{span // length} {unit}{'s' * (span != length)}"


LatenessField = Annotated[
    timedelta,
    PlainValidator(read_lateness),
    PlainSerializer(lambda value: f"{value.days} days", return_type=str),
    schema("[1-9][0-9]{0,5} +days?", "a number of days: 60 days"),
]
SpanField = Annotated[
    timedelta | None,
    PlainValidator(read_span),
    PlainSerializer(span_text, return_type=str),
    schema(f"none|{_SPAN.pattern}", "none, or minutes, hours or days: 1 hour", {"type": "null"}),
]
