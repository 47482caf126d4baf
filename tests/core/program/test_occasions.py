"""When messages go: what happens, or some days before or after it, written as people say it."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.errors import ProgramError
from stampcard.program.occasions import AHEAD, ASKED, BEHIND, HAPPENINGS, YEARLY, Occasion, read_occasion, read_time
from stampcard.program.reading import read_program

HEAD = """program: main
currency: EUR
timezone: Europe/Berlin
state: ending
ending: {last_earn: 2026-12-01, last_redeem: 2026-12-31}
attributes: {birthday: date}
events: {bike_repair: {kind: string}}
wallets: {points: {}}
rules: [{id: buy, on: purchase, award: 1 per 1 EUR}]
messages:
"""
TEXTS = "texts: {en: {subject: Hello, text: Hello}}"


def occasion(written: str) -> Occasion:
    program = read_program(f"{HEAD}  m: {{on: {written}, {TEXTS}}}\n", "test")
    return program.messages["m"].on


def refused(written: str) -> str:
    with pytest.raises(ProgramError) as error:
        occasion(written)
    (problem,) = error.value.problems
    assert (problem.line, problem.column, problem.path) == (11, 11, "messages.m.on")
    return problem.message


@pytest.mark.parametrize("event", HAPPENINGS)
def test_a_message_is_on_everything_that_happens_to_a_member(event: str) -> None:
    found = occasion(event)
    assert (found.event, found.days, str(found)) == (event, 0, event)
    assert found.is_dated == (event in YEARLY)


@pytest.mark.parametrize("event", ["visit", "review", "answered", "bike_repair"])
def test_a_message_is_on_what_rules_are_on_and_on_the_shops_own_events(event: str) -> None:
    assert occasion(event) == Occasion(event=event)


@pytest.mark.parametrize("event", AHEAD)
def test_a_message_comes_days_before_what_lies_ahead(event: str) -> None:
    assert occasion(f"3 days before {event}") == Occasion(event=event, days=-3)
    assert occasion(f"1 day before {event}").is_dated


@pytest.mark.parametrize("event", BEHIND)
def test_a_message_comes_days_after_what_is_past(event: str) -> None:
    assert occasion(f"90 days after {event}") == Occasion(event=event, days=90)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1 days before birthday", "1 day before birthday"),
        ("3 day before birthday", "3 days before birthday"),
        ("3   days  before  birthday", "3 days before birthday"),
        ("'  sign_up  '", "sign_up"),
        ("400 days after purchase", "400 days after purchase"),
    ],
)
def test_it_is_written_in_one_form_however_it_was_read(written: str, read: str) -> None:
    assert str(occasion(written)) == read


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("sing_up", "unknown event 'sing_up', did you mean 'sign_up'?"),
        ("pointsearned", "unknown event 'pointsearned', did you mean 'points_earned'?"),
        ("bike_repairs", "unknown event 'bike_repairs', did you mean 'bike_repair'?"),
        ("3 days before points_expired", "unknown day to come before 'points_expired', did you mean 'points_expire'?"),
        ("purchase", "it comes some days after: 1 day after purchase; what an order pays at once is points_earned"),
        ("3 days before sign_up", "unknown day to come before 'sign_up', there is: points_expire"),
        ("3 days after points_expire", "unknown event to come after 'points_expire', there is: sign_up"),
        ("3 days after last_purchas", "did you mean 'last_purchase'?"),
        ("points_expire", "unknown event 'points_expire', did you mean 'points_expired'?"),
        ("401 days before birthday", "401 days are too many: at most 400"),
        ("0 days before birthday", "'0 days before birthday' is no occasion"),
        ("3 weeks before birthday", "or '3 days before points_expire'"),
        ("before birthday", "is no occasion"),
        ("Sign_up", "is no occasion"),
        ("7", "is no occasion"),
        ("[sign_up]", "is no occasion"),
    ],
)
def test_what_is_no_occasion_is_refused_at_its_place_with_what_may_be_meant(written: str, message: str) -> None:
    assert message in refused(written)


def test_a_day_that_the_program_knows_nothing_of_is_refused_with_what_is_missing() -> None:
    for left_out, written, message in (
        ("attributes: {birthday: date}\n", "birthday", "nobody's birthday is known: declare it under attributes"),
        ("attributes: {birthday: date}\n", "3 days before birthday", "nobody's birthday is known"),
        ("state: ending\nending: {last_earn: 2026-12-01, last_redeem: 2026-12-31}\n", "9 days before program_ends", "add `ending`"),
    ):  # fmt: skip
        with pytest.raises(ProgramError, match=message):
            read_program(f"{HEAD.replace(left_out, '')}  m: {{on: {written}, {TEXTS}}}\n", "test")


def test_what_somebody_waits_for_is_a_part_of_what_happens() -> None:
    assert set(HAPPENINGS) >= ASKED
    program = read_program(f"{HEAD}  m: {{on: link_asked, use: link}}\n  n: {{on: sign_up, use: welcome}}\n", "test")
    assert [(terms.is_asked, terms.is_transactional) for terms in program.messages.values()] == [
        (True, True),
        (False, False),
    ]


@given(st.builds(Occasion, event=st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True), days=st.integers(-400, 400)))
def test_every_occasion_is_read_as_it_was_written(one: Occasion) -> None:
    assert read_occasion(str(one)) == one
    assert read_occasion(one) is one


@pytest.mark.parametrize(("written", "read"), [("10:00", time(10)), ("00:00", time(0)), ("23:59", time(23, 59))])
def test_a_time_of_day_has_hours_and_minutes(written: str, read: time) -> None:
    assert read_time(written) == read
    assert read_time(read) is read


@pytest.mark.parametrize("written", ["24:00", "9:00", "10:60", "10", "10:00:00", "29:59", "noon", "", 10, None, 600])
def test_what_is_no_time_of_day_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="is no time of day: write '10:00'"):
        read_time(written)
