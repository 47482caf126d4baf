"""Tiers at the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.applying.requests import Answer, adjust, create_member
from stampcard.applying.unit import Unit
from stampcard.cli.acting import act
from stampcard.settings import load_settings

Run = Callable[..., Result]
Data = Callable[..., Any]

PROGRAM = """\
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
tiers: {by: balance, levels: {green: 0, silver: 50, gold: {from: 200, held: for life}}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
"""


@pytest.fixture(autouse=True)
def _tiers(installed: Path, run: Run) -> None:
    """The program has tiers."""
    file = installed / "tiers.yaml"
    file.write_text(PROGRAM, encoding="utf8")
    assert run("program", "apply", str(file)).exit_code == 0


def rich(*points: int) -> list[str]:
    """Members with so many points."""

    def join(unit: Unit) -> Answer:
        return Answer(status=200, body={"id": create_member(unit, None, {})})

    def give(unit: Unit, member: str, amount: int) -> Answer:
        adjust(unit, member, "points", amount, f"gift-{amount}", "a gift")
        return Answer(status=200, body={})

    members = [str(act(load_settings(), join).body["id"]) for _ in points]
    for member, amount in zip(members, points, strict=True):
        act(load_settings(), partial(give, member=member, amount=amount))
    return members


@on_sqlite
def test_the_list_tells_what_each_takes_and_who_has_it(installed: Path, run: Run, data: Data) -> None:
    rich(10, 60, 70, 300)
    rows = {row["tier"]: row for row in data("tier", "list", "--json")}
    assert {name: (row["from"], row["members"]) for name, row in rows.items()} == {
        "green": ("0", 1),
        "silver": ("50", 2),
        "gold": ("200", 1),
    }
    assert rows["gold"]["held"] == "for life"
    assert re.search(r"main +silver +balance +50 +while reached +2", run("tier", "list").stdout)


@on_sqlite
def test_one_member_is_shown_with_what_is_missing(installed: Path, run: Run, data: Data) -> None:
    (member,) = rich(60)
    (view,) = data("tier", "show", member, "--json")
    assert (view["tier"], view["next"], view["missing"]) == ("silver", "gold", "140")
    assert re.search(r"main +silver +- +balance +60 +0 +gold +140", run("tier", "show", member).stdout)
    assert run("tier", "show", "m_nobody").exit_code == 1


@on_sqlite
def test_less_than_what_is_reached_is_not_given_and_nothing_is_paid_for_it(
    installed: Path, run: Run, data: Data
) -> None:
    (member,) = rich(60)
    for wrong in ("green", "none"):
        refused = run("tier", "set", member, wrong)
        assert (refused.exit_code, "silver is reached by what counts" in refused.stderr) == (1, True), refused.stderr
    moves = [line for line in run("member", "timeline", member).stdout.splitlines() if "tier_moved" in line]
    assert len(moves) == 2  # green, silver


def test_a_tier_is_given_up_to_a_day_and_taken(installed: Path, run: Run, data: Data) -> None:
    (member,) = rich(10)
    assert "has gold until 2099-12-31 23:00Z" in run("tier", "set", member, "gold", "--until", "2099-12-31").stdout
    assert data("member", "show", member, "--json")["tiers"] == {"main": "gold"}
    assert "has green" in run("tier", "set", member, "none").stdout
    for wrong, why in (
        (["golden"], "did you mean 'gold'"),
        (["gold", "--until", "soon"], "'soon' is no day"),
        (["gold", "--until", "2020-01-01"], "2020-01-01 23:00Z is past"),
        (["none"], "green is reached by what counts"),
        (["gold", "--program", "other"], "no program with tiers 'other'"),
    ):
        refused = run("tier", "set", member, *wrong)
        assert (refused.exit_code, why in refused.stderr) == (1, True), refused.stderr


@on_sqlite
def test_a_preview_says_who_would_move_and_moves_nobody(installed: Path, run: Run, data: Data) -> None:
    low, middle, high = rich(45, 60, 190)
    changed = installed / "changed.yaml"
    changed.write_text(PROGRAM.replace("silver: 50", "silver: 65").replace("from: 200", "from: 180"), encoding="utf8")
    told = data("tier", "preview", str(changed), "--json")
    assert told["members"] == 3
    assert told["moving"] == [
        {"before": "silver", "after": "gold", "members": 1},
        {"before": "silver", "after": "green", "members": 1},
    ]
    assert {one["member"]: one["after"] for one in told["samples"]} == {middle: "green", high: "gold"}
    shown = run("tier", "preview", str(changed), "--samples", "0").stdout
    assert "2 of 3 members would move" in shown
    assert low not in shown
    assert data("member", "show", middle, "--json")["tiers"] == {"main": "silver"}
    assert "0 of 3 members would move" in run("tier", "preview", str(installed / "tiers.yaml")).stdout


@on_sqlite
def test_without_tiers_there_is_nothing_to_show(installed: Path, run: Run) -> None:
    bare = installed / "bare.yaml"
    bare.write_text("\n".join(line for line in PROGRAM.splitlines() if not line.startswith("tiers")) + "\n")
    (member,) = rich(10)
    assert "has no tiers" in run("tier", "preview", str(bare)).stderr
    assert run("program", "apply", str(bare)).exit_code == 0
    assert "No program has tiers." in run("tier", "list").stderr
    assert "takes part in no program with tiers" in run("tier", "show", member).stderr
    assert run("tier", "set", member, "gold").exit_code == 1
