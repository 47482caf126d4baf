"""Installing a plugin with the pip of this environment: shown first, asked for, and tried in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from stampcard.cli.invocation import FAILED, INVALID
from stampcard.cli.printing import say, show
from stampcard.errors import ConfigurationError

OURS = "stampcard"
_IMAGE = "Where Stampcard runs as a container, build an image with it: see docs/how-to/install.md"
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
_LISTING = "from stampcard.cli.main import run; run()"


def install(
    distribution: Annotated[
        str,
        typer.Argument(
            metavar="DISTRIBUTION",
            help="A name as pip takes it, a wheel, or a folder with a project.",
            show_default=False,
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Install a plugin into this environment, and try whether it loads. Its code runs as Stampcard itself: trust it."""
    check_environment()
    wanted = os.path.abspath(distribution) if Path(distribution).exists() else distribution  # noqa: PTH100 - pip takes text
    planned = _planned(wanted)
    if not planned:
        say(f"{distribution} is installed already, as it is wanted")
        raise typer.Exit(FAILED)
    for line in planned_lines(planned):
        say(line)
    if not yes:
        typer.confirm("Install that?", abort=True, err=True)
    _pip("install", "--quiet", wanted)
    _tell(tried(_named(planned)))


def check_environment() -> None:
    """Raises ConfigurationError where nothing may or can be installed."""
    if find_spec("pip") is None:
        raise ConfigurationError("environment", f"{sys.prefix} has no pip", _IMAGE)
    marker = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    if sys.prefix == sys.base_prefix and marker.exists():
        problem = f"{sys.prefix} belongs to the system, which says what is installed there"
        raise ConfigurationError(
            "environment", problem, "Install Stampcard into an environment of its own: python3 -m venv"
        )
    site = sysconfig.get_path("purelib")
    if not os.access(site, os.W_OK):
        raise ConfigurationError("environment", f"{site} is not for you to write to", _IMAGE)


def planned_lines(planned: Sequence[Any]) -> list[str]:
    """What pip would do, a line each; raises ConfigurationError if Stampcard itself would be another."""
    lines = []
    for one in planned:
        name, version = one["metadata"]["name"], one["metadata"]["version"]
        if _plain(name) == OURS:
            problem = f"it wants Stampcard {version}, and this one would be replaced"
            raise ConfigurationError("plugin", problem, "Bring Stampcard to that version first, or take another plugin")
        lines.append(f"  {name} {version}  from {one['download_info']['url']}")
    return ["pip would install:", *lines]


def tried(names: Sequence[str]) -> list[dict[str, Any]]:
    """The plugins of these distributions, as a process says that starts now."""
    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", _LISTING, "plugin", "list", "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise ConfigurationError("environment", f"stampcard does not start any more ({last[0]})", _undo(names))
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return [row for row in rows if _plain(row["distribution"]) in {*map(_plain, names)}]


def _tell(found: Sequence[dict[str, Any]]) -> None:
    if not found:
        say("error: it has no plugin for Stampcard: no entry point in the group 'stampcard.plugins'")
        raise typer.Exit(INVALID)
    for row in found:
        if row["state"] == "failed":
            say(f"error: plugin {row['name']!r} cannot be used: {row['reason']}")
        else:
            show(f"{row['name']} {row['version']} is installed and loads")
    failed = sorted({row["distribution"] for row in found if row["state"] == "failed"})
    if failed:
        say(_undo(failed))
        raise typer.Exit(INVALID)
    say("Restart what runs: stampcard serve takes it in when it starts. Then: stampcard connection add PLUGIN")


def _planned(wanted: str) -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        _pip("install", "--quiet", "--dry-run", "--report", str(report), wanted)
        found: list[Any] = json.loads(report.read_text(encoding="utf-8"))["install"]
    return found


def _pip(*words: str) -> None:
    done = subprocess.run([*_PIP, *words], capture_output=True, text=True, check=False)  # noqa: S603 - told beforehand
    if done.returncode:
        for line in done.stderr.strip().splitlines():
            say(line)
        say("error: pip could not do it; nothing is changed")
        raise typer.Exit(FAILED)


def _named(planned: Sequence[Any]) -> list[str]:
    return [one["metadata"]["name"] for one in planned]


def _undo(names: Sequence[str]) -> str:
    return f"Take it away: {sys.executable} -m pip uninstall {' '.join(names)}"


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
