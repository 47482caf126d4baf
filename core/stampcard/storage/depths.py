"""How much waits, and for how long: what gauges and health show."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, func, select

from stampcard.clock import from_micros
from stampcard.domain.value import Value
from stampcard.storage.tables import inbox, outbox, push


class Depths(Value, frozen=True):
    """Numbers of rows; by connection: what is due, since when the oldest waits, what was given up."""

    ready: int
    quarantined: int
    pending: Mapping[str, int]
    oldest: Mapping[str, datetime]
    dead: Mapping[str, int]


def load_depths(connection: Connection, merchant: str) -> Depths:
    """Count; each count reads an index that holds only such rows."""
    pending: dict[str, int] = {}
    oldest: dict[str, datetime] = {}
    dead: dict[str, int] = {}
    waiting = (
        select(push.c.connection, func.count(), func.min(push.c.due_at))
        .where(push.c.merchant == merchant, push.c.wanted > push.c.sent, push.c.dead == 0)
        .group_by(push.c.connection)
    )
    for name, count, since in connection.execute(waiting):
        pending[name], oldest[name] = count, from_micros(since)
    commands = (
        select(outbox.c.connection, outbox.c.status, func.count())
        .where(outbox.c.merchant == merchant, outbox.c.status.in_(("ready", "attempting", "unknown", "dead")))
        .group_by(outbox.c.connection, outbox.c.status)
    )
    for name, status, count in connection.execute(commands):
        target = dead if status == "dead" else pending
        target[name] = target.get(name, 0) + count
    given_up = (
        select(push.c.connection, func.count())
        .where(push.c.merchant == merchant, push.c.wanted > push.c.sent, push.c.dead == 1)
        .group_by(push.c.connection)
    )
    for name, count in connection.execute(given_up):
        dead[name] = dead.get(name, 0) + count
    return Depths(
        ready=_count(connection, merchant, "ready"),
        quarantined=_count(connection, merchant, "quarantined"),
        pending=pending,
        oldest=oldest,
        dead=dead,
    )


def _count(connection: Connection, merchant: str, status: str) -> int:
    statement = select(func.count()).where(inbox.c.merchant == merchant, inbox.c.status == status)
    return connection.execute(statement).scalar() or 0
