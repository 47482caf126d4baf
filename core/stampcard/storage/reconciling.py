"""Orders that a source has and we do not, or not as they are now."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from stampcard.clock import from_micros, to_micros
from stampcard.plugin.orders import Listing
from stampcard.storage import rows, saving
from stampcard.storage.jobs import begin_job, load_job, move_job
from stampcard.storage.tables import order_state

#: The kind of record that is fetched.
ORDER = "order"


def behind(connection: Connection, merchant: str, source: str, listed: Sequence[Listing]) -> list[str]:
    """The references of orders that are not known as new as they are listed."""
    known = _known(connection, merchant, source, {one.reference for one in listed})
    return [one.reference for one in listed if one.reference not in known or known[one.reference] < one.changed_at]


def _known(connection: Connection, merchant: str, source: str, references: Collection[str]) -> Mapping[str, datetime]:
    """Reference → as of when the order is known."""
    statement = select(order_state).where(
        order_state.c.merchant == merchant,
        order_state.c.source == source,
        order_state.c.reference.in_(sorted(references)),
    )
    found = (rows.order_of(row, {}) for row in connection.execute(statement))
    return {one.reference: one.state.snapshot.stamp.at for one in found if one.state.snapshot is not None}


def want(connection: Connection, merchant: str, name: str, references: Collection[str], now: datetime) -> None:
    """Let these orders be fetched as soon as it can be."""
    at = to_micros(now)
    wanted = [
        {
            "merchant": merchant,
            "connection": name,
            "kind": ORDER,
            "reference": reference,
            "wanted_at": at,
            "due_at": at,
        }
        for reference in sorted(references)
    ]
    saving.insert_new(connection, "fetch", wanted)


def reconciled_until(connection: Connection, merchant: str, name: str) -> datetime | None:
    """Up to when all orders of a connection are known, if that was ever looked at."""
    known = load_job(connection, merchant, _job(name))
    return from_micros(int(known.place)) if known is not None and known.place else None


def look_back(connection: Connection, merchant: str, name: str, since: datetime) -> datetime:
    """Let all orders be looked at again that changed since a moment; answers since when that is, maybe longer ago."""
    known = reconciled_until(connection, merchant, name)
    if known is not None and known <= since:
        return known
    note_reconciled(connection, merchant, name, since, 0)
    return since


def note_reconciled(connection: Connection, merchant: str, name: str, until: datetime, found: int) -> None:
    """Write down that all is known up to a moment, and how many more orders were found behind."""
    known = begin_job(connection, merchant, _job(name), 0, until)
    move_job(connection, merchant, _job(name), str(to_micros(until)), known.done + found)


def _job(name: str) -> str:
    return f"reconcile:{name}"
