"""All that is known of one order, for whoever asks why it earned what it earned."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from stampcard.clock import from_micros
from stampcard.domain.awards import Award
from stampcard.domain.decisions import Reason
from stampcard.domain.value import Value
from stampcard.domain.wallets import Lot
from stampcard.engine.settling import settle
from stampcard.engine.world import Order
from stampcard.storage.loading import load_awards, load_wallets
from stampcard.storage.packing import unpack_reasons
from stampcard.storage.rows import order_of
from stampcard.storage.tables import event, lot, order_state

#: So many of an order's newest events are told.
MOST_EVENTS = 100


class Told(Value, frozen=True):
    """An event of the order as it was applied, with what was decided."""

    id: int
    kind: str
    occurred_at: datetime
    applied_at: datetime
    connection: str | None
    delivery: int | None
    reasons: tuple[Reason, ...]


class OwnedLot(Value, frozen=True):
    """A lot with whose it is."""

    member: str
    wallet: str
    lot: Lot


class Explanation(Value, frozen=True):
    """An order with its awards, its lots as of now, and its history, newest first."""

    order: Order
    updated_at: datetime
    awards: tuple[Award, ...]
    lots: tuple[OwnedLot, ...]
    history: tuple[Told, ...]

    @property
    def newest(self) -> tuple[Reason, ...]:
        """The reasons of the newest decision."""
        return self.history[0].reasons if self.history else ()


def explain(connection: Connection, merchant: str, source: str, reference: str, now: datetime) -> Explanation | None:
    """What is known of an order, or None."""
    row = connection.execute(
        select(order_state).where(
            order_state.c.merchant == merchant, order_state.c.source == source, order_state.c.reference == reference
        )
    ).one_or_none()
    if row is None:
        return None
    order = order_of(row, {})
    awards = load_awards(connection, merchant, [order.subject]).get(order.subject, {})
    return Explanation(
        order=order,
        updated_at=from_micros(row.updated_at),
        awards=tuple(award for _, award in sorted(awards.items())),
        lots=_lots(connection, merchant, order.subject, now),
        history=_history(connection, merchant, order.subject),
    )


def _lots(connection: Connection, merchant: str, subject: str, now: datetime) -> tuple[OwnedLot, ...]:
    """The order's lots, folded up to now like every figure that is shown."""
    owners: Collection[str] = set(
        connection.execute(
            select(lot.c.member).where(lot.c.merchant == merchant, lot.c.subject == subject).distinct()
        ).scalars()
    )
    return tuple(
        OwnedLot(member=wallet.member, wallet=wallet.name, lot=of)
        for key, wallet in sorted(load_wallets(connection, merchant, owners, [subject]).items())
        for _, of in sorted(settle(wallet, now)[0].lots.items())
        if of.subject == subject
    )


def _history(connection: Connection, merchant: str, subject: str) -> tuple[Told, ...]:
    statement = (
        select(event)
        .where(event.c.merchant == merchant, event.c.subject == subject)
        .order_by(event.c.id.desc())
        .limit(MOST_EVENTS)
    )
    return tuple(_told(row) for row in connection.execute(statement))


def _told(row: Row[Any]) -> Told:
    return Told(
        id=row.id,
        kind=row.kind,
        occurred_at=from_micros(row.occurred_at),
        applied_at=from_micros(row.applied_at),
        connection=row.connection,
        delivery=row.delivery,
        reasons=unpack_reasons(row.reasons),
    )
