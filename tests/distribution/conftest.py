"""Stampcard as somebody installs it: the wheel, in an environment of its own, without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What is of the checkout in an environment where it is installed to be worked on.
_OURS = ("stampcard", "_stampcard", "__editable", "_editable")


@dataclass(frozen=True)
class Environment:
    """A virtual environment with what Stampcard needs, and a folder to work in."""

    bin: Path
    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """What a person's shell has, without anything of this run."""
        return {"PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}", "HOME": str(self.folder), "PIP_NO_INDEX": "1"}

    def run(self, *words: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        """What a command of the environment says; its first word is the program's name."""
        done = subprocess.run(  # noqa: S603 - what was installed here
            [self.bin / words[0], *words[1:]],
            env={**self.variables, **more},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Builds the wheel of a project, without isolation and so without a network."""

    def build(project: Path) -> Path:
        folder = tmp_path_factory.mktemp("wheel")
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(command, cwd=project, check=True, capture_output=True)  # noqa: S603 - our own builder
        (wheel,) = folder.glob("*.whl")
        return wheel

    return build


@pytest.fixture(scope="session")
def wheel(built: Callable[[Path], Path]) -> Path:
    return built(ROOT)


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel in a fresh environment that sees what it needs, and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)  # noqa: S603
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    needed = folder / "needed"
    needed.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith(_OURS):
            (needed / path.name).symlink_to(path)
    (site / "needed.pth").write_text(f"{needed}\n")
    (folder / "work").mkdir()
    made = Environment(bin=folder / "venv" / "bin", folder=folder / "work")
    made.run("python", "-m", "pip", "install", "--quiet", "--no-deps", str(wheel))
    return made
