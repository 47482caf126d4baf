"""How far the reading of a connection's past is: a row among the jobs, moved in the transaction that takes a page in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, func, select, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.deliveries import Delivery
from stampcard.domain.value import Value, replace
from stampcard.sealing import Sealer
from stampcard.storage import saving
from stampcard.storage.inboxing import take_in
from stampcard.storage.numbering import Numbering, number_at
from stampcard.storage.tables import inbox, job


class Terms(Value, frozen=True, omit_defaults=True):
    """What a backfill is beside its place.

    `since`: None for all orders that the vendor gives. `counted`: whether the vendor was asked how many there are. `stopped`:
    by people. `note`: what the vendor does; `trouble`: why the last try brought nothing, `tries`: how many did not.
    """

    since: datetime | None = None
    counted: bool = False
    stopped: bool = False
    next_at: datetime | None = None
    note: str = ""
    trouble: str = ""
    tries: int = 0


class Backfill(Value, frozen=True):
    """The reading of one connection's past: behind which place to go on, how many orders came of about how many."""

    connection: str
    started_at: datetime
    place: str = ""
    done: int = 0
    total: int = 0
    ended_at: datetime | None = None
    terms: Terms = Terms()

    @property
    def goes_on(self) -> bool:
        """Whether there is something left that may be read."""
        return self.ended_at is None and not self.terms.stopped

    @property
    def state(self) -> str:
        """In one word: reading, stopped or ended."""
        return "ended" if self.ended_at is not None else "stopped" if self.terms.stopped else "reading"


_TERMS = msgspec.json.Decoder(Terms)
_encode = msgspec.json.Encoder().encode


def load_backfill(connection: Connection, merchant: str, name: str) -> Backfill | None:
    """The newest of a connection."""
    found = connection.execute(select(job).where(*_mine(merchant, name))).one_or_none()
    return None if found is None else _of(found)


def open_backfills(connection: Connection, merchant: str) -> Sequence[Backfill]:
    """Those that did not come to their end, by connection."""
    mine = (job.c.merchant == merchant, job.c.name.startswith(_job(""), autoescape=True), job.c.ended_at.is_(None))
    return [_of(row) for row in connection.execute(select(job).where(*mine).order_by(job.c.name))]


def _of(found: Row[Any]) -> Backfill:
    return Backfill(
        connection=found.name.removeprefix(_job("")),
        started_at=from_micros(found.started_at),
        place=found.place,
        done=found.done,
        total=found.total,
        ended_at=None if found.ended_at is None else from_micros(found.ended_at),
        terms=_TERMS.decode(found.data),
    )


def begin_backfill(
    connection: Connection, merchant: str, name: str, now: datetime, since: datetime | None, *, anew: bool = False
) -> Backfill:
    """Let a connection's past be read: on from where it stopped, or `anew`; one that has ended begins anew."""
    known = load_backfill(connection, merchant, name)
    if known is not None and known.ended_at is None and not anew:
        if known.terms.stopped:
            known = replace(known, terms=replace(known.terms, stopped=False, next_at=None))
            connection.execute(update(job).where(*_mine(merchant, name)).values(data=_written(known.terms)))
        return known
    connection.execute(delete(job).where(*_mine(merchant, name)))
    terms = Terms(since=since)
    row = {"merchant": merchant, "name": _job(name), "data": _written(terms), "started_at": to_micros(now)}
    saving.insert(connection, "job", [row])
    return Backfill(connection=name, started_at=now, terms=terms)


def stop_backfill(connection: Connection, merchant: str, name: str) -> Backfill | None:
    """Let nothing more be read until it is begun again, from there; what was taken in is applied."""
    known = load_backfill(connection, merchant, name)
    if known is None or not known.goes_on:
        return known
    stopped = replace(known, terms=replace(known.terms, stopped=True))
    connection.execute(update(job).where(*_mine(merchant, name)).values(data=_written(stopped.terms)))
    return stopped


def move_backfill(connection: Connection, merchant: str, before: Backfill, after: Backfill) -> bool:
    """Write down how far it is, if it still is where it was; False where somebody else moved, stopped or began it anew."""
    moved = (
        update(job)
        .where(
            *_mine(merchant, before.connection),
            job.c.place == before.place,
            job.c.data == _written(before.terms),
            job.c.started_at == to_micros(before.started_at),
        )
        .values(
            place=after.place,
            done=after.done,
            total=after.total,
            data=_written(after.terms),
            ended_at=None if after.ended_at is None else to_micros(after.ended_at),
        )
    )
    return connection.execute(moved).rowcount == 1


def keep_page(
    connection: Connection,
    merchant: str,
    before: Backfill,
    after: Backfill,
    deliveries: Collection[Delivery],
    sealer: Sealer,
    numbering: Numbering,
) -> bool:
    """Take a page in and move on, both or neither; False, with nothing kept, where somebody else moved it meanwhile."""
    if not move_backfill(connection, merchant, before, after):
        return False
    if deliveries:
        take_in(connection, merchant, list(deliveries), sealer, numbering)
    return True


def outcomes(connection: Connection, merchant: str, backfill: Backfill) -> Mapping[str, int]:
    """What became of what it brought so far: how many deliveries are ready, done, quarantined."""
    counted = (
        select(inbox.c.status, func.count().label("number"))
        .where(
            inbox.c.merchant == merchant,
            inbox.c.connection == backfill.connection,
            inbox.c.id >= number_at(backfill.started_at),
            inbox.c.past == 1,
        )
        .group_by(inbox.c.status)
    )
    return {row.status: row.number for row in connection.execute(counted)}


def _mine(merchant: str, name: str) -> tuple[Any, ...]:
    return job.c.merchant == merchant, job.c.name == _job(name)


def _written(terms: Terms) -> str:
    return _encode(terms).decode()


def _job(name: str) -> str:
    return f"backfill:{name}"
