"""Rewards and redemptions at the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from stampcard.applying import redeeming
from stampcard.applying.requests import Answer, adjust, create_member
from stampcard.applying.unit import Unit
from stampcard.cli.acting import act
from stampcard.engine.rewarding import Asking
from stampcard.settings import load_settings

Run = Callable[..., Result]
Data = Callable[..., Any]

PROGRAM = """\
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
rewards:
  five: {gives: 5 EUR off, price: 10, by: own}
  mug: {gives: merchandise, price: 20, stock: 3}
  printed: {gives: 3 EUR off, price: 5, by: pool}
"""


@pytest.fixture(autouse=True)
def _rewards(installed: Path, run: Run) -> None:
    """The program has rewards."""
    file = installed / "rewards.yaml"
    file.write_text(PROGRAM, encoding="utf8")
    assert run("program", "apply", str(file)).exit_code == 0


def taken(*rewards: str) -> list[str]:
    """A member with 100 points takes these; answers the ids."""

    def work(unit: Unit) -> Answer:
        member = create_member(unit, None, {})
        adjust(unit, member, "points", 100, "gift", "a gift")
        return Answer(status=200, body={"id": member})

    settings = load_settings()
    member = act(settings, work).body["id"]
    return [
        str(act(settings, lambda unit, name=name: _taken(unit, member, name)).body["id"])  # type: ignore[misc]
        for name in rewards
    ]


def _taken(unit: Unit, member: str, reward: str) -> Answer:
    return Answer(status=200, body={"id": redeeming.redeem(unit, member, reward, "", Asking()).id})


def test_the_list_tells_what_is_left_and_what_became_of_redemptions(installed: Path, run: Run, data: Data) -> None:
    taken("five", "mug")
    listed = {row["reward"]: row for row in data("reward", "list", "--json")}
    assert (listed["mug"]["left"], listed["mug"]["redemptions"]) == (2, {"held": 1})
    assert (listed["five"]["left"], listed["five"]["state"], listed["five"]["by"]) == (None, "offered", "own")
    shown = run("reward", "list").stdout
    assert re.search(r"main +mug +merchandise +20 +manual +offered +2 +1 held", shown)


def test_codes_are_uploaded_once_each(installed: Path, run: Run) -> None:
    file = installed / "codes.txt"
    file.write_text("AAAA-1\nBBBB-2\n\naaaa-1\n", encoding="utf8")
    assert "2 of 3 codes are new; 2 are free now" in run("reward", "upload", "printed", str(file)).stdout
    assert "0 of 3 codes are new; 2 are free now" in run("reward", "upload", "main/printed", str(file)).stdout
    (id_,) = taken("printed")
    assert re.search(r"code +(AAAA-1|BBBB-2|aaaa-1)", run("redemption", "show", id_).stdout)


def test_only_a_pool_takes_codes(installed: Path, run: Run) -> None:
    (installed / "codes.txt").write_text("AAAA", encoding="utf8")
    refused = run("reward", "upload", "five", str(installed / "codes.txt"))
    assert refused.exit_code == 1
    assert "by: pool" in refused.stderr


def test_what_people_hand_out_is_a_queue(installed: Path, run: Run, data: Data) -> None:
    first, second = taken("mug", "mug")
    assert {row["id"] for row in data("redemption", "list", "--by", "manual", "--status", "held", "--json")} == {
        first,
        second,
    }
    assert "is issued" in run("redemption", "shipped", first, "--note", "parcel 7").stdout
    assert "is used" in run("redemption", "done", first).stdout
    assert "is revoked" in run("redemption", "refused", second, "--note", "broken").stdout
    again = run("redemption", "done", second)
    assert (again.exit_code, "revoked already" in again.stderr) == (1, True)


def test_a_redemption_is_found_by_its_code_and_ended_by_hand(installed: Path, run: Run, data: Data) -> None:
    first, second = taken("five", "five")
    code = data("redemption", "show", first, "--json")["code"]
    assert data("redemption", "show", code.lower(), "--json")["id"] == first
    assert "is used" in run("redemption", "use", first, "--where", "till 1").stdout
    assert "is revoked" in run("redemption", "revoke", second, "--reason", "fraud", "--keep-points").stdout
    refused = run("redemption", "release", second, "--reason", "no")
    assert refused.exit_code == 1


def test_unused_codes_are_switched_off_only_with_their_reward(installed: Path, run: Run, data: Data) -> None:
    used, unused = taken("five", "five")
    run("redemption", "use", used, "--where", "till 1")
    early = run("reward", "withdraw", "five")
    assert (early.exit_code, "stampcard stop reward five" in early.stderr) == (1, True)
    assert run("stop", "reward", "five", "--note", "misprint").exit_code == 0

    assert "1 unused codes of five" in run("reward", "withdraw", "five").stdout

    refused = run("redemption", "use", unused, "--where", "till 2")
    assert "withdrawn" in refused.stderr
    assert run("reward", "restore", "five").exit_code == 0
    assert "is used" in run("redemption", "use", unused, "--where", "till 2").stdout


def test_an_empty_list_says_so(installed: Path, run: Run) -> None:
    assert "There is no redemption yet." in run("redemption", "list").stderr
    assert "There is no such redemption." in run("redemption", "list", "--status", "used").stderr
    assert run("redemption", "show", "r_nobody").exit_code == 1
