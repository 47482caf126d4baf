"""What was done at counters: acts as they were told, what became of them, and what a shift has given."""

from __future__ import annotations

from datetime import datetime, time, timedelta, tzinfo
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, select, tuple_, update

from stampcard.clock import EPOCH, from_micros, to_micros
from stampcard.domain.tills import Act, Booked
from stampcard.domain.value import Value, replace
from stampcard.sealing import Sealer
from stampcard.storage import saving
from stampcard.storage.rows import to_json
from stampcard.storage.tables import act, shift

_POINTS = msgspec.json.Decoder(dict[str, int])


class ActKey(NamedTuple):
    """What makes an act one."""

    till: str
    id: str


class Totals(NamedTuple):
    """What one shift has given: points, worth of rewards in ten-thousandths, cards that were typed."""

    points: int = 0
    worth: int = 0
    typed: int = 0


class _Kept(Value, frozen=True):
    """What is kept of an act under seal."""

    act: Act
    detail: str = ""


_KEPT = msgspec.json.Decoder(_Kept)


def digest_of(sealer: Sealer, one: Act) -> str:
    """Of all that a till said: the same act told again has the same, and nobody else can tell what was said."""
    said = one if one.timed else replace(one, at=EPOCH)
    return sealer.fingerprint(f"act:{msgspec.json.encode(said).decode()}")


def _about(merchant: str, key: ActKey) -> bytes:
    return f"act:{merchant}:{key.till}:{key.id}".encode()


def reserve(connection: Connection, merchant: str, sealer: Sealer, one: Act, now: datetime) -> bool:
    """Let nobody else book this act; False where it was told before. Whoever books it at the same time is waited for."""
    row = {
        "merchant": merchant, "till": one.till, "id": one.id, "kind": one.kind, "status": "refused",
        "body_hash": digest_of(sealer, one), "at": to_micros(one.at), "received_at": to_micros(now),
        "shift": one.shift, "staff": one.staff, "of": one.of or None,
    }  # fmt: skip
    return saving.insert_new(connection, "act", [row]) == 1


def save_booked(connection: Connection, merchant: str, sealer: Sealer, booked: Booked) -> None:
    """Write what became of an act that is reserved."""
    key = ActKey(booked.act.till, booked.act.id)
    values = {
        "status": booked.status,
        "member": booked.member or None,
        "known": booked.known,
        "body_sealed": sealer.seal(
            msgspec.json.encode(_Kept(act=booked.act, detail=booked.detail)), _about(merchant, key)
        ),
        "points": to_json(booked.points),
        "worth": booked.worth,
        "redemption": booked.redemption or None,
        "undone_by": booked.undone_by or None,
        "code": booked.code or None,
        "note": booked.note,
    } | ({"asked_print": None} if booked.member else {})
    mine = (act.c.merchant == merchant, act.c.till == key.till, act.c.id == key.id)
    connection.execute(update(act).where(*mine).values(values))


def find_act(
    connection: Connection, merchant: str, sealer: Sealer, key: ActKey, *, lock: bool = False
) -> Booked | None:
    """What became of one."""
    statement = select(act).where(act.c.merchant == merchant, act.c.till == key.till, act.c.id == key.id)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    return None if row is None else _booked(row, sealer)


def hash_of(connection: Connection, merchant: str, key: ActKey) -> str | None:
    """The digest of what was told first."""
    mine = (act.c.merchant == merchant, act.c.till == key.till, act.c.id == key.id)
    return connection.execute(select(act.c.body_hash).where(*mine)).scalar()


def note_asked(connection: Connection, merchant: str, key: ActKey, print_: str) -> None:
    """Note that an act tells of somebody by an address by which nobody is known."""
    mine = (act.c.merchant == merchant, act.c.till == key.till, act.c.id == key.id)
    connection.execute(update(act).where(*mine).values(asked_print=print_))


def bare(one: Act | Row[Any]) -> Act:
    """An act of which nothing is known any more but that it was."""
    at = one.at if isinstance(one, Act) else from_micros(one.at)
    return Act(till=one.till, id=one.id, kind=one.kind, at=at, shift=one.shift, staff=one.staff, of=one.of or "")


def _booked(row: Row[Any], sealer: Sealer) -> Booked:
    key = ActKey(row.till, row.id)
    kept = (
        _KEPT.decode(sealer.open(row.body_sealed, _about(row.merchant, key)))
        if row.body_sealed is not None
        # Who was erased is not told of any more; that something happened is.
        else _Kept(act=bare(row))
    )
    return Booked(
        act=kept.act,
        status=row.status,
        received_at=from_micros(row.received_at),
        member=row.member or "",
        known=row.known,
        points=_POINTS.decode(row.points),
        worth=row.worth,
        redemption=row.redemption or "",
        code=row.code or "",
        detail=kept.detail,
        undone_by=row.undone_by or "",
        note=row.note,
    )


def held_about(
    connection: Connection, merchant: str, sealer: Sealer, of: Booked, asked: str, limit: int
) -> list[Booked]:
    """Acts that waited for this one: what undoes it, or takes it back, what its member had too few points for, and what was
    told of them before they were known by an address (`asked`: what that is found by).
    """
    waiting = select(act).where(act.c.merchant == merchant, act.c.status == "held").order_by(act.c.at, act.c.id)
    about = waiting.where(act.c.till == of.act.till, act.c.of == of.act.id).limit(limit)
    lacking = waiting.where(act.c.member == of.member, act.c.code == "insufficient_points").limit(limit)
    unknown = waiting.where(act.c.asked_print == asked).limit(limit)
    wanted = [about]
    if of.member and any(points > 0 for points in of.points.values()):
        wanted.append(lacking)
    if asked:
        wanted.append(unknown)
    return [_booked(row, sealer) for statement in wanted for row in connection.execute(statement)]


def acts_before(
    connection: Connection,
    merchant: str,
    sealer: Sealer,
    wanted: dict[str, str],
    before: tuple[int, str, str] | None,
    limit: int,
) -> list[Booked]:
    """Acts, the newest first, behind a place; `wanted`: column → value."""
    statement = select(act).where(act.c.merchant == merchant)
    for name, value in wanted.items():
        statement = statement.where(act.c[name] == value)
    if before is not None:
        statement = statement.where(tuple_(act.c.received_at, act.c.till, act.c.id) < tuple_(*before))
    statement = statement.order_by(act.c.received_at.desc(), act.c.till.desc(), act.c.id.desc()).limit(limit)
    return [_booked(row, sealer) for row in connection.execute(statement)]


def place_of(one: Booked) -> tuple[int, str, str]:
    """Where an act stands in the list."""
    return to_micros(one.received_at), one.act.till, one.act.id


def add_to_shift(
    connection: Connection, merchant: str, till: str, name: str, more: Totals, now: datetime, zone: tzinfo
) -> Totals:
    """Count what an act gives, in the shift's own row. Whoever counts at the same time waits.

    Answers all of the shift, and of what the same person began at this till on that day of the program's: ending a shift
    and beginning another gives nobody a second measure.
    """
    row = {"merchant": merchant, "till": till, "name": name, "opened_at": to_micros(now)}
    saving.insert_new(connection, "shift", [row])
    at_till = (shift.c.merchant == merchant, shift.c.till == till)
    mine = (*at_till, shift.c.name == name)
    own = connection.execute(select(shift.c.staff, shift.c.opened_at).where(*mine)).one()
    together: tuple[ColumnElement[bool], ...] = mine
    if own.staff is not None:
        day = from_micros(own.opened_at).astimezone(zone).date()
        begin, end = (datetime.combine(one, time(), zone) for one in (day, day + timedelta(days=1)))
        on_day = (shift.c.opened_at >= to_micros(begin), shift.c.opened_at < to_micros(end))
        together = (*at_till, shift.c.staff == own.staff, *on_day)
    connection.execute(select(shift.c.name).where(*together).order_by(shift.c.name).with_for_update()).all()
    values = {shift.c[field]: shift.c[field] + amount for field, amount in more._asdict().items() if amount}
    if values:
        connection.execute(update(shift).where(*mine).values(values))
    found = connection.execute(select(shift.c.points, shift.c.worth, shift.c.typed).where(*together)).all()
    return Totals(*(sum(column) for column in zip(*found, strict=True)))


def forget_unknown(connection: Connection, merchant: str, before: datetime) -> None:
    """Let go of what was said of people who are no members, in acts that nobody booked."""
    old = (act.c.merchant == merchant, act.c.member.is_(None), act.c.received_at < to_micros(before))
    # What takes another act back says nothing of anybody.
    unsaid = (act.c.status.in_(("held", "refused", "dismissed")), act.c.kind.not_in(("undo", "return")))
    told = act.c.body_sealed.is_not(None)
    connection.execute(update(act).where(*old, *unsaid, told).values(body_sealed=None, asked_print=None))
