"""When a rule or campaign is open: days, days of every year, weekdays and hours, in a zone."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from stampcard.program.amounts import AS_WRITTEN, Short, schema
from stampcard.program.parts import Part
from stampcard.program.periods import YEAR_DAY, YearDay, read_year_day

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_DAYS = re.compile(rf"({_DAY})?(\.\.)?({_DAY})?")
_YEARLY = re.compile(rf"({YEAR_DAY})(?:\.\.({YEAR_DAY}))?")
_HOUR = r"[0-2][0-9]:[0-5][0-9]"
_HOURS = re.compile(rf"({_HOUR})-({_HOUR})")


class Days(Short):
    """From one day to another, both inclusive; an end that is left out is open."""

    first: date | None
    last: date | None

    def contains(self, day: date) -> bool:
        """Whether the day lies in it."""
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first or ''}..{self.last or ''}"


class YearlyDays(Short):
    """From one day to another of every year, both inclusive; it may go over New Year."""

    first: YearDay
    last: YearDay

    def contains(self, day: date) -> bool:
        """Whether the day lies in it."""
        first, last = self.first.of(day.year), self.last.of(day.year)
        return first <= day <= last if first <= last else day >= first or day <= last

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}..{self.last}"


class Hours(Short):
    """From one time of day up to, and not including, another; it may go over midnight."""

    first: time
    end: time

    def contains(self, moment: time) -> bool:
        """Whether the time lies in it."""
        if self.first < self.end:
            return self.first <= moment < self.end
        return moment >= self.first or moment < self.end

    def __str__(self) -> str:
        return f"{self.first:%H:%M}-{self.end:%H:%M}"


def read_days(written: Any) -> Days | YearlyDays:
    """The days that "2026-12-01..2026-12-24" or, every year, "12-24..12-26" means; raises ValueError."""
    if isinstance(written, Days | YearlyDays):
        return written
    text = written.strip() if isinstance(written, str) else ""
    if found := _YEARLY.fullmatch(text):
        return YearlyDays(first=read_year_day(found[1]), last=read_year_day(found[2] or found[1]))
    found = _DAYS.fullmatch(text)
    if (
        not found
        or not (found[1] or found[3])
        or bool(found[2]) is (found[1] is not None and found[3] is None and not text.endswith(".."))
    ):
        message = f"{written!r} is no span of days: write '2026-12-24', '2026-12-01..2026-12-24' or, every year, '12-24..12-26'"
        raise ValueError(message)
    first, last = _day(found[1]), _day(found[3])
    if not found[2]:
        last = first
    if first and last and last < first:
        message = f"{text} ends before it begins"
        raise ValueError(message)
    return Days(first=first, last=last)


def _day(text: str | None) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        message = f"{text} is no day of the calendar"
        raise ValueError(message) from None


def read_hours(written: Any) -> Hours:
    """The hours that "08:00-11:00" means; raises ValueError."""
    if isinstance(written, Hours):
        return written
    found = _HOURS.fullmatch(written.strip()) if isinstance(written, str) else None
    try:
        first, end = (time.fromisoformat("00:00" if part == "24:00" else part) for part in (found[1], found[2]))  # type: ignore[index]
    except (TypeError, ValueError):
        message = f"{written!r} is no span of hours: write '08:00-11:00'"
        raise ValueError(message) from None
    if first == end:
        message = f"{written} is empty: leave hours out for the whole day"
        raise ValueError(message)
    return Hours(first=first, end=end)


def _several(written: Any) -> Any:
    return [written] if isinstance(written, str) else written


def _in_order(days: tuple[Weekday, ...]) -> tuple[Weekday, ...]:
    return tuple(day for day in _WEEKDAYS if day in days)


DaysField = Annotated[
    Days | YearlyDays,
    PlainValidator(read_days),
    AS_WRITTEN,
    schema(
        rf"{_YEARLY.pattern}|{_DAY}(?:\.\.(?:{_DAY})?)?|\.\.{_DAY}",
        "2026-12-24; 2026-12-01..2026-12-24; 2026-12-01..; every year: 12-24..12-26",
    ),
]
HoursField = Annotated[Hours, PlainValidator(read_hours), AS_WRITTEN, schema(_HOURS.pattern, "08:00-11:00")]


class During(Part):
    """When something is open: on all of what is given."""

    dates: Annotated[tuple[DaysField, ...], BeforeValidator(_several, json_schema_input_type=DaysField | list[DaysField])] = Field(
        default=(), description="days, as spans; without a year they come every year; none: every day"
    )  # fmt: skip
    weekdays: Annotated[tuple[Weekday, ...], BeforeValidator(_several, json_schema_input_type=Weekday | list[Weekday]), AfterValidator(_in_order)] = Field(
        default=(), description="days of the week; none: all"
    )  # fmt: skip
    hours: Annotated[tuple[HoursField, ...], BeforeValidator(_several, json_schema_input_type=HoursField | list[HoursField])] = Field(
        default=(), description="times of day; none: all day"
    )  # fmt: skip
    zone: Literal["program", "member", "shop"] = Field(
        default="program",
        description="whose clock counts: the program's, the member's (attribute timezone), the shop's; "
        "the program's where that is not known",
    )

    def contains(self, local: datetime) -> bool:
        """Whether a moment, told in the right zone, lies in it."""
        day, moment = local.date(), local.time()
        return (
            (not self.dates or any(days.contains(day) for days in self.dates))
            and (not self.weekdays or _WEEKDAYS[day.weekday()] in self.weekdays)
            and (not self.hours or any(hours.contains(moment) for hours in self.hours))
        )
