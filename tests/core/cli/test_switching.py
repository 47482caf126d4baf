from collections.abc import Callable
from typing import Any

import pytest
from tests.databases import on_sqlite
from typer.testing import CliRunner, Result

from stampcard.cli.main import app
from stampcard.storage.switching import KINDS

Run = Callable[..., Result]
Data = Callable[..., Any]


@on_sqlite
def test_a_rule_is_stopped_with_a_note_listed_and_started(run: Run, data: Data) -> None:
    assert run("stop", "rule", "buy").exit_code == 2
    first, goes_on, last = run("stop", "rule", "buy", "--note", "too much", "--author", "Ada").stdout.splitlines()
    assert first == "rule main/buy is stopped"
    assert "Orders that were decided before keep what they earned" in goes_on
    assert last == "Start it again: stampcard start rule main/buy"
    (row,) = data("switch", "list")
    assert {key: row[key] for key in ("target", "kind", "id", "author", "note")} == {
        "target": "rule:main/buy", "kind": "rule", "id": "main/buy", "author": "Ada", "note": "too much",
    }  # fmt: skip
    assert run("switch", "list").stdout.splitlines()[1].split()[:2] == ["rule", "main/buy"]
    again = run("stop", "rule", "main/buy", "--note", "once more").stdout
    assert again.startswith("rule main/buy was stopped already, since 20")
    assert again.endswith(" by Ada: too much\n")
    assert run("start", "rule", "buy").stdout == "rule main/buy works again\n"
    assert run("start", "rule", "buy").stdout == "rule main/buy was not stopped\n"
    assert run("switch", "list").stderr == "Nothing is stopped\n"


@on_sqlite
def test_other_programs_get_data(data: Data) -> None:
    stopped = data("stop", "program", "main", "--note", "x")
    assert (stopped["target"], stopped["changed"]) == ("program:main", True)
    assert data("stop", "program", "main", "--note", "y")["changed"] is False
    assert data("start", "program", "main") == {"target": "program:main", "changed": True}


def test_an_unknown_target_is_told_with_the_closest_there_is(run: Run) -> None:
    result = run("stop", "rule", "bye", "--note", "x")
    assert (result.exit_code, result.stderr) == (1, "error: there is no rule 'bye'. Did you mean 'buy'?\n")
    assert run("stop", "shop", "x", "--note", "x").exit_code == 2


@on_sqlite
def test_a_connection_is_stopped_as_by_pausing_it(run: Run, data: Data) -> None:
    assert run("stop", "connection", "shop", "--note", "moving house").exit_code == 0
    row = data("connection", "show", "shop")
    assert (row["state"], row["reason"]) == ("paused", "moving house")
    assert run("connection", "resume", "shop").stdout == "shop works again\n"
    run("connection", "pause", "shop", "--note", "moving house")
    assert run("start", "connection", "shop").stdout == "connection shop works again\n"


@on_sqlite
def test_a_plugin_is_known_by_being_installed(run: Run) -> None:
    assert run("stop", "plugin", "shopify", "--note", "x").exit_code == 0
    assert run("start", "plugin", "shopify").exit_code == 0


@pytest.mark.parametrize("command", ["stop", "start"])
def test_the_command_knows_every_kind(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"]).stdout
    assert f"<{'|'.join(KINDS)}>" in "".join(shown.split())


@pytest.fixture(autouse=True)
def unserved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows of a server, so that none that happens to run here is asked."""
    monkeypatch.setenv("STAMPCARD_HTTP__PORT", "0")


def test_doctor_names_what_is_stopped_and_how_to_start_it(run: Run) -> None:
    run("stop", "rule", "buy", "--note", "too much", "--author", "Ada")
    result = run("doctor", "--offline")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("warning: rule main/buy: stopped since ")
    assert line.endswith(" by Ada: too much. When it may go on: stampcard start rule main/buy")
