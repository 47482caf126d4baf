"""Days of a report: those of the program's zone, whatever its clock does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.engine.spanning import MOST, span_of, whole_months
from stampcard.errors import RequestRefused

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_without_days_it_is_this_month_up_to_today() -> None:
    span = span_of("", "", "", BERLIN, NOW)
    assert (span.first, span.last, span.starts) == (date(2026, 11, 1), date(2026, 11, 20), (date(2026, 11, 1),))
    assert span_of("", "2026-10-07", "", BERLIN, NOW).first == date(2026, 10, 1)


def test_periods_are_those_of_the_calendar_cut_at_both_ends() -> None:
    weeks = span_of("2026-10-01", "2026-10-14", "week", BERLIN, NOW)
    assert [(first.day, last.day) for first, last in weeks.periods] == [(1, 4), (5, 11), (12, 14)]
    months = span_of("2026-01-31", "2026-03-02", "month", BERLIN, NOW)
    assert [str(first) for first, _ in months.periods] == ["2026-01-31", "2026-02-01", "2026-03-01"]
    assert [str(first) for first in whole_months(weeks).starts] == ["2026-10-01"]


def test_days_have_the_length_that_the_clock_gives_them() -> None:
    span = span_of("2026-10-24", "2026-10-26", "day", BERLIN, NOW)
    lengths = [after - before for before, after in zip(span.moments, span.moments[1:], strict=False)]
    assert lengths == [timedelta(hours=24), timedelta(hours=25), timedelta(hours=24)]


@given(
    st.timedeltas(timedelta(0), timedelta(days=322)).map(lambda age: NOW - age),
    st.sampled_from(["Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Africa/Cairo", "Pacific/Apia"]),
    st.sampled_from(["", "day", "week", "month"]),
)
def test_every_moment_lies_in_the_period_of_its_local_day(moment: datetime, zone: str, by: Any) -> None:
    span = span_of("2026-02-03", "2026-10-20", by, ZoneInfo(zone), NOW)
    day, period = moment.astimezone(ZoneInfo(zone)).date(), span.period_at(moment)
    if day < span.first:
        assert period == 0
    elif day > span.last:
        assert period == len(span.starts) + 1
    else:
        first, last = span.periods[period - 1]
        assert first <= day <= last


@pytest.mark.parametrize(
    ("first", "last", "by", "words"),
    [
        ("2026-10-31", "2026-10-01", "", "from 2026-10-31 is after to 2026-10-01: exchange them"),
        ("2026-11-21", "", "", "from 2026-11-21 lies ahead"),
        ("2027-01-01", "2027-02-01", "", "from 2027-01-01 lies ahead: today is 2026-11-20 in Europe/Berlin"),
        ("31.10.2026", "", "", "from: '31.10.2026' is no day: write it as 2026-10-31"),
        ("2026-02-29", "", "", "from: '2026-02-29' is no day: write it as 2026-10-31"),
        ("", "9999-12-31", "", "to: '9999-12-31' is no day: write it as 2026-10-31"),
        ("2025-01-01", "2026-11-20", "day", f"2025-01-01 to 2026-11-20 has more than {MOST} periods by day"),
    ],
)
def test_days_that_cannot_be_asked_for_are_refused_with_what_to_change(
    first: str, last: str, by: Any, words: str
) -> None:
    with pytest.raises(RequestRefused) as refused:
        span_of(first, last, by, BERLIN, NOW)
    assert words in str(refused.value)
