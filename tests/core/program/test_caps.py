from __future__ import annotations

import pytest

from stampcard.errors import ProgramError
from stampcard.program.caps import read_cap
from stampcard.program.reading import read_program

HEAD = """program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules: [{id: buy, on: purchase, award: 1 per 1 EUR}]
"""


@pytest.mark.parametrize("written", ["5000 EUR per year", "500.50 EUR per month", "500 EUR ever"])
def test_a_cap_is_written_out_as_it_is_read(written: str) -> None:
    assert str(read_cap(written)) == written


@pytest.mark.parametrize("written", ["5000", "5000 per year", "0 EUR ever", "5000 EUR per week", 5000, "5000 EUR"])
def test_other_caps_are_refused(written: object) -> None:
    with pytest.raises(ValueError, match="5000 EUR per year"):
        read_cap(written)


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ("{gives: 5 EUR off, price: 0, base_cap: 500 EUR ever}", "needs a percentage"),
        ("{gives: 5 % off, price: 0, base_cap: 500 USD ever}", "the program's currency is EUR, not USD"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(reward: str, message: str) -> None:
    with pytest.raises(ProgramError) as refused:
        read_program(f"{HEAD}rewards: {{a: {reward}}}\n", "test")
    (problem,) = refused.value.problems
    assert (problem.path, message in problem.message) == ("rewards.a.base_cap", True), str(problem)
