"""A plugin that is begun by command passes the contract as it is."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stampcard.cli.main import app


def new(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["plugin", "new", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_new_plugin_is_installable_and_keeps_every_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, written, said = new("corner_shop")
    assert (code, sorted(written.split())) == (0, [
        "stampcard-corner-shop/fixtures/sale__paid.json", "stampcard-corner-shop/pyproject.toml",
        "stampcard-corner-shop/stampcard_corner_shop.py", "stampcard-corner-shop/test_corner_shop.py",
    ])  # fmt: skip
    assert "stampcard connection add corner_shop" in said
    folder = tmp_path / "stampcard-corner-shop"
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["stampcard.plugins"] == {"corner_shop": "stampcard_corner_shop"}
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"] == ["stampcard_corner_shop.py"]
    assert "sample" not in "".join(path.read_text() for path in folder.rglob("*.*"))
    # What `pip install` would leave behind.
    info = tmp_path / "site" / "stampcard_corner_shop-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stampcard-corner-shop\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stampcard.plugins]\ncorner_shop = stampcard_corner_shop\n")
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={folder}", str(folder))
    ran = subprocess.run(  # noqa: S603 - what is run was written here
        command, cwd=folder, capture_output=True, text=True, check=False, env={"PYTHONPATH": f"{folder}:{info.parent}"}
    )
    assert ran.returncode == 0, ran.stdout
    assert " passed" in ran.stdout
    assert " failed" not in ran.stdout


@pytest.mark.parametrize("name", ["Till", "9lives", "my-till", "class", ""])
def test_a_name_that_cannot_be_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, said = new(name)
    assert (code, "lower-case letters, digits and _" in said) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    code, _, said = new("till", "--dir", str(tmp_path))
    assert (code, "is there already" in said) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
