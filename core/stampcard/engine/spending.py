"""Debits that name their lots, and their undoing; manual adjustments in both directions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from stampcard.domain.ledger import Account, Entry, EntryKind
from stampcard.domain.value import Value, replace
from stampcard.domain.wallets import Lot, Wallet, draw_key
from stampcard.engine.dating import Lifetime
from stampcard.engine.posting import About, post
from stampcard.errors import InsufficientPoints

DeadLotRule = Literal["expire", "renew"]


class Draw(Value, frozen=True, array_like=True):
    """What a debit took out of one lot."""

    lot: int
    amount: int


class Debit(Value, frozen=True):
    """A spend: what it drew, in draw order, how much of that was given back, and whether it was cancelled.

    `subject`: the order that it paid for, if it was one; `money`: how much of it, in ten-thousandths.
    """

    key: str
    member: str
    wallet: str
    amount: int
    draws: tuple[Draw, ...]
    cancelled: bool = False
    subject: str = ""
    returned: int = 0
    money: int = 0

    @property
    def left(self) -> int:
        """What is still spent."""
        return self.amount - self.returned


def draw(
    wallet: Wallet, amount: int, about: About, *, kind: EntryKind, target: Account
) -> tuple[Wallet, Entry, tuple[Draw, ...]]:
    """Take points out of the active lots in draw order, into `target`.

    Raises InsufficientPoints if fewer are active; the wallet must be settled.
    """
    active = wallet.sums.get("active", 0)
    if active < amount:
        raise InsufficientPoints(amount, active)
    need = amount
    lots: list[Lot] = []
    draws: list[Draw] = []
    for lot in sorted((lot for lot in wallet.lots.values() if lot.active and lot.remaining), key=draw_key):
        part = min(lot.remaining, need)
        if not part:
            break
        lots.append(replace(lot, remaining=lot.remaining - part))
        draws.append(Draw(lot=lot.number, amount=part))
        need -= part
    wallet, entry = post(wallet, kind, lots, {target: amount}, about)
    return wallet, entry, tuple(draws)


def spend(
    wallet: Wallet, key: str, amount: int, about: About, subject: str = "", money: int = 0
) -> tuple[Wallet, Debit, Entry]:
    """Spend points; the debit remembers its lots."""
    wallet, entry, draws = draw(wallet, amount, about, kind="spend", target="redeemed")
    debit = Debit(
        key=key, member=wallet.member, wallet=wallet.name, amount=amount, draws=draws, subject=subject, money=money
    )
    return wallet, debit, entry


def cancel_spend(
    wallet: Wallet, debit: Debit, dead_lots: DeadLotRule, renewal: Lifetime, about: About
) -> tuple[Wallet, Debit, Entry | None]:
    """Put what is still spent back into the lots it came from; see `give_back`."""
    if not debit.left:
        return wallet, replace(debit, cancelled=True), None
    wallet, debit, entry = give_back(wallet, debit, debit.left, dead_lots, renewal, about)
    return wallet, replace(debit, cancelled=True), entry


def give_back(
    wallet: Wallet,
    debit: Debit,
    amount: int,
    dead_lots: DeadLotRule,
    renewal: Lifetime,
    about: About,
    *,
    held: bool = False,
) -> tuple[Wallet, Debit, Entry]:
    """Put points back into the lots they came from, with their old dates; debt is paid first.

    Points of a lot that died meanwhile expire with it, or go into a successor with the dates of `renewal`. `held`: they
    were not spent yet.
    """
    debt = -wallet.sums.get("debt", 0)
    paid = 0
    lots: dict[int, Lot] = {}
    opened = wallet.opened
    for number, part in _drawn(debit, amount):
        payment = min(debt - paid, part)
        paid += payment
        back = part - payment
        lot = lots.get(number, wallet.lots[number])
        dead = lot.expires_at is not None and lot.expires_at <= about.now
        if not back:
            continue
        if not dead:
            lots[lot.number] = replace(lot, remaining=lot.remaining + back)
        elif dead_lots == "expire":
            lots[lot.number] = replace(lot, expired=lot.expired + back)
        else:
            opened += 1
            lots[opened] = _successor(lot, opened, back, renewal, about)
    kind: EntryKind = "release" if held else "cancel_spend"
    source: Account = "held" if held else "redeemed"
    wallet, entry = post(wallet, kind, lots.values(), {source: -amount, "debt": paid}, about)
    return wallet, replace(debit, returned=debit.returned + amount), entry


def _drawn(debit: Debit, amount: int) -> Iterator[tuple[int, int]]:
    """The lots that the next `amount` points to be given back came from, after what was given back before."""
    skip = debit.returned
    for draw_ in debit.draws:
        skipped = min(skip, draw_.amount)
        skip -= skipped
        part = min(draw_.amount - skipped, amount)
        amount -= part
        if part:
            yield draw_.lot, part


def _successor(lot: Lot, number: int, amount: int, renewal: Lifetime, about: About) -> Lot:
    return Lot(
        number=number,
        amount=amount,
        remaining=amount,
        active=True,
        available_from=about.now,
        expires_at=renewal.expires_at,
        occurred_at=about.occurred_at,
        subject=lot.subject,
        rule=lot.rule,
        program_version=lot.program_version,
        parent=lot.number,
        slides=renewal.slides,
    )
