from __future__ import annotations

from datetime import datetime

import pytest
from pydantic import ValidationError

from stampcard.program.windows import During, read_days, read_hours


def open_at(moment: str, **written: object) -> bool:
    return During.model_validate(written).contains(datetime.fromisoformat(moment))


@pytest.mark.parametrize(
    ("dates", "inside", "outside"),
    [
        ("2026-12-24", "2026-12-24T23:59", "2026-12-25T00:00"),
        ("2026-12-01..2026-12-24", "2026-12-01T00:00", "2026-11-30T23:59"),
        ("2026-12-01..", "2036-01-01T12:00", "2026-11-30T12:00"),
        ("..2026-12-01", "2026-12-01T12:00", "2026-12-02T12:00"),
        ("12-24..12-26", "2031-12-25T12:00", "2031-12-27T12:00"),
        ("12-30..01-02", "2027-01-01T12:00", "2027-01-03T12:00"),
        (["01-01", "05-01"], "2027-05-01T12:00", "2027-05-02T12:00"),
    ],
)
def test_dates_are_spans_with_both_days_inside_and_come_every_year_without_one(
    dates: object, inside: str, outside: str
) -> None:
    assert open_at(inside, dates=dates)
    assert not open_at(outside, dates=dates)


def test_weekdays_and_hours_narrow_further() -> None:
    monday = {"weekdays": ["mon"], "hours": ["08:00-11:00", "22:00-02:00"]}
    assert open_at("2026-11-23T08:00", **monday)
    assert open_at("2026-11-23T01:59", **monday)
    assert not open_at("2026-11-23T11:00", **monday)
    assert not open_at("2026-11-24T08:00", **monday)
    assert open_at("2026-11-24T08:00")


def test_a_single_day_of_the_week_needs_no_list() -> None:
    assert open_at("2026-11-23T08:00", weekdays="mon")
    assert not open_at("2026-11-24T08:00", weekdays="mon")


def test_what_is_read_is_written_alike() -> None:
    for text in ("2026-12-24", "2026-12-01..2026-12-24", "2026-12-01..", "..2026-12-01", "12-24", "12-30..01-02"):
        assert str(read_days(text)) == text
    assert str(read_hours("08:00-11:00")) == "08:00-11:00"


@pytest.mark.parametrize(
    "written", ["", "..", "2026-13-01", "2026-12-24..2026-12-01", "24.12.", "12-24..2026-12-26", 5]
)
def test_what_is_no_span_of_days_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"no span of days|no day|ends before"):
        read_days(written)


@pytest.mark.parametrize("written", ["8-11", "08:00", "08:00-08:00", "25:00-26:00", 8])
def test_what_is_no_span_of_hours_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"no span of hours|is empty"):
        read_hours(written)


def test_an_unknown_weekday_is_refused() -> None:
    with pytest.raises(ValidationError):
        During.model_validate({"weekdays": ["monday"]})
