"""Short forms of the program file: "12 months", "60 days", "1 per 1 EUR"."""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, WithJsonSchema

Unit = Literal["days", "months", "years"]

#: Longest period for each unit; beyond it a date would leave the calendar.
LONGEST: dict[Unit, int] = {"days": 36_500, "months": 1_200, "years": 100}

MOST_POINTS = Decimal(1_000_000_000)

_UNITS = "|".join(unit.removesuffix("s") for unit in get_args(Unit))
_PERIOD = re.compile(rf"([1-9][0-9]{{0,5}}) +({_UNITS})s?")
_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,6})?"
_FIXED = re.compile(_NUMBER)
_RATE = re.compile(rf"({_NUMBER}) +per +({_NUMBER}) +([A-Z]{{3}})")


class Short(BaseModel):
    """A value that the program file writes in a short form."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Period(Short):
    """A length of time on the calendar."""

    count: int
    unit: Unit

    def after(self, day: date) -> date:
        """The day that lies one period later; the 31st becomes the last day of a shorter month."""
        if self.unit == "days":
            return day + timedelta(days=self.count)
        months = day.year * 12 + day.month - 1 + self.count * (12 if self.unit == "years" else 1)
        year, month = months // 12, months % 12 + 1
        return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))

    def __str__(self) -> str:
        return f"{self.count} {self.unit}"


class FixedAward(Short):
    """The same number of points each time."""

    points: Decimal

    def __str__(self) -> str:
        return f"{self.points:f}"


class RateAward(Short):
    """`points` for each `per` of money, in the program's currency."""

    points: Decimal
    per: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.points:f} per {self.per:f} {self.currency}"


Award = FixedAward | RateAward


def read_period(written: Any) -> Period | None:
    """The period that "12 months" means; None for "none"; raises ValueError."""
    if written is None or isinstance(written, Period):
        return written
    if written == "none":
        return None
    found = _PERIOD.fullmatch(written.strip()) if isinstance(written, str) else None
    if found is None:
        message = "write none, or a number with days, months or years, such as '12 months'"
        raise ValueError(message)
    count, unit = int(found[1]), next(unit for unit in LONGEST if unit == f"{found[2]}s")
    if count > LONGEST[unit]:
        message = f"{count} {unit} is too long: at most {LONGEST[unit]} {unit}"
        raise ValueError(message)
    return Period(count=count, unit=unit)


def read_days(written: Any) -> Period | None:
    """Like `read_period`, for what counts in days only."""
    period = read_period(written)
    if period is not None and period.unit != "days":
        message = "write none, or a number of days, such as '14 days'"
        raise ValueError(message)
    return period


def read_lateness(written: Any) -> timedelta:
    """The time that "60 days" means; raises ValueError."""
    if isinstance(written, timedelta):
        return written
    period = read_days(written)
    if period is None:
        message = "write a number of days, such as '60 days'"
        raise ValueError(message)
    return timedelta(days=period.count)


def read_award(written: Any) -> Award:
    """The award that "1 per 1 EUR" or a plain number means; raises ValueError."""
    if isinstance(written, FixedAward | RateAward):
        return written
    text = str(written).strip() if isinstance(written, int | float | Decimal | str) else ""
    if _FIXED.fullmatch(text) and not isinstance(written, bool):
        return FixedAward(points=_positive(text))
    found = _RATE.fullmatch(text)
    if found is None:
        message = "write a number of points, or a rate such as '1 per 1 EUR'"
        raise ValueError(message)
    return RateAward(points=_positive(found[1]), per=_positive(found[2]), currency=found[3])


def _positive(text: str) -> Decimal:
    number = Decimal(text)
    if not 0 < number <= MOST_POINTS:
        message = f"{text} is out of range: more than 0, at most {MOST_POINTS:f}"
        raise ValueError(message)
    return number


def _schema(pattern: str, description: str, *others: dict[str, Any]) -> WithJsonSchema:
    text = {"type": "string", "pattern": f"^(?:{pattern})$"}
    return WithJsonSchema({"description": description} | ({"anyOf": [*others, text]} if others else text))


_AS_WRITTEN = PlainSerializer(lambda value: "none" if value is None else str(value), return_type=str)

PeriodField = Annotated[
    Period | None,
    PlainValidator(read_period),
    _AS_WRITTEN,
    _schema(f"none|{_PERIOD.pattern}", "none, or a number of days, months or years: 12 months", {"type": "null"}),
]
DaysField = Annotated[
    Period | None,
    PlainValidator(read_days),
    _AS_WRITTEN,
    _schema("none|[1-9][0-9]{0,5} +days?", "none, or a number of days: 14 days", {"type": "null"}),
]
LatenessField = Annotated[
    timedelta,
    PlainValidator(read_lateness),
    PlainSerializer(lambda value: f"{value.days} days", return_type=str),
    _schema("[1-9][0-9]{0,5} +days?", "a number of days: 60 days"),
]
AwardField = Annotated[
    Award,
    PlainValidator(read_award),
    _AS_WRITTEN,
    _schema(
        _RATE.pattern,
        "points per amount of money (1 per 1 EUR), or a number of points",
        {"type": "number", "exclusiveMinimum": 0, "maximum": int(MOST_POINTS)},
    ),
]
