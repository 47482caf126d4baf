"""Perks at the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.databases import on_sqlite
from typer.testing import Result

Run = Callable[..., Result]
Data = Callable[..., Any]
Join = Callable[[str], str]

PROGRAM = """\
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
segments: {staff: {}}
perks:
  early: {when: member.days < 30, uses: 1 ever, tag: early}
  dinner: {segments: staff}
  shipping: {plans: plus}
  gift: {}
plans: {plus: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
"""


@pytest.fixture(autouse=True)
def _perks(installed: Path, run: Run) -> None:
    """The program has perks."""
    file = installed / "perks.yaml"
    file.write_text(PROGRAM, encoding="utf8")
    assert run("program", "apply", str(file)).exit_code == 0


@on_sqlite
def test_perks_are_listed_shown_checked_and_used(run: Run, data: Data, join: Join) -> None:
    join("7")
    assert {row["perk"]: row["members"] for row in data("perk", "list")} == {
        "early": 1,
        "dinner": 0,
        "shipping": 0,
        "gift": 0,
    }
    listed = run("perk", "list").stdout
    assert "segment staff" in listed
    assert "plan plus" in listed
    assert "(by hand)" in listed
    assert "1 of 1 ever" in run("perk", "show", "shop:7").stdout
    assert run("perk", "check", "shop:7", "early").stdout == "main/early: yes, 1 left of 1 ever\n"
    assert "early is used; 0 left of 1 ever" in run("perk", "use", "shop:7", "early", "--key", "o1").stdout
    checked = run("perk", "check", "shop:7", "main/early")
    assert (checked.exit_code, "nothing is left of early" in checked.stdout) == (1, True)
    refused = run("perk", "use", "shop:7", "early", "--key", "o2")
    assert (refused.exit_code, "nothing is left of early: it can be used 1 ever" in refused.stderr) == (1, True)
    assert "counts no more; 1 left" in run("perk", "cancel", "shop:7", "early", "o1").stdout


def test_perks_are_given_taken_and_released(run: Run, data: Data, join: Join) -> None:
    member = join("7")
    assert (
        f"member {member} has gift until"
        in run("perk", "give", "shop:7", "gift", "--reason", "a friend", "--until", "2030-12-31").stdout
    )
    assert data("perk", "take", "shop:7", "early", "--reason", "told tales")["has"] is False
    assert data("perk", "release", "shop:7", "early")["has"] is True
    for arguments, said in (
        (("give", "shop:7", "gift"), "say why"),
        (("give", "shop:7", "gift", "--reason", "x", "--until", "soon"), "no day"),
        (("give", "shop:7", "gifts", "--reason", "x"), "Did you mean 'gift'?"),
        (("check", "shop:7", "gifts"), "no perk 'gifts'"),
        (("use", "shop:8", "gift"), "no member"),
    ):
        refused = run("perk", *arguments)
        assert (refused.exit_code, said in refused.stderr) == (1, True), refused.stderr


@on_sqlite
def test_a_program_without_perks_says_so(installed: Path, run: Run, join: Join) -> None:
    member = join("7")
    bare = installed / "bare.yaml"
    bare.write_text(PROGRAM.partition("segments:")[0] + "rules: [{id: buy, on: purchase, award: 1 per 1 EUR}]\n")
    assert run("program", "apply", str(bare)).exit_code == 0
    assert "No program has perks." in run("perk", "list").stderr
    assert "no program with perks" in run("perk", "show", member).stderr
