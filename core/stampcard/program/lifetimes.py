"""How long points wait and live: "14 days", "until fulfilled, at most 60 days"; "12 months, end of year", "on 12-31"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Annotated, Any

from pydantic import PlainValidator

from stampcard.program.amounts import AS_WRITTEN, Short, schema
from stampcard.program.periods import PERIOD, YEAR_DAY, Period, YearDay, clamped, read_days, read_period, read_year_day

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
#: What an expiry may be rounded up to, beside a named month.
ENDS = ("day", "week", "month", "quarter", "half-year", "year", *_MONTHS)
#: Months after which each of these ends.
_SPANS = {"month": 1, "quarter": 3, "half-year": 6, "year": 12}

_NAME = r"[a-z][a-z0-9_]{0,39}"
_DAYS = rf"{YEAR_DAY}(?: *, *{YEAR_DAY})*"
_NAMES = rf"{_NAME}(?: *, *{_NAME})*"
_ROLLING = re.compile(rf"(?P<period>{PERIOD})(?: *, *end of (?P<end>{'|'.join(ENDS)}))?")
_UNTIL_END = re.compile(rf"end of (?P<end>{'|'.join(ENDS)})")
_DATED = re.compile(rf"on (?P<days>{_DAYS})")
_SLIDING = re.compile(rf"(?P<period>{PERIOD}) after last (?P<names>{_NAMES})")
_UNTIL_DAY = re.compile(rf"until (?P<days>{_DAYS})")
_UNTIL_EVENT = re.compile(rf"until (?P<name>{_NAME}) *, *at most (?P<period>[1-9][0-9]{{0,5}} +days?)")


class Rolling(Short):
    """So long after the points become usable, maybe up to the end of the week, month, … that day lies in."""

    period: Period
    end: str = ""

    def last_day(self, day: date) -> date:
        """The last valid day of points that become usable on `day`."""
        return end_of(self.end, self.period.after(day))

    def __str__(self) -> str:
        return f"{self.period}, end of {self.end}" if self.end else str(self.period)


class UntilEnd(Short):
    """Up to the end of the day, week, month, … in which the points become usable."""

    end: str

    def last_day(self, day: date) -> date:
        """The last valid day of points that become usable on `day`."""
        return end_of(self.end, day)

    def __str__(self) -> str:
        return f"end of {self.end}"


class Dated(Short):
    """On the next of these days of the year."""

    days: tuple[YearDay, ...]

    def last_day(self, day: date) -> date:
        """The next of the days, which may be `day` itself."""
        return min(of for known in self.days for year in (day.year, day.year + 1) if (of := known.of(year)) >= day)

    def __str__(self) -> str:
        return f"on {_listed(self.days)}"


class Sliding(Short):
    """So long after the last of these things happened; each of them gives all living points a new date."""

    period: Period
    resets: tuple[str, ...]

    def last_day(self, day: date) -> date:
        """The last valid day when the last such thing happened on `day`."""
        return self.period.after(day)

    def __str__(self) -> str:
        return f"{self.period} after last {_listed(self.resets)}"


Expiry = Rolling | UntilEnd | Dated | Sliding


class ForDays(Short):
    """Points wait for so many days."""

    period: Period

    def last_day(self, day: date) -> date:
        """The last day on which points of `day` wait."""
        return self.period.after(day)

    def __str__(self) -> str:
        return str(self.period)


class UntilDay(Short):
    """Points wait until the next of these days of the year."""

    days: tuple[YearDay, ...]

    def last_day(self, day: date) -> date:
        """The last day on which points of `day` wait."""
        return Dated(days=self.days).last_day(day)

    def __str__(self) -> str:
        return f"until {_listed(self.days)}"


class UntilEvent(Short):
    """Points wait until something happens to their order, and are cancelled if it does not in time."""

    event: str
    period: Period

    def last_day(self, day: date) -> date:
        """The last day on which it may happen."""
        return self.period.after(day)

    def __str__(self) -> str:
        return f"until {self.event}, at most {self.period}"


Pending = ForDays | UntilDay | UntilEvent


def end_of(what: str, day: date) -> date:
    """The last day of the week, month, quarter, half-year, year that `day` lies in, or of the next such month."""
    if what in {"", "day"}:
        return day
    if what == "week":
        return day + timedelta(days=6 - day.weekday())
    if what in _SPANS:
        return clamped(day.year, ((day.month - 1) // _SPANS[what] + 1) * _SPANS[what], 31)
    month = _MONTHS.index(what) + 1
    return clamped(day.year + (month < day.month), month, 31)


def read_expiry(written: Any) -> Expiry | None:
    """The expiry that a text means, None for "none"; raises ValueError."""
    if written is None or written == "none" or isinstance(written, Expiry):
        return None if written == "none" else written
    text = written.strip() if isinstance(written, str) else ""
    if found := _ROLLING.fullmatch(text):
        return Rolling(period=read_period(found["period"]), end=found["end"] or "")
    if found := _UNTIL_END.fullmatch(text):
        return UntilEnd(end=found["end"])
    if found := _DATED.fullmatch(text):
        return Dated(days=_days(found["days"]))
    if found := _SLIDING.fullmatch(text):
        return Sliding(period=read_period(found["period"]), resets=_parts(found["names"]))
    message = "write none, '12 months', '12 months, end of year', 'end of month', 'on 12-31' or '12 months after last earn, spend'"
    raise ValueError(message)


def read_pending(written: Any) -> Pending | None:
    """The waiting that a text means, None for "none"; raises ValueError."""
    if written is None or written == "none" or isinstance(written, Pending):
        return None if written == "none" else written
    text = written.strip() if isinstance(written, str) else ""
    if found := _UNTIL_DAY.fullmatch(text):
        return UntilDay(days=_days(found["days"]))
    if found := _UNTIL_EVENT.fullmatch(text):
        return UntilEvent(event=found["name"], period=read_days(found["period"]))
    try:
        return ForDays(period=read_days(text))
    except ValueError as error:
        if "too long" in str(error):
            raise
    message = "write none, a number of days such as '14 days', 'until 01-15' or 'until fulfilled, at most 60 days'"
    raise ValueError(message)


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _days(text: str) -> tuple[YearDay, ...]:
    return tuple(read_year_day(part) for part in _parts(text))


def _listed(parts: Iterable[object]) -> str:
    return ", ".join(map(str, parts))


def _anonymous(*forms: re.Pattern[str]) -> str:
    """The forms as one, without the names of their groups, which a JSON Schema may not have."""
    return "|".join(re.sub(r"\(\?P<\w+>", "(?:", form.pattern) for form in forms)


ExpiryField = Annotated[
    Expiry | None,
    PlainValidator(read_expiry),
    AS_WRITTEN,
    schema(
        f"none|{_anonymous(_ROLLING, _UNTIL_END, _DATED, _SLIDING)}",
        "none; 12 months; 12 months, end of year; end of month; on 06-30, 12-31; 12 months after last earn, spend",
        {"type": "null"},
    ),
]
PendingField = Annotated[
    Pending | None,
    PlainValidator(read_pending),
    AS_WRITTEN,
    schema(
        rf"none|[1-9][0-9]{{0,5}} +days?|{_anonymous(_UNTIL_DAY, _UNTIL_EVENT)}",
        "none; 14 days; until 01-15, 07-15; until fulfilled, at most 60 days",
        {"type": "null"},
    ),
]
