"""What time alone does to a wallet, walked midnight by midnight in the order of the specification."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from stampcard.domain.ledger import Entry
from stampcard.domain.value import replace
from stampcard.domain.wallets import Lot, Wallet
from stampcard.engine.posting import About, post

#: What happens to a wallet at a midnight after its points activated; it answers the wallet after that.
Between = Callable[[Wallet, tuple[Entry, ...]], Wallet]


def settle(wallet: Wallet, until: datetime, between: Between | None = None) -> tuple[Wallet, tuple[Entry, ...]]:
    """The wallet as of `until`, with one entry per midnight and kind.

    Pending points activate, those that waited in vain lapse, then points expire. Pure and the same for writers and
    readers, so that a late timer changes no figure that anybody sees. `between` gets the wallet and the entries so far at
    each midnight between activating and the rest; those entries are its to keep.
    """
    entries: list[Entry] = []
    while (due := wallet.next_change_at) is not None and due <= until:
        about = About(occurred_at=due, now=until)
        changed = False
        for step in (_activate, _lapse, _expire):
            wallet, entry = step(wallet, due, about)
            if entry is not None:
                entries.append(entry)
                changed = True
            if between is not None and step is _activate:
                wallet, entries = between(wallet, tuple(entries)), []
        # What was taken meanwhile may have been all that was due.
        if not changed and wallet.next_change_at == due:
            message = f"wallet {wallet.member}/{wallet.name} is due at {due.isoformat()}, but no lot of it is"
            raise ValueError(message)
    if wallet.booked_to < until:
        wallet = replace(wallet, booked_to=until)
    return wallet, tuple(entries)


def activate(wallet: Wallet, waiting: Iterable[Lot], about: About) -> tuple[Wallet, Entry]:
    """The lots, as they are to be, become usable; debt is paid first."""
    debt = -wallet.sums.get("debt", 0)
    paid = 0
    lots: list[Lot] = []
    for lot in sorted(waiting, key=lambda lot: lot.number):
        payment = min(debt - paid, lot.remaining)
        paid += payment
        lots.append(replace(lot, active=True, waits_for="", remaining=lot.remaining - payment))
    return post(wallet, "activate", lots, {"debt": paid}, about)


def lapse(wallet: Wallet, waiting: Iterable[Lot], about: About) -> tuple[Wallet, Entry]:
    """Pending points are cancelled."""
    lots = [replace(lot, waits_for="", remaining=0, expired=lot.expired + lot.remaining) for lot in waiting]
    return post(wallet, "lapse", lots, {}, about)


def end_all(wallet: Wallet, about: About) -> tuple[Wallet, Entry]:
    """Every point that is left expires, whether it can be used yet or not."""
    lots = [
        replace(lot, waits_for="", remaining=0, expired=lot.expired + lot.remaining)
        for lot in wallet.lots.values()
        if lot.remaining
    ]
    return post(wallet, "expire", lots, {}, about)


def _due(wallet: Wallet, due: datetime, *, in_vain: bool) -> list[Lot]:
    return [
        lot
        for lot in wallet.lots.values()
        if not lot.active and lot.remaining and lot.available_from <= due and bool(lot.waits_for) is in_vain
    ]


def _activate(wallet: Wallet, due: datetime, about: About) -> tuple[Wallet, Entry | None]:
    waiting = _due(wallet, due, in_vain=False)
    return activate(wallet, waiting, about) if waiting else (wallet, None)


def _lapse(wallet: Wallet, due: datetime, about: About) -> tuple[Wallet, Entry | None]:
    waiting = _due(wallet, due, in_vain=True)
    return lapse(wallet, waiting, about) if waiting else (wallet, None)


def _expire(wallet: Wallet, due: datetime, about: About) -> tuple[Wallet, Entry | None]:
    dead = [
        lot
        for lot in wallet.lots.values()
        if lot.active and lot.remaining and lot.expires_at is not None and lot.expires_at <= due
    ]
    if not dead:
        return wallet, None
    lots = [replace(lot, remaining=0, expired=lot.expired + lot.remaining) for lot in dead]
    return post(wallet, "expire", lots, {}, about)
