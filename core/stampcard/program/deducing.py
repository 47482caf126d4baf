"""What the text of a condition tells by itself: that it never holds, always does, or how much a name must be.

Simple on purpose, so that nothing is claimed wrongly: it knows comparisons of one name with one constant, joined by &&
and ||. Anything else may be true or false.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from stampcard.program.ranges import Compared, Range, holds, natural

_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_COMMENT = re.compile(r"//[^\n]*")
#: Texts of other forms, which nobody needs in a program and this does not read.
_STRANGE = re.compile(r"\\|'''|\"\"\"|\b[rRbB]{1,2}['\"]")
_NAME = r"[a-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)+(?:\(\s*(?:'[^']*'|\"[^\"]*\")?\s*\))?"
_CONSTANT = r"-?\d+(?:\.\d+)?|'[^']*'|\"[^\"]*\""
_SIGN = r"==|!=|<=|>=|<|>"
_FORWARD = re.compile(rf"({_NAME})\s*({_SIGN})\s*({_CONSTANT})")
_BACKWARD = re.compile(rf"({_CONSTANT})\s*({_SIGN})\s*({_NAME})")
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_ROOTS = re.compile(r"\b(?:now|facts|member|history|order|event)\b")


class _Text(NamedTuple):
    """A piece of a condition, and the same with its quoted texts and comments blanked out."""

    written: str
    blanked: str

    def cut(self, start: int, end: int) -> _Text:
        """A piece of it, without blanks around."""
        blanked = self.blanked[start:end]
        start += len(blanked) - len(blanked.lstrip())
        end = max(start, end - (len(blanked) - len(blanked.rstrip())))
        return _Text(self.written[start:end], self.blanked[start:end])


def never(condition: str, fixed: Mapping[str, str]) -> str:
    """Why a condition never holds, or nothing; `fixed` names that always have the same text."""
    text = _read(condition)
    return _never(text, fixed) if text else ""


def always(condition: str, fixed: Mapping[str, str]) -> bool:
    """Whether a condition always holds."""
    text = _read(condition)
    return text is not None and _always(text, fixed)


def at_least(condition: str | None, name: str) -> Decimal:
    """What a number is at least whenever a condition holds; 0 where that is not known."""
    text = _read(condition or "")
    if text is None or len(_split(text, "||")) != 1:
        return Decimal(0)
    found = Range.of(name)
    for term in _terms(text):
        compared = _compared(term)
        if compared and compared.name == name:
            found = found.narrowed(compared)
    return found.low if found.low is not None else Decimal(0)


def is_constant(condition: str) -> bool:
    """Whether a condition reads nothing, so that it always says the same."""
    text = _read(condition)
    return text is not None and not _ROOTS.search(text.blanked)


def _read(condition: str) -> _Text | None:
    if _STRANGE.search(condition) or any("//" in quoted for quoted in _QUOTED.findall(condition)):
        return None
    written = _COMMENT.sub(lambda found: " " * len(found[0]), condition)
    blanked = _QUOTED.sub(lambda found: "'" + "_" * (len(found[0]) - 2) + "'", written)
    return _Text(written, blanked).cut(0, len(written))


def _split(text: _Text, sign: str) -> list[_Text]:
    """The pieces between that sign, outside brackets; one where a choice by ? and : makes it another thing."""
    pieces, depth, start = [], 0, 0
    for place, letter in enumerate(text.blanked):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and letter == "?":
            return [text]
        if depth == 0 and text.blanked.startswith(sign, place):
            pieces.append(text.cut(start, place))
            start = place + len(sign)
    return [*pieces, text.cut(start, len(text.blanked))]


def _bare(text: _Text) -> _Text:
    """Without brackets around all of it."""
    while text.blanked.startswith("(") and _closes(text.blanked) == len(text.blanked) - 1:
        text = text.cut(1, len(text.blanked) - 1)
    return text


def _closes(blanked: str) -> int:
    depth = 0
    for place, letter in enumerate(blanked):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0:
            return place
    return -1


def _terms(text: _Text) -> Iterator[_Text]:
    """What must all hold."""
    for piece in _split(_bare(text), "&&"):
        bare = _bare(piece)
        if len(_split(bare, "||")) == 1 and len(_split(bare, "&&")) > 1:
            yield from _terms(bare)
        else:
            yield bare


def _never(text: _Text, fixed: Mapping[str, str]) -> str:
    reasons = [_clash(piece, fixed) for piece in _split(_bare(text), "||")]
    return "; ".join(dict.fromkeys(reasons)) if all(reasons) else ""


def _clash(text: _Text, fixed: Mapping[str, str]) -> str:
    """Why these terms never hold together."""
    seen: dict[tuple[str, bool], list[Compared]] = {}
    for term in _terms(text):
        if term.written == "false":
            return "it says false"
        if len(_split(term, "||")) > 1 and (reason := _never(term, fixed)):
            return reason
        compared = _compared(term)
        if compared is None:
            continue
        earlier = seen.setdefault((compared.name, compared.is_text), [])
        if reason := _against(compared, earlier, fixed):
            return reason
        earlier.append(compared)
    return ""


def _against(compared: Compared, earlier: list[Compared], fixed: Mapping[str, str]) -> str:
    """Why a comparison never holds, or never together with those before it on the same name."""
    name = compared.name
    if compared.is_text and name in fixed and not Range.exactly(fixed[name]).narrowed(compared).is_possible:
        return f"{name} is always {fixed[name]!r}"
    alone = Range.of(name).narrowed(compared)
    if not alone.is_possible:
        return f"{name} is {natural(name).words}"
    together = alone
    for other in earlier:
        together = together.narrowed(other)
        if not alone.narrowed(other).is_possible:
            return f"{other} and {compared} never hold together"
    return "" if together.is_possible else f"{' and '.join(map(str, [*earlier, compared]))} never hold together"


def _always(text: _Text, fixed: Mapping[str, str]) -> bool:
    return any(all(_holds(term, fixed) for term in _terms(piece)) for piece in _split(_bare(text), "||"))


def _holds(term: _Text, fixed: Mapping[str, str]) -> bool:
    if len(_split(term, "||")) > 1:
        return _always(term, fixed)
    compared = _compared(term)
    if compared is None:
        return term.written == "true"
    if compared.is_text:
        known = fixed.get(compared.name)
        return (
            known is not None
            and compared.sign in {"==", "!="}
            and ((compared.constant == known) is (compared.sign == "=="))
        )
    return holds(compared)


def _compared(term: _Text) -> Compared | None:
    if found := _FORWARD.fullmatch(term.written):
        name, sign, constant = found.groups()
    elif found := _BACKWARD.fullmatch(term.written):
        constant, sign, name = found.groups()
        sign = _TURNED.get(sign, sign)
    else:
        return None
    is_text = constant[0] in "'\""
    number = None if is_text else Decimal(constant)
    return Compared(re.sub(r"\s", "", name), sign, constant[1:-1] if is_text else constant, number)
