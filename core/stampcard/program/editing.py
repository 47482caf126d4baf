"""Changing one rule, reward or campaign in a program's text: every other line, comments too, stays as it was written."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Literal

from stampcard.errors import NotFound, RequestRefused
from stampcard.program.parsing import Path
from stampcard.program.rendering import plain
from stampcard.program.splicing import Text

Section = Literal["rules", "campaigns", "rewards"]
Part = Mapping[str, Any]

#: Sections whose settings mean something by their order: shares are drawn one after the other.
_IN_ORDER = frozenset({"variants"})
#: More changes than any part can need, should one ever not take.
_MOST = 500
#: How deep each section is written as a block, below which everything stands in one line.
_LEVELS: Mapping[Section, int] = {"rules": 2, "campaigns": 2, "rewards": 2}
_WORDS: Mapping[Section, str] = {"rules": "rule", "campaigns": "campaign", "rewards": "reward"}


def part_of(text: str, section: Section, name: str) -> dict[str, Any]:
    """A rule or campaign as it stands in the text; raises NotFound with the closest name there is."""
    read = Text(text, name)
    shown: dict[str, Any] = _shown(read.value(_place(read, section, name)))
    return shown


def with_part(text: str, section: Section, name: str, part: Part) -> str:
    """The text with another rule or campaign of that name, or with one more at the end.

    What is new is not judged here. Raises ProgramError for what cannot even be read, RequestRefused for a rule with
    another id, or where the text is written so oddly that it cannot be changed in place.
    """
    wanted = plain({"id": name, **part} if section == "rules" else part)
    if section == "rules" and wanted["id"] != name:
        raise RequestRefused("other_id", f"the rule {name!r} cannot become {wanted['id']!r}: its awards keep its id")
    before = Text(text, name)
    meant = _replaced(before.data, section, name, wanted)
    changed = _put(text, section, name, wanted)
    return _checked(changed, meant, name)


def without_part(text: str, section: Section, name: str) -> str:
    """The text without a rule or campaign; raises NotFound."""
    read = Text(text, name)
    place = _place(read, section, name)
    meant = _replaced(read.data, section, name, None)
    last = place[-1]
    changed = read.without_item(place[:-1], last) if isinstance(last, int) else read.without_entry(place, keep=False)
    return _checked(changed, meant, name)


def _put(text: str, section: Section, name: str, wanted: dict[str, Any]) -> str:
    read = Text(text, name)
    if not read.data.get(section):
        return read.with_section(section, [wanted] if section == "rules" else {name: wanted}, _LEVELS[section])
    place = _found(read, section, name)
    if place is None:
        level = _LEVELS[section] - 1
        if section == "rules":
            return read.with_item(("rules",), wanted, level)
        return read.with_entry((section,), name, wanted, level)
    for _ in range(_MOST):
        changed = _step(read, place, wanted)
        if changed is None:
            return read.text
        read = Text(changed, name)
    return read.text


def _step(read: Text, place: Path, wanted: Any) -> str | None:
    """The text with the first difference mended, None if there is none."""
    there = read.value(place)
    if _same(there, wanted, place[-1]):
        return None
    if not (isinstance(there, dict) and isinstance(wanted, dict) and there and wanted):
        return _whole(read, place, wanted)
    merged = [key for key in there if key in wanted] + [key for key in wanted if key not in there]
    if place[-1] in _IN_ORDER and merged != list(wanted):
        return _whole(read, place, wanted)
    for key in there:
        if key not in wanted:
            return read.without_entry((*place, key), keep=True)
        changed = _step(read, (*place, key), wanted[key])
        if changed is not None:
            return changed
    return next((read.with_entry(place, key, wanted[key], 0) for key in wanted if key not in there), None)


def _whole(read: Text, place: Path, wanted: Any) -> str:
    if isinstance(place[-1], int):
        raise _odd(str(place[-1]))
    return read.replaced(place, wanted)


def _same(one: Any, other: Any, name: str | int = "") -> bool:
    """Equal as the file reads it: true is not 1, but 2 is 2.0."""
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys() or (name in _IN_ORDER and list(one) != list(other)):
            return False
        return all(_same(one[key], other[key], key) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    numbers = (int, Decimal)
    if isinstance(one, numbers) and isinstance(other, numbers):
        return isinstance(one, bool) is isinstance(other, bool) and one == other
    return type(one) is type(other) and bool(one == other)


def _checked(changed: str, meant: dict[str, Any], name: str) -> str:
    """The changed text, once it says just what it should."""
    if not _same(Text(changed, name).data, meant):
        raise _odd(name)
    return changed


def _odd(name: str) -> RequestRefused:
    remedy = "change the file and apply all of it"
    return RequestRefused("not_in_place", f"the text is written so that {name!r} cannot be changed in it: {remedy}")


def _replaced(data: dict[str, Any], section: Section, name: str, wanted: dict[str, Any] | None) -> dict[str, Any]:
    """What the file should say afterwards; None: without that part."""
    there: Any = data.get(section) or ([] if section == "rules" else {})
    if section != "rules":
        after: Any = {key: part for key, part in there.items() if wanted is not None or key != name}
        return {**data, section: after if wanted is None else {**after, name: wanted}}
    found = [_is_called(rule, name) for rule in there]
    if wanted is None:
        return {**data, section: [rule for rule, is_it in zip(there, found, strict=True) if not is_it]}
    if not any(found):
        return {**data, section: [*there, wanted]}
    both = zip(there, found, strict=True)
    return {**data, section: [wanted if is_it else rule for rule, is_it in both]}


def _found(read: Text, section: Section, name: str) -> Path | None:
    there = read.data.get(section) or {}
    if section != "rules":
        return (section, name) if name in there else None
    index = next((index for index, rule in enumerate(there) if _is_called(rule, name)), None)
    return None if index is None else (section, index)


def _place(read: Text, section: Section, name: str) -> Path:
    place = _found(read, section, name)
    if place is None:
        there = read.data.get(section) or ()
        names = [str(rule.get("id")) for rule in there] if section == "rules" else list(there)
        raise NotFound(_WORDS[section], name, *get_close_matches(name, names, n=1))
    return place


def _is_called(rule: Any, name: str) -> bool:
    return isinstance(rule, dict) and rule.get("id") == name


def _shown(value: Any) -> Any:
    """Data as JSON has it."""
    if isinstance(value, dict):
        return {key: _shown(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_shown(one) for one in value]
    return float(value) if isinstance(value, Decimal) else value
