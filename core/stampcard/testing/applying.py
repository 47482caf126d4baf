"""Events straight into the unit of work, without a server; each is a delivery of its own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, select, update

from stampcard.applying.deliveries import Prepared, Settled, apply_deliveries
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Sourced
from stampcard.clock import to_micros
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import Event
from stampcard.storage import inboxing
from stampcard.storage.database import Database
from stampcard.storage.tables import inbox
from stampcard.testing.building import NOON

OWNER = "me"
LATER = NOON + timedelta(hours=2)
_numbers = itertools.count(1)


def store(database: Database, setting: Setting, *bodies: bytes, connection: str = "shop") -> list[int]:
    """Deliveries with these bodies, received at noon and claimed by nobody; answers their ids."""
    deliveries = [
        Delivery(connection=connection, key=f"key-{next(_numbers)}", topic="t", body=body, received_at=NOON)
        for body in bodies
    ]

    def work(database_connection: Connection) -> list[int]:
        inboxing.take_in(database_connection, setting.merchant, deliveries, setting.sealer, setting.numbering)
        keys = [delivery.key for delivery in deliveries]
        found = database_connection.execute(select(inbox.c.id, inbox.c.key).where(inbox.c.key.in_(keys)))
        ids = {row.key: row.id for row in found}
        return [ids[key] for key in keys]

    return database.write_now(work)


def prepare(delivery: int, *events: Event, source: str = "shop") -> Prepared:
    """A delivery that tells of these events."""
    sourced = tuple(
        Sourced(event=event, connection=source, source=source, received_at=NOON, delivery=delivery) for event in events
    )
    return Prepared(delivery=delivery, connection=source, source=source, events=sourced)


def apply(
    database: Database, setting: Setting, batch: Sequence[Prepared], now: datetime = LATER
) -> tuple[Settled, ...]:
    """Claim deliveries and apply them in one transaction."""
    ids = [prepared.delivery for prepared in batch]
    claimed = {"claimed_by": OWNER, "claimed_until": to_micros(now + timedelta(minutes=1))}

    def work(connection: Connection) -> tuple[Settled, ...]:
        connection.execute(update(inbox).where(inbox.c.id.in_(ids)).values(claimed))
        return apply_deliveries(connection, setting, batch, now, OWNER).settled

    return database.write_now(work)


def tell(database: Database, setting: Setting, *events: Event, now: datetime = LATER, body: bytes = b"{}") -> list[str]:
    """Apply each event in a transaction of its own; answers what became of each."""
    found: list[str] = []
    for event in events:
        (delivery,) = store(database, setting, body)
        (settled,) = apply(database, setting, [prepare(delivery, event)], now)
        found.append(settled.status)
    return found


def rows(database: Database, statement: Select[Any]) -> Sequence[Row[Any]]:
    """What a statement finds."""
    return database.read_now(lambda connection: connection.execute(statement).all())
