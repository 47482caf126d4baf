"""A place in somebody else's JSON: ``order.items[].price``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal

from msgspec import Struct

_STEP = re.compile(r"""(?P<key>[^\s.\[\]"'$]+)|"(?P<quoted>[^"]+)"|\[(?P<place>-?[0-9]{0,6})\]""")
_ROOT = "$"
_DEEPEST = 20
WRONG = (
    "{path!r} is no path: write names with dots between them, such as order.items[].price; [] is each of a list, [0] the "
    'first, $ the whole body, and a name with odd signs stands in "quotes"'
)

Step = str | int | Literal[True]


class Path(Struct, frozen=True):
    """Steps into JSON: a name, a place in a list, or True for each of a list. `of_body`: it begins at the whole body."""

    text: str
    steps: tuple[Step, ...]
    of_body: bool = False


@lru_cache(maxsize=1024)
def parsed(text: str) -> Path:
    """The path that is written so; raises ValueError, which quotes it."""
    rest, steps = text, list[Step]()
    of_body = rest == _ROOT or rest.startswith((_ROOT + ".", _ROOT + "["))
    rest = rest.removeprefix(_ROOT).removeprefix(".") if of_body else rest
    while rest:
        found = _STEP.match(rest)
        if found is None or len(steps) == _DEEPEST or found["place"] == "-":
            raise ValueError(WRONG.format(path=text))
        place = found["place"]
        steps.append((int(place) if place else True) if place is not None else found["key"] or found["quoted"])
        rest = rest[found.end() :]
        if rest.startswith("."):
            rest = rest[1:] or "."
        elif rest and not rest.startswith("["):
            raise ValueError(WRONG.format(path=text))
    if not steps and not of_body:
        raise ValueError(WRONG.format(path=text))
    return Path(text=text, steps=tuple(steps), of_body=of_body)


def found(path: Path, body: Any, here: Any) -> list[Any]:
    """All that the path leads to, from `here` or from the whole body, but for nulls."""
    return [value for value in _walk(body if path.of_body else here, path.steps) if value is not None]


def is_empty(path: Path, body: Any, here: Any) -> bool:
    """Whether the path leads to a null or an empty text: the source says that there is nothing."""
    there = list(_walk(body if path.of_body else here, path.steps))
    return bool(there) and all(value is None or value == "" for value in there)


def _walk(value: Any, steps: Sequence[Step]) -> Iterator[Any]:
    for number, step in enumerate(steps):
        if step is True:
            # Systems that write XML first show a list of one as that one alone.
            for part in value if isinstance(value, list) else [value] if isinstance(value, dict) else ():
                yield from _walk(part, steps[number + 1 :])
            return
        if not _leads_on(value, step):
            return
        value = value[step]
    yield value


def _leads_on(value: Any, step: str | int) -> bool:
    if isinstance(step, str):
        return isinstance(value, dict) and step in value
    return isinstance(value, list) and -len(value) <= step < len(value)
