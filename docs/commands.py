# ruff: noqa: INP001, T201 - a script that people run
"""Writes docs/reference/cli.md anew from the commands themselves; with --check only says if it must."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from typer.core import TyperGroup
from typer.main import get_command

from stampcard.cli import invocation
from stampcard.cli.main import app

PAGE = Path(__file__).resolve().parent / "reference" / "cli.md"
HEAD = """# Commands

Every command says what it can do with `--help`. Data goes to stdout; progress, warnings and errors go to stderr. With
`--json` a command prints its data for other programs: moments in ISO 8601 and UTC, points as integers in the wallet's
smallest unit.

Settings come from the environment, from `stampcard.toml` in the current folder, or from the file that `--config` names:
see [settings](settings.md). `verify`, `replay`, `resync`, `dry-run`, `simulate`, `doctor`, `db backup`, `db check` and the commands
below `order`, `member`, `card`, `counter`, `till`, `staff`, `outbox`, `quarantine`, `connection` and `secret` may run while a server
serves the same database; what they make due the server sends within a second.

This page is written by `python docs/commands.py`.

## Exit codes

| Code | Meaning |
| --- | --- |
"""
CODES = {
    0: "done",
    invocation.FAILED: "failed, refused, or something was found: differences, a thing to look at, a demo that is not proved",
    invocation.USAGE: "the command was called wrongly",
    invocation.INVALID: "settings, a key file, a plugin or a program are wrong",
    invocation.UNREACHABLE: "a service cannot be reached: the database, a vendor, the server",
    invocation.PARTLY: "partly done: some deliveries could not be queued again, because their bodies were deleted",
    invocation.INTERRUPTED: "stopped by Ctrl-C",
}
#: What stands for a value of that kind.
WORDS = {int: "NUMBER", float: "NUMBER", Path: "FILE"}
#: The options that every command line tool of this kind has; they say nothing about ours.
COMMON = {"help", "install_completion", "show_completion"}


def page() -> str:
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in CODES.items())
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    parts = [HEAD + codes, "## Global options\n\nThey stand before the command.\n" + _parameters(root)]
    parts += [_section(path, command) for path, command in commands(root)]
    return "\n".join(parts)


def commands(group: TyperGroup, above: tuple[str, ...] = ("stampcard",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that lead to it; a group before what it groups."""
    for name, command in group.commands.items():
        yield (*above, name), command
        if isinstance(command, TyperGroup):
            yield from commands(command, (*above, name))


def _section(path: Sequence[str], command: Any) -> str:
    title = " ".join(path)
    if isinstance(command, TyperGroup):
        return f"## {title}\n\n{_prose(command.help)}\n"
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    words = [
        _written(one) for one in (*arguments, *(one for one in command.params if one not in arguments and one.required))
    ]
    typed = " ".join([*path, *words])
    marks = "##" if len(path) == 2 else "###"  # noqa: PLR2004 - `stampcard` and the command
    return f"{marks} {title}\n\n{_prose(command.help)}\n\n```text\n{typed}\n```\n" + _parameters(command)


def _placed(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name).strip("[]_").upper()
    return name if parameter.required else f"[{name}]"


def _parameters(command: Any) -> str:
    cells = [
        (f"`{_written(one)}`", _default(one), _prose(one.help)) for one in command.params if one.name not in COMMON
    ]
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    return (
        "\n".join(["", "| Argument or option | Default | Meaning |", "| --- | --- | --- |", *rows, ""]) if rows else ""
    )


def _written(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return _placed(parameter)
    option = ", ".join(parameter.opts)
    return option if parameter.is_flag else f"{option} {_kind(parameter)}"


def _kind(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    return "|".join(choices) or str(parameter.metavar or WORDS.get(kind, "TEXT")).strip("<>")


def _default(parameter: Any) -> str:
    if parameter.required:
        return "(required)"
    default = parameter.default
    if default in (None, "", False, ()) or getattr(parameter, "is_flag", False):
        return "(none)"
    return f"`{default}`"


def _prose(text: str | None) -> str:
    return " ".join(inspect.cleandoc(text or "").split())


def main(arguments: Sequence[str]) -> int:
    """0 when the page was right already or was written anew."""
    wanted = page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == wanted:
        return 0
    print(PAGE)
    if "--check" in arguments:
        return 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
