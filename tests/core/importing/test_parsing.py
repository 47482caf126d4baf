"""Cells as platforms and spreadsheets write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.errors import RowRefused
from stampcard.importing.parsing import birthday_of, email_of, end_of, moment_of, phone_of, points_of

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "scale", "decimals", "points"),
    [
        ("1250", 0, "", 1250),
        ("1250.00", 0, "", 1250),
        ("-3", 0, "", -3),
        ("12.5", 2, "", 1250),
        ("12,50", 2, "", 1250),
        ("1,250.50", 2, "", 125050),
        ("1.250,50", 2, "", 125050),
        ("1,250,000", 0, "", 1250000),
        ("1.250.000", 0, "", 1250000),
        ("1,250", 0, ".", 1250),
        ("1.250", 0, ",", 1250),
        ("1.250", 3, ".", 1250),
        ("1\u202f250", 0, "", 1250),
        ("1'250", 0, "", 1250),
    ],
)
def test_points_are_read_however_they_are_grouped(text: str, scale: int, decimals: Any, points: int) -> None:
    assert points_of(text, scale, decimals) == points


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1,250", "ambiguous_points"),
        ("1.250", "ambiguous_points"),
        ("12.5", "fraction"),
        ("many", "bad_points"),
        ("1.25E+05", "bad_points"),
        ("1,25,000", "bad_points"),
        ("1.2.3,4", "bad_points"),
        ("", "bad_points"),
        ("9" * 16, "bad_points"),
    ],
)
def test_points_that_may_mean_two_things_or_nothing_are_refused(text: str, code: str) -> None:
    with pytest.raises(RowRefused) as refused:
        points_of(text, 0)
    assert refused.value.code == code


@given(st.integers(-(10**12), 10**12), st.integers(0, 4), st.sampled_from([",.", ".,"]))
def test_points_come_back_as_they_were_written(points: int, scale: int, marks: str) -> None:
    whole, part = divmod(abs(points), 10**scale)
    grouped = f"{whole:,}".replace(",", marks[0])
    text = f"{'-' if points < 0 else ''}{grouped}" + (f"{marks[1]}{part:0{scale}d}" if scale else "")
    assert points_of(text, scale, marks[1]) == points  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "dates", "moment"),
    [
        ("2026-05-01", "", datetime(2026, 4, 30, 22, tzinfo=UTC)),
        ("31.12.2026", "", datetime(2026, 12, 30, 23, tzinfo=UTC)),
        ("12/31/2026", "", datetime(2026, 12, 30, 23, tzinfo=UTC)),
        ("01/02/2026", "mdy", datetime(2026, 1, 1, 23, tzinfo=UTC)),
        ("01/02/2026", "dmy", datetime(2026, 1, 31, 23, tzinfo=UTC)),
        ("2026-05-01 10:00", "", datetime(2026, 5, 1, 8, tzinfo=UTC)),
        ("2024-04-04T15:10:42.030Z", "", datetime(2024, 4, 4, 15, 10, 42, 30000, tzinfo=UTC)),
        ("2026-05-01 10:00:00 UTC", "", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("2026-05-01T10:00:00-0500", "", datetime(2026, 5, 1, 15, tzinfo=UTC)),
        ("5/1/2026 9:30", "mdy", datetime(2026, 5, 1, 7, 30, tzinfo=UTC)),
    ],
)
def test_moments_without_a_zone_are_in_the_programs(text: str, dates: Any, moment: datetime) -> None:
    assert moment_of(text, BERLIN, dates) == moment


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("01/02/2026", "ambiguous_date"),
        ("soon", "bad_date"),
        ("2026-02-30", "bad_date"),
        ("2026-05-01 25:00", "bad_date"),
    ],
)
def test_dates_that_may_mean_two_things_or_nothing_are_refused(text: str, code: str) -> None:
    with pytest.raises(RowRefused) as refused:
        moment_of(text, BERLIN)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "text", ["2026-12-31", "2026-12-31 23:59:59", "2026-12-31T10:00:00Z", "2027-01-01T00:00:00+01:00"]
)
def test_the_last_day_is_inclusive_and_its_end_a_local_midnight(text: str) -> None:
    assert end_of(text, BERLIN) == datetime(2026, 12, 31, 23, tzinfo=UTC)


def test_a_day_beyond_all_time_is_refused_and_not_a_crash() -> None:
    with pytest.raises(RowRefused, match="too far away"):
        end_of("9999-12-31", BERLIN)


@pytest.mark.parametrize(
    ("text", "dates", "day"),
    [
        ("12/31", "", "1004-12-31"),
        ("02/29", "mdy", "1004-02-29"),
        ("24.12.", "", "1004-12-24"),
        ("1990-05-01", "", "1990-05-01"),
    ],
)
def test_a_birthday_may_lack_its_year(text: str, dates: Any, day: str) -> None:
    assert birthday_of(text, dates) == day


def test_phone_numbers_need_their_country_and_all_of_their_digits() -> None:
    assert phone_of("0049 (30) 123-456") == "+4930123456"
    for text, code in (("4.91701E+11", "shortened"), ("030 123456", "country code"), ("491701234567", "country code")):
        with pytest.raises(RowRefused, match=code):
            phone_of(text)


def test_an_address_is_one_address() -> None:
    assert email_of(" ann@example.com ") == "ann@example.com"
    for text in ("ann", "ann@example", "a@b.com, c@d.com", "ann@@example.com"):
        with pytest.raises(RowRefused):
            email_of(text)
