from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from stampcard.cli.invocation import FAILED
from stampcard.cli.printing import say, show

KEY_FILE = "stampcard.key"
TEMPLATES = ("stampcard.toml", "program.yaml")

_NEXT = """
Next:
  1. Write your program:          {program}
  2. Connect your shop:           {settings}, [connections.…]
  3. See whether all is right:    stampcard {config}check --connect
  4. Start:                       stampcard {config}serve
Keep a copy of {key} in a safe place, and out of version control: without it personal data cannot be read."""


def init(
    folder: Annotated[Path, typer.Option("--dir", help="Where to write; made if it is not there.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite settings and program; the key never.")] = False,
) -> None:
    """Write commented settings, a small program, and the key that encrypts personal data."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in TEMPLATES:
            _tell(folder / name, _write(folder / name, _template(name), force=force))
        key = folder / KEY_FILE
        _tell(key, _write_key(key))
    except OSError as error:
        say(f"error: {error.filename}: cannot be written ({error.strerror})")
        raise typer.Exit(FAILED) from None
    config = "" if folder.absolute() == Path.cwd() else f"--config {folder / TEMPLATES[0]} "
    say(_NEXT.format(settings=folder / TEMPLATES[0], program=folder / TEMPLATES[1], key=key, config=config))


def _template(name: str) -> str:
    return files("stampcard.cli").joinpath("templates", name).read_text(encoding="utf-8")


def _write(path: Path, text: str, *, force: bool) -> bool:
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True


def _write_key(path: Path) -> bool:
    from stampcard.sealing import new_key_text

    try:
        # Never readable by others, not even for the moment between making and writing it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(new_key_text())
    return True


def _tell(path: Path, written: bool) -> None:
    if written:
        show(str(path))
    else:
        say(f"{path} is there already and stays as it is")
