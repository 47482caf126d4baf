"""Reads a GraphQL document just so far as to know which fields are asked for, and with which arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|#[^\n]*|\.\.\.|[(){}\[\]]|:|\$?\w+|\S')
_CLOSING = {"(": ")", "{": "}", "[": "]"}
_GID = re.compile(r"gid://shopify/\w+/\d+")


@dataclass(frozen=True, slots=True)
class Asked:
    """One field at the top of a document; `written` is what stands in its parentheses, `selected` what is read of it."""

    alias: str
    field: str
    written: str
    selected: str
    variables: Mapping[str, Any]

    def argument(self, name: str) -> Any:
        """The variable handed to this argument; nothing if it is written out."""
        return self._value(name, self.written)

    def inner(self, name: str) -> Any:
        """The variable handed to this argument of a field within."""
        return self._value(name, self.selected)

    def _value(self, name: str, written: str) -> Any:
        found = re.search(rf"\b{name}\s*:\s*\$(\w+)", written)
        return self.variables.get(found[1]) if found else None

    def gids(self) -> list[str]:
        """Those that are written out."""
        return _GID.findall(self.written)


def fields_of(document: str, variables: Mapping[str, Any]) -> list[Asked]:
    """The fields at the top of the only operation, in order; none if it is not GraphQL."""
    tokens = [token for token in _TOKEN.findall(document) if not token.startswith("#")]
    place = _begin(tokens)
    found: list[Asked] = []
    while place < len(tokens) and tokens[place] != "}":
        alias, field, place = _named(tokens, place)
        inside, place = _inside(tokens, place, "(")
        selected, place = _inside(tokens, place, "{")
        found.append(Asked(alias, field, " ".join(inside), " ".join(selected), variables))
    return found


def _begin(tokens: list[str]) -> int:
    """Where the selection of the operation begins, behind its name and variables."""
    place = 0
    while place < len(tokens) and tokens[place] != "{":
        _, after = _inside(tokens, place, "(")
        place = after if after > place else place + 1
    return place + 1


def _named(tokens: list[str], place: int) -> tuple[str, str, int]:
    name = tokens[place]
    if tokens[place + 1 : place + 2] == [":"]:
        return name, "".join(tokens[place + 2 : place + 3]), place + 3
    return name, name, place + 1


def _inside(tokens: list[str], place: int, opening: str) -> tuple[list[str], int]:
    """What stands in the brackets that open here, if any do, and where it goes on behind them."""
    if tokens[place : place + 1] != [opening]:
        return [], place
    depth = 0
    for end in range(place, len(tokens)):
        depth += (tokens[end] == opening) - (tokens[end] == _CLOSING[opening])
        if depth == 0:
            return tokens[place + 1 : end], end + 1
    return tokens[place + 1 :], len(tokens)
