"""The units of work that bring in rows of a file of consents, or of addresses that get no messages."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy import Connection

from stampcard.applying.consenting import bring_consents
from stampcard.applying.finding import Finding
from stampcard.applying.importing import Brought
from stampcard.applying.messaging import reach_print, suppress
from stampcard.applying.outgoing import mark
from stampcard.applying.setting import Setting, Stale, check_revision
from stampcard.applying.settling import settle_members
from stampcard.applying.unit import Unit
from stampcard.domain.consents import Consent
from stampcard.domain.decisions import Change
from stampcard.domain.imports import ConsentRow, Intake, SuppressionRow
from stampcard.domain.value import replace
from stampcard.errors import Conflict, RowRefused
from stampcard.storage.consenting import load_consents
from stampcard.storage.importing import load_intake, plan_anew, refuse, save_intake
from stampcard.storage.messages import load_suppressed

T = TypeVar("T")


@dataclass(slots=True)
class Sifted(Generic[T]):
    """What becomes of some rows: those that are new, the lines of those that say what is known, those that are refused."""

    taken: list[T] = field(default_factory=list)
    known: list[int] = field(default_factory=list)
    refused: list[RowRefused] = field(default_factory=list)


class Said(Sifted[tuple[str, ConsentRow]]):
    """The same of consents, each that is new with whose it is."""


def find(connection: Connection, setting: Setting, intake: Intake, rows: Sequence[ConsentRow]) -> Said:
    """Say whose these rows are; nothing is written, and what is known is not looked at."""
    found, people = Said(), Finding(connection, setting, intake.connection, rows)
    for row in rows:
        try:
            found.taken.append((people.find(row), row))
        except RowRefused as error:
            found.refused.append(error)
    return found


def sift_consents(connection: Connection, setting: Setting, intake: Intake, rows: Sequence[ConsentRow]) -> Said:
    """Say what becomes of these rows; nothing is written."""
    found = find(connection, setting, intake, rows)
    stored = load_consents(
        connection, setting.merchant, {id_ for id_, _ in found.taken}, setting.sealer, evidence=False
    )
    known = {(id_, one.channel, one.purpose, one.state, one.at) for id_, of in stored.items() for one in of}
    taken, found.taken = found.taken, []
    for id_, row in taken:
        said = (id_, row.channel, row.purpose, row.state, row.at)
        if said in known:
            found.known.append(row.line)
        else:
            known.add(said)
            found.taken.append((id_, row))
    return found


def import_consents(
    connection: Connection,
    setting: Setting,
    now: datetime,
    intake: Intake,
    rows: Sequence[ConsentRow],
    refused: Sequence[RowRefused],
    place: str,
) -> Brought:
    """Bring in the next consents, up to `place`; see `bring`."""
    _begin(connection, setting, intake)
    members = {id_ for id_, _ in find(connection, setting, intake, rows).taken}
    changes = settle_members(connection, setting, now, members)
    unit = Unit(connection, setting, now)
    unit.lock(members, attributes=False)
    if any(id_ not in unit.members or not unit.members[id_].is_there for id_ in members):
        raise Stale
    unit.silent = True
    found = sift_consents(connection, setting, intake, rows)
    if {id_ for id_, _ in found.taken} - members:
        raise Stale
    stored = load_consents(connection, setting.merchant, members, setting.sealer, evidence=False)
    bring_consents(unit, [(id_, _consent_of(row, intake, now)) for id_, row in found.taken], stored)
    unit.save()
    if not intake.options.get("quiet"):
        mark(
            connection,
            setting,
            now,
            {id_: unit.members[id_].version for id_ in sorted({id_ for id_, _ in found.taken})},
        )
    return _end(connection, setting, intake, place, found, refused, changes)


def _consent_of(row: ConsentRow, intake: Intake, now: datetime) -> Consent:
    return Consent(
        channel=row.channel,
        purpose=row.purpose,
        state=row.state,
        at=row.at,
        recorded_at=now,
        source=row.source,
        text=row.text,
        ip=row.ip,
        author=intake.subject,
    )


def sift_suppressions(
    connection: Connection,
    setting: Setting,
    intake: Intake,  # noqa: ARG001 - asked like the others
    rows: Sequence[SuppressionRow],
) -> Sifted[SuppressionRow]:
    """Say what becomes of these rows; nothing is written."""
    keys = [(row.channel, reach_print(setting, row.channel, row.address)) for row in rows]
    known = set(load_suppressed(connection, setting.merchant, {print_ for _, print_ in keys}))
    found = Sifted[SuppressionRow]()
    for key, row in zip(keys, rows, strict=True):
        if key in known:
            found.known.append(row.line)
        else:
            known.add(key)
            found.taken.append(row)
    return found


def import_suppressions(
    connection: Connection,
    setting: Setting,
    now: datetime,
    intake: Intake,
    rows: Sequence[SuppressionRow],
    refused: Sequence[RowRefused],
    place: str,
) -> Brought:
    """Bring in the next addresses, up to `place`; see `bring`."""
    _begin(connection, setting, intake)
    found = sift_suppressions(connection, setting, intake, rows)
    for row in found.taken:
        suppress(connection, setting, row.channel, row.address, row.reason, row.at or now, intake.subject, row.note)
    return _end(connection, setting, intake, place, found, refused, ())


def _begin(connection: Connection, setting: Setting, intake: Intake) -> None:
    """Raise Conflict where another process goes on with the same import."""
    check_revision(connection, setting)
    plan_anew(connection)
    stored = load_intake(connection, setting.merchant, intake.id, lock=True)
    if (stored.state, stored.place) != (intake.state, intake.place):
        raise Conflict("import_moved", f"another process goes on with the import {intake.id}")


def _end(
    connection: Connection,
    setting: Setting,
    intake: Intake,
    place: str,
    found: Sifted[T],
    refused: Sequence[RowRefused],
    changes: Collection[Change],
) -> Brought:
    """Write down how far it is, and what came to nothing."""
    wrong = sorted([*refused, *found.refused], key=lambda error: error.line)
    codes = {error.line: error.code for error in wrong} | dict.fromkeys(found.known, "known")
    refuse(connection, setting.merchant, intake.id, codes)
    moved = replace(
        intake,
        place=place,
        applied=intake.applied + len(found.taken),
        known=intake.known + len(found.known),
        refused=intake.refused + len(wrong),
    )
    save_intake(connection, setting.merchant, moved)
    return Brought(moved, wrong, [*changes])
