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
    for lot in lots:
        moves.extend(_moves(wallet.lots.get(lot.number), lot))
        changed[lot.number] = lot
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
        opened=max(wallet.opened, max(changed, default=0)),
        next_change_at=next_change(changed.values()),
    )
    return after, entry


def _moves(before: Lot | None, after: Lot) -> Iterable[LotMove]:
    amounts: dict[Account, int] = {}
    if before is not None:
        amounts["active" if before.active else "pending"] = -before.remaining
        amounts["expired"] = -before.expired
    account: Account = "active" if after.active else "pending"
    amounts[account] = amounts.get(account, 0) + after.remaining
    amounts["expired"] = amounts.get("expired", 0) + after.expired
    return (LotMove(lot=after.number, account=name, amount=n) for name, n in amounts.items() if n)


def next_change(lots: Iterable[Lot]) -> datetime | None:
    """When the next of these lots activates or expires by itself."""
    moments = (
        lot.expires_at if lot.active else lot.available_from
        for lot in lots
        if lot.remaining and (lot.expires_at is not None or not lot.active)
    )
    return min((moment for moment in moments if moment is not None), default=None)
