"""What was done at tills, at the command line: looked at, accepted and dismissed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import Result

from stampcard.app import open_sealer
from stampcard.applying.requests import Answer
from stampcard.applying.selling import book, put_down
from stampcard.applying.unit import Unit
from stampcard.cli.acting import act
from stampcard.clock import SystemClock
from stampcard.domain.tills import Act
from stampcard.errors import RequestRefused
from stampcard.settings import Settings
from stampcard.storage import staffing
from stampcard.storage.database import Database

Run = Callable[..., Result]
Data = Callable[..., Any]
Join = Callable[[str], str]


@pytest.fixture
def told(settings: Settings) -> Callable[..., None]:
    """What a till told an hour ago: booked at once, or held because of what was wrong then."""

    def tell(id_: str, member: str, *, held: str = "", late: bool = True) -> None:
        at = SystemClock().now() - timedelta(hours=late)
        one = Act(till="front", id=id_, kind="earn", at=at, member=member, shift="morning", amount=Decimal("12.50"))

        def work(unit: Unit) -> Answer:
            put_down(unit, one, RequestRefused("shift_limit", held)) if held else book(unit, one)
            return Answer(status=200, body={})

        act(settings, work)

    return tell


def test_what_was_held_is_listed_accepted_or_dismissed(run: Run, data: Data, join: Join, told: Any) -> None:
    assert run("counter", "acts").stderr == "Nothing was done at a till yet.\n"
    ann = join("7")
    told("a1", ann)
    told("a2", ann, held="this is more than one shift may give")
    told("a3", ann, held="this is more than one shift may give")
    assert sorted((one["id"], one["status"]) for one in data("counter", "acts")) == [
        ("a1", "done"), ("a2", "held"), ("a3", "held"),
    ]  # fmt: skip
    held = run("counter", "acts", "--status", "held", "--till", "front").stdout
    assert ("a1" in held, "a2" in held, "more than one shift may give" in held) == (False, True, True)
    assert "points +12.50" in run("counter", "acts", "--status", "done").stdout
    assert run("counter", "acts", "--till", "back").stderr == "There is no such act.\n"

    assert run("counter", "accept", "front", "a2").stdout == "front/a2 is done: points +12.50\n"
    assert data("counter", "dismiss", "front", "a3", "--note", "twice")["status"] == "dismissed"
    assert data("member", "show", "shop:7")["balances"]["points"]["active"] == 2500
    notes = {one["id"]: one["note"] for one in data("counter", "acts")}
    assert (notes["a2"].startswith("accepted by "), notes["a3"]) == (True, "twice")


def test_what_is_not_held_cannot_be_decided(run: Run, join: Join, told: Any) -> None:
    told("a1", join("7"))
    for arguments in (("accept", "front", "a1"), ("dismiss", "front", "a1", "--note", "no")):
        refused = run("counter", *arguments)
        assert (refused.exit_code, refused.stderr) == (1, "error: the act is done already\n")
    unknown = run("counter", "accept", "front", "a9")
    assert (unknown.exit_code, "there is no act 'front/a9'" in unknown.stderr) == (1, True)
    assert run("counter", "dismiss", "front", "a1").exit_code == 2, "a person says why"
    assert run("counter", "accept", "front", "a1", "--note", "x" * 1001).exit_code == 2


def test_shifts_tell_what_they_gave(
    run: Run, data: Data, join: Join, told: Any, settings: Settings, database: Database
) -> None:
    assert run("counter", "shifts").stderr == "There was no shift yet.\n"
    told("a1", join("7"))
    now = SystemClock().now()

    def begin(connection: Any) -> str:
        worker, _ = staffing.add_worker(connection, "main", open_sealer(settings), "Ann", now)
        return staffing.open_shift(connection, "main", "back", worker, now)

    name = database.write_now(begin)
    shown = data("counter", "shifts")
    assert [(one["till"], one["staff"], one["points"], one["scale"]) for one in shown] == [
        ("back", "Ann", 0, 2), ("front", None, 1250, 2),
    ]  # fmt: skip
    assert name not in run("counter", "shifts").stdout
    assert "12.50" in run("counter", "shifts").stdout
    assert [one["name"] for one in data("counter", "shifts", "--till", "front")] == ["morning"]
    assert run("counter", "shifts", "--till", "side").stderr == "There is no shift of that till.\n"
