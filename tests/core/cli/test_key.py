"""Keys at the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stampcard.cli.main import app


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["key", *arguments])


def create(*arguments: str) -> Any:
    result = run("create", "--name", "till", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_key_is_printed_once_and_listed_without_its_secret() -> None:
    made = create("--scope", "members:read", "--scope", "points:write", "--expires", "90d")

    assert re.fullmatch(r"sc_[0-9a-f]{12}_[0-9a-f]{64}", made["key"])
    assert made["scopes"] == ["members:read", "points:write"]
    listed = run("list")
    assert made["id"] in listed.stdout
    assert made["key"].split("_")[2] not in listed.stdout
    (row,) = json.loads(run("list", "--json").stdout)
    assert (row["name"], row["state"], row["expires_at"]) == ("till", "live", made["expires_at"])


def test_for_people_the_key_alone_is_data() -> None:
    result = run("create", "--name", "till", "--scope", "admin")
    assert re.fullmatch(r"sc_[0-9a-f_]+\n", result.stdout)
    assert "cannot be shown again" in result.stderr


def test_a_revoked_key_is_told_so_and_an_unknown_one_is_an_error() -> None:
    made = create("--scope", "admin")

    assert run("revoke", made["id"]).exit_code == 0

    assert json.loads(run("list", "--json").stdout)[0]["state"] == "revoked"
    unknown = run("revoke", "0000")
    assert (unknown.exit_code, unknown.stderr) == (1, "error: there is no key '0000'\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["create", "--name", "x"],
        ["create", "--name", "x", "--scope", "everything"],
        ["create", "--scope", "admin"],
        ["create", "--name", "x", "--scope", "admin", "--expires", "soon"],
        ["create", "--name", "x", "--scope", "admin", "--expires", "0d"],
    ],
)
def test_wrong_use_ends_with_2_and_makes_nothing(folder: Path, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2
    assert not (folder / "stampcard.db").exists()
