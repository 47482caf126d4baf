"""Reading the whole ledger, some members at a time, to verify it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, func, select

from stampcard.clock import EPOCH
from stampcard.domain.awards import Award
from stampcard.domain.ledger import Entry
from stampcard.domain.value import Value
from stampcard.domain.wallets import Lot, Wallet
from stampcard.engine.giving import REWARD
from stampcard.engine.verifying import Finding, verify_wallet
from stampcard.storage import rows
from stampcard.storage.tables import award, balance, entry, lot, redemption

CHUNK = 500
Key = tuple[str, str]


class Verified(Value, frozen=True):
    """What a verification read and what it found."""

    members: int
    entries: int
    total: int
    findings: tuple[Finding, ...]


def verify(connection: Connection, merchant: str, progress: Callable[[int], None] = lambda _: None) -> Verified:
    """Rebuild every balance, lot and award from the entries; memory stays flat. `total` is the sum of all postings.

    Belongs into a reading transaction: those see one state of the database, whatever is written meanwhile.
    """
    after, members, entries, total = "", 0, 0, 0
    findings: list[Finding] = []
    while chunk := _next_members(connection, merchant, after):
        count, sum_, found = _verify_chunk(connection, merchant, chunk)
        members, entries, total, after = members + len(chunk), entries + count, total + sum_, chunk[-1]
        findings += found
        progress(members)
    return Verified(members=members, entries=entries, total=total, findings=tuple(findings))


def _next_members(connection: Connection, merchant: str, after: str) -> list[str]:
    """The next members that have anything in the ledger, even if a table lacks them."""
    found: set[str] = set()
    for table in (balance, entry, lot):
        statement = (
            select(table.c.member)
            .where(table.c.merchant == merchant, table.c.member > after)
            .distinct()
            .order_by(table.c.member)
            .limit(CHUNK)
        )
        found.update(connection.execute(statement).scalars())
    return sorted(found)[:CHUNK]


def _verify_chunk(connection: Connection, merchant: str, members: Sequence[str]) -> tuple[int, int, list[Finding]]:
    entries: dict[Key, list[Entry]] = {}
    lots: dict[Key, dict[int, Lot]] = {}
    awards: dict[Key, list[Award]] = {}
    order = (entry.c.member, entry.c.wallet, entry.c.number)
    for row in connection.execute(
        select(entry).where(entry.c.merchant == merchant, entry.c.member.in_(members)).order_by(*order)
    ):
        entries.setdefault((row.member, row.wallet), []).append(rows.entry_of(row))
    for row in connection.execute(select(lot).where(lot.c.merchant == merchant, lot.c.member.in_(members))):
        lots.setdefault((row.member, row.wallet), {})[row.number] = rows.lot_of(row)
    for row in connection.execute(select(award).where(award.c.merchant == merchant, award.c.member.in_(members))):
        # A reward that a rule gave is no posting.
        if not row.wallet.startswith(REWARD):
            awards.setdefault((row.member, row.wallet), []).append(rows.award_of(row))
    held = _held(connection, merchant, members)
    wallets = {
        (row.member, row.wallet): rows.wallet_of(row, lots.get((row.member, row.wallet), {}))
        for row in connection.execute(
            select(balance).where(balance.c.merchant == merchant, balance.c.member.in_(members))
        )
    }
    findings: list[Finding] = []
    for key in sorted(wallets.keys() | entries.keys() | lots.keys() | awards.keys()):
        empty = Wallet(member=key[0], name=key[1], booked_to=EPOCH, lots=lots.get(key, {}))
        findings += verify_wallet(wallets.get(key, empty), entries.get(key, ()), awards.get(key, ()), held.get(key, 0))
    every = [one for of in entries.values() for one in of]
    return len(every), sum(sum(one.postings.values()) for one in every), findings


def _held(connection: Connection, merchant: str, members: Sequence[str]) -> dict[Key, int]:
    """What redemptions that are not issued yet hold of each wallet."""
    statement = (
        select(redemption.c.member, redemption.c.wallet, func.sum(redemption.c.price))
        .where(redemption.c.merchant == merchant, redemption.c.member.in_(members), redemption.c.status == "held")
        .group_by(redemption.c.member, redemption.c.wallet)
    )
    return {(member, wallet): int(price) for member, wallet, price in connection.execute(statement)}
