"""Connections that are added, changed and removed from the command line, on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.cli import asking
from stampcard.host import discovering
from stampcard.plugin import Capabilities, ConnectionContext, Health, PluginManifest, PluginSettings, hookimpl

Run = Callable[..., Result]
Data = Callable[..., Any]
WELL = "a-token-that-is-good"


class Books(PluginSettings):
    token: SecretStr = Field(description="what the bookkeeper gave you")
    company: str = Field(default="", pattern="^[A-Za-z]*$", description="one of your companies, in letters")
    years: tuple[int, ...] = ()


class Bookkeeper:
    """A plugin whose vendor knows one token."""

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="books", summary="books", settings=Books, asks=("token", "company"))

    @hookimpl
    async def connect(self, context: ConnectionContext[Books]) -> Capabilities:
        async def check_health() -> Health:
            ok = context.settings.token.get_secret_value() == WELL
            return Health(ok=ok, problem="" if ok else "the bookkeeper does not know this token")

        return Capabilities(check_health=check_health)


@pytest.fixture(autouse=True)
def books(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin is installed; the settings file names no connection."""
    table = discovering.discover({"books": Bookkeeper()})
    monkeypatch.setattr(discovering, "discover", lambda: table)
    (installed / "stampcard.toml").write_text('programs = []\n[http]\npublic_url = "https://points.example"\n')


@on_sqlite
def test_a_connection_is_added_shown_changed_and_removed(run: Run, data: Data, installed: Path) -> None:
    assert "Add one: stampcard connection add PLUGIN" in run("connection", "list").stderr
    (installed / "token").write_text(f"{WELL}\n")

    added = data("connection", "add", "books", "--from-file", "token=token", "--set", "years=[2025, 2026]")

    assert added == {
        "name": "books", "plugin": "books", "settings": {"token": "…", "company": "", "years": [2025, 2026]},
        "webhook": "https://points.example/webhooks/books", "missing": [],
    }  # fmt: skip
    (row,) = data("connection", "list")
    assert (row["name"], row["plugin"], row["state"]) == ("books", "books", "active")
    assert run("connection", "test", "books").stdout == "books: connected\n"
    assert "ok: connections.books: plugin books" in run("check", "--connect").stdout
    changed = run("connection", "set", "books", "--set", "company=North", "--unset", "years")
    assert changed.stdout.startswith("books was changed; every running process uses it within a second")
    assert data("connection", "set", "books", "--set", "company=South")["settings"]["years"] == []
    run("connection", "pause", "books", "--note", "moving house")
    removed = run("connection", "remove", "books", "--yes")
    assert removed.stdout.startswith("books is removed")
    assert data("connection", "list") == []
    assert data("connection", "add", "books", "--set", f"token={WELL}")["name"] == "books"
    assert [row["state"] for row in data("connection", "list")] == ["active"]  # what was paused was another one


@on_sqlite
def test_what_the_vendor_refuses_is_not_kept_unless_it_shall_be(run: Run, data: Data) -> None:
    refused = run("connection", "add", "books", "--set", "token=wrong")
    assert refused.exit_code == 4
    assert "the bookkeeper does not know this token" in refused.stderr
    assert "leave the test out: --no-test" in refused.stderr
    assert data("connection", "list") == []
    assert run("connection", "add", "books", "--set", "token=wrong", "--no-test").exit_code == 0
    assert run("connection", "test", "books").exit_code == 4
    assert run("connection", "set", "books", "--set", f"token={WELL}").exit_code == 0
    assert run("connection", "test", "books").exit_code == 0


def test_a_person_is_asked_for_what_the_plugin_asks(run: Run, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "is_person", lambda: True)
    answered = run("connection", "add", "books", "--name", "ledger", input=f"{WELL}\n\n")
    assert answered.exit_code == 0, answered.output
    assert "token: what the bookkeeper gave you" in answered.stderr
    assert WELL not in answered.output  # nobody looks over a shoulder
    assert [row["name"] for row in data("connection", "list")] == ["ledger"]
    kept = run("connection", "add", "books", "--name", "other", input="wrong\n\ny\n")
    assert kept.exit_code == 0
    assert "Keep it all the same?" in kept.stderr
    left = run("connection", "add", "books", "--name", "third", input="wrong\n\nn\n")
    assert left.exit_code == 1
    assert [row["name"] for row in data("connection", "list")] == ["ledger", "other"]


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("add", "boks"), 3, "Did you mean 'books'?"),
        (("add", "books"), 3, "connections.books.token: is missing. Say --set token=…, or --from-file token=PATH"),
        (("add", "books", "--set", "token"), 2, "'token' is not KEY=VALUE"),
        (("add", "books", "--from-file", "token=nowhere"), 2, "nowhere cannot be read (No such file or directory)"),
        (("add", "books", "--set", "tokn=a"), 3, "Did you mean 'token'?"),
        (("add", "books", "--set", "token=a", "--set", "years=[x"), 3, "connections.books.years"),
        (
            ("add", "books", "--set", "token=a", "--set", "company=12"),
            3,
            "connections.books.company: is not written as it has to be. It is one of your companies, in letters",
        ),
        (("add", "books", "--name", "My Books", "--set", "token=a"), 1, "lower-case letters, digits, _ and -"),
        (("add", "books", "--set", "token=a", "--orders-of", "shop"), 1, "there is no connection 'shop'"),
        (("set", "books", "--set", "company=a"), 1, "there is no connection 'books'"),
        (("remove", "books", "--yes"), 1, "there is no connection 'books'"),
    ],
)
def test_what_cannot_be_is_said_with_what_to_change(run: Run, arguments: tuple[str, ...], code: int, said: str) -> None:
    refused = run("connection", *arguments)
    assert refused.exit_code == code
    assert said in " ".join(refused.stderr.split())


@on_sqlite
def test_the_settings_file_wins_and_its_connections_are_changed_there(run: Run, data: Data, installed: Path) -> None:
    run("connection", "add", "books", "--set", f"token={WELL}")
    again = run("connection", "add", "books", "--set", f"token={WELL}")
    assert (again.exit_code, "already, in the database" in again.stderr) == (1, True)
    (installed / "stampcard.toml").write_text(
        'programs = []\n[connections.books]\nplugin = "books"\ntoken = "another"\n'
    )
    assert run("connection", "test", "books").exit_code == 4
    for arguments in (("set", "books", "--set", "company=a"), ("remove", "books", "--yes")):
        refused = run("connection", *arguments)
        assert (refused.exit_code, "change it there, and restart" in refused.stderr) == (1, True)
    (installed / "stampcard.toml").write_text("programs = []\n")
    assert run("connection", "test", "books").exit_code == 0


@on_sqlite
def test_where_the_outside_cannot_reach_us_that_is_said(run: Run, installed: Path) -> None:
    (installed / "stampcard.toml").write_text("programs = []\n")
    added = run("connection", "add", "books", "--set", f"token={WELL}")
    assert "https://YOUR-HOST/webhooks/books" in added.stdout
    assert "Still missing: http.public_url" in added.stderr
    assert json.loads(run("connection", "set", "books", "--set", "company=a", "--json").stdout)["missing"] != []
