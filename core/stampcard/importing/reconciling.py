"""An import compared: what its file holds, read anew and for itself, against what the ledger has of it, to the point."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from sqlalchemy import Connection

from stampcard.domain.imports import Intake
from stampcard.engine.versions import LiveProgram
from stampcard.importing.columns import columns_of
from stampcard.importing.files import Record, Sheet, read
from stampcard.importing.options import options_of
from stampcard.importing.presets import PRESETS
from stampcard.storage.importing import booked_of, members_of, refused_lines
from stampcard.storage.loading import sources_of

_PAGE = 5_000
_MEMBERS = 500


@dataclass(slots=True)
class Total:
    """What one wallet comes to, in its smallest unit.

    `file`: all that the file holds. Of that `refused` and `known` (an earlier file brought it) changed nothing;
    `unread` rows were refused because nobody can read their points. `credited`: what the ledger was given for the rest;
    `returned`: what an undo took back of it.
    """

    file: int = 0
    refused: int = 0
    known: int = 0
    unread: int = 0
    credited: int = 0
    returned: int = 0

    @property
    def difference(self) -> int:
        """What does not agree; nothing else than 0 is right."""
        return self.file - self.refused - self.known - self.credited


def reconcile(
    connection: Connection, merchant: str, live: LiveProgram, intake: Intake, sheet: Sheet
) -> dict[str, Total]:
    """Wallet → its totals. Belongs into a reading transaction; memory stays flat."""
    totals = {name: Total() for name in live.program.wallets}
    _add_file(connection, merchant, live, intake, sheet, totals)
    after = ""
    while found := members_of(connection, merchant, intake.id, after, _MEMBERS):
        for wallet, credited, returned in booked_of(
            connection, merchant, intake.subject, [*found, *sources_of(connection, merchant, found)]
        ):
            total = totals.setdefault(wallet, Total())
            total.credited += credited
            total.returned += returned
        after = found[-1]
    return totals


def _add_file(
    connection: Connection, merchant: str, live: LiveProgram, intake: Intake, sheet: Sheet, totals: dict[str, Total]
) -> None:
    """Only how the columns are called is known here; what stands in them is read without the import's own reading."""
    options = options_of(intake)
    attributes = frozenset(live.program.attribute_types)
    columns = columns_of(sheet.header, PRESETS[options.preset], options.said, attributes)
    places = {field: place for place, (_, field) in columns.fields.items()}
    lines = _unimported(connection, merchant, intake.id)
    line, code = next(lines, (0, ""))
    fallback = options.wallet or next(iter(live.program.wallets))
    limit = intake.done  # also of one that was undone before its end was read
    for number, record in enumerate(read(sheet)):
        if number >= limit:
            break
        wallet = (_cell(record, places.get("wallet")) or fallback).lower()
        why = code if record.line == line else ""
        if why:
            line, code = next(lines, (0, ""))
        if (_cell(record, places.get("kind")) or "member").lower() in {"member", "lot"}:
            name = wallet if wallet in totals else fallback
            text, scale = _cell(record, places.get("points")), live.program.wallets[name].scale
            _add(totals[name], _amount(text, options.decimals, scale), why, written=bool(text))


def _add(total: Total, points: int | None, why: str, *, written: bool) -> None:
    if points is None:
        total.unread += written
        return
    total.file += points
    if why == "known":
        total.known += points
    elif why:
        total.refused += points


def _amount(text: str, decimals: str, scale: int) -> int | None:
    """Points by the digits alone; None where it cannot be told how many they are."""
    digits = re.sub(r"[^0-9.,+-]", "", text) if re.fullmatch(r"[\s0-9.,+'\u00a0\u2009\u202f\u2019-]+", text) else ""
    last = max(digits.rfind("."), digits.rfind(","))
    if not decimals and last >= 0:
        mark = digits[last]
        alone = digits.count(mark) == 1
        mixed = any(one in digits for one in ".," if one != mark)
        if alone and not mixed and len(digits) - last == 4:  # noqa: PLR2004 - three digits: thousands or not
            return None
        decimals = mark if alone else "," if mark == "." else "."
    digits = digits.translate({ord(one): "." if one == decimals else None for one in ".,"})
    try:
        exact = Decimal(digits) * 10**scale
    except InvalidOperation:
        return None
    return int(exact) if exact == int(exact) else None


def _cell(record: Record, place: int | None) -> str:
    return record.cells[place].strip() if place is not None and place < len(record.cells) else ""


def _unimported(connection: Connection, merchant: str, id_: str) -> Iterator[tuple[int, str]]:
    """The lines that changed nothing, in order."""
    after = 0
    while found := refused_lines(connection, merchant, id_, after, _PAGE):
        yield from found
        after = found[-1][0]
