"""The five questions that fill a template, asked of a person or answered by flags."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import typer
from pydantic import TypeAdapter, ValidationError

from stampcard.cli.filling import Answers, Template, usual_answers
from stampcard.cli.printing import say
from stampcard.program.amounts import WHOLE
from stampcard.program.model import Zone

_LONGEST = 365
_PERCENT = re.compile(r"[0-9]{1,3}(?:[.,][0-9]{1,2})?")


class Question(NamedTuple):
    """What is asked, the flag that answers it, and how an answer is read; reading raises ValueError."""

    key: str
    flag: str
    asked: str
    read: Callable[[str, Template], Any]


def read_currency(written: str, _: Template) -> str:
    """A currency's code."""
    code = written.strip().upper()
    if not re.fullmatch("[A-Z]{3}", code):
        message = f"{written!r} is no currency: write its three letters, such as EUR or USD"
        raise ValueError(message)
    return code


def read_timezone(written: str, _: Template) -> str:
    """A time zone's name."""
    try:
        return TypeAdapter(Zone).validate_python(written.strip())
    except ValidationError as error:
        raise ValueError(str(error.errors()[0]["ctx"]["error"])) from None


def read_back(written: str, _: Template) -> Decimal:
    """A share in percent."""
    text = written.strip().removesuffix("%").strip()
    try:
        share = Decimal(text.replace(",", ".")) if _PERCENT.fullmatch(text) else Decimal(0)
    except InvalidOperation:
        share = Decimal(0)
    if not 0 < share <= WHOLE:
        message = f"{written!r} is no share: write percent above 0 and up to 100, such as 5 or 2.5"
        raise ValueError(message)
    return share


def read_return_days(written: str, _: Template) -> int:
    """A number of days."""
    text = written.strip()
    if not re.fullmatch("[0-9]{1,3}", text) or int(text) > _LONGEST:
        message = f"{written!r} is no number of days: write 0 to {_LONGEST}; 0 where nothing comes back"
        raise ValueError(message)
    return int(text)


def read_language(written: str, template: Template) -> str:
    """A language in which the template has a name."""
    code = written.strip().lower()
    if code not in template.names:
        known = ", ".join(template.names)
        message = f"{written!r} is none of {known}: take one of these, and change `name` in the file afterwards"
        raise ValueError(message)
    return code


QUESTIONS: Sequence[Question] = (
    Question("currency", "--currency", "The shop's currency", read_currency),
    Question("timezone", "--timezone", "The time zone in which its days begin", read_timezone),
    Question("back", "--back", "How much members get back, in percent of what they buy", read_back),
    Question("return_days", "--return-days", "For how many days goods may come back", read_return_days),
    Question("language", "--language", "The language of the name that people see", read_language),
)


def is_person() -> bool:
    """Whether somebody sits at a terminal and can answer."""
    return sys.stdin.isatty()


def answers_for(template: Template, flags: Mapping[str, str | None], *, ask: bool) -> Answers:
    """The answers by flag; the others by asking, or as the template says. A flag that is wrong ends the command."""
    usual = usual_answers(template)
    found: dict[str, Any] = {}
    for question in QUESTIONS:
        given, default = flags.get(question.key), getattr(usual, question.key)
        if given is not None:
            try:
                found[question.key] = question.read(given, template)
            except ValueError as error:
                raise typer.BadParameter(str(error), param_hint=question.flag) from None
        else:
            found[question.key] = _asked(question, template, default) if ask else default
    return Answers(**found)


def _asked(question: Question, template: Template, default: Any) -> Any:
    shown = f"{default.normalize():f}" if isinstance(default, Decimal) else str(default)
    while True:
        written = typer.prompt(question.asked, default=shown, err=True)
        try:
            return question.read(written, template)
        except ValueError as error:
            say(str(error))
