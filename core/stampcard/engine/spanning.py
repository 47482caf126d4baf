"""The days that a report is about, and the periods that they are split into, in the program's zone."""

from __future__ import annotations

from bisect import bisect_right
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from stampcard.domain.value import Value
from stampcard.engine.dating import midnight
from stampcard.errors import RequestRefused

By = Literal["", "day", "week", "month"]
#: Periods that one report may have: a year of days and some.
MOST = 400
_DAY = timedelta(days=1)
_FIRST = date(1970, 1, 2)


class Span(Value, frozen=True):
    """From the first day to the last, both inclusive; `starts`: the first day of each period, which `by` names."""

    first: date
    last: date
    starts: tuple[date, ...]
    zone: ZoneInfo
    by: By = ""

    @property
    def moments(self) -> tuple[datetime, ...]:
        """When each period begins, and when the last has ended."""
        return tuple(midnight(day, self.zone) for day in (*self.starts, self.last + _DAY))

    @property
    def periods(self) -> tuple[tuple[date, date], ...]:
        """The first and the last day of each."""
        ends = (*(start - _DAY for start in self.starts[1:]), self.last)
        return tuple(zip(self.starts, ends, strict=True))

    def period_at(self, moment: datetime) -> int:
        """Which period a moment lies in, counted from 1; 0 before the first, one more than there are behind the last."""
        return bisect_right(self.moments, moment)


def span_of(first: str, last: str, by: By, zone: ZoneInfo, now: datetime) -> Span:
    """The span from one day to another, without them from the first of this month to today; raises RequestRefused."""
    today = now.astimezone(zone).date()
    end = _day("to", last) if last else today
    begin = _day("from", first) if first else min(today, end).replace(day=1)
    if begin > today:
        raise RequestRefused("in_the_future", f"from {begin} lies ahead: today is {today} in {zone.key}")
    if begin > end:
        raise RequestRefused("from_after_to", f"from {begin} is after to {end}: exchange them")
    starts = _starts(begin, end, by)
    return Span(first=begin, last=end, starts=starts, zone=zone, by=by)


def whole_months(span: Span) -> Span:
    """The months that a span touches, each from its first day; the last ends with the span."""
    first = span.first.replace(day=1)
    return Span(first=first, last=span.last, starts=_starts(first, span.last, "month"), zone=span.zone, by="month")


def _starts(first: date, last: date, by: By) -> tuple[date, ...]:
    found = [first]
    while by and (following := _after(found[-1], by)) <= last:
        if len(found) == MOST:
            detail = f"{first} to {last} has more than {MOST} periods by {by}: ask for less, or for longer periods"
            raise RequestRefused("too_many_periods", detail)
        found.append(following)
    return tuple(found)


def _after(day: date, by: By) -> date:
    """The first day of the next period of the calendar; weeks begin on Mondays."""
    if by == "day":
        return day + _DAY
    if by == "week":
        return day + timedelta(days=7 - day.weekday())
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _day(name: str, text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = date.min
    if not _FIRST <= found <= date(8999, 12, 31):
        raise RequestRefused("day", f"{name}: {text!r} is no day: write it as 2026-10-31")
    return found
