"""Bringing an award to what its subject justifies: granting what is missing, clawing back what is too much."""

from __future__ import annotations

from typing import Literal

from stampcard.domain.awards import Award
from stampcard.domain.ledger import Account, Entry, EntryKind
from stampcard.domain.value import replace
from stampcard.domain.wallets import Lot, Wallet, draw_key
from stampcard.engine.dating import Lifetime
from stampcard.engine.posting import About, post

RefundPolicy = Literal["only_pending", "within_balance", "unlimited"]


def bring_to(
    wallet: Wallet, award: Award, due: int, policy: RefundPolicy, lifetime: Lifetime, about: About
) -> tuple[Wallet, Award, tuple[Entry, ...]]:
    """The wallet and the award once the award stands at `due`; the wallet must be settled and hold the award's lots."""
    missing = due - award.due
    if missing > 0:
        return _raise(wallet, award, missing, lifetime, about)
    if missing < 0:
        return _lower(wallet, award, -missing, policy, about)
    return wallet, award, ()


def _raise(
    wallet: Wallet, award: Award, missing: int, lifetime: Lifetime, about: About
) -> tuple[Wallet, Award, tuple[Entry, ...]]:
    forgiven = min(award.written_off, missing)
    award = replace(award, written_off=award.written_off - forgiven)
    amount = missing - forgiven
    if not amount:
        return wallet, award, ()
    award = replace(award, granted=award.granted + amount, revision=award.revision + 1)
    about = replace(about, subject=award.subject, rule=award.rule, revision=award.revision)
    again = award.taken > 0
    wallet, entry = credit(wallet, amount, lifetime, about, kind="restore" if again else "earn", source="issued")
    return wallet, award, (entry,)


def credit(
    wallet: Wallet, amount: int, lifetime: Lifetime, about: About, *, kind: EntryKind, source: Account
) -> tuple[Wallet, Entry]:
    """Points into a new lot; a credit that is active at once pays debt first, and the lot opens with the rest."""
    active = lifetime.available_from <= about.now and not lifetime.waits_for
    payment = min(-wallet.sums.get("debt", 0), amount) if active else 0
    lots = []
    if amount > payment:
        lots.append(
            Lot(
                number=wallet.opened + 1,
                amount=amount - payment,
                remaining=amount - payment,
                active=active,
                available_from=lifetime.available_from,
                expires_at=lifetime.expires_at,
                occurred_at=about.occurred_at,
                subject=about.subject,
                rule=about.rule,
                program_version=lifetime.program_version,
                waits_for=lifetime.waits_for,
                slides=lifetime.slides,
            )
        )
    return post(wallet, kind, lots, {source: -amount, "debt": payment}, about)


class _Taking:
    """Takes points out of lots until nothing more is needed."""

    def __init__(self, lots: dict[int, Lot], need: int) -> None:
        self.lots = lots
        self.need = need
        self.touched: dict[int, Lot] = {}

    def remaining_of(self, lot: Lot, *, own: bool) -> None:
        lot = self.touched.get(lot.number, lot)
        amount = min(lot.remaining, self.need)
        taken = lot.taken + amount if own else lot.taken
        self._keep(replace(lot, remaining=lot.remaining - amount, taken=taken), amount)

    def expired_of(self, lot: Lot) -> None:
        lot = self.touched.get(lot.number, lot)
        amount = min(lot.expired, self.need)
        self._keep(replace(lot, expired=lot.expired - amount, taken=lot.taken + amount), amount)

    def _keep(self, lot: Lot, amount: int) -> None:
        if amount:
            self.touched[lot.number] = lot
            self.need -= amount


def _lower(
    wallet: Wallet, award: Award, amount: int, policy: RefundPolicy, about: About
) -> tuple[Wallet, Award, tuple[Entry, ...]]:
    taking = _Taking(dict(wallet.lots), amount)
    own = sorted((lot for lot in wallet.lots.values() if _is_of(lot, award)), key=draw_key)
    for lot in own:
        if not lot.active:
            taking.remaining_of(lot, own=True)
    if policy != "only_pending":
        for lot in own:
            taking.remaining_of(lot, own=True)
    for lot in own:
        taking.expired_of(lot)
    debt = 0
    if policy != "only_pending":
        for lot in sorted((lot for lot in wallet.lots.values() if lot.active and not _is_of(lot, award)), key=draw_key):
            taking.remaining_of(lot, own=False)
        if policy == "unlimited":
            debt, taking.need = taking.need, 0
    taken = amount - taking.need
    award = replace(award, taken=award.taken + taken, written_off=award.written_off + taking.need)
    if not taken:
        return wallet, award, ()
    award = replace(award, revision=award.revision + 1)
    about = replace(about, subject=award.subject, rule=award.rule, revision=award.revision)
    wallet, entry = post(wallet, "claw_back", taking.touched.values(), {"issued": taken, "debt": -debt}, about)
    return wallet, award, (entry,)


def _is_of(lot: Lot, award: Award) -> bool:
    return lot.subject == award.subject and lot.rule == award.rule
