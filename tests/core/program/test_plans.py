from __future__ import annotations

import pytest

from stampcard.errors import ProgramError
from stampcard.program.comparing import changes
from stampcard.program.reading import read_program

HEAD = """program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules: [{id: buy, on: purchase, award: 1 per 1 EUR, when: member.plan != 'plus'}]
"""


@pytest.mark.parametrize(
    ("plans", "path", "message"),
    [
        ("plans: {a: {lasts: long}}", "plans.a.lasts", "write a number with days, months or years"),
        ("plans: {a: {price: 49 USD}}", "plans.a.price", "the program's currency is EUR, not USD"),
        ("plans: {a: {renewal_price: 39 USD}}", "plans.a.renewal_price", "the program's currency is EUR, not USD"),
        (
            "plans: {a: {renewal_price: 9 EUR, price_kept: until lapse}}",
            "plans.a.renewal_price",
            "that is what a renewal",
        ),
        ("plans: {a: {on: [subscription_start]}}", "plans.a.on[0]", "did you mean 'subscription_started'?"),
        ("plans: {a: {on: [purchase]}}", "plans.a.on[0]", "unknown event 'purchase'"),
        ("plans: {a: {skus: X}, b: {skus: [Y, X]}}", "plans.b.skus[1]", "another plan is bought as 'X' already: a"),
        ("plans: {a: {lasts: for good, grace: 3 days}}", "plans.a.grace", "has no end that a grace could follow"),
        ("plans: {a: {trial: 1 month}}", "plans.a.trial", "write a number of days"),
        ("plans: {plus: {}}\nperks: {p: {plans: pluss}}", "perks.p.plans[0]", "did you mean 'plus'?"),
        ("plans: {a: {refund: maybe}}", "plans.a.refund", "'maybe' is not one of"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(plans: str, path: str, message: str) -> None:
    with pytest.raises(ProgramError) as refused:
        read_program(f"{HEAD}{plans}\n", "test")
    (problem,) = refused.value.problems
    assert (problem.path, message in problem.message) == (path, True), problem
    assert problem.line >= 6


def test_changes_are_told_by_plan() -> None:
    before = read_program(HEAD + "plans: {a: {price: 49 EUR}}\n", "test")
    after = read_program(HEAD + "plans: {a: {price: 59 EUR, grace: 7 days}}\n", "test")
    assert changes(before, after) == ["plan a: price 49 EUR → 59 EUR", "plan a: grace none → 7 days"]
