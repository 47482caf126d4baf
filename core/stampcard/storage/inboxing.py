"""The inbox's rows: taken in many at a time, claimed for work, read for people."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import CompoundSelect, Connection, Row, Select, and_, delete, func, or_, select, union, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.commands import OWN
from stampcard.domain.deliveries import Delivery
from stampcard.sealing import Sealer
from stampcard.storage.numbering import Numbering
from stampcard.storage.saving import execute_many, insertion
from stampcard.storage.tables import connection_state, idempotency, inbox

#: How long a worker may hold what it claimed before another may take it over.
CLAIM = timedelta(seconds=60)
#: How many of the past are applied at once at most: nothing live is to wait long for the database.
PAST = 100
_HEADERS = msgspec.json.Decoder(dict[str, str])


@cache
def _take_in(dialect: str, columns: tuple[str, ...]) -> Any:
    """Insert; a redelivery of what was quarantined queues it again, any other duplicate changes nothing."""
    statement = insertion(inbox, dialect, columns)
    return statement.on_conflict_do_update(
        index_elements=["merchant", "connection", "key", "body_hash"],
        set_={"status": "ready", "attempts": 0, "next_at": 0, "body_sealed": statement.excluded.body_sealed},
        where=inbox.c.status == "quarantined",
    )


def _about(merchant: str, connection: str, key: str) -> bytes:
    return f"inbox:{merchant}:{connection}:{key}".encode()


def take_in(
    connection: Connection, merchant: str, deliveries: Sequence[Delivery], sealer: Sealer, numbering: Numbering
) -> int:
    """Store deliveries in one statement; answers how many were new or queued again, the others are duplicates."""
    rows = [
        {
            "merchant": merchant,
            "id": numbering.next(delivery.received_at),
            "connection": delivery.connection,
            "key": delivery.key,
            "body_hash": hashlib.sha256(delivery.body).hexdigest(),
            "topic": delivery.topic,
            "headers": msgspec.json.encode(delivery.headers).decode(),
            "body_sealed": sealer.seal(delivery.body, _about(merchant, delivery.connection, delivery.key)),
            "read_at": delivery.read_at,
            "received_at": to_micros(delivery.received_at),
            "past": int(delivery.past),
        }
        for delivery in deliveries
    ]
    unique = {(row["connection"], row["key"], row["body_hash"]): row for row in reversed(rows)}
    # Two processes that take in the same deliveries must meet in the same order.
    ordered = [unique[place] for place in sorted(unique)]
    return max(0, execute_many(connection, _take_in(connection.dialect.name, tuple(ordered[0])), ordered))


def ids_about(merchant: str, members: Collection[str], prints: Collection[str]) -> CompoundSelect[int]:
    """Ids of what came in about people, by fingerprints of their identities where no member is known of it.

    One index after the other: for both at once SQLite reads every row.
    """
    mine = select(inbox.c.id).where(inbox.c.merchant == merchant)
    return union(mine.where(inbox.c.member.in_(members)), mine.where(inbox.c.subject_print.in_(prints)))


def _ready(merchant: str, now: int, limit: int) -> Select[Any]:
    stopped = select(connection_state.c.connection).where(
        connection_state.c.merchant == merchant, connection_state.c.state == "paused"
    )
    return (
        select(inbox.c.id)
        .where(
            inbox.c.merchant == merchant,
            inbox.c.status == "ready",
            inbox.c.next_at <= now,
            inbox.c.connection.not_in(stopped),
        )
        .order_by(inbox.c.id)
        .limit(limit)
    )


def count_ready(connection: Connection, merchant: str, now: datetime, most: int) -> int:
    """How many deliveries wait to be applied; nobody counts beyond `most`."""
    waiting = _ready(merchant, to_micros(now), most).subquery()
    return connection.execute(select(func.count()).select_from(waiting)).scalar() or 0


def is_waiting(connection: Connection, merchant: str, name: str) -> bool:
    """Whether a delivery of a connection, or what we told ourselves, is still to be applied."""
    waiting = select(inbox.c.id).where(
        inbox.c.merchant == merchant, inbox.c.status == "ready", inbox.c.connection.in_((name, OWN))
    )
    return connection.execute(waiting.limit(1)).scalar() is not None


def claim(connection: Connection, merchant: str, owner: str, now: datetime, limit: int) -> list[Row[Any]]:
    """Ready rows, oldest first, now ours for a while; on SQLite the one worker needs no claim.

    They are all live or all of the past, and the past comes only when nothing live is ready.
    """
    for past, most in ((0, limit), (1, min(limit, PAST))):
        found = _claim(
            connection, merchant, owner, now, _ready(merchant, to_micros(now), most).where(inbox.c.past == past)
        )
        if found:
            return found
    return []


def _claim(connection: Connection, merchant: str, owner: str, now: datetime, ready: Select[Any]) -> list[Row[Any]]:
    at = to_micros(now)
    if connection.dialect.name == "sqlite":
        statement = select(inbox).where(inbox.c.merchant == merchant, inbox.c.id.in_(ready)).order_by(inbox.c.id)
        return list(connection.execute(statement))
    free = ready.where((inbox.c.claimed_until.is_(None)) | (inbox.c.claimed_until < at)).with_for_update(
        skip_locked=True, of=inbox
    )
    taken = (
        update(inbox)
        .where(inbox.c.merchant == merchant, inbox.c.id.in_(free))
        .values(claimed_by=owner, claimed_until=to_micros(now + CLAIM))
        .returning(inbox)
    )
    return sorted(connection.execute(taken), key=lambda row: row.id)


def delivery_of(row: Row[Any], sealer: Sealer) -> Delivery | None:
    """The delivery of a row, opened; None when its body was deleted."""
    if row.body_sealed is None:
        return None
    return Delivery(
        connection=row.connection,
        key=row.key,
        topic=row.topic,
        body=sealer.open(row.body_sealed, _about(row.merchant, row.connection, row.key)),
        received_at=from_micros(row.received_at),
        read_at=row.read_at,
        headers=_HEADERS.decode(row.headers),
        past=bool(row.past),
    )


def forget_bodies(connection: Connection, merchant: str, done_before: datetime, quarantined_before: datetime) -> int:
    """Delete bodies whose time of keeping is over; the rows stay, so that duplicates are still known.

    A body of which nobody can say whom it tells about is kept no longer than a quarantined one.
    """
    nobody = and_(inbox.c.member.is_(None), inbox.c.subject_print.is_(None))
    old = or_(
        and_(inbox.c.status.in_(("done", "dropped")), inbox.c.received_at < to_micros(done_before)),
        and_(
            or_(inbox.c.status == "quarantined", and_(inbox.c.status == "done", nobody)),
            inbox.c.received_at < to_micros(quarantined_before),
        ),
    )
    forgotten = update(inbox).where(inbox.c.merchant == merchant, inbox.c.body_sealed.is_not(None), old)
    return connection.execute(forgotten.values(body_sealed=None, headers="{}")).rowcount


def forget_answers(connection: Connection, merchant: str, before: datetime) -> None:
    """Delete stored answers whose requests nobody will repeat any more."""
    connection.execute(
        delete(idempotency).where(idempotency.c.merchant == merchant, idempotency.c.created_at < to_micros(before))
    )
