"""The units of work behind an import: letting the shop hear of it, and taking it back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, exists, select

from stampcard.applying.importing import live_of
from stampcard.applying.outgoing import mark
from stampcard.applying.setting import Setting, check_revision
from stampcard.applying.settling import settle_members
from stampcard.applying.unit import Unit
from stampcard.domain.decisions import Change
from stampcard.domain.imports import Intake
from stampcard.domain.value import replace
from stampcard.engine.importing import Returned, decide_undo
from stampcard.engine.versions import LiveProgram
from stampcard.errors import Conflict
from stampcard.storage import audiences, importing, loading
from stampcard.storage.rows import moment
from stampcard.storage.tables import (
    consent,
    entry,
    event,
    identity,
    imported,
    member,
    membership,
    order_state,
    perk,
    plan_term,
    progress,
    push,
    redemption,
    segment_member,
    tier,
)

#: Events that tell of what we did ourselves, not of what a member did.
_OWN = ("tier_moved", "segment_changed", "perk_changed", "contact_seen", "consent_changed")
_OF_MEMBERS = (identity, membership, tier, progress, segment_member, perk)


class Undone(NamedTuple):
    """How far an undo is, how many members its last step removed, and what time had changed for the others."""

    intake: Intake
    gone: int
    changes: list[Change]


def send(connection: Connection, setting: Setting, now: datetime, intake: Intake, limit: int) -> Intake:
    """Ask once for the next members' new state to be pushed; the import has ended when nobody is left."""
    importing.plan_anew(connection)
    stored = _expected(connection, setting, intake)
    found = importing.members_of(connection, setting.merchant, intake.id, stored.place, limit)
    if found:
        people = loading.load_members(connection, setting.merchant, found, setting.sealer, attributes=False, lock=False)
        versions = {id_: one.version for id_, one in people.items() if one.version and one.erased_at is None}
        mark(connection, setting, now, versions)
    moved = replace(stored, place=found[-1]) if found else replace(stored, state="ended", place="", ended_at=now)
    importing.save_intake(connection, setting.merchant, moved)
    return moved


def begin_undo(connection: Connection, setting: Setting, id_: str) -> Intake:
    """An import that is being taken back from now on; one that was stays as it is.

    Raises Conflict for what people said: that is history, and what is said later counts.
    """
    stored = importing.load_intake(connection, setting.merchant, id_, lock=True)
    if stored.holds != "members":
        way = {"consents": "member consent", "suppressions": "message suppression remove"}[stored.holds]
        raise Conflict("no_undo", f"an import of {stored.holds} is not taken back; change single ones: stampcard {way}")
    if stored.state in {"undoing", "undone"}:
        return stored
    moved = replace(stored, state="undoing", place="")
    importing.save_intake(connection, setting.merchant, moved)
    return moved


def undo(connection: Connection, setting: Setting, now: datetime, intake: Intake, limit: int, *, quiet: bool) -> Undone:
    """Take back what is left of the next members' rows."""
    check_revision(connection, setting)
    importing.plan_anew(connection)
    stored = _expected(connection, setting, intake)
    found = importing.members_of(connection, setting.merchant, intake.id, stored.place, limit)
    gone, changes = set[str](), list[Change]()
    if found:
        changes = settle_members(connection, setting, now, found)
        rows = importing.rows_of(connection, setting.merchant, intake.id, found)
        applied = {id_: [row for row in of if row.state == "applied"] for id_, of in rows.items()}
        versions = _take_back(connection, setting, now, intake, applied)
        created = {row.member for of in applied.values() for row in of if row.created}
        gone = forget_idle(connection, setting, now, intake.subject, created)
        if not quiet:
            mark(connection, setting, now, {id_: n for id_, n in versions.items() if id_ not in gone and n})
    if found:
        moved = replace(stored, place=found[-1])
    elif importing.is_left(connection, setting.merchant, intake.id):
        # Somebody behind the place was merged into somebody before it.
        moved = replace(stored, place="")
    else:
        moved = replace(stored, state="undone", place="", undone_at=now)
    importing.save_intake(connection, setting.merchant, moved)
    return Undone(moved, len(gone), changes)


def _expected(connection: Connection, setting: Setting, intake: Intake) -> Intake:
    """The import, locked; raises Conflict where another process moved it."""
    stored = importing.load_intake(connection, setting.merchant, intake.id, lock=True)
    if (stored.state, stored.place) != (intake.state, intake.place):
        raise Conflict("import_moved", f"another process goes on with the import {intake.id}")
    return stored


def _take_back(
    connection: Connection, setting: Setting, now: datetime, intake: Intake, rows: Mapping[str, Sequence[Row[Any]]]
) -> dict[str, int]:
    """Undo rows of members; answers the members' versions."""
    unit = Unit(connection, setting, now)
    unit.lock(rows, attributes=False)
    unit.silent = True
    live = live_of(setting, intake.program, now)
    kept: dict[tuple[str, int], int] = {}
    expired = importing.expired_of(connection, setting.merchant, intake.subject, rows)
    for id_, of in sorted(rows.items()):
        returned = _return(unit, live, id_, of, intake.subject) if id_ in unit.members else {}
        for row in of:
            lost = returned.get((row.wallet, row.lot), 0) + expired.get((id_, row.wallet, row.lot), 0)
            credited = row.points if row.kind != "history" else 0
            kept[row.print, row.nth] = max(0, credited - lost)
    unit.save()
    importing.undo_rows(connection, setting.merchant, kept)
    return {id_: person.version for id_, person in unit.members.items() if person.erased_at is None}


def _return(
    unit: Unit, live: LiveProgram, member: str, rows: Sequence[Row[Any]], subject: str
) -> dict[tuple[str, int], int]:
    """(wallet, lot) → what came back."""
    lots = {(row.wallet, row.lot) for row in rows if row.lot is not None}
    returned: list[Returned] = []
    if lots:
        decision, returned = decide_undo(unit.world, member, lots, subject)
        unit.absorb(decision)
    for row in rows:
        if row.tier:
            unit.tiering.take_back(live, member, row.tier, moment(row.until))
    unit.judge_again(member)
    return {(one.wallet, one.lot): one.points for one in returned}


def forget_idle(
    connection: Connection,
    setting: Setting,
    now: datetime,
    subject: str,
    made: Collection[str],
    but: Collection[Table] = (),
) -> set[str]:
    """Remove members whom only an import made and who did nothing since; the ledger keeps its entries.

    `subject`: of the entries that came with it. `but`: tables in which it made rows of its own.
    """
    merchant = setting.merchant
    if not made:
        return set()
    # Whoever was awarded or spent anything has an entry of it.
    did: list[tuple[Any, list[ColumnElement[bool]]]] = [
        (imported, [(imported.c.state == "applied") | (imported.c.kept > 0)]),
        (identity, [identity.c.seen_at.is_not(None)]),
        (entry, [entry.c.subject.not_in(("", subject))]),
        (event, [event.c.kind.not_in(_OWN)]),
        (tier, [tier.c.state.like('%"by_hand":true%')]),
        (perk, [perk.c.state.like('%"hand":%')]),
        *((table, []) for table in (order_state, redemption, consent, plan_term)),
    ]
    statement = select(member.c.id).where(
        member.c.merchant == merchant,
        member.c.id.in_(sorted(made)),
        member.c.held_at.is_(None),
        member.c.erased_at.is_(None),
    )
    for table, conditions in did:
        if table in but:
            continue
        mine = (table.c.merchant == merchant, table.c.member == member.c.id)
        statement = statement.where(~exists(select(table.c.merchant).where(*mine, *conditions)))
    gone = set(connection.execute(statement).scalars())
    if gone:
        _remove(connection, setting, sorted(gone), but)
        audiences.owe(connection, merchant, (), gone, now)
    return gone


def _remove(connection: Connection, setting: Setting, gone: Sequence[str], but: Collection[Table]) -> None:
    merchant = setting.merchant
    for table in (*_OF_MEMBERS, *but):
        connection.execute(delete(table).where(table.c.merchant == merchant, table.c.member.in_(gone)))
    for name, kinds in setting.targets.items():
        # By key: without the connection a database goes through all pushes that there are.
        where = (
            push.c.merchant == merchant,
            push.c.connection == name,
            push.c.kind.in_(kinds),
            push.c.member.in_(gone),
        )
        connection.execute(delete(push).where(*where))
    connection.execute(delete(member).where(member.c.merchant == merchant, member.c.id.in_(gone)))
