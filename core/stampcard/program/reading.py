"""A program file's text to a `Program`, or to everything that is wrong with it, with positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stampcard.errors import Problem, ProgramError
from stampcard.program.cards import NO_COLOUR
from stampcard.program.conditions import flaws_of
from stampcard.program.messages import COLOUR, LANGUAGE
from stampcard.program.model import Program
from stampcard.program.parsing import Document, Path, parse
from stampcard.program.placeholders import flaws_of_messages
from stampcard.program.remainder import Remainder

_SECTION = "write settings here, one a line, such as 'name: value'"
_LIST = "write a list here, each entry beginning with '- '"

#: What is said for pydantic's own error types.
_SAID = {
    "missing": "is missing",
    "string_type": "write text here, in quotes if it looks like a number or like true, false or null",
    "model_type": _SECTION,
    "dict_type": _SECTION,
    "mapping_type": _SECTION,
    "tuple_type": _LIST,
    "list_type": _LIST,
}
#: What patterns mean.
_COLOUR = "is no colour: write # and six hex digits, such as '#4b2e1e'"
_FORMS = {
    COLOUR: _COLOUR,
    NO_COLOUR: _COLOUR,
    LANGUAGE: "is no language: write its code, such as en or pt-BR",
}


def read_program(text: str, name: str) -> Program:
    """The program that the text describes; `name` is what problems call the file.

    Raises ProgramError with all problems, in the order in which they stand in the text.
    """
    document, problems = parse(text)
    if document is None:
        raise ProgramError(name, problems)
    program, wrong = _validated(document)
    problems += wrong
    if program is None or problems:
        raise ProgramError(name, sorted(problems, key=lambda problem: (problem.line, problem.column)))
    return program


def _validated(document: Document) -> tuple[Program | None, list[Problem]]:
    """The program, or what of it can be judged, and its problems.

    Each time that something is refused, the rest is judged again without it, so that everything is said at once.
    """
    if not isinstance(document.data, dict):
        return None, [Problem("a program file is a list of settings such as 'program: main'", line=1, column=1)]
    remainder: Remainder | None = Remainder.of(document.data)
    problems: list[Problem] = []
    places: list[Path] = []
    while remainder is not None:
        try:
            program = Program.model_validate(remainder.data)
        except ValidationError as error:
            wrong = [remainder.located(details) for details in error.errors(include_url=False)]
            places += [details["loc"] for details in wrong]
            problems += [_problem(document, details) for details in wrong if not _was_emptied(details, places)]
            remainder = remainder.without(wrong)
        else:
            return program, problems + _problems_inside(document, program, remainder)
    return None, problems


def _was_emptied(details: ErrorDetails, wrong: Sequence[Path]) -> bool:
    """Whether a list is too short because something in it is wrong, and not counted."""
    place = details["loc"]
    return details["type"] == "too_short" and any(one[: len(place)] == place and one != place for one in wrong)


def _problems_inside(document: Document, program: Program, remainder: Remainder) -> list[Problem]:
    """What is wrong with conditions, and with the texts of messages."""
    problems = []
    for found, flaw in [*flaws_of(program), *flaws_of_messages(program)]:
        path = remainder.placed(found)
        place = document.inside(path, flaw.line, flaw.column)
        problems.append(Problem(flaw.message, path=path_text(path), line=place.line, column=place.column))
    return problems


def _problem(document: Document, details: ErrorDetails) -> Problem:
    path: Path = details["loc"]
    at_key = details["type"] == "extra_forbidden"
    if path[-1:] == ("[key]",):
        path, at_key = path[:-1], True
    places = document.keys if at_key else document.values
    near = path
    while near not in places and near:
        near, places = near[:-1], document.values
    place = places[near]
    return Problem(_message(path, details), path=path_text(path), line=place.line, column=place.column)


def path_text(path: Path) -> str:
    """A path as problems and hints write it: rules[0].when."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _message(path: Path, details: ErrorDetails) -> str:
    context: Mapping[str, Any] = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            return "unknown setting" + _did_you_mean(str(path[-1]), _settings(path[:-1]))
        case "literal_error":
            choices = [choice.strip("'") for choice in context["expected"].replace(" or ", ", ").split(", ")]
            return f"{details['input']!r} is not one of {', '.join(choices)}" + _did_you_mean(
                str(details["input"]), choices
            )
        case "string_pattern_mismatch":
            form = _FORMS.get(context["pattern"]) or f"does not have the form {context['pattern']}"
            return f"{details['input']!r} {form}"
        case "too_long" | "too_short" as kind:
            bound = f"at most {context['max_length']}" if kind == "too_long" else f"at least {context['min_length']}"
            return f"{bound} can stand here, and there are {context['actual_length']}"
        case "value_error":
            return str(context["error"])
        case kind:
            said = _SAID.get(kind) or details["msg"]
            return said[:1].lower() + said[1:]


def _did_you_mean(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def _settings(path: Path) -> list[str]:
    """The settings that the section at this path knows."""
    section: Any = Program
    for part in path:
        if isinstance(section, type) and issubclass(section, BaseModel):
            field = section.model_fields.get(str(part))
            section = field.annotation if field else None
        else:
            inside = [argument for argument in get_args(section) if argument is not Ellipsis]
            section = inside[-1] if inside else None
    is_section = isinstance(section, type) and issubclass(section, BaseModel)
    return list(section.model_fields) if is_section else []
