"""Paid memberships at the command line."""

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
plans:
  plus: {skus: PLUS, price: 49 EUR, renewal_price: 39 EUR, trial: 14 days}
  life: {lasts: for good}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
"""


@pytest.fixture(autouse=True)
def _plans(installed: Path, run: Run) -> None:
    """The program has plans."""
    file = installed / "plans.yaml"
    file.write_text(PROGRAM, encoding="utf8")
    assert run("program", "apply", str(file)).exit_code == 0


def test_plans_are_listed_tried_given_shown_and_ended(run: Run, data: Data, join: Join) -> None:
    member = join("7")
    assert [(row["plan"], row["price"], row["renewal_price"]) for row in data("plan", "list")] == [
        ("plus", "49 EUR", "39 EUR"),
        ("life", None, None),
    ]
    assert "can be tried" in run("plan", "show", "shop:7").stdout
    assert f"member {member} has plus until " in run("plan", "try", "shop:7", "plus").stdout
    assert f"member {member} has life\n" in run("plan", "give", "shop:7", "life", "--note", "a friend").stdout
    shown = run("plan", "show", "shop:7").stdout
    assert "trial" in shown
    assert "life: hand" in shown
    assert run("plan", "end", "shop:7", "life").stdout == f"member {member} does not have life\n"


@on_sqlite
def test_what_cannot_be_is_refused(run: Run, join: Join) -> None:
    join("7")
    for arguments, said in (
        (("try", "shop:7", "life"), "gives it no `trial`"),
        (("try", "shop:7", "plas"), "Did you mean 'plus'?"),
        (("end", "shop:7", "life"), "does not have life"),
        (("give", "shop:7", "life", "--until", "2020-01-01"), "is past"),
    ):
        refused = run("plan", *arguments)
        assert (refused.exit_code, said in refused.stderr) == (1, True), refused.stderr
