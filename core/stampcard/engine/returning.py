"""Points that were spent on an order come back when it is refunded, as far as the wallet's terms say."""

from __future__ import annotations

from datetime import datetime

from stampcard.engine.measuring import Measuring
from stampcard.engine.posting import About
from stampcard.engine.spending import Debit, give_back
from stampcard.engine.versions import LiveProgram
from stampcard.engine.world import Draft
from stampcard.program.rules import Base
from stampcard.program.wallets import RefundTerms

#: All that was paid, with shipping or without.
_ALL = Base(tax="included", gift_cards="included", shipping="included")
_GOODS = Base(tax="included", gift_cards="included")


def return_spent(draft: Draft, live: LiveProgram, subject: str, measuring: Measuring, at: datetime) -> None:
    """Give back what the order's refunds justify and was not given back before; it is never taken again."""
    for debit in draft.world.debits.get(subject, ()):
        terms = live.program.wallets.get(debit.wallet)
        if terms is None or debit.cancelled or (debit.member, debit.wallet) not in draft.world.wallets:
            continue
        due = min(debit.left, _justified(terms.refunds, debit, measuring) - debit.returned)
        if due <= 0:
            continue
        now = draft.world.now
        about = About(occurred_at=at, now=now, subject=f"spend:{debit.key}")
        renewal = draft.given(live, debit.member, debit.wallet)
        wallet = draft.wallet(debit.member, debit.wallet)
        wallet, debit, entry = give_back(wallet, debit, due, terms.returned_to_dead_lot, renewal, about)  # noqa: PLW2901 - its newest value
        draft.keep(wallet, entry)
        draft.debits.append(debit)


def _justified(terms: RefundTerms, debit: Debit, measuring: Measuring) -> int:
    """How much of a spend the refunds of its order give back in all."""
    if terms.spent == "keep" or measuring.is_whole:
        return 0
    base = _ALL if terms.spent_shipping == "counts" else _GOODS
    measured = measuring.of(base, ignore_restock=terms.restock_without_money == "ignore")
    if measured.cancelled or not measured.kept:
        return debit.amount
    if terms.spent == "return_on_full" or not measured.base:
        return 0
    return int(debit.amount * (measured.base - measured.kept) / measured.base)
