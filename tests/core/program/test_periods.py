from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.program.periods import LONGEST, Period, read_days, read_lateness, read_period, read_span, read_year_day

DAYS = st.dates(date(1990, 1, 1), date(2100, 12, 31))
PERIODS = st.sampled_from(sorted(LONGEST)).flatmap(
    lambda unit: st.builds(Period, count=st.integers(1, LONGEST[unit]), unit=st.just(unit))
)


@given(DAYS, PERIODS)
def test_a_period_ends_after_the_day_it_starts(day: date, period: Period) -> None:
    assert period.after(day) > day


@given(DAYS, DAYS, PERIODS)
def test_a_later_start_never_ends_earlier(one: date, other: date, period: Period) -> None:
    first, second = sorted((one, other))
    assert period.after(first) <= period.after(second)


@given(DAYS, st.integers(1, 1_200))
def test_months_keep_the_day_or_take_the_last_of_a_shorter_month(day: date, months: int) -> None:
    end = Period(count=months, unit="months").after(day)
    assert (end.year * 12 + end.month) - (day.year * 12 + day.month) == months
    assert end.day == min(day.day, monthrange(end.year, end.month)[1])


@given(DAYS, st.integers(1, 100))
def test_a_year_is_twelve_months(day: date, years: int) -> None:
    assert Period(count=years, unit="years").after(day) == Period(count=years * 12, unit="months").after(day)


@pytest.mark.parametrize(
    ("written", "day", "end"),
    [
        ("1 month", date(2026, 1, 31), date(2026, 2, 28)),
        ("1 month", date(2028, 1, 31), date(2028, 2, 29)),
        ("1 year", date(2028, 2, 29), date(2029, 2, 28)),
        ("12 months", date(2026, 12, 31), date(2027, 12, 31)),
        ("14 days", date(2026, 12, 25), date(2027, 1, 8)),
    ],
)
def test_a_period_counts_on_the_calendar(written: str, day: date, end: date) -> None:
    period = read_period(written)
    assert period.after(day) == end


@given(PERIODS)
def test_a_period_reads_back_as_it_is_written(period: Period) -> None:
    assert read_period(str(period)) == period


@pytest.mark.parametrize(
    "written", ["12", 12, "0 days", "-1 days", "1.5 months", "12 moons", "101 years", "", True, []]
)
def test_what_is_no_period_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"months|at most"):
        read_period(written)


def test_pending_counts_in_days_only() -> None:
    with pytest.raises(ValueError, match="a number of days"):
        read_days("2 months")


def test_lateness_is_a_number_of_days() -> None:
    assert read_lateness("60 days") == timedelta(days=60)
    with pytest.raises(ValueError, match="12 months"):
        read_lateness("none")


@pytest.mark.parametrize(
    ("written", "span"),
    [
        ("30 minutes", timedelta(minutes=30)),
        ("1 hour", timedelta(hours=1)),
        ("7 days", timedelta(days=7)),
        ("none", None),
    ],
)
def test_a_cooldown_counts_in_minutes_hours_or_days(written: str, span: timedelta | None) -> None:
    assert read_span(written) == span


@pytest.mark.parametrize("written", ["1 month", "0 days", "soon", 5])
def test_what_is_no_span_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="1 hour"):
        read_span(written)


def test_a_day_of_the_year_exists_in_every_year() -> None:
    leap = read_year_day("02-29")
    assert [leap.of(2027), leap.of(2028)] == [date(2027, 2, 28), date(2028, 2, 29)]
    for wrong in ("02-30", "13-01", "1-1", ""):
        with pytest.raises(ValueError, match="12-31"):
            read_year_day(wrong)
