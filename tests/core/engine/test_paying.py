"""Paying with points: at least, at most, and just so much."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.engine.paying import quote
from stampcard.errors import InsufficientPoints, ProgramError, RequestRefused
from stampcard.program.paying import PayTerms
from stampcard.program.reading import read_program

HEAD = "program: main\ncurrency: EUR\ntimezone: Europe/Berlin\n"
TERMS = "pay: {rate: 1 EUR per 100, minimum: 200, share: 50 %}"


def terms() -> PayTerms:
    found = read_program(f"{HEAD}wallets: {{points: {{{TERMS}}}}}", "program.yaml").wallets["points"].pay
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("active", "total", "points", "money", "answer"),
    [
        (5000, "40", None, None, (2000, "20.00")),
        (1234, "40", None, None, (1234, "12.34")),
        (5000, "40", 555, None, (555, "5.55")),
        (5000, "40", None, "7.50", (750, "7.50")),
        (5000, "9.99", None, None, (499, "4.99")),
    ],
)
def test_a_payment_is_what_was_asked_for_within_its_share(
    active: int, total: str, points: int | None, money: str | None, answer: tuple[int, str]
) -> None:
    asked = None if money is None else Decimal(money)
    found = quote(terms(), 0, active, Decimal(total), points=points, money=asked)
    assert (found.points, str(found.money)) == answer


@pytest.mark.parametrize(
    ("active", "total", "points", "money", "code"),
    [
        (5000, "40", None, "20.01", "above_share"),
        (5000, "40", 199, None, "below_minimum"),
        (100, "40", None, None, "insufficient_points"),
        (400, "40", None, "5", "insufficient_points"),
        (5000, "0", None, None, "below_minimum"),
    ],
)
def test_what_cannot_be_paid_is_refused_with_its_reason(
    active: int, total: str, points: int | None, money: str | None, code: str
) -> None:
    asked = None if money is None else Decimal(money)
    with pytest.raises(RequestRefused) as refused:
        quote(terms(), 0, active, Decimal(total), points=points, money=asked)
    assert refused.value.code == code


def test_too_few_points_are_an_error_of_their_own() -> None:
    with pytest.raises(InsufficientPoints):
        quote(terms(), 0, 100, Decimal(40), points=300, money=None)


@given(
    st.integers(1, 10**7),
    st.decimals(Decimal("0.01"), 10**5, places=2),
    st.integers(0, 2),
    st.decimals(Decimal("0.01"), 50, places=2),
    st.integers(1, 999),
)
def test_points_never_pay_more_than_they_are_worth_nor_more_than_the_order(
    active: int, total: Decimal, scale: int, money: Decimal, points: int
) -> None:
    at = PayTerms.model_validate({"rate": f"{money} EUR per {points}"})
    try:
        found = quote(at, scale, active, total, points=None, money=None)
    except RequestRefused:
        return
    assert 0 < found.money <= total
    assert found.points <= active
    worth = Decimal(found.points).scaleb(-scale) * money / points
    assert found.money <= worth
    # One point less would not do.
    assert Decimal(found.points - 1).scaleb(-scale) * money / points < found.money


@pytest.mark.parametrize(
    ("pay", "message"),
    [
        ("pay: {}", "rate"),
        ("pay: {rate: 1 USD per 100}", "currency is EUR"),
        ("pay: {rate: 1 EUR per 100, share: 0 %}", "share above 0"),
        ("spendable: false, pay: {rate: 1 EUR per 100}", "cannot be spent"),
    ],
)
def test_terms_that_mean_nothing_are_refused(pay: str, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        read_program(f"{HEAD}wallets: {{points: {{{pay}}}}}", "program.yaml")
