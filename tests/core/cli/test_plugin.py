import json
from importlib import metadata

import pytest
from typer.testing import CliRunner

from stampcard.cli.main import app


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["plugin", "list", *arguments])
    assert result.exit_code == 0
    return result.stdout


def test_the_plugins_that_come_with_stampcard_are_ready() -> None:
    rows = {row["name"]: row for row in json.loads(run("--json"))}
    shopify = rows["shopify"]
    assert (shopify["state"], shopify["distribution"], shopify["reason"]) == ("ready", "stampcard", "")
    assert shopify["hooks"] == ["connect", "plugin_manifest"]
    assert shopify["version"]


def test_a_plugin_that_cannot_be_used_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = metadata.EntryPoint(name="broken", value="no_such_module_anywhere", group="stampcard.plugins")
    monkeypatch.setattr(metadata, "entry_points", lambda **_: [broken])
    (row,) = json.loads(run("--json"))
    assert (row["name"], row["state"]) == ("broken", "failed")
    assert row["reason"] == "cannot be imported: ModuleNotFoundError: No module named 'no_such_module_anywhere'"
    assert row["reason"] in run()
