"""How much of an order counts for a rule, and how much of that the customer kept."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from stampcard.domain.orders import ZERO, OrderLine, OrderSnapshot, Refund
from stampcard.domain.value import Value
from stampcard.program.model import Base

SHIPPING = "\0shipping"


class Part(Value, frozen=True):
    """One line (or the shipping) of an order in a rule's base: what it was, what was given back of it."""

    base: Decimal
    refunded: Decimal = ZERO

    @property
    def kept(self) -> Decimal:
        """What the customer kept of it, never below 0."""
        return max(ZERO, self.base - self.refunded)


class Measured(Value, frozen=True):
    """A rule's base of one order: `base` before refunds, `kept` after them, in shop money."""

    base: Decimal
    kept: Decimal
    parts: tuple[Part, ...]


class Measuring:
    """Measures one order for many rules; rules with the same base share the work."""

    def __init__(self, snapshot: OrderSnapshot, refunds: Sequence[Refund]) -> None:
        self.snapshot = snapshot
        self._refunds = refunds
        self._known: dict[tuple[str, str, str, str, bool], Measured] = {}

    def of(self, base: Base, *, ignore_restock: bool) -> Measured:
        """The order's base as a rule sees it."""
        key = (base.discount, base.tax, base.shipping, base.gift_cards, ignore_restock)
        known = self._known.get(key)
        if known is None:
            known = measure(self.snapshot, self._refunds, base, ignore_restock=ignore_restock)
            self._known[key] = known
        return known


def measure(snapshot: OrderSnapshot, refunds: Sequence[Refund], base: Base, *, ignore_restock: bool) -> Measured:
    """Measure an order for one rule; refunds that exceed the order are the caller's to leave out."""
    amounts = _amounts(snapshot, base)
    refunded = dict.fromkeys(amounts, ZERO)
    for refund in refunds:
        if refund.lines:
            if refund.money or not ignore_restock:
                _by_lines(snapshot, refund, base, refunded)
        else:
            _by_money(snapshot, refund, amounts, refunded)
    parts = tuple(Part(base=amount, refunded=refunded[key]) for key, amount in amounts.items())
    total = sum(amounts.values(), ZERO)
    kept = ZERO if snapshot.cancelled else max(ZERO, total - max(ZERO, sum(refunded.values(), ZERO)))
    if snapshot.cancelled:
        parts = tuple(Part(base=part.base, refunded=part.base) for part in parts)
    return Measured(base=total, kept=kept, parts=parts)


def _amounts(snapshot: OrderSnapshot, base: Base) -> dict[str, Decimal]:
    amounts = {
        line.reference: max(ZERO, _line_amount(snapshot, line, base))
        for line in snapshot.lines
        if base.gift_cards == "included" or not line.gift_card
    }
    if base.shipping == "included":
        amounts[SHIPPING] = _taxed(snapshot, snapshot.shipping, snapshot.shipping_tax, base)
    return amounts


def _line_amount(snapshot: OrderSnapshot, line: OrderLine, base: Base) -> Decimal:
    amount = line.gross - line.discount if base.discount == "after" else line.gross
    return _taxed(snapshot, amount, line.tax, base)


def _taxed(snapshot: OrderSnapshot, amount: Decimal, tax: Decimal, base: Base) -> Decimal:
    """The amount with or without its tax, as the base wants it, whichever way the order states it."""
    if base.tax == "included":
        return amount if snapshot.tax_included else amount + tax
    return amount - tax if snapshot.tax_included else amount


def _by_lines(snapshot: OrderSnapshot, refund: Refund, base: Base, refunded: dict[str, Decimal]) -> None:
    lines = {line.reference: line for line in snapshot.lines}
    for given in refund.lines:
        line = lines.get(given.line)
        if line is None or given.line not in refunded:
            continue
        amount = _taxed(snapshot, given.subtotal, given.tax, base)
        paid = line.gross - line.discount
        if base.discount == "before" and paid:
            amount = amount * line.gross / paid
        refunded[given.line] += amount
    if SHIPPING in refunded:
        refunded[SHIPPING] += _taxed(snapshot, refund.shipping, refund.shipping_tax, base)


def _by_money(
    snapshot: OrderSnapshot, refund: Refund, amounts: dict[str, Decimal], refunded: dict[str, Decimal]
) -> None:
    """Spread a refund without lines over the base, in proportion to the order's total; its shipping goes to shipping."""
    shipping = refund.shipping if snapshot.tax_included else refund.shipping + refund.shipping_tax
    money, total = max(ZERO, refund.money - shipping), snapshot.total - shipping
    for key, amount in amounts.items():
        if key == SHIPPING and shipping:
            refunded[key] += shipping
        elif total > 0:
            refunded[key] += amount * money / total
