from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stampcard.cli import installing
from stampcard.cli.main import app
from stampcard.errors import ConfigurationError


def planned(name: str) -> Any:
    return {"metadata": {"name": name, "version": "2.0"}, "download_info": {"url": "https://example.com/x.whl"}}


def test_what_would_be_installed_is_told_with_where_it_comes_from() -> None:
    assert installing.planned_lines([planned("a"), planned("b")])[1:] == [
        "  a 2.0  from https://example.com/x.whl",
        "  b 2.0  from https://example.com/x.whl",
    ]


def test_a_plugin_that_would_replace_stampcard_itself_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="this one would be replaced"):
        installing.planned_lines([planned("a"), planned("Stampcard")])


def test_a_system_that_manages_its_packages_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(ConfigurationError, match="belongs to the system"):
        installing.check_environment()


def test_an_environment_that_cannot_be_written_to_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    installing.check_environment()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigurationError, match="not for you to write to"):
        installing.check_environment()
    monkeypatch.setattr(installing, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="has no pip"):
        installing.check_environment()


def row(**more: str) -> dict[str, Any]:
    return {"name": "till", "version": "1.0", "distribution": "stampcard-till", "state": "ready", "reason": "", **more}


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What pip would be told; it finds one distribution for everything, with a plugin for the API of this version."""
    told: list[tuple[str, ...]] = []
    monkeypatch.setattr(installing, "_planned", lambda _: [planned("stampcard_till")])
    monkeypatch.setattr(installing, "_pip", lambda *words: told.append(words))
    monkeypatch.setattr(installing, "tried", lambda names: [row()] if names == ["stampcard_till"] else [])
    return told


def installed(*arguments: str, **more: Any) -> Result:
    return CliRunner().invoke(app, ["plugin", "install", "stampcard-till", *arguments], **more)


def test_nothing_is_installed_before_somebody_says_so(pip: list[tuple[str, ...]]) -> None:
    refused = installed(input="n\n")
    assert (refused.exit_code, pip) == (1, [])
    assert "pip would install:\n  stampcard_till 2.0  from https://" in refused.stderr
    assert installed(input="y\n").exit_code == 0
    assert pip == [("install", "--quiet", "stampcard-till")]
    assert installed("--yes").stdout == "till 1.0 is installed and loads\n"


def test_a_plugin_that_cannot_be_used_is_told_with_how_to_take_it_away(
    pip: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = row(state="failed", reason="is made for plugin API 9.0")
    monkeypatch.setattr(installing, "tried", lambda _: [failed])
    result = installed("--yes")
    assert result.exit_code == 3
    assert "error: plugin 'till' cannot be used: is made for plugin API 9.0\n" in result.stderr
    assert result.stderr.endswith("-m pip uninstall stampcard-till\n")
    monkeypatch.setattr(installing, "tried", lambda _: [])
    assert "no entry point in the group 'stampcard.plugins'" in installed("--yes").stderr


def test_what_is_there_already_is_told(pip: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing, "_planned", lambda _: [])
    result = installed("--yes")
    assert (result.exit_code, result.stderr, pip) == (1, "stampcard-till is installed already, as it is wanted\n", [])
