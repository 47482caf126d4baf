"""Imports at the command line."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.applying import importing
from stampcard.importing import running

Run = Callable[..., Result]
Data = Callable[..., Any]
LINES = "email,points\nann@example.com,12.5\nbob,3\ncleo@example.com,30\n"


@pytest.fixture
def file(installed: Path) -> Path:
    path = installed / "customers.csv"
    path.write_text(LINES)
    return path


def begin(run: Run, file: Path, *more: str) -> Result:
    return run("import", "members", str(file), "--connection", "shop", *more)


def test_a_file_is_tried_imported_compared_and_taken_back(file: Path, run: Run, data: Data) -> None:
    tried = begin(run, file, "--dry-run")
    assert tried.exit_code == 0
    assert "dry run: 2 rows would be imported, 0 are known from earlier, 1 would be refused" in tried.stdout
    assert "line 3, column 'email': 'bob' is no e-mail address" in tried.stderr
    assert data("import", "list") == []

    done = begin(run, file)
    assert done.exit_code == 5
    assert "2 rows imported, 0 known from earlier, 1 refused; new members: 2" in done.stdout
    assert "columns: email = email, points = points" in done.stderr
    assert (file.parent / "customers-errors.csv").read_text().splitlines()[0] == "email,points,reason"
    (one,) = data("import", "list")
    assert (one["state"], one["applied"], one["refused"]) == ("ended", 2, 1)
    shown = run("import", "show", one["id"])
    assert "1 rows changed nothing: bad_email" in shown.stdout

    compared = run("import", "reconcile", one["id"])
    assert compared.exit_code == 0
    assert "points  45.50        3.00     0.00   42.50     0.00        0.00        0" in compared.stdout
    assert data("import", "reconcile", one["id"])["wallets"]["points"]["credited"] == 4250
    assert run("verify").exit_code == 0

    undone = data("import", "undo", one["id"])
    assert (undone["state"], undone["members_removed"], undone["kept"]) == ("undone", 2, [])
    assert "members removed: 0" in run("import", "undo", one["id"]).stdout
    assert run("verify").exit_code == 0
    assert "undone" in run("import", "list").stdout


@on_sqlite
def test_the_same_file_again_changes_nothing_and_says_so(file: Path, run: Run) -> None:
    begin(run, file)
    again = begin(run, file)
    assert "was imported before, as i_" in again.stderr
    assert "2 rows imported" in again.stdout
    other = begin(run, file, "--decimals", ".")
    assert "0 rows imported, 2 known from earlier, 1 refused" in other.stdout


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as in a terminal: workers of a test run ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@on_sqlite
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_says_how_to_go_on_and_nothing_is_lost(
    file: Path, run: Run, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "STEP", 1)
    bring, steps = importing.bring, itertools.count(1)

    def interrupted(*given: Any) -> Any:
        if next(steps) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return bring(*given)

    monkeypatch.setattr(running, "bring", interrupted)
    stopped = begin(run, file)
    assert stopped.exit_code == 130
    assert "Go on: stampcard import resume i_" in stopped.stderr
    monkeypatch.setattr(running, "bring", bring)
    (one,) = data("import", "list")
    assert (one["state"], one["applied"] + one["refused"]) == ("reading", 2)
    resumed = run("import", "resume", one["id"], "--json")
    assert (resumed.exit_code, json.loads(resumed.stdout)["applied"]) == (5, 2)
    over = run("import", "resume", one["id"])
    assert (over.exit_code, "there is nothing to go on with" in over.stderr) == (1, True)


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--connection", "shops"], 1, "there is no connection 'shops'; there is: shop"),
        (["--preset", "smil"], 1, "unknown preset 'smil', did you mean 'smile'"),
        (["--map", "points"], 2, "is not COLUMN=FIELD"),
        (["--dates", "ymd"], 2, "is none of"),
        (["--errors", "customers.csv"], 2, "is there already"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_done(
    file: Path, run: Run, data: Data, arguments: list[str], code: int, told: str
) -> None:
    result = begin(run, file, *arguments)
    assert (result.exit_code, told in " ".join(result.stderr.replace("│", " ").split())) == (code, True), result.stderr
    assert data("import", "list") == []


@on_sqlite
def test_an_import_that_is_not_there_is_told(installed: Path, run: Run) -> None:
    for command in ("show", "resume", "undo", "reconcile"):
        result = run("import", command, "i_nothing")
        assert (result.exit_code, "there is no import 'i_nothing'" in result.stderr) == (1, True)
    assert "Nothing was imported yet." in run("import", "list").stderr
