"""Reading the whole ledger, some members at a time, to verify it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from sqlalchemy import Connection, func, select

from stampcard.clock import EPOCH
from stampcard.domain.awards import Award
from stampcard.domain.ledger import Entry
from stampcard.domain.value import Value
from stampcard.domain.wallets import Lot, Wallet
from stampcard.engine.giving import REWARD
from stampcard.engine.verifying import Finding, verify_awards, verify_wallet
from stampcard.storage import rows
from stampcard.storage.tables import award, balance, entry, lot, merge, redemption

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
    together = _together(connection, merchant)
    while chunk := _next_members(connection, merchant, after):
        count, sum_, found = _verify_chunk(connection, merchant, chunk, together.keys())
        members, entries, total, after = members + len(chunk), entries + count, total + sum_, chunk[-1]
        findings += found
        progress(members)
    for group in sorted(set(together.values())):
        findings += _of_one_person(connection, merchant, group)
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


def _together(connection: Connection, merchant: str) -> dict[str, tuple[str, ...]]:
    """Members who ever were merged → all who were one person with them: awards go with the person, entries stay."""
    groups: dict[str, set[str]] = {}
    pairs = select(merge.c.source, merge.c.target).where(merge.c.merchant == merchant)
    for source, target in connection.execute(pairs):
        both = groups.get(source, {source}) | groups.get(target, {target})
        groups |= dict.fromkeys(both, both)
    return {member: tuple(sorted(of)) for member, of in groups.items()}


def _entries(connection: Connection, merchant: str, members: Sequence[str]) -> dict[Key, list[Entry]]:
    found: dict[Key, list[Entry]] = {}
    order = (entry.c.member, entry.c.wallet, entry.c.number)
    for row in connection.execute(
        select(entry).where(entry.c.merchant == merchant, entry.c.member.in_(members)).order_by(*order)
    ):
        found.setdefault((row.member, row.wallet), []).append(rows.entry_of(row))
    return found


def _awards(connection: Connection, merchant: str, members: Sequence[str]) -> dict[Key, list[Award]]:
    found: dict[Key, list[Award]] = {}
    for row in connection.execute(select(award).where(award.c.merchant == merchant, award.c.member.in_(members))):
        # A reward that a rule gave is no posting.
        if not row.wallet.startswith(REWARD):
            found.setdefault((row.member, row.wallet), []).append(rows.award_of(row))
    return found


def _of_one_person(connection: Connection, merchant: str, members: Sequence[str]) -> list[Finding]:
    """What the awards of members who ever were one person add up to, told of the first of them."""
    entries, awards = _entries(connection, merchant, members), _awards(connection, merchant, members)
    findings = []
    for wallet in sorted({wallet for _, wallet in awards}):
        every = [one for member in members for one in entries.get((member, wallet), ())]
        due = [one for member in members for one in awards.get((member, wallet), ())]
        findings += verify_awards(members[0], wallet, every, due)
    return findings


def _verify_chunk(
    connection: Connection, merchant: str, members: Sequence[str], together: Collection[str]
) -> tuple[int, int, list[Finding]]:
    entries = _entries(connection, merchant, members)
    lots: dict[Key, dict[int, Lot]] = {}
    awards = _awards(connection, merchant, [member for member in members if member not in together])
    for row in connection.execute(select(lot).where(lot.c.merchant == merchant, lot.c.member.in_(members))):
        lots.setdefault((row.member, row.wallet), {})[row.number] = rows.lot_of(row)
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
        findings += verify_wallet(wallets.get(key, empty), entries.get(key, ()), held.get(key, 0))
        findings += verify_awards(key[0], key[1], entries.get(key, ()), awards.get(key, ()))
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
