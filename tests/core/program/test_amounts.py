from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.program.amounts import (
    FixedAward,
    Formula,
    ItemAward,
    Multiplier,
    RateAward,
    read_award,
    read_share,
    read_worth,
)

NUMBERS = st.decimals("0.01", "999999", places=2)


@given(NUMBERS, NUMBERS)
def test_a_rate_reads_back_as_it_is_written(points: Decimal, per: Decimal) -> None:
    rate = RateAward(points=points, per=per, currency="EUR")
    assert read_award(str(rate)) == rate


@given(NUMBERS)
def test_a_fixed_award_reads_back_as_it_is_written(points: Decimal) -> None:
    assert read_award(str(FixedAward(points=points))) == FixedAward(points=points)


def test_a_number_is_a_fixed_award() -> None:
    assert read_award(50) == FixedAward(points=Decimal(50))
    assert read_award(Decimal("1.5")) == FixedAward(points=Decimal("1.5"))


@pytest.mark.parametrize(
    "written",
    [
        True,
        0,
        -5,
        None,
        [],
        "",
        "many",
        "1 for 1 EUR",
        "1 per 1 eur",
        "1 per 1",
        "1 per 0 EUR",
        "0 per 1 EUR",
        float("nan"),
        float("inf"),
        10**12,
        "1 per 1 EUR and more",
        "١ per 1 EUR",
    ],
)
def test_what_is_no_award_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"write a number of points|out of range"):
        read_award(written)


def test_the_other_forms_of_an_award_are_read_as_they_are_written() -> None:
    assert read_award("2 per item") == ItemAward(points=Decimal(2))
    assert read_award("x1.5") == Multiplier(times=Decimal("1.5"))
    assert read_award("formula rain-bonus") == Formula(name="rain-bonus")
    assert [str(read_award(text)) for text in ("2 per item", "x1.5", "formula rain")] == [
        "2 per item",
        "x1.5",
        "formula rain",
    ]


@pytest.mark.parametrize("written", ["x1", "x0.5", "x101", "x", "formula Rain", "0 per item"])
def test_a_multiplier_is_more_than_one_and_a_formula_has_a_name(written: str) -> None:
    with pytest.raises(ValueError, match=r"out of range|write a number"):
        read_award(written)


def test_points_have_a_worth_and_members_a_share() -> None:
    worth = read_worth("1 EUR per 100")
    assert worth is not None
    assert (str(worth), worth.money / worth.points) == ("1 EUR per 100", Decimal("0.01"))
    assert read_share("12.5 %") == Decimal("12.5")
    for wrong in ("0 %", "101 %", "30", 30):
        with pytest.raises(ValueError, match="30 %"):
            read_share(wrong)
