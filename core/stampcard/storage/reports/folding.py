"""What time has made due and nobody has booked yet, worked out by the engine's own function as readers do."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import Connection, func, select

from stampcard.clock import EPOCH, from_micros, to_micros
from stampcard.domain.ledger import Entry, EntryKind
from stampcard.domain.value import Value
from stampcard.domain.wallets import Lot, Wallet
from stampcard.engine.reporting import Asked
from stampcard.engine.settling import settle
from stampcard.storage.loading import load_wallets
from stampcard.storage.tables import balance, entry

#: What time alone does to a wallet.
BY_TIME: tuple[EntryKind, ...] = ("activate", "lapse", "expire")
#: Members that are looked at together.
CHUNK = 500


class Due(Value, frozen=True):
    """A wallet that is due: its lots before and after, and the entries with the moment at which each counts."""

    member: str
    wallet: str
    before: tuple[Lot, ...]
    after: tuple[Lot, ...]
    entries: tuple[tuple[datetime, Entry], ...]


def due_wallets(connection: Connection, asked: Asked) -> Iterator[Due]:
    """Every wallet of the program that is due; while timers run these are few."""
    place = ""
    while members := _due_members(connection, asked, place):
        place = members[-1]
        posted = _last_posted(connection, asked, members)
        for key, wallet in load_wallets(connection, asked.merchant, members).items():
            if wallet.name in asked.wallets:
                yield _due(wallet, asked.now, posted.get(key, EPOCH))


def _due(wallet: Wallet, now: datetime, posted: datetime) -> Due:
    after, entries = settle(wallet, now)
    return Due(
        member=wallet.member,
        wallet=wallet.name,
        before=tuple(wallet.lots.values()),
        after=tuple(after.lots.values()),
        entries=tuple((max(one.occurred_at, posted), one) for one in entries),
    )


def _due_members(connection: Connection, asked: Asked, place: str) -> list[str]:
    statement = (
        select(balance.c.member)
        .where(
            balance.c.merchant == asked.merchant,
            balance.c.next_change_at <= to_micros(asked.now),
            balance.c.wallet.in_(asked.wallets),
            balance.c.member > place,
        )
        .distinct()
    )
    return list(connection.execute(statement.order_by(balance.c.member).limit(CHUNK)).scalars())


def _last_posted(connection: Connection, asked: Asked, members: Collection[str]) -> dict[tuple[str, str], datetime]:
    """(member, wallet) → when something was last booked that is not time's doing."""
    statement = (
        select(entry.c.member, entry.c.wallet, func.max(entry.c.posted_at))
        .where(entry.c.merchant == asked.merchant, entry.c.member.in_(members), entry.c.kind.not_in(BY_TIME))
        .group_by(entry.c.member, entry.c.wallet)
    )
    return {(member, wallet): from_micros(at) for member, wallet, at in connection.execute(statement)}
