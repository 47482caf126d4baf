"""Balanced entries over the accounts of one member's wallet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from stampcard.domain.value import Value

Account = Literal[
    "pending", "active", "held", "debt", "issued", "redeemed", "expired", "adjusted", "imported", "transferred"
]

#: The member's own accounts, then the program's; the amounts of an entry over all of them sum to 0.
MEMBER_ACCOUNTS: tuple[Account, ...] = ("pending", "active", "held", "debt")
PROGRAM_ACCOUNTS: tuple[Account, ...] = ("issued", "redeemed", "expired", "adjusted", "imported", "transferred")
ACCOUNTS: tuple[Account, ...] = MEMBER_ACCOUNTS + PROGRAM_ACCOUNTS

EntryKind = Literal[
    "earn",
    "activate",
    "expire",
    "claw_back",
    "restore",
    "spend",
    "cancel_spend",
    "adjust",
    "lapse",
    "hold",
    "redeem",
    "release",
    "merge",
    "unmerge",
    "import",
]


class LotMove(Value, frozen=True, array_like=True):
    """What an entry moved into (> 0) or out of (< 0) one lot, on the account pending or active, or, for points that
    had expired and are taken back, on expired.
    """

    lot: int
    account: Account
    amount: int


class Entry(Value, frozen=True):
    """One fact of the ledger; append-only, corrected by a reversing entry only.

    `postings`: account → amount in the wallet's smallest unit, sum 0. `occurred_at`: when it took effect; `subject` and
    `rule` name the award it belongs to, `revision` counts that award's entries from 1.
    """

    member: str
    wallet: str
    number: int
    kind: EntryKind
    occurred_at: datetime
    posted_at: datetime
    postings: Mapping[Account, int]
    moves: tuple[LotMove, ...] = ()
    subject: str = ""
    rule: str = ""
    revision: int | None = None
    note: str = ""


def is_balanced(entry: Entry) -> bool:
    """Whether the postings sum to 0 and the lots account for what happened on pending and active."""
    by_account: dict[Account, int] = {}
    for move in entry.moves:
        by_account[move.account] = by_account.get(move.account, 0) + move.amount
    return sum(entry.postings.values()) == 0 and all(
        entry.postings.get(account, 0) == by_account.get(account, 0) for account in ("pending", "active")
    )


def add(sums: Mapping[Account, int], postings: Mapping[Account, int]) -> dict[Account, int]:
    """Account sums after these postings."""
    total = dict(sums)
    for account, amount in postings.items():
        total[account] = total.get(account, 0) + amount
    return total


def sums_of(entries: Iterable[Entry]) -> dict[Account, int]:
    """Account sums rebuilt from entries alone."""
    total: dict[Account, int] = {}
    for entry in entries:
        total = add(total, entry.postings)
    return total
