"""Plain data as YAML that `parsing` reads as the same data: in one line, or as a block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from stampcard.program.parsing import parse

_WORDS = {None: "null", True: "true", False: "false"}


def plain(value: Any) -> Any:
    """What the file says once the value is written: a number that is too long for one is text there."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    return _read(_number(value))


def flow(value: Any) -> str:
    """In one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key_text(key)}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    return _word(value)


def line(value: Any) -> str:
    """In one line that ends with it, where commas and brackets of a text mean nothing."""
    return _word(value, bare=True) if isinstance(value, str) else flow(value)


def block(value: Any, indent: int, levels: int) -> list[str]:
    """A section or a list as lines, so far in; what is nested deeper than `levels` stands in one line."""
    margin = " " * indent
    if isinstance(value, Mapping):
        lines = []
        for key, one in value.items():
            if levels > 1 and one and isinstance(one, Mapping | list | tuple):
                lines += [f"{margin}{key_text(key)}:", *block(one, indent + 2, levels - 1)]
            else:
                lines.append(f"{margin}{key_text(key)}: {line(one)}")
        return lines
    return [written for one in value for written in _item(one, indent, levels)]


def key_text(key: str) -> str:
    """A key as written."""
    return key if _keeps(f"{{{key}: 0}}", {key: 0}) else _quoted(key)


def _item(value: Any, indent: int, levels: int) -> Sequence[str]:
    if levels > 1 and value and isinstance(value, Mapping):
        first, *rest = block(value, indent + 2, levels - 1)
        return [f"{' ' * indent}- {first.lstrip()}", *rest]
    return [f"{' ' * indent}- {flow(value)}"]


def _word(value: Any, *, bare: bool = False) -> str:
    """A scalar; `bare`: at the end of a line of its own, where commas and brackets mean nothing."""
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    if not isinstance(value, str):
        return _number(value)
    begins_well = value[:1].isalnum() and value.isprintable()
    around = f"a: {value}" if bare else f"{{a: [{value}]}}"
    if begins_well and _keeps(around, {"a": value if bare else [value]}):
        return value
    return _quoted(value)


def _number(value: Any) -> str:
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return f"{number:f}"


def _keeps(written: str, meant: Any) -> bool:
    document, problems = parse(written)
    return document is not None and not problems and document.data == meant


def _read(token: str) -> Any:
    document, _ = parse(f"[{token}]")
    return document.data[0] if document is not None else token


def _quoted(text: str) -> str:
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in {'"', "\\"}:
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - as many digits as YAML wants
