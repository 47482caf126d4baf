"""What became of the points that were credited in a period, from the lots as they stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, func, select, tuple_

from stampcard.clock import from_micros
from stampcard.engine.reporting import Asked
from stampcard.storage.reports.folding import CHUNK, due_wallets
from stampcard.storage.reports.periods import everything, period_of, within
from stampcard.storage.tables import lot

FIGURES = ("credited", "taken", "expired", "open")
#: (wallet, period, figure) → points
Sums: TypeAlias = Counter[tuple[str, int, str]]
#: (member, wallet, number of the lot)
Key: TypeAlias = tuple[str, str, int]
_KEY = (lot.c.member, lot.c.wallet, lot.c.number)


def read_breakage(connection: Connection, asked: Asked) -> Iterator[dict[str, Any]]:
    """A row for each wallet and period."""
    successors = _successors(connection, asked)
    began = _began(connection, asked, successors)
    sums = _credited(connection, asked)
    sums.update(_renewed(asked, successors, began))
    sums.update(_due(connection, asked, began))
    for wallet in asked.wallets:
        for period, (first, last) in enumerate(asked.span.periods, 1):
            figures = {name: sums[wallet, period, name] for name in FIGURES}
            yield {"from": first, "to": last, "wallet": wallet, "scale": asked.scale(wallet), **figures}


def _credited(connection: Connection, asked: Asked) -> Sums:
    """Lots that were no others before."""
    inner = (
        select(
            lot.c.wallet,
            period_of(lot.c.occurred_at, asked.span).label("period"),
            lot.c.amount.label("credited"),
            lot.c.taken,
            lot.c.expired,
            lot.c.remaining.label("open"),
        )
        .where(everything(lot, asked.merchant), lot.c.wallet.in_(asked.wallets), lot.c.parent.is_(None))
        .where(*within(lot.c.occurred_at, asked.span))
        .subquery()
    )
    key = (inner.c.wallet, inner.c.period)
    statement = select(*key, *(func.sum(inner.c[name]) for name in FIGURES)).group_by(*key)
    sums: Sums = Counter()
    for wallet, period, *amounts in connection.execute(statement):
        sums.update({(wallet, period, name): int(n) for name, n in zip(FIGURES, amounts, strict=True)})
    return sums


def _successors(connection: Connection, asked: Asked) -> dict[Key, Row[Any]]:
    """Lots in which others went on."""
    statement = select(lot).where(
        everything(lot, asked.merchant), lot.c.wallet.in_(asked.wallets), lot.c.parent.is_not(None)
    )
    return {(row.member, row.wallet, row.number): row for row in connection.execute(statement)}


def _began(connection: Connection, asked: Asked, successors: Mapping[Key, Row[Any]]) -> dict[Key, datetime]:
    """When the first lot of each successor was credited: it counts there."""
    firsts = {key: _first(successors, key) for key in successors}
    keys = sorted(set(firsts.values()))
    found: dict[Key, datetime] = {}
    for start in range(0, len(keys), CHUNK):
        wanted = tuple_(*_KEY).in_(keys[start : start + CHUNK])
        statement = select(*_KEY, lot.c.occurred_at).where(lot.c.merchant == asked.merchant, wanted)
        for member, wallet, number, at in connection.execute(statement):
            found[member, wallet, number] = from_micros(at)
    return {key: found[first] for key, first in firsts.items()}


def _first(successors: Mapping[Key, Row[Any]], key: Key) -> Key:
    while key in successors:
        key = (key[0], key[1], successors[key].parent)
    return key


def _renewed(asked: Asked, successors: Mapping[Key, Row[Any]], began: Mapping[Key, datetime]) -> Sums:
    sums: Sums = Counter()
    for key, row in successors.items():
        period = asked.span.period_at(began[key])
        amounts = {"taken": row.taken, "expired": row.expired, "open": row.remaining}
        sums.update({(row.wallet, period, name): amount for name, amount in amounts.items()})
    return sums


def _due(connection: Connection, asked: Asked, began: Mapping[Key, datetime]) -> Sums:
    """What time has made due and nobody has booked yet."""
    sums: Sums = Counter()
    for due in due_wallets(connection, asked):
        before = {one.number: one for one in due.before}
        for one in due.after:
            at = began.get((due.member, due.wallet, one.number), one.occurred_at)
            period, was = asked.span.period_at(at), before[one.number]
            sums[due.wallet, period, "expired"] += one.expired - was.expired
            sums[due.wallet, period, "open"] += one.remaining - was.remaining
    return sums
