from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from stampcard.cli import installing
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
