"""Stored orders and reported events, member by member, through a changed program; nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

import msgspec
from sqlalchemy import Connection, or_, select

from stampcard.clock import from_micros, to_micros
from stampcard.domain.events import CustomEvent
from stampcard.domain.members import Member
from stampcard.domain.value import Value, replace
from stampcard.engine.simulating import ATTRIBUTES, FACTS, Life, Lived, Reported, Simulating
from stampcard.engine.tallying import Tally
from stampcard.engine.versions import LiveProgram
from stampcard.engine.world import Adjuster, FormulaWorker, Order
from stampcard.program.history import asks_for_rewards
from stampcard.sealing import Sealer
from stampcard.storage import loading, rows
from stampcard.storage.database import Database
from stampcard.storage.tables import event, member, membership, order_state

#: So many members are read in one transaction, and decided behind it.
CHUNK = 500

_CUSTOM = msgspec.json.Decoder(CustomEvent)


class Comparison(Value, frozen=True):
    """Which programs to compare for which merchant, over what happened since when, with how many samples."""

    merchant: str
    before: LiveProgram | None
    after: LiveProgram
    stopped: frozenset[str] = frozenset()
    since: datetime | None = None
    samples: int = 5
    adjust: Adjuster | None = None
    work_out: FormulaWorker | None = None

    @property
    def lives(self) -> tuple[LiveProgram, ...]:
        """The programs that there are."""
        return (self.after,) if self.before is None else (self.before, self.after)

    @property
    def needs_all(self) -> bool:
        """Whether also what happened before `since` must be decided, because limits or history count it."""
        return any(live.counts or live.recalls for live in self.lives)

    def asks_for(self, variable: str) -> bool:
        """Whether any condition reads a variable."""
        return any(variable in live.reads for live in self.lives)


def simulate(
    database: Database, sealer: Sealer, wanted: Comparison, progress: Callable[[int], None] = lambda _: None
) -> Tally:
    """Compare the programs over every member; memory stays flat.

    Members are decided one after the other, each in order of time: where a limit counts all members together, who gets
    what is left of it is approximate.
    """
    before, after = _simulating(wanted, wanted.before), _simulating(wanted, wanted.after)
    assert after is not None
    tally, last, done = Tally(before=wanted.before, after=wanted.after, wanted=wanted.samples), "", 0
    while True:
        lives = database.read_now(lambda connection: _lives(connection, sealer, wanted, last))  # noqa: B023 - runs at once
        if not lives:
            return tally
        for life in lives:
            tally.add(life, before.lived(life) if before else Lived(), after.lived(life))
        done, last = done + len(lives), lives[-1].member.id
        progress(done)


def _simulating(wanted: Comparison, live: LiveProgram | None) -> Simulating | None:
    if live is None:
        return None
    return Simulating(live, wanted.stopped, since=wanted.since, adjust=wanted.adjust, work_out=wanted.work_out)


def _lives(connection: Connection, sealer: Sealer, wanted: Comparison, after: str) -> list[Life]:
    """The next members behind `after`, with all that is stored of them; also those who were erased."""
    merchant = wanted.merchant
    statement = select(member.c.id).where(member.c.merchant == merchant, member.c.id > after)
    ids = list(connection.execute(statement.order_by(member.c.id).limit(CHUNK)).scalars())
    people = loading.load_members(
        connection, merchant, ids, sealer, attributes=wanted.asks_for(ATTRIBUTES) or _asks_for_zones(wanted), lock=False
    )
    people = _named(connection, wanted, people)
    joined = _joined(connection, wanted, ids)
    orders, events = _orders(connection, sealer, wanted, ids), _events(connection, wanted, ids)
    asks = any(asks_for_rewards(live.reads) for live in wanted.lives)
    taken = loading.load_taken(connection, merchant, ids) if asks else {}
    return [
        Life(
            member=people[id_],
            joined_at=joined.get(id_),
            orders=tuple(orders.get(id_, ())),
            events=tuple(events.get(id_, ())),
            taken=taken.get(id_, {}),
        )
        for id_ in ids
        if id_ in people
    ]


def _asks_for_zones(wanted: Comparison) -> bool:
    return any(live.program.asks_for_zones for live in wanted.lives)


def _named(connection: Connection, wanted: Comparison, people: dict[str, Member]) -> dict[str, Member]:
    if not any(live.names_members for live in wanted.lives):
        return people
    known = loading.load_identities_of(connection, wanted.merchant, list(people))
    return {
        id_: replace(person, names=frozenset(f"{row.connection}:{row.reference}" for row in known.get(id_, ())))
        for id_, person in people.items()
    }


def _joined(connection: Connection, wanted: Comparison, ids: Collection[str]) -> dict[str, datetime]:
    statement = select(membership.c.member, membership.c.joined_at).where(
        membership.c.merchant == wanted.merchant,
        membership.c.member.in_(ids),
        membership.c.program == wanted.after.name,
    )
    return {row.member: from_micros(row.joined_at) for row in connection.execute(statement)}


def _orders(connection: Connection, sealer: Sealer, wanted: Comparison, ids: Collection[str]) -> dict[str, list[Order]]:
    statement = select(order_state).where(order_state.c.merchant == wanted.merchant, order_state.c.member.in_(ids))
    if wanted.since is not None and not wanted.needs_all:
        # An order without a moment of its own is not paid, or was stored by a version that kept none.
        recent = order_state.c.occurred_at >= to_micros(wanted.since)
        statement = statement.where(or_(recent, order_state.c.occurred_at == 0))
    opens = wanted.asks_for(ATTRIBUTES) or wanted.asks_for(FACTS)
    found: dict[str, list[Order]] = {}
    for row in connection.execute(statement):
        about = f"order:{wanted.merchant}:{row.source}:{row.reference}"
        pinned = rows.open_object(sealer, row.pinned_member_sealed, about) if opens else {}
        found.setdefault(row.member, []).append(rows.order_of(row, pinned))
    return found


def _events(connection: Connection, wanted: Comparison, ids: Collection[str]) -> dict[str, list[Reported]]:
    statement = select(event).where(
        event.c.merchant == wanted.merchant, event.c.member.in_(ids), event.c.kind == "custom_event"
    )
    if wanted.since is not None and not wanted.needs_all:
        statement = statement.where(event.c.occurred_at >= to_micros(wanted.since))
    found: dict[str, list[Reported]] = {}
    for row in connection.execute(statement):
        told = _CUSTOM.decode(row.body)
        if any(told.name in live.conditions for live in wanted.lives):
            reported = Reported(source=row.connection or "", event=told, applied_at=from_micros(row.applied_at))
            found.setdefault(row.member, []).append(reported)
    return found
