"""Tills at the command line."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from stampcard.app import open_sealer
from stampcard.cli import till
from stampcard.clock import SystemClock
from stampcard.engine.tokens import opened_pairing
from stampcard.settings import Settings

Run = Callable[..., Result]
Data = Callable[..., Any]


def test_a_till_is_paired_by_a_link_and_anew_by_another(run: Run, data: Data, settings: Settings) -> None:
    first = run("till", "pair", "front", "--branch", "Berlin")
    second = data("till", "pair", "front")
    assert "until" in first.stderr
    assert "before are out" not in first.stderr
    pairings = []
    for url in (first.stdout.strip(), second["url"]):
        base, _, token = url.rpartition("/")
        assert base == "http://127.0.0.1:8080/counter/pair"
        pairings.append(opened_pairing(open_sealer(settings), token, SystemClock().now()))
    assert [(one.till, one.number) for one in pairings if one is not None] == [("front", 1), ("front", 2)]
    assert "Devices that were paired with it before are out." in run("till", "pair", "front").stderr
    (listed,) = data("till", "list")
    assert (listed["name"], listed["branch"], listed["ended_at"]) == ("front", "Berlin", None)
    assert run("till", "list").stdout.splitlines()[1].split()[:2] == ["front", "Berlin"]


def test_whoever_pairs_is_told_where_the_link_leads(run: Run, installed: Path) -> None:
    assert "http.public_url is not set" in run("till", "pair", "front").stderr
    file = installed / "stampcard.toml"
    file.write_text(f'{file.read_text()}[http]\npublic_url = "https://loyalty.example.com"\n')
    told = run("till", "pair", "front")
    assert told.stdout.startswith("https://loyalty.example.com/counter/pair/")
    assert "public_url" not in told.stderr


def test_somebody_at_a_terminal_sees_the_link_as_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for out, drawn in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr("sys.stdout", out)
        till.draw("https://loyalty.example.com/counter/pair/x")
        assert bool(out.getvalue()) is drawn
        assert not drawn or len(out.getvalue().splitlines()) > 10


def test_a_till_ends_once_and_can_be_paired_again(run: Run, data: Data) -> None:
    assert "stampcard till pair NAME" in run("till", "list").stderr
    run("till", "pair", "front")
    assert run("till", "end", "front").stdout == "the till front has ended\n"
    again = run("till", "end", "front")
    assert (again.exit_code, again.stderr) == (1, "error: the till front has ended already\n")
    assert "there is no till 'back'" in run("till", "end", "back").stderr
    assert data("till", "list")[0]["ended_at"] is not None
    assert run("till", "pair", "front").exit_code == 0
    assert data("till", "list")[0]["ended_at"] is None


@pytest.mark.parametrize(
    "arguments", [("front desk",), ("",), ("x" * 65,), ("front", "--branch", "a\nb"), ("front", "--branch", "x" * 201)]
)
def test_a_wrong_name_ends_with_2_and_says_what_to_write(run: Run, arguments: tuple[str, ...]) -> None:
    refused = run("till", "pair", *arguments)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "write up to" in " ".join(refused.stderr.replace("│", " ").split())
