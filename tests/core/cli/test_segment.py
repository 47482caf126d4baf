"""Segments at the command line."""

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
segments:
  new: {when: member.days < 30}
  staff: {}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
"""


@pytest.fixture(autouse=True)
def _segments(installed: Path, run: Run) -> None:
    """The program has segments."""
    file = installed / "segments.yaml"
    file.write_text(PROGRAM, encoding="utf8")
    assert run("program", "apply", str(file)).exit_code == 0


def test_segments_are_listed_shown_and_explained(run: Run, data: Data, join: Join) -> None:
    member = join("7")
    assert [(row["segment"], row["members"]) for row in data("segment", "list")] == [("new", 1), ("staff", 0)]
    assert "(by hand)" in run("segment", "list").stdout
    assert run("segment", "show", "new").stdout == f"{member}\n"
    assert "Nobody is in it." in run("segment", "show", "main/staff").stderr
    told = {row["segment"]: row["inside"] for row in data("segment", "explain", "shop:7")}
    assert told == {"new": True, "staff": False}
    assert "member.days < 30" in run("segment", "explain", member).stdout


@on_sqlite
def test_members_are_put_in_and_taken_out(run: Run, data: Data, join: Join) -> None:
    join("7")
    other = join("8")
    assert "members put into staff: 2" in run("segment", "add", "staff", "shop:7", other).stdout
    assert "members taken out of staff: 1" in run("segment", "remove", "staff", "shop:7").stdout
    assert data("segment", "show", "staff") == [other]
    refused = run("segment", "add", "new", other)
    assert (refused.exit_code, "follows from its condition" in refused.stderr) == (1, True)
    assert run("segment", "add", "stuff", other).exit_code == 1


@on_sqlite
def test_a_preview_says_who_would_be_in(installed: Path, run: Run, data: Data, join: Join) -> None:
    member = join("7")
    changed = installed / "changed.yaml"
    changed.write_text(PROGRAM.replace("< 30", ">= 0"), encoding="utf8")
    assert data("segment", "preview", str(changed), "new") == {"members": 1, "inside": 1, "samples": [member]}
    changed.write_text(PROGRAM.replace("< 30", "> 9999"), encoding="utf8")
    assert "0 of 1 members would be in new" in run("segment", "preview", str(changed), "new").stdout
    assert run("segment", "preview", str(changed), "stuff").exit_code == 1


@on_sqlite
def test_a_program_without_segments_says_so(installed: Path, run: Run, join: Join) -> None:
    member = join("7")
    bare = installed / "bare.yaml"
    bare.write_text(PROGRAM.partition("segments:")[0] + "rules: [{id: buy, on: purchase, award: 1 per 1 EUR}]\n")
    assert run("program", "apply", str(bare)).exit_code == 0
    assert "No program has segments." in run("segment", "list").stderr
    assert "No program has segments." in run("segment", "explain", member).stderr
