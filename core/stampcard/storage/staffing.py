"""Tills and the people who work at them: devices that are paired, PINs, and shifts."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, tuple_, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.value import Value
from stampcard.errors import Conflict, NotFound
from stampcard.sealing import Sealer
from stampcard.storage import saving
from stampcard.storage.rows import moment
from stampcard.storage.tables import shift, staff, till

#: Digits of a PIN.
PIN = 6
#: How much of the name of a shift is shown that somebody began with a PIN: all of it would open it.
_SHOWN = len("2026-11-30-") + 6
#: A PIN that somebody else has is drawn again so often.
_DRAWS = 20
#: Ids of people who work at tills.
_ID = re.compile(r"w_[0-9a-f]{12}")


class Till(Value, frozen=True):
    """A till; `pairing` is the number that its devices must know, so that those of an older pairing are out."""

    name: str
    branch: str
    pairing: int
    made_at: datetime
    ended_at: datetime | None = None


class Worker(Value, frozen=True):
    """Somebody who works at tills."""

    id: str
    name: str
    made_at: datetime
    ended_at: datetime | None = None


class Shift(Value, frozen=True):
    """One shift at one till, and what it has given: points, worth of rewards in ten-thousandths, typed cards."""

    till: str
    name: str
    staff: str
    opened_at: datetime
    closed_at: datetime | None
    points: int
    worth: int
    typed: int


def pair_till(connection: Connection, merchant: str, name: str, branch: str, now: datetime) -> Till:
    """Make a till, or pair it anew: devices that were paired before are out, and shifts on them end."""
    row = {"merchant": merchant, "name": name, "branch": branch, "pairing": 0, "made_at": to_micros(now)}
    saving.insert_new(connection, "till", [row])
    mine = (till.c.merchant == merchant, till.c.name == name)
    values = {"pairing": till.c.pairing + 1, "ended_at": None} | ({"branch": branch} if branch else {})
    connection.execute(update(till).where(*mine).values(values))
    _end_shifts(connection, merchant, shift.c.till == name, now)
    found = find_till(connection, merchant, name)
    assert found is not None
    return found


def end_till(connection: Connection, merchant: str, name: str, now: datetime) -> None:
    """Let nobody work at a till any more; raises NotFound, and Conflict for one that has ended."""
    mine = (till.c.merchant == merchant, till.c.name == name, till.c.ended_at.is_(None))
    if not connection.execute(update(till).where(*mine).values(ended_at=to_micros(now))).rowcount:
        if find_till(connection, merchant, name) is not None:
            raise Conflict("already_ended", f"the till {name} has ended already")
        raise NotFound("till", name)
    _end_shifts(connection, merchant, shift.c.till == name, now)


def _end_shifts(connection: Connection, merchant: str, those: ColumnElement[bool], now: datetime) -> None:
    open_ = (shift.c.merchant == merchant, those, shift.c.closed_at.is_(None))
    connection.execute(update(shift).where(*open_).values(closed_at=to_micros(now)))


def find_till(connection: Connection, merchant: str, name: str, *, lock: bool = False) -> Till | None:
    """One by its name, also one that is not used any more; `lock`: for whoever begins a shift there."""
    statement = select(till).where(till.c.merchant == merchant, till.c.name == name)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    return None if row is None else _till_of(row)


def list_tills(connection: Connection, merchant: str) -> list[Till]:
    """All, by name."""
    found = connection.execute(select(till).where(till.c.merchant == merchant).order_by(till.c.name))
    return [_till_of(row) for row in found]


def _print_of(sealer: Sealer, merchant: str, pin: str) -> str:
    return sealer.fingerprint(f"pin:{merchant}:{pin}")


def add_worker(connection: Connection, merchant: str, sealer: Sealer, name: str, now: datetime) -> tuple[Worker, str]:
    """Somebody new with a PIN of their own, which is shown this once; raises Conflict for a name that works already."""
    known = select(staff.c.id).where(staff.c.merchant == merchant, staff.c.name == name, staff.c.ended_at.is_(None))
    for _ in range(_DRAWS):
        pin, worker = _drawn(), Worker(id=f"w_{secrets.token_hex(6)}", name=name, made_at=now)
        row = {"merchant": merchant, "id": worker.id, "name": name, "pin_print": _print_of(sealer, merchant, pin)}
        if saving.insert_new(connection, "staff", [{**row, "made_at": to_micros(now)}]):
            return worker, pin
        if connection.execute(known).scalar() is not None:
            raise Conflict("works_already", f"{name} works here already: stampcard staff renew {name} makes a new PIN")
    raise _no_pin()


def _drawn() -> str:
    return str(secrets.randbelow(10**PIN)).rjust(PIN, "0")


def _no_pin() -> Conflict:
    return Conflict("no_pin", "no PIN was free: try again")


def _new_pin(connection: Connection, merchant: str, sealer: Sealer) -> str:
    for _ in range(_DRAWS):
        pin = _drawn()
        if worker_of(connection, merchant, sealer, pin) is None:
            return pin
    raise _no_pin()


def renew_pin(connection: Connection, merchant: str, sealer: Sealer, name: str, now: datetime) -> str:
    """Another PIN for somebody, which is shown this once, and the end of what was begun by the old one; raises NotFound."""
    pin = _new_pin(connection, merchant, sealer)
    _change(connection, merchant, name, now, pin_print=_print_of(sealer, merchant, pin))
    return pin


def _change(connection: Connection, merchant: str, name: str, now: datetime, **values: Any) -> None:
    """Change somebody who works here, and end their shifts; raises NotFound, and Conflict for whoever left."""
    mine = (staff.c.merchant == merchant, staff.c.name == name, staff.c.ended_at.is_(None))
    ids = list(connection.execute(select(staff.c.id).where(*mine)).scalars())
    if not ids:
        before = select(staff.c.id).where(staff.c.merchant == merchant, staff.c.name == name).limit(1)
        if connection.execute(before).scalar() is not None:
            raise Conflict("works_no_more", f"{name} works here no more: whoever comes back is added anew")
        raise NotFound("staff", name)
    connection.execute(update(staff).where(*mine).values(values))
    _end_shifts(connection, merchant, shift.c.staff.in_(ids), now)


def end_worker(connection: Connection, merchant: str, name: str, now: datetime) -> None:
    """Let somebody work here no more, and end their shifts; raises NotFound."""
    _change(connection, merchant, name, now, ended_at=to_micros(now))


def worker_of(connection: Connection, merchant: str, sealer: Sealer, pin: str, *, lock: bool = False) -> Worker | None:
    """Whose PIN it is; `lock`: for whoever goes on to begin a shift, so that another PIN ends that, too."""
    mine = (staff.c.merchant == merchant, staff.c.pin_print == _print_of(sealer, merchant, pin))
    statement = select(staff).where(*mine, staff.c.ended_at.is_(None))
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    return None if row is None else _worker_of(row)


def list_workers(connection: Connection, merchant: str) -> list[Worker]:
    """All who work here, or did, by name."""
    found = connection.execute(select(staff).where(staff.c.merchant == merchant).order_by(staff.c.name, staff.c.id))
    return [_worker_of(row) for row in found]


def open_shift(connection: Connection, merchant: str, till_name: str, worker: Worker, now: datetime) -> str:
    """Begin a shift of somebody at a till; answers its name, which nobody can guess."""
    name = f"{now:%Y-%m-%d}-{secrets.token_hex(12)}"
    row = {"merchant": merchant, "till": till_name, "name": name, "staff": worker.id, "opened_at": to_micros(now)}
    saving.insert(connection, "shift", [row])
    return name


def shown_shift(name: str, who: str | None) -> str:
    """The name of a shift as people may read it: all of one that somebody began with a PIN (`who`) would open it."""
    return name[:_SHOWN] if who and _ID.fullmatch(who) else name


def close_shift(connection: Connection, merchant: str, till_name: str, name: str, now: datetime) -> None:
    """End a shift; one that is over stays so."""
    mine = (shift.c.merchant == merchant, shift.c.till == till_name, shift.c.name == name, shift.c.closed_at.is_(None))
    connection.execute(update(shift).where(*mine).values(closed_at=to_micros(now)))


def find_shift(connection: Connection, merchant: str, till_name: str, name: str) -> tuple[Shift, Worker] | None:
    """A shift that is not over, of somebody who works here, at a till that is used."""
    mine = (shift.c.merchant == merchant, shift.c.till == till_name, shift.c.name == name, shift.c.closed_at.is_(None))
    row = connection.execute(select(shift).where(*mine)).one_or_none()
    at = find_till(connection, merchant, till_name)
    if row is None or row.staff is None or at is None or at.ended_at is not None:
        return None
    works = (staff.c.merchant == merchant, staff.c.id == row.staff, staff.c.ended_at.is_(None))
    worker = connection.execute(select(staff).where(*works)).one_or_none()
    return None if worker is None else (_shift_of(row), _worker_of(worker))


def list_shifts(
    connection: Connection, merchant: str, till_name: str | None, before: tuple[int, str, str] | None, limit: int
) -> Sequence[Shift]:
    """Shifts, the newest first, behind a place."""
    statement = select(shift).where(shift.c.merchant == merchant)
    if till_name is not None:
        statement = statement.where(shift.c.till == till_name)
    if before is not None:
        statement = statement.where(tuple_(shift.c.opened_at, shift.c.till, shift.c.name) < tuple_(*before))
    order = (shift.c.opened_at.desc(), shift.c.till.desc(), shift.c.name.desc())
    return [_shift_of(row) for row in connection.execute(statement.order_by(*order).limit(limit))]


def place_of(one: Shift) -> tuple[int, str, str]:
    """Where a shift stands in the list."""
    return to_micros(one.opened_at), one.till, shown_shift(one.name, one.staff)


def _till_of(one: Row[Any]) -> Till:
    return Till(
        name=one.name,
        branch=one.branch,
        pairing=one.pairing,
        made_at=from_micros(one.made_at),
        ended_at=moment(one.ended_at),
    )


def _worker_of(one: Row[Any]) -> Worker:
    return Worker(id=one.id, name=one.name, made_at=from_micros(one.made_at), ended_at=moment(one.ended_at))


def _shift_of(one: Row[Any]) -> Shift:
    return Shift(
        till=one.till,
        name=one.name,
        staff=one.staff or "",
        opened_at=from_micros(one.opened_at),
        closed_at=moment(one.closed_at),
        points=one.points,
        worth=one.worth,
        typed=one.typed,
    )
