from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.app import open_sealer
from stampcard.applying.setting import Setting
from stampcard.domain.events import OrderSeen
from stampcard.settings import Settings
from stampcard.storage.database import Database
from stampcard.storage.programming import load_programs
from stampcard.testing.applying import tell
from stampcard.testing.building import order

Run = Callable[..., Result]
CHANGED = """\
program: main
currency: EUR
timezone: Europe/Berlin
wallets:
  points: {scale: 2, value: 1 EUR per 100}
rules:
  - {id: buy, on: purchase, award: 2 per 1 EUR}
  - {id: big, on: purchase, when: order.total >= 50, award: 5, limits: "1000 points ever, in all"}
"""


@pytest.fixture
def sold(database: Database, settings: Settings, setting: Setting, installed: Path) -> None:
    """Two customers bought something, and a changed program lies there as a file."""
    programs = database.read_now(lambda connection: load_programs(connection, "main"))
    here = dataclasses.replace(setting, programs=programs, sealer=open_sealer(settings))
    for reference, amount in (("A", 60), ("B", 20)):
        seen = OrderSeen(reference=reference, snapshot=order(amount, customer=reference))
        assert tell(database, here, seen) == ["done"]
    (installed / "changed.yaml").write_text(CHANGED)


@on_sqlite
def test_a_changed_program_is_told_beside_the_valid_one(run: Run, sold: None) -> None:
    said = run("simulate", "changed.yaml", "--samples", "1")
    assert said.exit_code == 0, said.output
    lines = [line.split() for line in said.stdout.splitlines()]
    assert said.stdout.startswith("program 'main', version 1 against the file: 2 members, 2 events\n")
    assert ["points", "80.00", "165.00", "+85.00", "-", "->", "1.65", "EUR", "2", "0", "0"] in lines
    assert ["buy", "80.00", "160.00", "+80.00", "2", "->", "2"] in lines
    assert ["big", "0.00", "5.00", "+5.00", "0", "->", "1"] in lines
    assert "Rule 'buy' pays" in said.stdout
    assert "note: limits over all members are approximate" in said.stderr


@on_sqlite
def test_the_same_is_told_for_programs(data: Callable[..., Any], sold: None) -> None:
    told = data("simulate", "changed.yaml")
    assert told["wallets"]["points"] == {
        "before": 8000,
        "after": 16500,
        "scale": 2,
        "worth": {"before": None, "after": "1.65", "currency": "EUR"},
        "members": {"more": 2, "fewer": 0, "same": 0},
    }
    assert [rule["rule"] for rule in told["rules"]] == ["big", "buy"]
    assert len(told["samples"]) == 2
    assert told["lacking"] == {"attributes": 0, "facts": 0}
    assert data("simulate", "changed.yaml", "--since", "9999d")["events"] == told["events"] == 2
    assert data("simulate", "changed.yaml", "--since", "1d")["events"] == 0


def test_a_program_that_is_new_is_compared_with_nothing(data: Callable[..., Any], sold: None, installed: Path) -> None:
    (installed / "other.yaml").write_text(CHANGED.replace("program: main", "program: other"))
    told = data("simulate", "other.yaml")
    assert (told["before"], told["wallets"]["points"]["before"], told["wallets"]["points"]["after"]) == (None, 0, 16500)


@on_sqlite
def test_what_is_wrong_is_said(run: Run, sold: None, installed: Path) -> None:
    (installed / "wrong.yaml").write_text("program: main\n")
    assert run("simulate", "wrong.yaml").exit_code == 3
    assert run("simulate", "changed.yaml", "--since", "yesterday").exit_code == 2
