"""What the card and the counter of a program may say, and what is wrong with the rest."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from stampcard.errors import ProgramError
from stampcard.program.model import Program
from stampcard.program.reading import read_program
from stampcard.testing.building import PROGRAM


def read(more: str) -> Program:
    return read_program(PROGRAM + more, "test")


@pytest.mark.parametrize(
    ("card", "problem"),
    [
        ("{fields: [points, shoe_size]}", "shoe_size"),
        ("{fields: [points, points]}", "points is on the card already"),
        ("{fields: [member_id]}", "member_id"),
        ("{fields: []}", "at least 1"),
        ("{fields: [5]}", "fields[0]"),
        ("{fields: [{label: {en: P}}]}", "show: is missing"),
        (f"{{fields: [{', '.join(['points'] * 9)}]}}", "at most 8 can stand here, and there are 9"),
        ("{name: {english: Card}}", "'english' is no language: write its code"),
        ("{fields: [{show: points, label: {xx: P}}]}", "'xx' is no language"),
        ("{logo: 'http://shop.example/logo.png'}", "https"),
        ("{colour: red}", "'red' is no colour: write # and six hex digits"),
        ("{code: code_128, rotates: true}", "bars do not rotate"),
        ("{code: code_128, redeem: fresh}", "never fresh"),
        ("{redeem: maybe}", "redeem"),
    ],
)
def test_a_card_that_cannot_be_says_why(card: str, problem: str) -> None:
    with pytest.raises(ProgramError) as refused:
        read(f"card: {card}\n")
    (found,) = refused.value.problems
    assert found.path.startswith("card")
    assert problem in f"{found.path}: {found.message}"


@pytest.mark.parametrize("redeem", ["redeem: any", "redeem: scanned", "redeem: fresh"])
def test_a_card_says_what_rewards_are_handed_out_for(redeem: str) -> None:
    card = read(f"card: {{{redeem}, opens: false, rotates: true, offers: false}}\n").card
    assert (card.redeem, card.opens, card.rotates, card.offers) == (redeem.removeprefix("redeem: "), False, True, False)


def test_the_counter_has_bounds_that_a_program_may_move() -> None:
    plain = read("").counter
    assert (plain.undo, plain.offline) == (timedelta(minutes=2), timedelta(hours=6))
    assert (plain.points, plain.value, plain.typed) == (None, None, None)
    moved = read("counter: {undo: 5 minutes, offline: none, points: 500, value: 49.50, typed: 20}\n").counter
    assert (moved.undo, moved.offline) == (timedelta(minutes=5), None)
    assert (moved.points, moved.value, moved.typed) == (500, Decimal("49.50"), 20)
    with pytest.raises(ProgramError):
        read("counter: {typed: -1}\n")
