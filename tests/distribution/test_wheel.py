from __future__ import annotations

import signal
import subprocess
import tomllib
import urllib.request
import zipfile
from pathlib import Path

from tests.distribution.conftest import ROOT, Environment

PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
    "packages"
]


def test_the_wheel_has_every_file_of_every_package(wheel: Path) -> None:
    there = {
        str(path.relative_to((ROOT / package).parent))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == there


def test_what_was_installed_works_from_an_empty_folder(environment: Environment) -> None:
    assert environment.run("stampcard", "init", "--template", "stamps", "--yes").stdout.split() == [
        "stampcard.toml", "program.yaml", "stampcard.key",
    ]  # fmt: skip
    assert "program 'main' is right" in environment.run("stampcard", "check").stdout
    assert "shopify" in environment.run("stampcard", "plugin", "list").stdout
    where = "import stampcard, stampcard_webhooks; print(stampcard.__file__, stampcard_webhooks.__file__)"
    assert str(ROOT) not in environment.run("python", "-c", where).stdout
    assert served(environment, "/api/v1/openapi.json").startswith(b'{"openapi"')
    environment.run("stampcard", "db", "check")


def served(environment: Environment, path: str) -> bytes:
    """What a server answers that lives for this one request, and ends as it is asked to."""
    with subprocess.Popen(  # noqa: S603 - what was installed here
        [environment.bin / "stampcard", "serve"],
        env={**environment.variables, "STAMPCARD_HTTP__PORT": "0"},
        cwd=environment.folder,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            said = next(line for line in process.stderr if line.startswith("stampcard serves at "))
            with urllib.request.urlopen(said.split()[-1] + path) as answer:  # noqa: S310 - it is our own
                body: bytes = answer.read()
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
            assert process.wait(30) == 0
        finally:
            process.kill()
    return body
