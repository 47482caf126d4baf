"""The people who work at tills, at the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from stampcard.app import open_sealer
from stampcard.settings import Settings
from stampcard.storage.database import Database
from stampcard.storage.staffing import worker_of

Run = Callable[..., Result]
Data = Callable[..., Any]


def test_a_pin_is_printed_once_and_another_one_replaces_it(
    run: Run, data: Data, settings: Settings, database: Database
) -> None:
    def whose(pin: str) -> str | None:
        found = database.read_now(lambda c: worker_of(c, "main", open_sealer(settings), pin))
        return found.name if found is not None else None

    added = run("staff", "add", "Ann Smith")
    assert re.fullmatch(r"\d{6}\n", added.stdout)
    assert "cannot be shown again" in added.stderr
    first = added.stdout.strip()
    second = data("staff", "renew", "Ann Smith")
    assert second.keys() == {"name", "pin"}
    assert (whose(first), whose(second["pin"])) == (None, "Ann Smith")
    listed = run("staff", "list")
    assert "Ann Smith" in listed.stdout
    assert second["pin"] not in listed.stdout
    assert [(one["name"], one["ended_at"]) for one in data("staff", "list")] == [("Ann Smith", None)]


def test_whoever_is_removed_opens_nothing_and_may_come_back(run: Run, data: Data) -> None:
    assert "stampcard staff add NAME" in run("staff", "list").stderr
    run("staff", "add", "Ann")
    twice = run("staff", "add", "Ann")
    assert (twice.exit_code, "stampcard staff renew Ann" in twice.stderr) == (1, True)
    assert run("staff", "remove", "Ann").stdout == "Ann works here no more\n"
    for command in ("remove", "renew"):
        left = run("staff", command, "Ann")
        assert (left.exit_code, left.stderr) == (1, "error: Ann works here no more: whoever comes back is added anew\n")
        unknown = run("staff", command, "Bob")
        assert (unknown.exit_code, unknown.stderr) == (1, "error: there is no staff 'Bob'\n")
    assert data("staff", "list")[0]["ended_at"] is not None
    assert run("staff", "add", "Ann").exit_code == 0


@pytest.mark.parametrize("name", ["", " ", "a/b", "a\tb", "x" * 101])
def test_what_is_no_name_of_a_person_ends_with_2(run: Run, name: str) -> None:
    refused = run("staff", "add", name)
    assert (refused.exit_code, refused.stdout) == (2, "")
