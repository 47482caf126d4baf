"""What is wrong with a condition, in the words of the person who wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple

_COMPILER = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_NO_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '\((.*)\)'")
_MISSING_KEY = re.compile(r'NOT_FOUND: Key not found in map : "([A-Za-z0-9_]+)"')
_NO_RUNTIME_OVERLOAD = re.compile(r"No matching overloads found : (?:\((\w+)\)\.)?([^\s()]+)\(([\w, ]*)\)")

_WORDS = {
    "double": "a decimal number",
    "int": "a whole number",
    "int64": "a whole number",
    "uint": "a whole number",
    "uint64": "a whole number",
    "string": "text",
    "bool": "true or false",
    "bytes": "bytes",
    "timestamp": "a moment",
    "google.protobuf.Timestamp": "a moment",
    "duration": "a length of time",
    "google.protobuf.Duration": "a length of time",
    "null_type": "nothing",
}
_SWITCHED_OFF = {"map": "map() is switched off: use exists(), all() or filter()"}
_SLIPS = {
    "'and'": "write && for 'and'",
    "'or'": "write || for 'or'",
    "'= '": "write == to compare",
    "'=>'": "write >= for 'at least'",
    "'=<'": "write <= for 'at most'",
    "'<>'": "write != for 'is not'",
    "'<EOF>'": "the condition ends too early",
}


class Flaw(NamedTuple):
    """One thing wrong with a condition; line and column count from 1 within its own text."""

    line: int
    column: int
    message: str


def flaws(error: str, known: Iterable[str]) -> list[Flaw]:
    """What the compiler's error text says; `known` are the names that may be used."""
    names = tuple(known)
    found = [Flaw(int(line), int(column), _worded(text, names)) for line, column, text in _COMPILER.findall(error)]
    if any("switched off" in flaw.message for flaw in found):
        return [flaw for flaw in found if "switched off" in flaw.message]
    # What follows a syntax error is its echo.
    is_syntax = "Syntax error" in error
    return (found[:1] if is_syntax else found) or [Flaw(1, 1, error.splitlines()[0])]


def close_to(name: str, known: Iterable[str]) -> str:
    """The name that was probably meant, as the end of a sentence."""
    close = get_close_matches(name, tuple(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def failure(error: str) -> str:
    """What a run-time error says, without any value of a person in it."""
    if missing := _MISSING_KEY.search(error):
        return f"there is no {missing[1]!r} here: ask has() first"
    if unfit := _NO_RUNTIME_OVERLOAD.search(error):
        return _unfit(unfit[2], ", ".join(filter(None, (unfit[1], unfit[3]))))
    if "budget" in error:
        return "it takes too many steps"
    return f"it failed when it ran ({error.split(':', 1)[0]})"


def _worded(text: str, names: tuple[str, ...]) -> str:
    if undeclared := _UNDECLARED.match(text):
        name = undeclared[1]
        close = get_close_matches(name, names, n=1)
        hint = f", did you mean {close[0]!r}?" if close else ""
        return _SWITCHED_OFF.get(name, f"unknown name {name!r}{hint}")
    if unfit := _NO_OVERLOAD.match(text):
        return _unfit(unfit[1], unfit[2])
    if text.startswith("Syntax error"):
        slip = next((remedy for sign, remedy in _SLIPS.items() if sign in text.split(" expecting ", maxsplit=1)[0]), "")
        return slip or text.split(" expecting ", maxsplit=1)[0].replace("Syntax error: ", "not understood: ")
    return text


def _unfit(function: str, types: str) -> str:
    kinds = [kind.strip() for kind in types.split(",")]
    sign = function.strip("_") or function
    if sign == "+" and {"string", "bytes"} & set(kinds):
        return "joining texts with + is switched off"
    if sign.startswith("get") and kinds == ["string"]:
        return f"{sign!r} goes with a moment, not with text: put timestamp() around the text"
    hint = ": write 20.0 instead of 20" if {"double"} < set(kinds) <= {"double", "int"} else ""
    return f"{sign!r} does not go with {' and '.join(_WORDS.get(kind, kind) for kind in kinds)}{hint}"
