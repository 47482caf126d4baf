"""How much of an order counts for a rule, and how much of that the customer kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from stampcard.domain.orders import ZERO, OrderLine, OrderSnapshot, Refund
from stampcard.domain.value import Value
from stampcard.program.rules import Base, Filter

SHIPPING = "\0shipping"
_ONE = Decimal(1)


class Part(Value, frozen=True):
    """One line (or the shipping) of an order in a rule's base: what it was, what was given back of it."""

    base: Decimal
    refunded: Decimal = ZERO

    @property
    def kept(self) -> Decimal:
        """What the customer kept of it, never below 0."""
        return max(ZERO, self.base - self.refunded)


class Measured(Value, frozen=True):
    """A rule's base of one order: `base` before refunds, `kept` after them, in the program's money; `items` kept `of_items`."""

    base: Decimal
    kept: Decimal
    parts: tuple[Part, ...]
    items: Decimal = ZERO
    of_items: int = 0
    cancelled: bool = False
    told: str = ""


class Measuring:
    """Measures one order for many rules; those whose base is one object share the work. `rate`: to the program's money."""

    def __init__(self, snapshot: OrderSnapshot, refunds: Sequence[Refund], rate: Decimal = _ONE) -> None:
        self.snapshot = snapshot
        self.refunds = refunds
        self._rate = rate
        self._known: dict[tuple[int, bool, bool], Measured] = {}

    def of(self, base: Base, *, ignore_restock: bool, refunded: bool = True) -> Measured:
        """The order's base as a rule sees it; as placed or edited where `refunded` is false."""
        key = (id(base), ignore_restock, refunded)
        known = self._known.get(key)
        if known is None:
            refunds = self.refunds if refunded else ()
            known = measure(
                self.snapshot, refunds, base, ignore_restock=ignore_restock, rate=self._rate, cancels=refunded
            )
            self._known[key] = known
        return known

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the order was given back."""
        return not self.refunds and not self.snapshot.cancelled


def measure(
    snapshot: OrderSnapshot,
    refunds: Sequence[Refund],
    base: Base,
    *,
    ignore_restock: bool,
    rate: Decimal = _ONE,
    cancels: bool = True,
) -> Measured:
    """Measure an order for one rule; refunds that exceed the order are the caller's to leave out."""
    amounts = _amounts(snapshot, base)
    cancelled = snapshot.cancelled and cancels
    refunded = dict.fromkeys(amounts, ZERO)
    for refund in refunds:
        if refund.lines:
            if refund.money or not ignore_restock:
                _by_lines(snapshot, refund, base, refunded)
        else:
            _by_money(snapshot, refund, amounts, refunded)
    total = sum(amounts.values(), ZERO)
    kept = ZERO if cancelled else max(ZERO, total - max(ZERO, sum(refunded.values(), ZERO))) if refunds else total
    share = _share_paid_in_money(snapshot, base) * rate
    if share != _ONE:
        amounts = {key: amount * share for key, amount in amounts.items()}
        refunded = {key: amount * share for key, amount in refunded.items()}
        total, kept = total * share, kept * share
    if cancelled:
        refunded = amounts
    return Measured(
        base=total,
        kept=kept,
        parts=tuple(Part(base=amount, refunded=refunded[key]) for key, amount in amounts.items()),
        items=ZERO if cancelled else _items(snapshot, refunds, amounts),
        of_items=sum(line.quantity for line in snapshot.lines if line.reference in amounts),
        cancelled=cancelled,
        told=f"base {total.normalize():f}, kept {kept.normalize():f}",
    )


def _amounts(snapshot: OrderSnapshot, base: Base) -> dict[str, Decimal]:
    counts = _counting(base)
    amounts = {
        line.reference: max(ZERO, _line_amount(snapshot, line, base))
        for line in snapshot.lines
        if (base.gift_cards == "included" or not line.gift_card) and (counts is None or counts(line))
    }
    if base.shipping == "included":
        amounts[SHIPPING] = _taxed(snapshot, snapshot.shipping, snapshot.shipping_tax, base)
    return amounts


def _counting(base: Base) -> Callable[[OrderLine], bool] | None:
    """Which lines the filters of a base let count; None for all."""
    if base.only is None and base.without is None:
        return None
    only, without = base.only, base.without
    return lambda line: (only is None or _fits(only, line)) and not (without is not None and _fits(without, line))


def _fits(of: Filter, line: OrderLine) -> bool:
    return (
        line.product in of.product
        or line.vendor in of.vendor
        or any(line.sku == sku or (sku[-1:] == "*" and line.sku.startswith(sku[:-1])) for sku in of.sku)
        or _meet(of.collection, line.collections)
        or _meet(of.tag, line.tags)
    )


def _meet(left: Iterable[str], right: Sequence[str]) -> bool:
    return any(one in right for one in left)


def _share_paid_in_money(snapshot: OrderSnapshot, base: Base) -> Decimal:
    if base.paid_with_points == "included" or not snapshot.paid_with_points or snapshot.total <= 0:
        return _ONE
    return max(ZERO, snapshot.total - snapshot.paid_with_points) / snapshot.total


def _items(snapshot: OrderSnapshot, refunds: Sequence[Refund], amounts: dict[str, Decimal]) -> Decimal:
    """How many items of the counting lines were kept; those of a refund without lines are not known."""
    counts = {line.reference: line.quantity for line in snapshot.lines if line.reference in amounts}
    back = dict.fromkeys(counts, 0)
    for refund in refunds:
        for given in refund.lines:
            if given.line in back:
                back[given.line] += given.quantity
    return Decimal(sum(max(0, count - back[reference]) for reference, count in counts.items()))


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
        elif base.discount == "before" and line.quantity:  # it cost nothing, so no money tells what came back
            amount = line.gross * given.quantity / line.quantity
        refunded[given.line] += amount
    if SHIPPING in refunded:
        refunded[SHIPPING] += _taxed(snapshot, refund.shipping, refund.shipping_tax, base)


def _by_money(
    snapshot: OrderSnapshot, refund: Refund, amounts: dict[str, Decimal], refunded: dict[str, Decimal]
) -> None:
    """Spread a refund without lines over the base; its shipping goes to shipping."""
    shipping, share = money_share(snapshot, refund)
    for key, amount in amounts.items():
        if key == SHIPPING and shipping:
            refunded[key] += shipping
        else:
            refunded[key] += amount * share


def money_share(snapshot: OrderSnapshot, refund: Refund) -> tuple[Decimal, Decimal]:
    """What a refund without lines gives back of the shipping, and which share of all else, in proportion to the order's total."""
    shipping = refund.shipping if snapshot.tax_included else refund.shipping + refund.shipping_tax
    money, total = max(ZERO, refund.money - shipping), snapshot.total - shipping
    return shipping, money / total if total > 0 else ZERO
