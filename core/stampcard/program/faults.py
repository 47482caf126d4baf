"""What is said of names that do not exist and of limits that contradict each other, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

from stampcard.program.limits import Limit

if TYPE_CHECKING:
    from stampcard.program.model import Program

#: Where something is wrong, and what.
Fault = tuple[tuple[str | int, ...], str]


def fault_of_name(what: str, name: str, known: Iterable[str]) -> str:
    names = tuple(known)
    if name in names:
        return ""
    close = get_close_matches(name, names, n=1)
    there = ", ".join(filter(None, names)) or "none"
    hint = f"did you mean {close[0]!r}?" if close else f"there is: {there}"
    return f"unknown {what} {name!r}, {hint}"


def faults_of_limits_list(program: Program, limits: Iterable[Limit], place: tuple[str | int, ...]) -> Iterable[Fault]:
    seen: set[str] = set()
    for index, limit in enumerate(limits):
        if limit.currency not in {"", program.currency}:
            yield (*place, index), f"the program's currency is {program.currency}, not {limit.currency}"
        if limit.name in seen:
            yield (*place, index), "another limit here counts the same already"
        seen.add(limit.name)
