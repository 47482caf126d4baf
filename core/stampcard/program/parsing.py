"""YAML text to plain data, with the place of every key and value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
)

from stampcard.errors import Problem

#: Bytes of a program, and of a program with all of its messages.
LARGEST_FILE, LARGEST_STREAM = 64 * 1024, 512 * 1024
DEEPEST_NESTING = 16

Path = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}")
#: A line that ends one document and begins the next.
BORDER = re.compile(r"^---[ \t]*$", re.MULTILINE)
#: Where documents behind the first belong, and the key of each that says its name.
MESSAGES, MESSAGE = "messages", "message"
_HALF = re.compile(r"[\ud800-\udfff]")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}


class Place(NamedTuple):
    """Where something starts (counted from 1) and, for text, how it was written (`|`, `>`, `'`, `"` or plain)."""

    line: int
    column: int
    style: str = ""


class Document(NamedTuple):
    """What the text says, and where: `keys` and `values` give the place of each path."""

    data: Any
    keys: dict[Path, Place]
    values: dict[Path, Place]
    lines: list[str]

    def inside(self, path: Path, line: int, column: int) -> Place:
        """Where that line and column of the text at `path` stand in the file; its start where folding hides it."""
        place, value = self.values[path], self.data
        for part in path:
            value = value[part]
        wanted = value.split("\n")[line - 1 : line]
        at, start = (place.line + line, 0) if place.style == "|" else (place.line, place.column - 1)
        written = self.lines[at - 1] if at <= len(self.lines) else ""
        offset = written.find(wanted[0], start) if wanted else -1
        if offset < 0 or (line > 1 and place.style != "|"):
            return place
        return Place(at, offset + column)


class _Refused(Exception):
    """Reading cannot go on."""

    def __init__(self, event: Event, message: str) -> None:
        place = _place(event)
        self.problem = Problem(message, line=place.line, column=place.column)
        super().__init__(message)


def parse(text: str) -> tuple[Document | None, list[Problem]]:
    """The document and the problems found; no document if the text cannot be read at all.

    Works on the parser's events, so that nothing deep, shared or tagged is ever built.
    """
    sizes = [len(part.encode(errors="replace")) for part in BORDER.split(text)]
    if max(sizes) > LARGEST_FILE or sum(sizes) > LARGEST_STREAM:
        most = LARGEST_FILE if max(sizes) > LARGEST_FILE else LARGEST_STREAM
        return None, [Problem(f"the file is larger than {most // 1024} KB")]
    builder = _Builder(YAML(typ="safe", pure=True).parse(text))
    try:
        data = builder.document()
    except _Refused as refused:
        return None, [refused.problem]
    except YAMLError as error:
        return None, [_problem_of(error)]
    return Document(data, builder.keys, builder.values, text.split("\n")), builder.problems


class _Builder:
    def __init__(self, events: Iterator[Event]) -> None:
        self._events = events
        self.keys: dict[Path, Place] = {}
        self.values: dict[Path, Place] = {}
        self.problems: list[Problem] = []

    def document(self) -> Any:
        """The program, with the documents behind it among its messages."""
        started = False
        data: Any = None
        for event in self._events:
            if not isinstance(event, DocumentStartEvent):
                continue
            if not started:
                data, started = self._value(next(self._events), ()), True
            elif isinstance(data, dict):
                self._message(data, event)
            else:
                raise _Refused(event, "messages follow behind a program only")
        return data

    def _message(self, program: dict[str, Any], start: Event) -> None:
        """A document that is one message, taken into the program as if it had stood there."""
        keys, values = self.keys, self.values
        self.keys, self.values = {}, {}
        first = next(self._events)
        data = self._value(first, ())
        name = data.pop(MESSAGE, None) if isinstance(data, dict) else None
        if data is None:  # a border with nothing behind it
            self.keys, self.values = keys, values
            return
        known = program.setdefault(MESSAGES, {})
        if not isinstance(name, str) or not isinstance(known, dict):
            raise _Refused(first, f"what follows '---' is a message: begin it with '{MESSAGE}: NAME'")
        if name in known:
            place = self.values[MESSAGE,]
            self.problems.append(Problem(f"there is a message {name!r} already", line=place.line, column=place.column))
        known[name] = data
        base: Path = (MESSAGES, name)
        values.setdefault((MESSAGES,), _place(start))
        keys[base] = self.keys.pop((MESSAGE,))
        keys |= {(*base, *path): place for path, place in self.keys.items()}
        values |= {(*base, *path): place for path, place in self.values.items()}
        self.keys, self.values = keys, values

    def _value(self, event: Event, path: Path) -> Any:
        self._refuse_tricks(event)
        self.values[path] = _place(event)
        if isinstance(event, ScalarEvent):
            return _scalar(event)
        if len(path) >= DEEPEST_NESTING:
            raise _Refused(event, f"nested more than {DEEPEST_NESTING} levels deep")
        return self._mapping(path) if isinstance(event, MappingStartEvent) else self._sequence(path)

    def _sequence(self, path: Path) -> list[Any]:
        return [self._value(event, (*path, index)) for index, event in enumerate(self._until_end())]

    def _mapping(self, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for event in self._until_end():
            self._refuse_tricks(event)
            if not isinstance(event, ScalarEvent):
                raise _Refused(event, "a key is a plain word")
            key, place = _text(event), _place(event)
            value = self._value(next(self._events), (*path, key))
            if key in data:
                first = self.keys[*path, key].line
                self.problems.append(
                    Problem(
                        f"{key!r} stands here a second time (first in line {first})",
                        line=place.line,
                        column=place.column,
                    )
                )
            self.keys[*path, key] = place
            data[key] = value
        return data

    def _until_end(self) -> Iterator[Event]:
        for event in self._events:
            if isinstance(event, CollectionEndEvent):
                return
            yield event

    def _refuse_tricks(self, event: Event) -> None:
        if getattr(event, "anchor", None):
            raise _Refused(event, "anchors (&) and aliases (*) are not used in a program file: quote the text")
        if isinstance(event, ScalarEvent | CollectionStartEvent) and event.tag:
            raise _Refused(event, "tags (!) are not used in a program file: quote the text")


def _text(event: ScalarEvent) -> str:
    # JSON writes a character such as an emoji as two halves, and YAML takes each for a character.
    text = str(event.value)
    if not _HALF.search(text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise _Refused(
            event, "half a character (\\ud800 to \\udfff) says nothing: write the character itself"
        ) from None


def _scalar(event: ScalarEvent) -> Any:
    text = _text(event)
    if event.style:
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return Decimal(text) if _DECIMAL.fullmatch(text) else text


def _place(event: Event) -> Place:
    start = event.start_mark
    style = event.style if isinstance(event, ScalarEvent) else ""
    return Place(start.line + 1, start.column + 1, style or "")


def _problem_of(error: YAMLError) -> Problem:
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return Problem(f"not readable as YAML: {str(error).splitlines()[0]}")
    mark = error.problem_mark
    return Problem(f"not readable as YAML: {error.problem}", line=mark.line + 1, column=mark.column + 1)
