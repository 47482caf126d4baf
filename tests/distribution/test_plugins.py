"""Plugins come into an environment by command, and are tried before anybody relies on them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.distribution.conftest import ROOT, Environment

SAMPLE = ROOT / "tests" / "plugins" / "sample" / "stampcard-sample"


@pytest.fixture
def make(built: Callable[[Path], Path], tmp_path: Path) -> Callable[[str], Path]:
    """The wheel of the sample under another name, for another API."""

    def project(name: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "stampcard_sample.py").rename(folder / f"stampcard_{name}.py")
        for file in (folder / "pyproject.toml", folder / f"stampcard_{name}.py"):
            text = file.read_text().replace("sample", name)
            file.write_text(text.replace(f'name="{name}"', f'name="{name}", api_version=(9, 0)'))
        return built(folder)

    return project


def test_a_wheel_is_shown_installed_and_tried(environment: Environment, built: Callable[[Path], Path]) -> None:
    wheel = built(SAMPLE)
    asked = environment.run("stampcard", "plugin", "install", str(wheel), code=1)
    assert "Install that?" in asked.stderr
    assert "Aborted" in asked.stderr
    done = environment.run("stampcard", "plugin", "install", str(wheel), "--yes")
    assert done.stdout == "sample 1.0 is installed and loads\n"
    assert "pip would install:\n  stampcard-sample 1.0  from file://" in done.stderr
    assert "Restart what runs" in done.stderr


def test_a_plugin_for_another_api_is_told_with_how_to_take_it_away(
    environment: Environment, make: Callable[[str], Path]
) -> None:
    done = environment.run("stampcard", "plugin", "install", str(make("future")), "--yes", code=3)
    assert "error: plugin 'future' cannot be used: is made for plugin API 9.0, this Stampcard offers" in done.stderr
    assert "-m pip uninstall stampcard-future" in done.stderr
    environment.run("python", "-m", "pip", "uninstall", "--quiet", "--yes", "stampcard-future")


def test_what_pip_cannot_find_changes_nothing(environment: Environment) -> None:
    done = environment.run("stampcard", "plugin", "install", "stampcard-nowhere", "--yes", code=1)
    assert "No matching distribution found for stampcard-nowhere" in done.stderr
    assert done.stderr.endswith("error: pip could not do it; nothing is changed\n")
