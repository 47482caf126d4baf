"""Program templates: which there are, and one of them filled with a shop owner's answers."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files

from stampcard.domain.value import Value
from stampcard.program.costing import cost_lines, cost_of
from stampcard.program.model import Program
from stampcard.program.reading import read_program

#: What templates say until somebody answers otherwise.
CURRENCY, TIMEZONE, LANGUAGE = "EUR", "Europe/Berlin", "en"

_FINEST = Decimal("0.000001")
_BEST = re.compile(r"^# Best for (.+)$", re.MULTILINE)
_EDITORS = re.compile(r"\A# yaml-language-server:.*\n#\n")
_NAME = re.compile(r"^(name: )[^#\n]*?( *(?:#.*)?)$", re.MULTILINE)
_PENDING = re.compile(r"^(    pending: )(none|(\d+) days)( *(?:#.*)?)$", re.MULTILINE)
_RATE = re.compile(rf"(?<=award: )([0-9.]+)(?= per [0-9.]+ {CURRENCY}\b)")
_VALUE = re.compile(rf"(?<=value: )([0-9.]+)(?= {CURRENCY} per\b)")
_COST = re.compile(r"^# Expected cost:.*\n(?:# Beside that.*\n)?", re.MULTILINE)


class Template(Value, frozen=True):
    """A program that somebody can begin with; `names`: what people see, by language."""

    name: str
    best_for: str
    text: str
    names: Mapping[str, str]


class Answers(Value, frozen=True):
    """What a template is filled with; `back` is in percent, `return_days` 0 where nothing comes back."""

    currency: str
    timezone: str
    back: Decimal
    return_days: int
    language: str


@lru_cache(maxsize=1)
def templates() -> Mapping[str, Template]:
    """Every template by its name, in their alphabetical order."""
    folder = files("stampcard.cli").joinpath("templates")
    names = tomllib.loads(folder.joinpath("names.toml").read_text(encoding="utf-8"))
    return {name: _template(name, known) for name, known in sorted(names.items())}


def usual_answers(template: Template) -> Answers:
    """What the template says by itself."""
    pending = _PENDING.search(template.text)
    return Answers(
        currency=CURRENCY,
        timezone=TIMEZONE,
        back=_back(read_program(template.text, template.name)),
        return_days=int(pending[3] or 0) if pending else 0,
        language=LANGUAGE,
    )


def filled(template: Template, answers: Answers) -> str:
    """The template's text with the answers, ready to be written."""
    bare = _EDITORS.sub("", template.text)
    text = _scaled(bare, answers.back / usual_answers(template).back)
    text = _NAME.sub(lambda found: f"{found[1]}{template.names[answers.language]}{found[2]}", text, count=1)
    # A wallet's stands before those of rules.
    text = _PENDING.sub(lambda found: _waiting(found, answers.return_days), text, count=1)
    text = re.sub(rf"\b{CURRENCY}\b", answers.currency, text).replace(TIMEZONE, answers.timezone)
    text = _aligned(bare, text)
    lines = "".join(f"# {line}\n" for line in cost_lines(read_program(text, "program.yaml")))
    return _COST.sub(lambda _: lines, text, count=1)


def _template(name: str, names: Mapping[str, str]) -> Template:
    path = files("stampcard.cli").joinpath("templates", "programs", f"{name}.yaml")
    text = path.read_text(encoding="utf-8")
    best = _BEST.search(text)
    assert best is not None, f"{name} does not say what it is best for"
    return Template(name=name, best_for=best[1], text=text, names=names)


def _back(program: Program) -> Decimal:
    cost = cost_of(program)
    assert cost is not None, "a template says what points are worth"
    return cost.usual


def _scaled(text: str, factor: Decimal) -> str:
    """Every rate so many times as high; where nothing earns by a rate, what points are worth."""
    what = _RATE if _RATE.search(text) else _VALUE
    return what.sub(lambda found: _number(Decimal(found[1]) * factor) if factor != 1 else found[1], text)


def _aligned(before: str, after: str) -> str:
    """The text with the comments behind settings in the columns where they stood before."""
    lines = []
    for old, new in zip(before.splitlines(keepends=True), after.splitlines(keepends=True), strict=True):
        column, (setting, mark, comment) = old.find("  # ") + 2, new.partition("  # ")
        lines.append(f"{setting.rstrip():{column - 2}}{mark}{comment}" if mark and column > 1 else new)
    return "".join(lines)


def _number(exact: Decimal) -> str:
    return f"{exact.quantize(_FINEST).normalize():f}"


def _waiting(found: re.Match[str], days: int) -> str:
    if days == int(found[3] or 0):
        return found[0]
    if not days:
        return f"{found[1]}none  # usable at once"
    comment = found[4] if found[3] else "  # usable once the return window is over"
    return f"{found[1]}{days} day{'s' * (days != 1)}{comment}"
