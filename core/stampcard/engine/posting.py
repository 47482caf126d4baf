"""The one way to change a wallet: a balanced entry and the lots it moved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from stampcard.domain.ledger import Account, Entry, EntryKind, LotMove, add
from stampcard.domain.value import Value, replace
from stampcard.domain.wallets import Lot, Wallet


class About(Value, frozen=True):
    """What an entry is about; `occurred_at` is when it takes effect, `now` when it is posted."""

    occurred_at: datetime
    now: datetime
    subject: str = ""
    rule: str = ""
    revision: int | None = None
    note: str = ""


def post(
    wallet: Wallet, kind: EntryKind, lots: Iterable[Lot], others: Mapping[Account, int], about: About
) -> tuple[Wallet, Entry]:
    """The wallet after its lots became `lots`, and the entry that says so.

    What happened on pending, active and expired follows from the lots; `others` holds the amounts on the remaining
    accounts. Raises ValueError when it all does not sum to 0: a mistake of ours that must never be saved.
    """
    changed = dict(wallet.lots)
    moves: list[LotMove] = []
    due = wallet.next_change_at
    opened = wallet.opened
    stale = False
    for lot in lots:
        before = wallet.lots.get(lot.number)
        moves.extend(_moves(before, lot))
        changed[lot.number] = lot
        opened = max(opened, lot.number)
        stale = stale or (before is not None and due is not None and changes_at(before) == due)
        due = _earlier(due, changes_at(lot))
    postings: dict[Account, int] = {account: amount for account, amount in others.items() if amount}
    for move in moves:
        postings[move.account] = postings.get(move.account, 0) + move.amount
    if sum(postings.values()):
        message = f"unbalanced {kind} entry for {wallet.member}/{wallet.name}: {postings}"
        raise ValueError(message)
    entry = Entry(
        member=wallet.member,
        wallet=wallet.name,
        number=wallet.entries + 1,
        kind=kind,
        occurred_at=about.occurred_at,
        posted_at=about.now,
        postings=postings,
        moves=tuple(moves),
        subject=about.subject,
        rule=about.rule,
        revision=about.revision,
        note=about.note,
    )
    after = replace(
        wallet,
        lots=changed,
        sums=add(wallet.sums, postings),
        entries=entry.number,
        opened=opened,
        next_change_at=_earlier(next_change(changed.values()), wallet.left_out_until) if stale else due,
    )
    return after, entry


def redate(wallet: Wallet, lots: Iterable[Lot]) -> Wallet:
    """The wallet after these lots got other dates; no point moves, so there is no entry."""
    changed = {**wallet.lots, **{lot.number: lot for lot in lots}}
    due = _earlier(next_change(changed.values()), wallet.left_out_until)
    return replace(wallet, lots=changed, next_change_at=due)


def _moves(before: Lot | None, after: Lot) -> Iterable[LotMove]:
    if before is None and not after.expired and after.remaining:
        return (LotMove(lot=after.number, account="active" if after.active else "pending", amount=after.remaining),)
    amounts: dict[Account, int] = {}
    if before is not None:
        amounts["active" if before.active else "pending"] = -before.remaining
        amounts["expired"] = -before.expired
    account: Account = "active" if after.active else "pending"
    amounts[account] = amounts.get(account, 0) + after.remaining
    amounts["expired"] = amounts.get("expired", 0) + after.expired
    return (LotMove(lot=after.number, account=name, amount=n) for name, n in amounts.items() if n)


def changes_at(lot: Lot) -> datetime | None:
    """When a lot activates or expires by itself; None when it never does."""
    if not lot.remaining:
        return None
    return lot.expires_at if lot.active else lot.available_from


def _earlier(left: datetime | None, right: datetime | None) -> datetime | None:
    if left is None or right is None:
        return left or right
    return min(left, right)


def next_change(lots: Iterable[Lot]) -> datetime | None:
    """When the next of these lots activates or expires by itself."""
    return min((moment for lot in lots if (moment := changes_at(lot)) is not None), default=None)
