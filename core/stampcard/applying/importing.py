"""The unit of work that brings in some rows of a file from another platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, delete, tuple_

from stampcard.applying.identifying import Identifying
from stampcard.applying.registering import attribute_columns
from stampcard.applying.setting import Setting, Stale, check_revision
from stampcard.applying.settling import settle_members
from stampcard.applying.unit import Unit
from stampcard.clock import to_micros
from stampcard.domain.decisions import Change
from stampcard.domain.imports import Intake, Row
from stampcard.domain.members import Member
from stampcard.domain.tiers import Holding
from stampcard.domain.value import Value, replace
from stampcard.engine.importing import decide_import
from stampcard.engine.versions import LiveProgram
from stampcard.errors import Conflict, NotFound, RowRefused
from stampcard.storage import rows as shapes
from stampcard.storage import saving
from stampcard.storage.importing import load_intake, load_known, note_seen, plan_anew, refuse, save_intake
from stampcard.storage.tables import identity

_encode = msgspec.json.Encoder(order="deterministic").encode
#: Of these kinds the points are credited.
CREDITED = frozenset({"member", "lot"})


class Taken(Value, frozen=True):
    """A row that is brought in: its content's fingerprint, the how manieth of its like, whose it is; `made`: by this row."""

    row: Row
    print: str
    nth: int
    member: str
    made: bool


@dataclass(slots=True)
class Judged:
    """What becomes of some rows: those to bring in, those that an earlier file brought, those that are refused."""

    taken: list[Taken] = field(default_factory=list)
    known: dict[int, tuple[str, int]] = field(default_factory=dict)
    refused: list[RowRefused] = field(default_factory=list)


class Brought(NamedTuple):
    """How far an import is, what was refused of its last step, and what time had changed for those members before."""

    intake: Intake
    refused: list[RowRefused]
    changes: list[Change]


def judge(connection: Connection, setting: Setting, intake: Intake, rows: Sequence[Row]) -> tuple[Judged, Identifying]:
    """Say what becomes of these rows; nothing is written."""
    people = Identifying(connection, setting, intake.connection, rows)
    prints = [_print_of(setting, intake, row) for row in rows]
    known = load_known(connection, setting.merchant, set(prints))
    spare = {
        print_: sorted(one.nth for one in of if one.state == "applied" and one.seen_in != intake.id)
        for print_, of in known.items()
    }
    numbers = {print_: max(one.nth for one in of) for print_, of in known.items()}
    judged, counted = Judged(), set[str]()
    for row, print_ in zip(rows, prints, strict=True):
        if spare.get(print_):
            judged.known[row.line] = (print_, spare[print_].pop(0))
            continue
        try:
            found = people.find(row)
        except RowRefused as error:
            judged.refused.append(error)
            continue
        numbers[print_] = nth = numbers.get(print_, 0) + 1
        made = found.made and found.member not in counted
        counted.add(found.member)
        judged.taken.append(Taken(row=row, print=print_, nth=nth, member=found.member, made=made))
    return judged, people


def _print_of(setting: Setting, intake: Intake, row: Row) -> str:
    """Tells rows of the same content, whatever file they stand in."""
    content = _encode(replace(row, line=0)).decode()
    return setting.sealer.fingerprint(f"import:{setting.merchant}:{intake.program}:{intake.connection}:{content}")


def bring(
    connection: Connection,
    setting: Setting,
    now: datetime,
    intake: Intake,
    rows: Sequence[Row],
    refused: Sequence[RowRefused],
    place: str,
) -> Brought:
    """Bring in the next rows, up to `place`.

    `refused`: rows that could not be understood. Raises Conflict where another process goes on with the same import, Stale
    where somebody else made one of these members meanwhile.
    """
    check_revision(connection, setting)
    plan_anew(connection)
    stored = load_intake(connection, setting.merchant, intake.id, lock=True)
    if (stored.state, stored.place) != (intake.state, intake.place):
        raise Conflict("import_moved", f"another process goes on with the import {intake.id}")
    live = live_of(setting, intake.program, now)
    judged, people = judge(connection, setting, intake, rows)
    changes = settle_members(connection, setting, now, {one.member for one in judged.taken} - people.made)
    _make(connection, setting, now, live, judged.taken, people)
    _apply(connection, setting, now, live, intake, judged.taken)
    wrong = sorted([*refused, *judged.refused], key=lambda error: error.line)
    codes = {error.line: error.code for error in wrong} | dict.fromkeys(judged.known, "known")
    refuse(connection, setting.merchant, intake.id, codes)
    note_seen(connection, setting.merchant, intake.id, judged.known.values())
    moved = replace(
        intake,
        place=place,
        applied=intake.applied + len(judged.taken),
        known=intake.known + len(judged.known),
        refused=intake.refused + len(wrong),
        members=intake.members + len(people.made),
    )
    save_intake(connection, setting.merchant, moved)
    return Brought(moved, wrong, changes)


def live_of(setting: Setting, program: str, now: datetime) -> LiveProgram:
    """The program as it is now; raises NotFound."""
    for live in setting.programs.current(now):
        if live.name == program:
            return live
    raise NotFound("program that is valid now", program)


def _make(
    connection: Connection,
    setting: Setting,
    now: datetime,
    live: LiveProgram,
    taken: Sequence[Taken],
    people: Identifying,
) -> None:
    """Rows for those who are new, and for what is new of others."""
    merchant, members, joined = setting.merchant, dict[str, dict[str, Any]](), dict[str, dict[str, Any]]()
    since: dict[str, datetime] = {}
    for one in taken:
        if one.row.joined_at is not None:
            since[one.member] = min(one.row.joined_at, since.get(one.member, one.row.joined_at))
    for one in taken:
        at = since.get(one.member, now)
        if one.made:
            person = Member(id=one.member, joined_at=at, attributes=described(one.row))
            members[one.member] = {"merchant": merchant, "id": one.member, "joined_at": to_micros(at), "version": 0}
            members[one.member] |= attribute_columns(setting.sealer, merchant, person)
        anniversary = f"{at.astimezone(live.program.zone):%m-%d}"
        membership = {"merchant": merchant, "member": one.member, "program": live.name}
        joined.setdefault(one.member, {**membership, "joined_at": to_micros(at), "anniversary": anniversary})
    saving.insert(connection, "member", list(members.values()))
    saving.insert_new(connection, "membership", list(joined.values()))
    if people.claimed:
        place = tuple_(identity.c.connection, identity.c.reference).in_(sorted(people.claimed))
        connection.execute(delete(identity).where(identity.c.merchant == merchant, place))
    added = [
        {"merchant": merchant, "connection": key[0], "reference": key[1], "member": id_}
        for key, id_ in people.added.items()
    ]
    if saving.insert_new(connection, "identity", added) < len(added):
        raise Stale


def described(row: Row) -> Mapping[str, Any]:
    """What a row says of the person."""
    return {**row.attributes, **({"email": row.email} if row.email else {})}


def _apply(
    connection: Connection,
    setting: Setting,
    now: datetime,
    live: LiveProgram,
    intake: Intake,
    taken: Sequence[Taken],
) -> None:
    """Points, tiers and attributes, in silence; then what each row came to."""
    by_member: dict[str, list[Taken]] = {}
    for one in taken:
        by_member.setdefault(one.member, []).append(one)
    if not by_member:
        return
    unit = Unit(connection, setting, now)
    told = {one.member for one in taken if not one.made and described(one.row)}
    unit.lock(by_member, attributes=bool(told))
    if any(id_ not in unit.members or not unit.members[id_].is_there for id_ in by_member):
        raise Stale
    unit.silent = True
    found: list[dict[str, Any]] = []
    for id_, of in sorted(by_member.items()):
        lots, holdings = _credit(unit, live, id_, of, intake.subject), _raise(unit, live, id_, of)
        if id_ in told:
            _describe(unit, id_, of)
        unit.tiering.assess(id_)
        unit.judge_again(id_)
        found += [_row_of(setting, intake, one, lots.get(one.row.line), holdings.get(one.row.line)) for one in of]
    unit.save()
    saving.insert(connection, "imported", found)


def _credit(unit: Unit, live: LiveProgram, member: str, of: Sequence[Taken], subject: str) -> dict[int, int | None]:
    """Line → the lot that its points are in."""
    paying = [one.row for one in of if one.row.kind in CREDITED and one.row.points]
    if not paying:
        return {}
    decision, lots = decide_import(unit.world, live, member, paying, subject)
    unit.absorb(decision)
    return dict(zip((row.line for row in paying), lots, strict=True))


def _raise(unit: Unit, live: LiveProgram, member: str, of: Sequence[Taken]) -> dict[int, Holding]:
    """Line → the tier that it brought."""
    rows = [one.row for one in of if one.row.tier]
    return {row.line: unit.tiering.bring(live, member, row.tier, row.tier_until) for row in rows}


def _describe(unit: Unit, member: str, of: Sequence[Taken]) -> None:
    """Add what is not known of a member yet; the shop's own word counts more."""
    person = unit.members[member]
    attributes = dict(person.attributes)
    for one in of:
        attributes = {**described(one.row), **attributes}
    if attributes != person.attributes:
        unit.keep_before(member)
        unit.members[member] = replace(person, attributes=attributes)


def _row_of(setting: Setting, intake: Intake, one: Taken, lot: int | None, holding: Holding | None) -> dict[str, Any]:
    row, referral = one.row, {name: text for name in ("code", "friend") if (text := getattr(one.row, name))}
    about = f"imported:{setting.merchant}:{one.print}:{one.nth}"
    credited = row.kind in CREDITED or row.kind == "history"
    return {
        "merchant": setting.merchant,
        "print": one.print,
        "nth": one.nth,
        "intake": intake.id,
        "seen_in": intake.id,
        "line": row.line,
        "member": one.member,
        "kind": row.kind,
        "state": "applied",
        "created": int(one.made),
        "wallet": row.wallet if credited and row.points else "",
        "points": row.points if credited else 0,
        "lot": lot,
        "kept": 0,
        "tier": holding.name if holding is not None else "",
        "until": shapes.micros(holding.until) if holding is not None else None,
        "at": shapes.micros(row.at),
        "note": row.note,
        "referral_sealed": shapes.seal_object(setting.sealer, referral, about) if referral else None,
    }
