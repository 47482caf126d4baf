"""What a rule that gives a reward cannot say, because a reward is no number of points."""

from __future__ import annotations

import pytest

from stampcard.errors import ProgramError
from stampcard.program.reading import read_program

TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {{points: {{}}}}
rules:
  - {{id: it, wallet: points, {}}}
rewards:
  mug: {{gives: merchandise}}
  cap: {{gives: merchandise}}
"""


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (
            "on: purchase, award: reward mug, values: [{when: order.total > 9.0, award: 5}]",
            "every value of a rule that gives a reward must give one too",
        ),
        (
            "on: purchase, award: 5, values: [{when: order.total > 9.0, award: reward mug}]",
            "a rule that gives points gives them in every value",
        ),
        ("on: refund, award: reward mug", "a rule on refunds gives points"),
        ("on: purchase, award: reward mug, expire: 2 days", "a reward has a validity of its own"),
        ("on: purchase, award: reward mug, stack: best", "a reward cannot be compared with points"),
        ("on: purchase, award: reward mog", "did you mean 'mug'?"),
    ],
)
def test_a_rule_that_says_of_a_reward_what_goes_with_points_alone_is_refused(rule: str, problem: str) -> None:
    with pytest.raises(ProgramError, match="rules") as caught:
        read_program(TEXT.format(rule), "test")
    assert problem in str(caught.value)


def test_a_rule_may_give_another_reward_to_some() -> None:
    rule = "on: purchase, award: reward mug, values: [{when: order.total > 9.0, award: reward cap}]"
    assert read_program(TEXT.format(rule), "test").rules[0].values
