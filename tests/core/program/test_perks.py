from __future__ import annotations

from datetime import date

import pytest

from stampcard.errors import ProgramError
from stampcard.program.comparing import changes
from stampcard.program.linting import hints
from stampcard.program.perks import read_uses
from stampcard.program.reading import read_program

HEAD = """program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {pending: 14 days}}
tiers: {by: spend, levels: {gold: 500}}
segments: {staff: {}}
rules: [{id: buy, on: purchase, award: 1 per 1 EUR}]
perks:
"""


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("4 per year", "4 per year"),
        ("1 time per month", "1 per month"),
        ("2 times ever", "2 ever"),
        ("3 per day", "3 per day"),
    ],
)
def test_uses_are_read_in_each_form_and_written_in_one(written: str, read: str) -> None:
    assert str(read_uses(written)) == read


@pytest.mark.parametrize("written", ["4", "0 per year", "four per year", "4 per decade", 4, "4 per year ever", True])
def test_other_uses_are_refused(written: object) -> None:
    with pytest.raises(ValueError, match="4 per year"):
        read_uses(written)


@pytest.mark.parametrize(
    ("perk", "place", "message"),
    [
        ("  a: {tiers: [silver]}", (9, 15), "unknown tier 'silver', there is: gold"),
        ("  a: {tiers: golf}", (9, 14), "unknown tier 'golf', did you mean 'gold'?"),
        ("  a: {segments: [stuff]}", (9, 18), "unknown segment 'stuff', did you mean 'staff'?"),
        ("  a: {when: member.perks.size() > 0}", (9, 19), "unknown name 'member.perks'"),
        ("  a: {when: facts.rain == true}", (9, 18), "unknown name"),
        ("  a: {uses: often}", (9, 13), "write how often it can be used"),
        ("  a: {valid: 3 months after last earn}", (9, 14), "a perk cannot slide"),
        ("  a: {tag: 'Two Day'}", (9, 12), "does not have the form"),
        ("  a: {use: 4 per year}", (9, 9), "unknown setting, did you mean 'uses'?"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(perk: str, place: tuple[int, int], message: str) -> None:
    with pytest.raises(ProgramError) as refused:
        read_program(f"{HEAD}{perk}\n", "test")
    (problem,) = refused.value.problems
    assert message in problem.message
    assert problem.line == place[0]
    assert problem.path.startswith("perks.a")


def test_everything_wrong_with_a_perk_is_said_at_once() -> None:
    with pytest.raises(ProgramError) as refused:
        read_program(f"{HEAD}  a: {{tiers: silver, uses: often, when: member.tear == 'x'}}\n", "test")
    assert len(refused.value.problems) == 3


def test_a_condition_that_never_or_always_holds_is_hinted_at() -> None:
    text = HEAD + "  a: {when: 1 > 2}\n  b: {when: 'true'}\n  c: {when: member.days > 3}\n"
    found = [hint for hint in hints(read_program(text, "test"), text, date(2026, 3, 10)) if "perks" in hint.path]
    assert [(hint.code, hint.path) for hint in found] == [
        ("never_true", "perks.a.when"),
        ("always_true", "perks.b.when"),
    ]


def test_changes_are_told_by_perk() -> None:
    before = read_program(HEAD + "  a: {tiers: gold, uses: 1 per year}\n  b: {}\n", "test")
    after = read_program(HEAD + "  a: {tiers: gold, uses: 2 per year}\n  c: {segments: staff}\n", "test")
    assert changes(before, after) == ["perk a: uses 1 per year → 2 per year", "perk c is new", "perk b is gone"]
