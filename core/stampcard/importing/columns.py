"""Which column of a file is which field: the preset's, then what somebody says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from stampcard.domain.value import Value
from stampcard.errors import RequestRefused
from stampcard.importing.presets import Preset
from stampcard.program.faults import fault_of_name

#: Begins the field of an attribute that a program declares.
ATTRIBUTE = "attribute:"


class Columns(Value, frozen=True):
    """The columns that count: place → its heading as written, and its field. `left_out`: headings that nobody knows, or what the program does not."""

    fields: Mapping[int, tuple[str, str]]
    left_out: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        """The fields that there are."""
        return frozenset(field for _, field in self.fields.values())


def heading(written: str) -> str:
    """A heading in small letters and underscores, so that how it is spelt makes no difference."""
    return re.sub(r"[^a-z0-9]+", "_", written.lower()).strip("_")


def columns_of(header: Sequence[str], preset: Preset, said: Mapping[str, str], attributes: frozenset[str]) -> Columns:
    """The columns of a file; `said`: heading → field, or nothing to leave it out. Raises RequestRefused."""
    known = {heading(name): place for place, name in enumerate(header) if heading(name)}
    wanted = {heading(name): (name, field) for name, field in said.items()}
    for key, (name, field) in wanted.items():
        if key not in known:
            raise RequestRefused("unknown_column", fault_of_name("column", name, header))
        _check(field, preset, attributes)
    fields: dict[int, tuple[str, str]] = {}
    left_out: list[str] = []
    for place, name in enumerate(header):
        key = heading(name)
        field = wanted[key][1] if key in wanted else preset.columns.get(key, "")
        if field == "birthday" and field not in attributes:
            left_out.append(f"{name} (the program declares no attribute birthday)")
        elif field:
            _check_once(field, name, fields)
            fields[place] = (name, field)
        elif name:
            left_out.append(name)
    found = Columns(fields=fields, left_out=tuple(left_out))
    names = ", ".join(filter(None, header))
    if not found.names & {*preset.who}:
        ways = ", or =".join(preset.who)
        problem = f"no column says who a row is of: --map COLUMN={ways}; the file has: {names}"
        raise RequestRefused("nobody_named", problem)
    for field in preset.needs:
        if field not in found.names:
            problem = f"no column is {field}: --map COLUMN={field}; the file has: {names}"
            raise RequestRefused("missing_column", problem)
    return found


def _check(field: str, preset: Preset, attributes: frozenset[str]) -> None:
    if not field:
        return
    name = field.removeprefix(ATTRIBUTE)
    known = attributes if field.startswith(ATTRIBUTE) else preset.fields
    what = "attribute" if field.startswith(ATTRIBUTE) else "field"
    if name not in known or (field == "birthday" and field not in attributes):
        raise RequestRefused(
            "unknown_field", fault_of_name(what, name, sorted(known if name != "birthday" else attributes))
        )


def _check_once(field: str, name: str, fields: Mapping[int, tuple[str, str]]) -> None:
    for other, taken in fields.values():
        if taken == field:
            problem = f"the columns {other!r} and {name!r} are both {field}; leave one out: --map {name!r}="
            raise RequestRefused("field_twice", problem)
