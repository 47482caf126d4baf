"""What the documentation tells people to type can be typed."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from stampcard.cli.main import app

ROOT = Path(__file__).parents[2]
RUN = [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]
TOLD = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]
#: So many commands of a page run as they are installed; if there are more, each would import everything anew.
FEW = 5
#: What a person waits for before going on: that it serves, and that what came in is applied.
WAITED = {
    "stampcard serve": ("stampcard serve 2> serve.log &", "/readyz", "ok"),
    "stampcard trigger": ("", "/metrics", 'applied_total{outcome="done"}'),
}
WAIT = """
python3 -c 'import sys, time, urllib.request
for _ in range(100):
    try:
        if sys.argv[2] in urllib.request.urlopen(sys.argv[1]).read().decode():
            break
    except OSError:
        pass
    time.sleep(0.1)' http://127.0.0.1:8080{path} '{sign}'
"""
_BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> Iterator[str]:
    """The commands of a page, block by block."""
    for indent, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        yield "\n".join(line.removeprefix(indent) for line in block.splitlines())


def targets(block: str) -> list[str]:
    return re.findall(r"^make ([a-z]+)", block, re.MULTILINE)


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_every_block_of_commands_runs(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    port = free_port()
    lines = [line for block in blocks(page) if not targets(block) for line in block.splitlines()]
    many = sum(line.startswith("stampcard ") for line in lines) > FEW
    first = [quick(tmp_path / "quick", request.getfixturevalue("stampcard"))] if many else []
    script = "\n".join(map(waiting, lines)).replace("8080", str(port))
    (tmp_path / "script").write_text(script, encoding="utf-8")
    said = tmp_path / "said"
    with said.open("wb") as out:
        # A session of its own, so that whatever the blocks start ends with them.
        process = subprocess.Popen(
            ["bash", "-eux", "-o", "pipefail", "script"],  # noqa: S607 - whatever bash a reader has
            cwd=tmp_path,
            env=environment(tmp_path, port, *first),
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        code = process.wait(90)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert code == 0, said.read_text(encoding="utf-8")[-4000:]


def waiting(line: str) -> str:
    """The line as a script runs it."""
    for command, (instead, path, sign) in WAITED.items():
        if line.startswith(command):
            return (instead or line) + WAIT.format(path=path, sign=sign)
    return line


def quick(folder: Path, stampcard: Sequence[str]) -> Path:
    """A folder with a `stampcard` that begins at once."""
    folder.mkdir()
    command = folder / "stampcard"
    command.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, *stampcard])} "$@"\n', encoding="utf-8")
    command.chmod(0o700)
    return folder


def environment(folder: Path, port: int, *first: Path) -> dict[str, str]:
    """A person's, who has the project's virtual environment on the path and no settings of their own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("STAMPCARD_")}
    path = os.pathsep.join([*map(str, first), str(Path(sys.executable).parent), own["PATH"]])
    return {**own, "PATH": path, "HOME": str(folder), "STAMPCARD_HTTP__PORT": str(port)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.mark.parametrize("page", [*RUN, *TOLD], ids=lambda page: page.name)
def test_every_make_target_is_there(page: Path) -> None:
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for block in blocks(page) for target in targets(block)}
    named |= set(re.findall(r"`make ([a-z]+)", page.read_text()))
    assert named <= known


def pages() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def told(page: Path) -> Iterator[list[str]]:
    """The words of every `stampcard …` of a page, in a block or in a line of text."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```(?:sh|text)\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for line in lines:
        if line.strip().startswith("stampcard "):
            words = shlex.shlex(line, posix=True, punctuation_chars=True)
            words.whitespace_split = True
            yield list(takewhile(lambda word: not set(word) <= set("();<>|&"), words))[1:]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_told_exists_with_its_options(page: Path) -> None:
    for words in told(page):
        assert unknown(words) == [], f"stampcard {' '.join(words)}"


@cache
def whole() -> Any:
    """The command line."""
    return get_command(app)


def unknown(words: list[str]) -> list[str]:
    """The commands and options among the words that the command line does not know."""
    command = whole()
    strange = []
    for word in words:
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        if word.startswith("--"):
            strange += [] if word in {*options, "--help"} else [word]
        elif isinstance(command, TyperGroup) and re.fullmatch(r"[a-z-]+", word):
            strange += [] if word in command.commands else [word]
            command = command.commands.get(word, command)
    return strange


def test_the_summary_in_the_readme_is_the_one_that_the_demo_prints() -> None:
    shown = re.findall(r"```text\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    done = CliRunner().invoke(app, ["demo", "--orders", "40", "--exit"])
    assert done.exit_code == 0, done.output
    assert masked(shown) == masked(done.stdout)


def masked(text: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "0", text)
