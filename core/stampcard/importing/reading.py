"""A record understood as a row: what each field may hold, and what each kind of row needs. Pure; refuses with reasons."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from stampcard.domain.imports import KINDS, Kind, Row
from stampcard.domain.value import Value
from stampcard.engine.versions import LiveProgram
from stampcard.errors import RowRefused
from stampcard.importing.columns import ATTRIBUTE, Columns
from stampcard.importing.files import Record
from stampcard.importing.parsing import (
    NEVER,
    Decimals,
    birthday_of,
    day_of,
    email_of,
    end_of,
    moment_of,
    phone_of,
    points_of,
)
from stampcard.importing.presets import ATTRIBUTES, DateOrder
from stampcard.program.faults import fault_of_name

_LONGEST = 500
#: How exports write that there is nothing.
_NOTHING = frozenset({"none", "-"})
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Manner(Value, frozen=True):
    """How the cells of one file are understood. `wallet` and `channel`: those of rows that name none."""

    live: LiveProgram
    columns: Columns
    width: int
    wallet: str
    now: datetime
    dates: DateOrder = ""
    decimals: Decimals = ""
    channel: str = ""


class Cells:
    """The cells of one record by field, each refused in its own place; raises RowRefused where they do not fit the first line."""

    def __init__(self, manner: Manner, record: Record) -> None:
        self._record = record
        self._cells = {
            field: (name, record.cells[place].strip())
            for place, (name, field) in manner.columns.fields.items()
            if place < len(record.cells)
        }
        if len(record.cells) != manner.width:
            problem = f"has {len(record.cells)} cells where the first line has {manner.width}"
            raise self.refuse("cells", problem, "a cell with a separator in it stands between quotes")

    def text(self, field: str) -> str:
        """What is written there."""
        return self._cells.get(field, ("", ""))[1]

    def read(self, field: str, how: Callable[[str], Any]) -> Any:
        """What stands there; None for nothing."""
        name, text = self._cells.get(field, ("", ""))
        if not text:
            return None
        if len(text) > _LONGEST or _CONTROLS.search(text):
            raise self.refuse("bad_value", "is too long, or no plain text", "shorten it, or leave it out", field)
        try:
            return how(" ".join(text.splitlines()))
        except RowRefused as error:
            raise error.at(self._record.line, name) from None

    def refuse(self, code: str, problem: str, remedy: str = "", field: str = "") -> RowRefused:
        """What is raised for a cell, or for the row as a whole."""
        name, text = self._cells.get(field, ("", ""))
        return RowRefused(code, problem, remedy, line=self._record.line, column=name, value=text)

    def attributes(self) -> list[str]:
        """The fields that describe the person."""
        return [field for field in self._cells if field in ATTRIBUTES or field.startswith(ATTRIBUTE)]


def row_of(manner: Manner, record: Record) -> Row:
    """The row; raises RowRefused with its line, its column, what stands there and what to change."""
    cells = Cells(manner, record)
    kind: Kind = cells.read("kind", one_of("kind", KINDS)) or "member"
    zone, dates = manner.live.program.zone, manner.dates
    wallet = _wallet(manner, cells)
    until = _ends(zone, manner)
    expires = cells.text("expires").lower()
    row = Row(
        line=record.line,
        kind=kind,
        reference=cells.read("reference", str) or "",
        email=cells.read("email", email_of) or "",
        attributes=_attributes(manner, cells),
        joined_at=cells.read("joined", past(manner, "nobody joined later than today")),
        wallet=wallet,
        points=cells.read("points", lambda text: _points(manner, kind, wallet, text)) or 0,
        available_from=cells.read("available_from", lambda text: moment_of(text, zone, dates)),
        expires_at=None if expires in NEVER else cells.read("expires", until),
        forever=expires in NEVER,
        tier=cells.read("tier", lambda text: _tier(manner.live, text)) or "",
        tier_until=None if cells.text("tier_until").lower() in _NOTHING else cells.read("tier_until", until),
        at=cells.read("at", lambda text: moment_of(text, zone, dates)),
        note=cells.read("note", str) or "",
        code=cells.read("code", str) or "",
        friend=cells.read("friend", str) or "",
    )
    _check(cells, row, manner.now)
    return row


def _check(cells: Cells, row: Row, now: datetime) -> None:
    """Raise RowRefused for what does not belong together."""
    if not row.reference and not row.email:
        raise cells.refuse("nobody", "says of nobody who they are", "fill in the address or the reference", "email")
    needs = {"lot": ("points", row.points), "tier": ("tier", row.tier), "history": ("at", row.at)}
    needs["referral"] = ("code", row.code or row.friend)
    if row.kind in needs and not needs[row.kind][1]:
        field = needs[row.kind][0]
        raise cells.refuse("missing", f"a row of kind {row.kind} needs {field}", "fill it in", field)
    if row.tier and row.tier_until is not None and row.tier_until <= now:
        raise cells.refuse("tier_over", "is past", "leave the tier out, or give it a later day", "tier_until")
    usable = max(now, row.available_from) if row.available_from else now
    if row.points > 0 and row.kind in {"member", "lot"} and row.expires_at is not None and row.expires_at <= usable:
        when = "is past" if row.expires_at <= now else "is before the points can be used"
        raise cells.refuse("expired", when, "leave the points out, or give them a later day", "expires")


def _points(manner: Manner, kind: str, wallet: str, text: str) -> int:
    points = points_of(text, manner.live.program.wallets[wallet].scale, manner.decimals)
    if points < 0 and kind != "history":
        remedy = "write 0, and take what is owed by hand: stampcard member adjust"
        raise RowRefused("negative_points", "is less than nothing", remedy, value=text)
    return points


def _wallet(manner: Manner, cells: Cells) -> str:
    wallets = tuple(manner.live.program.wallets)
    named = cells.read("wallet", one_of("wallet", wallets))
    if named is None and not manner.wallet and cells.text("points"):
        raise cells.refuse(
            "no_wallet", "the program has several wallets", f"say which: --wallet {' or '.join(wallets)}"
        )
    return str(named or manner.wallet or wallets[0])


def one_of(what: str, known: tuple[str, ...]) -> Callable[[str], str]:
    """Reads one of a few words, in small letters or not."""

    def read(text: str) -> str:
        found = text.lower() if text.lower() in known else text
        fault = fault_of_name(what, found, known)
        if fault:
            raise RowRefused(f"unknown_{what}", fault)
        return found

    return read


def _tier(live: LiveProgram, text: str) -> str:
    """A tier by its name, or as people see it."""
    if live.program.tiers is None:
        raise RowRefused("no_tiers", "is a tier, and the program has none", "leave the column out", value=text)
    levels = live.program.tiers.levels
    named = {shown.lower(): name for name, level in levels.items() for shown in (level.name or name, name)}
    found = named.get(text.lower(), text)
    fault = fault_of_name("tier", found, levels)
    if fault:
        raise RowRefused("unknown_tier", fault)
    return found


def _ends(zone: ZoneInfo, manner: Manner) -> Callable[[str], datetime]:
    return lambda text: end_of(text, zone, manner.dates)


def past(manner: Manner, remedy: str) -> Callable[[str], datetime]:
    """Reads a moment that is not ahead."""

    def read(text: str) -> datetime:
        moment = moment_of(text, manner.live.program.zone, manner.dates)
        if moment > manner.now:
            raise RowRefused("future", "lies ahead", remedy, value=text)
        return moment

    return read


def _attributes(manner: Manner, cells: Cells) -> Mapping[str, Any]:
    """What describes the person, as the program declares it."""
    kinds = manner.live.program.attribute_types
    readers: dict[str, Callable[[str], Any]] = {"phone": phone_of, "timezone": _zone}
    readers["birthday"] = lambda text: birthday_of(text, manner.dates)
    found: dict[str, Any] = {}
    for field in cells.attributes():
        name = field.removeprefix(ATTRIBUTE)
        value = cells.read(field, readers.get(name) or _typed(kinds[name], manner.dates))
        if value is not None:
            found[name] = value
    full = cells.read("name", str)
    if full and not found.keys() & {"first_name", "last_name"}:
        first, _, last = full.partition(" ")
        found |= {"first_name": first} | ({"last_name": last.strip()} if last.strip() else {})
    return found


def _typed(kind: str, dates: DateOrder) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            match kind:
                case "integer":
                    return int(text)
                case "number":
                    return float(text)
                case "boolean":
                    return _YES_OR_NO[text.lower()]
                case "date":
                    return day_of(text, dates).isoformat()
        except (ValueError, KeyError):
            raise RowRefused(
                "bad_value", f"is no {kind}", "as the program declares the attribute", value=text
            ) from None
        return text

    return read


_YES_OR_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RowRefused("bad_value", "is no time zone", "write it as Europe/Berlin", value=text) from None
    return text
