"""What a report says of its columns is what it works out."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from stampcard.engine.columns import Report
from stampcard.engine.formulas import Money, Ratio, Sum
from stampcard.engine.reports import REPORTS


@pytest.mark.parametrize("report", REPORTS.values(), ids=list(REPORTS))
def test_every_formula_names_columns_that_stand_before_its_own(report: Report) -> None:
    known: list[str] = []
    for column in report.columns:
        named = set(re.findall(r"\w+", str(column.formula))) if column.formula is not None else set()
        assert named <= set(known), column.name
        known.append(column.name)
    for identity in report.identities:
        assert {identity.of, *re.findall(r"\w+", str(identity.formula))} <= set(known)
    assert len(known) == len(set(known))


@pytest.mark.parametrize("report", REPORTS.values(), ids=list(REPORTS))
def test_points_have_their_scale_and_money_its_currency_beside_them(report: Report) -> None:
    kinds = {column.kind for column in report.columns}
    names = {column.name for column in report.columns}
    assert ("points" in kinds) == ("scale" in names)
    assert "money" not in kinds or "currency" in names


def test_a_sum_adds_and_takes_off() -> None:
    formula = Sum(plus=("a", "b"), minus=("c",))
    assert (str(formula), formula.of({"a": 5, "b": 2, "c": 4})) == ("a + b − c", 3)


def test_a_ratio_is_rounded_once_and_nothing_where_there_is_nothing_to_divide_by() -> None:
    formula = Ratio(part="a", whole="b")
    assert (str(formula), formula.of({"a": 2, "b": 3})) == ("a ÷ b", Decimal("0.6667"))
    for row in ({"a": 2, "b": 0}, {"a": None, "b": 3}, {"a": 2, "b": None}):
        assert formula.of(row) is None


def test_points_are_worth_what_the_value_of_whole_points_says() -> None:
    formula = Money(points="a", each="value")
    row: dict[str, Any] = {"a": 12345, "scale": 2, "value": Decimal("0.01")}
    assert (str(formula), formula.of(row)) == ("a × value", Decimal("1.23"))
    assert formula.of({**row, "value": None}) is None
