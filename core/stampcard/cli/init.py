from __future__ import annotations

import os
from decimal import Decimal
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import FAILED
from stampcard.cli.printing import say, show, show_table

if TYPE_CHECKING:
    from stampcard.cli.filling import Template

KEY_FILE = "stampcard.key"
_MONTH = Decimal(10_000)
TEMPLATES = ("stampcard.toml", "program.yaml")

_NEXT = """
Next:
  1. Make the program yours:      {program}
  2. Connect your shop:           {settings}, [connections.…]
  3. See whether all is right:    stampcard {config}check --connect
  4. Start:                       stampcard {config}serve
Keep a copy of {key} in a safe place, and out of version control: without it personal data cannot be read."""


def init(
    folder: Annotated[Path, typer.Option("--dir", help="Where to write; made if it is not there.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite settings and program; the key never.")] = False,
    template: Annotated[
        str | None, typer.Option(metavar="NAME", help="Begin with this template, filled with your answers.")
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="Show the templates and what each is best for.")] = False,
    currency: Annotated[str | None, typer.Option(metavar="CODE", help="The shop's currency: EUR.")] = None,
    timezone: Annotated[str | None, typer.Option(metavar="ZONE", help="Where its days begin: Europe/Berlin.")] = None,
    back: Annotated[str | None, typer.Option(metavar="PERCENT", help="How much members get back: 5.")] = None,
    return_days: Annotated[str | None, typer.Option(metavar="DAYS", help="How long goods may come back: 14.")] = None,
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="The language of the program's name: en.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing: what no flag says is as the template has it.")
    ] = False,
) -> None:
    """Write commented settings, a program, and the key that encrypts personal data.

    With a template it asks for currency, time zone, percent back, return window and language, and says what the program
    will cost.
    """
    if show_list:
        _show_templates()
        return
    keys = ("currency", "timezone", "back", "return_days", "language")
    flags = dict(zip(keys, (currency, timezone, back, return_days, language), strict=True))
    path = folder / TEMPLATES[1]
    program, said = _program(template, flags, path, ask=not yes, force=force)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in ((TEMPLATES[0], _template(TEMPLATES[0])), (TEMPLATES[1], program)):
            _tell(folder / name, _write(folder / name, text, force=force))
        key = folder / KEY_FILE
        _tell(key, _write_key(key))
    except OSError as error:
        say(f"error: {error.filename}: cannot be written ({error.strerror})")
        raise typer.Exit(FAILED) from None
    for line in said:
        say(line)
    config = "" if folder.absolute() == Path.cwd() else f"--config {folder / TEMPLATES[0]} "
    say(_NEXT.format(settings=folder / TEMPLATES[0], program=path, key=key, config=config))


def _show_templates() -> None:
    from stampcard.cli.filling import templates

    show_table([("TEMPLATE", "BEST FOR"), *((one.name, one.best_for) for one in templates().values())])


def _program(
    template: str | None, flags: dict[str, str | None], path: Path, *, ask: bool, force: bool
) -> tuple[str, list[str]]:
    """The program to write, and what is said of it."""
    if template is None:
        given = next((key for key, value in flags.items() if value is not None), None)
        if given is not None:
            hint = f"--{given.replace('_', '-')}"
            raise typer.BadParameter("goes with --template NAME", param_hint=hint)
        return _template(TEMPLATES[1]), []
    from stampcard.cli.asking import answers_for, is_person
    from stampcard.cli.filling import filled

    chosen = _chosen(template)
    if path.exists() and not force:
        return chosen.text, []
    answers = answers_for(chosen, flags, ask=ask and is_person())
    text = filled(chosen, answers)
    return text, _said(text, path, answers.currency)


def _chosen(name: str) -> Template:
    from stampcard.cli.filling import templates

    known = templates()
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there is: {', '.join(known)}"
        raise typer.BadParameter(f"unknown template {name!r}, {hint}", param_hint="--template")
    return known[name]


def _said(text: str, path: Path, currency: str) -> list[str]:
    """What the program costs, and what else to think about."""
    from stampcard.cli.filling import CURRENCY
    from stampcard.clock import SystemClock
    from stampcard.program.costing import cost_of, money
    from stampcard.program.linting import hints
    from stampcard.program.reading import read_program

    program = read_program(text, str(path))
    cost = cost_of(program)
    assert cost is not None
    month = (
        f"on {money(_MONTH, currency)} of orders a month that is at most {money(_MONTH * cost.most / 100, currency)}"
    )
    beside = ", ".join(f"{rule} {what}" for rule, what in cost.beside.items())
    lines = [f"What it costs: {cost}; {month}" + (f"; beside that, each time: {beside}" if beside else "")]
    if currency != CURRENCY:
        lines.append(f"Amounts such as limits were thought in {CURRENCY}: look them through.")
    today = SystemClock().now().astimezone(program.zone).date()
    return lines + [f"hint: {path}:{hint}" for hint in hints(program, text, today)]


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
