"""Plugins come into an environment by command, and are tried before anybody relies on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.distribution.conftest import ROOT, Environment

SAMPLE = ROOT / "tests" / "plugins" / "sample" / "stampcard-sample"


def test_a_wheel_is_shown_installed_and_tried(environment: Environment, built: Callable[[Path], Path]) -> None:
    done = environment.run("stampcard", "plugin", "install", str(built(SAMPLE)), "--yes")
    assert done.stdout == "sample 1.0 is installed and loads\n"
    assert "pip would install:\n  stampcard-sample 1.0  from file://" in done.stderr
    assert "Restart what runs" in done.stderr


def test_what_pip_cannot_find_changes_nothing(environment: Environment) -> None:
    done = environment.run("stampcard", "plugin", "install", "stampcard-nowhere", "--yes", code=1)
    assert "No matching distribution found for stampcard-nowhere" in done.stderr
    assert done.stderr.endswith("error: pip could not do it; nothing is changed\n")
