import json
from collections.abc import Callable
from importlib import metadata
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stampcard.cli.main import app


def listed(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["plugin", "list", *arguments])
    assert result.exit_code == 0
    return result.stdout


def test_the_plugins_that_come_with_stampcard_are_ready() -> None:
    rows = {row["name"]: row for row in json.loads(listed("--json"))}
    shopify = rows["shopify"]
    assert (shopify["state"], shopify["distribution"], shopify["reason"]) == ("ready", "stampcard", "")
    assert shopify["hooks"] == ["connect", "plugin_manifest"]
    assert shopify["version"]


def test_a_plugin_that_cannot_be_used_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = metadata.EntryPoint(name="broken", value="no_such_module_anywhere", group="stampcard.plugins")
    monkeypatch.setattr(metadata, "entry_points", lambda **_: [broken])
    (row,) = json.loads(listed("--json"))
    assert (row["name"], row["state"]) == ("broken", "failed")
    assert row["reason"] == "cannot be imported: ModuleNotFoundError: No module named 'no_such_module_anywhere'"
    assert row["reason"] in listed()


def test_a_plugin_is_disabled_and_enabled_by_the_switch_that_stops_and_starts_it(
    run: Callable[..., Result], data: Callable[..., Any]
) -> None:
    def state() -> tuple[str, str]:
        (row,) = [row for row in data("plugin", "list") if row["name"] == "shopify"]
        return row["state"], row["reason"]

    assert state() == ("ready", "")
    assert run("plugin", "disable", "shopify").exit_code == 2
    disabled = run("plugin", "disable", "shopify", "--note", "too slow", "--author", "Ada")
    assert disabled.stdout.splitlines()[0] == "plugin shopify is stopped"
    assert state() == ("disabled", "too slow")
    assert [row["target"] for row in data("switch", "list")] == ["plugin:shopify"]
    assert run("start", "plugin", "shopify").stdout == "plugin shopify works again\n"
    assert state() == ("ready", "")
    run("stop", "plugin", "shopify", "--note", "x")
    assert run("plugin", "enable", "shopify").stdout == "plugin shopify works again\n"
