from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.host import discovering
from stampcard.plugin import Capabilities, ConnectionContext, Health, PluginManifest, PluginSettings, hookimpl

Run = Callable[..., Result]
Data = Callable[..., Any]


class Mood(PluginSettings):
    health: str = ""


class Moody:
    """A plugin whose vendor is as well as its setting says."""

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="moody", summary="moody", settings=Mood)

    @hookimpl
    async def connect(self, context: ConnectionContext[Mood]) -> Capabilities:
        async def check_health() -> Health:
            return Health(ok=not context.settings.health, problem=context.settings.health)

        return Capabilities(check_health=check_health)


@pytest.fixture
def moody(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Configures the connection `mood` with these settings."""
    table = discovering.discover({"moody": Moody()})
    monkeypatch.setattr(discovering, "discover", lambda: table)

    def configure(settings: str) -> None:
        (installed / "stampcard.toml").write_text(f'programs = []\n[connections.mood]\nplugin = "moody"\n{settings}\n')

    return configure


def test_connections_are_listed_with_what_waits_and_what_was_given_up(
    run: Run, data: Data, join: Callable[[str], str], set_aside: Callable[..., int], command: Callable[..., str]
) -> None:
    join("7")
    set_aside("failed", "")
    command("dead")
    (row,) = data("connection", "list")
    assert (row["name"], row["plugin"], row["state"], row["problem"]) == ("shop", "shopify", "active", "")
    assert (row["due"], row["dead"], row["quarantined"]) == (1, 1, 1)
    assert row["last_delivery_at"] == "2026-03-10T12:00:00+00:00"
    assert row["oldest_due_at"] is not None
    assert run("connection", "list").stdout.splitlines()[1].split() == ["shop", "shopify", "active", "1", "1", "1"]
    shown = run("connection", "show", "shop").stdout.splitlines()
    assert "last delivery at  2026-03-10 12:00:00Z" in shown
    assert "problem           (none)" in shown


def test_where_there_is_no_connection_that_is_said(installed: Path, run: Run) -> None:
    (installed / "stampcard.toml").write_text("programs = []\n")
    assert run("connection", "list").stderr == "There is no connection yet. Add one: stampcard connection add PLUGIN\n"


@on_sqlite
@pytest.mark.parametrize("command", [("show",), ("pause", "--note", "x"), ("resume",), ("test",)])
def test_an_unknown_connection_is_named(run: Run, command: tuple[str, ...]) -> None:
    result = run("connection", command[0], "till", *command[1:])
    assert (result.exit_code, result.stderr) == (1, "error: there is no connection 'till'\n")


def test_a_wrong_section_is_told_without_its_secrets(installed: Path, data: Data) -> None:
    settings = installed / "stampcard.toml"
    settings.write_text(settings.read_text().replace("example.myshopify.com", "example.com"))
    problem = data("connection", "show", "shop")["problem"]
    assert problem.startswith("connections.shop.shop: ")
    assert "a-secret" not in problem


@on_sqlite
def test_a_connection_is_paused_with_a_note_and_resumed(run: Run, data: Data) -> None:
    assert run("connection", "pause", "shop").exit_code == 2
    assert run("connection", "pause", "shop", "--note", "moving house").exit_code == 0
    row = data("connection", "show", "shop")
    assert (row["state"], row["reason"]) == ("paused", "moving house")
    assert run("connection", "resume", "shop").stdout == "shop works again\n"
    assert data("connection", "show", "shop")["state"] == "active"
    assert run("connection", "resume", "shop").stdout == "shop was active already\n"


def test_a_test_of_a_connection_that_is_well_ends_with_0(run: Run, data: Data, moody: Callable[[str], None]) -> None:
    moody("")
    assert run("connection", "test", "mood").stdout == "mood: connected\n"
    assert data("connection", "test", "mood") == {"name": "mood", "ok": True, "text": "connected", "missing": []}


def test_a_test_of_a_connection_that_is_not_well_ends_with_4(run: Run, moody: Callable[[str], None]) -> None:
    moody('health = "the shop is closed"')
    result = run("connection", "test", "mood")
    assert (result.exit_code, result.stdout, result.stderr) == (4, "", "mood: the shop is closed\n")


def test_a_test_of_a_wrong_section_ends_with_3(run: Run, moody: Callable[[str], None]) -> None:
    moody("helth = 1")
    result = run("connection", "test", "mood")
    assert result.exit_code == 3
    assert "connections.mood.helth: there is no such setting. Did you mean 'health'?" in result.stderr
