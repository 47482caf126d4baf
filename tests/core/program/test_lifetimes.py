from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.program.lifetimes import (
    ENDS,
    Dated,
    ForDays,
    Rolling,
    Sliding,
    UntilDay,
    UntilEnd,
    UntilEvent,
    end_of,
    read_expiry,
    read_pending,
)

DAYS = st.dates(date(1990, 1, 1), date(2100, 12, 31))


@pytest.mark.parametrize(
    ("written", "day", "last"),
    [
        ("12 months", date(2026, 3, 10), date(2027, 3, 10)),
        ("12 months, end of day", date(2026, 3, 10), date(2027, 3, 10)),
        ("1 month, end of week", date(2026, 11, 1), date(2026, 12, 6)),
        ("1 month, end of month", date(2026, 1, 31), date(2026, 2, 28)),
        ("6 months, end of quarter", date(2026, 1, 10), date(2026, 9, 30)),
        ("1 day, end of half-year", date(2026, 6, 29), date(2026, 6, 30)),
        ("1 day, end of half-year", date(2026, 6, 30), date(2026, 12, 31)),
        ("12 months, end of year", date(2026, 3, 10), date(2027, 12, 31)),
        ("6 months, end of march", date(2026, 1, 10), date(2027, 3, 31)),
        ("1 day, end of march", date(2026, 3, 30), date(2026, 3, 31)),
        ("1 day, end of january", date(2026, 1, 5), date(2026, 1, 31)),
        ("1 day, end of february", date(2026, 2, 5), date(2026, 2, 28)),
        ("1 day, end of april", date(2026, 4, 5), date(2026, 4, 30)),
        ("1 day, end of may", date(2026, 5, 5), date(2026, 5, 31)),
        ("1 day, end of july", date(2026, 7, 5), date(2026, 7, 31)),
        ("1 day, end of august", date(2026, 8, 5), date(2026, 8, 31)),
        ("1 day, end of september", date(2026, 9, 5), date(2026, 9, 30)),
        ("1 day, end of october", date(2026, 10, 5), date(2026, 10, 31)),
        ("1 day, end of november", date(2026, 11, 5), date(2026, 11, 30)),
        ("1 day, end of december", date(2026, 12, 5), date(2026, 12, 31)),
        ("end of day", date(2026, 3, 10), date(2026, 3, 10)),
        ("end of week", date(2026, 3, 10), date(2026, 3, 15)),
        ("end of month", date(2026, 3, 31), date(2026, 3, 31)),
        ("end of quarter", date(2026, 4, 1), date(2026, 6, 30)),
        ("end of march", date(2026, 4, 1), date(2027, 3, 31)),
        ("on 12-31", date(2026, 3, 10), date(2026, 12, 31)),
        ("on 06-30, 12-31", date(2026, 7, 1), date(2026, 12, 31)),
        ("on 06-30, 12-31", date(2026, 12, 31), date(2026, 12, 31)),
        ("on 02-29", date(2026, 3, 1), date(2027, 2, 28)),
        ("18 months after last earn, spend", date(2026, 3, 10), date(2027, 9, 10)),
        ("18 months after last redeem", date(2026, 3, 10), date(2027, 9, 10)),
    ],
)
def test_the_last_valid_day_is_where_the_text_says(written: str, day: date, last: date) -> None:
    expiry = read_expiry(written)
    assert expiry is not None
    assert expiry.last_day(day) == last


@given(st.sampled_from(ENDS), DAYS)
def test_an_end_never_lies_before_its_day_and_is_its_own_end(what: str, day: date) -> None:
    end = end_of(what, day)
    assert day <= end
    assert end_of(what, end) == end


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("12 months, end of year", Rolling),
        ("end of half-year", UntilEnd),
        ("on 06-30, 12-31", Dated),
        ("1 year after last earn, visit", Sliding),
        ("14 days", ForDays),
        ("until 01-15, 07-15", UntilDay),
        ("until fulfilled, at most 60 days", UntilEvent),
    ],
)
def test_what_is_read_is_written_alike(written: str, kind: type) -> None:
    read = read_pending if kind in {ForDays, UntilDay, UntilEvent} else read_expiry
    value = read(written)
    assert isinstance(value, kind)
    assert str(value) == written
    assert read(str(value)) == value


def test_none_means_for_ever_and_at_once() -> None:
    assert read_expiry("none") is None
    assert read_pending("none") is None


@pytest.mark.parametrize(
    "written",
    [12, "12", "12 months, end of moon", "end of", "end of moon", "on 02-30", "on", "1 year after last", "", True],
)
def test_what_is_no_expiry_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"write none|no day of the year"):
        read_expiry(written)


@pytest.mark.parametrize("written", [14, "2 months", "until", "until fulfilled", "until 13-01", "0 days"])
def test_what_is_no_waiting_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"write none|no day of the year"):
        read_pending(written)
