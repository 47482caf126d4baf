from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = "from stampcard.cli.main import run; run()"


def listed(folder: Path, *, cwd: Path) -> dict[str, Any]:
    """What ``stampcard plugin list --json`` says with `folder` on the path, by name."""
    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", SCRIPT, "plugin", "list", "--json"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return {row["name"]: row for row in json.loads(done.stdout)}


def test_an_installed_plugin_is_listed_beside_our_own(installed_sample: Path, tmp_path: Path) -> None:
    found = listed(installed_sample, cwd=tmp_path)
    assert found["shopify"]["state"] == "ready"
    assert found["sample"] == {
        "name": "sample",
        "state": "ready",
        "version": "1.0",
        "distribution": "stampcard-sample",
        "summary": "A till: sales in, points out",
        "hooks": ["connect", "plugin_manifest"],
        "reason": "",
    }


def test_the_source_of_a_plugin_alone_is_not_a_plugin(tmp_path: Path) -> None:
    assert "sample" not in listed(Path(__file__).parent / "stampcard-sample", cwd=tmp_path)
