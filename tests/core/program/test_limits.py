from __future__ import annotations

from decimal import Decimal

import pytest

from stampcard.program.limits import read_limit


@pytest.mark.parametrize(
    ("written", "shown", "measure", "per", "in_all", "over"),
    [
        ("100 points per month", "100 points per month", "points", "month", False, "trim"),
        ("1 time per day", "1 times per day", "times", "day", False, "trim"),
        ("3 times ever, in all", "3 times ever, in all", "times", "ever", True, "trim"),
        ("500 members ever", "500 members ever", "members", "ever", True, "trim"),
        ("30000 EUR ever, in all, reject", "30000 EUR ever, in all, reject", "money", "ever", True, "reject"),
        ("75000 points per order, reject", "75000 points per order, reject", "points", "order", False, "reject"),
    ],
)
def test_a_limit_says_how_much_of_what_in_which_period_of_whom(
    written: str, shown: str, measure: str, per: str, in_all: bool, over: str
) -> None:
    limit = read_limit(written)
    assert (limit.measure, limit.per, limit.in_all, limit.over) == (measure, per, in_all, over)
    assert str(limit) == shown
    assert read_limit(shown) == limit


def test_a_limit_that_only_changes_counts_on() -> None:
    assert read_limit("100 points per month").name == read_limit("200 points per month, reject").name
    assert read_limit("100 points per month").name != read_limit("100 points per month, in all").name
    assert read_limit("5 EUR per day").most == Decimal(5)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("100 points", "write a number of points"),
        ("100 points monthly", "write a number of points"),
        ("0 points per day", "out of range"),
        ("1.5 times per day", "whole number"),
        ("10 members per order", "an order has one member"),
        (100, "write a number of points"),
    ],
)
def test_what_is_no_limit_is_refused(written: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_limit(written)
