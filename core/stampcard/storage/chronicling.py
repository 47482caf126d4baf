"""What happened to one member, from several tables in one order of time, a page at a time in both directions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, case, func, or_, select, tuple_

from stampcard.clock import from_micros
from stampcard.domain.decisions import Reason
from stampcard.domain.events import Event
from stampcard.domain.happenings import Happened
from stampcard.domain.imports import Before
from stampcard.domain.ledger import Entry
from stampcard.domain.rewards import Redemption
from stampcard.domain.value import Value
from stampcard.engine.world import Order
from stampcard.storage import rows
from stampcard.storage.loading import sources_of
from stampcard.storage.packing import unpack_reasons
from stampcard.storage.tables import entry, event, imported, membership, message, order_state, redemption

#: Of what happened at the same moment, what comes first.
JOINED, ORDERED, HEARD, BOOKED, REDEEMED, IMPORTED, MESSAGED = range(7)
#: An order is told once, as it is now; each of its news would repeat it.
_UNTOLD = ("order_seen", "alert")

_EVENT = msgspec.json.Decoder(Event | Happened)


class Place(NamedTuple):
    """Where something stands in a member's time: moment (microseconds), kind of row, and the row's own key."""

    at: int
    rank: int
    first: str = ""
    second: str = ""
    number: int = 0


class Heard(Value, frozen=True):
    """An event as it was applied, without personal data."""

    event: Event | Happened
    subject: str
    connection: str | None
    reasons: tuple[Reason, ...]


class Messaged(Value, frozen=True):
    """A message as it is now. `reason`: why it was dropped, or waits on."""

    id: int
    name: str
    channel: str
    state: str
    reason: str


class Happening(Value, frozen=True):
    """One thing that happened: a program's name (joined), an order as it is now, an event, an entry of the ledger,
    a redemption as it is now, at the time when it began, what an import told of another platform, or a message as it is
    now, at the time when it was to leave.
    """

    place: Place
    recorded_at: datetime
    what: str | Order | Heard | Entry | Redemption | Before | Messaged

    @property
    def at(self) -> datetime:
        """When it happened."""
        return from_micros(self.place.at)


class _Source(NamedTuple):
    """One table of happenings: its key, in order of time, and how a row of it is told."""

    statement: Select[Any]
    key: tuple[ColumnElement[Any], ...]
    local: Callable[[Place], tuple[Any, ...]]
    told: Callable[[Row[Any]], Happening]


def timeline(
    connection: Connection, merchant: str, member: str, beside: Place | None, limit: int, *, newer: bool = False
) -> list[Happening]:
    """Up to `limit` happenings, the newest first: those next to a place, older or newer, or the newest of all."""
    found: list[Happening] = []
    for rank, source in enumerate(_sources(merchant, member, sorted(sources_of(connection, merchant, [member])))):
        statement = source.statement
        if beside is not None:
            statement = statement.where(_beyond(source, rank, beside, newer=newer))
        key = [column.asc() if newer else column.desc() for column in source.key]
        found += [source.told(row) for row in connection.execute(statement.order_by(*key).limit(limit))]
    found.sort(key=lambda happening: happening.place, reverse=not newer)
    return found[:limit][::-1] if newer else found[:limit]


def _beyond(source: _Source, rank: int, beside: Place, *, newer: bool) -> ColumnElement[bool]:
    at = source.key[0]
    if rank == beside.rank:
        local, here = tuple_(*source.key), tuple_(*source.local(beside))
        return local > here if newer else local < here
    if newer:
        return at >= beside.at if rank > beside.rank else at > beside.at
    return at <= beside.at if rank < beside.rank else at < beside.at


def _sources(merchant: str, member: str, merged: Collection[str]) -> Sequence[_Source]:
    """By rank."""
    # Of an order that is not paid the row keeps no moment of its own.
    ordered: ColumnElement[Any] = case(
        (order_state.c.occurred_at > 0, order_state.c.occurred_at), else_=order_state.c.first_seen_at
    )
    joined = select(membership).where(membership.c.merchant == merchant, membership.c.member == member)
    orders = select(order_state, ordered.label("at")).where(
        order_state.c.merchant == merchant, order_state.c.member == member
    )
    heard = select(event).where(event.c.merchant == merchant, event.c.member == member, event.c.kind.not_in(_UNTOLD))
    # What was booked for whoever was merged into this member stands there still.
    booked = select(entry).where(
        entry.c.merchant == merchant,
        entry.c.member.in_([member, *merged]),
        or_(entry.c.member == member, entry.c.kind.not_in(("merge", "unmerge"))),
    )
    taken = select(redemption).where(redemption.c.merchant == merchant, redemption.c.member == member)
    before = select(imported).where(
        imported.c.merchant == merchant,
        imported.c.member == member,
        imported.c.kind == "history",
        imported.c.state == "applied",
    )
    # One that tries a message goes to somebody else.
    sent = func.coalesce(message.c.attempted_at, message.c.created_at)
    messages = select(message, sent.label("sent_at")).where(
        message.c.merchant == merchant, message.c.member == member, message.c.test == 0
    )
    return (
        _Source(joined, (membership.c.joined_at, membership.c.program), lambda place: (place.at, place.first), _joined),
        _Source(
            orders,
            (ordered, order_state.c.source, order_state.c.reference),
            lambda place: (place.at, place.first, place.second),
            _ordered,
        ),
        _Source(heard, (event.c.occurred_at, event.c.id), lambda place: (place.at, place.number), _heard),
        _Source(
            booked,
            (entry.c.occurred_at, entry.c.wallet, entry.c.member, entry.c.number),
            lambda place: (place.at, place.first, place.second, place.number),
            _booked,
        ),
        _Source(taken, (redemption.c.created_at, redemption.c.id), lambda place: (place.at, place.first), _redeemed),
        _Source(
            before,
            (imported.c.at, imported.c.print, imported.c.nth),
            lambda place: (place.at, place.first, place.number),
            _imported,
        ),
        _Source(messages, (sent, message.c.id), lambda place: (place.at, place.number), _messaged),
    )


def _joined(row: Row[Any]) -> Happening:
    place = Place(row.joined_at, JOINED, row.program)
    return Happening(place=place, recorded_at=from_micros(row.joined_at), what=str(row.program))


def _ordered(row: Row[Any]) -> Happening:
    place = Place(row.at, ORDERED, row.source, row.reference)
    return Happening(place=place, recorded_at=from_micros(row.updated_at), what=rows.order_of(row, {}))


def _heard(row: Row[Any]) -> Happening:
    heard = Heard(
        event=_EVENT.decode(row.body),
        subject=row.subject,
        connection=row.connection,
        reasons=unpack_reasons(row.reasons),
    )
    place = Place(row.occurred_at, HEARD, number=row.id)
    return Happening(place=place, recorded_at=from_micros(row.applied_at), what=heard)


def _booked(row: Row[Any]) -> Happening:
    place = Place(row.occurred_at, BOOKED, row.wallet, row.member, row.number)
    return Happening(place=place, recorded_at=from_micros(row.posted_at), what=rows.entry_of(row))


def _redeemed(row: Row[Any]) -> Happening:
    place = Place(row.created_at, REDEEMED, row.id)
    at = row.ended_at or row.issued_at or row.created_at
    return Happening(place=place, recorded_at=from_micros(at), what=rows.bare_redemption(row))


def _imported(row: Row[Any]) -> Happening:
    place = Place(row.at, IMPORTED, row.print, number=row.nth)
    told = Before(wallet=row.wallet, points=row.points, note=row.note)
    return Happening(place=place, recorded_at=from_micros(row.at), what=told)


def _messaged(row: Row[Any]) -> Happening:
    told = Messaged(id=row.id, name=row.name, channel=row.channel, state=row.state, reason=row.reason)
    at = row.changed_at or row.sent_at
    return Happening(place=Place(row.sent_at, MESSAGED, number=row.id), recorded_at=from_micros(at), what=told)
