"""An order is a join: whatever arrives, in whatever order and however often, ends in the same state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from stampcard.domain.value import Value

ZERO = Decimal(0)


class Stamp(Value, frozen=True, order=True):
    """How new a piece of an order is; the greatest wins.

    `at`: when the source says it changed. `read_at`: when we fetched it, in microseconds since 1970; 0 for what the
    source sent by itself. `digest`: of the content, so that a tie is decided alike everywhere.
    """

    at: datetime
    read_at: int = 0
    digest: str = ""


class OrderLine(Value, frozen=True, omit_defaults=True):
    """One line as placed or edited, before refunds; amounts are of the whole line, in the order's tax mode."""

    reference: str
    quantity: int
    gross: Decimal
    discount: Decimal = ZERO
    tax: Decimal = ZERO
    gift_card: bool = False
    product: str = ""
    sku: str = ""
    vendor: str = ""
    collections: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class OrderSnapshot(Value, frozen=True, omit_defaults=True):
    """An order as its source showed it once; money is shop money.

    `tax_included`: whether line and shipping amounts contain their tax. `total`: what the customer owes for the order
    as placed or edited, before refunds. `lists_all_refunds`: the source promises that the refunds it showed with this
    snapshot (`refund_references`) are all there are. `paid_with_points`: the part of the total that was paid with
    points. `codes`: discount codes that the customer gave, as the source spells them; of an order that is kept, only
    their fingerprints. `fulfilled_at`: since when all of
    it has been sent or handed over. `utc_offset`: minutes that the shop's clock was ahead of UTC when the order was
    placed. `cancelled_at`: where the source tells it.
    """

    stamp: Stamp
    number: str
    occurred_at: datetime
    currency: str
    total: Decimal
    paid: bool
    cancelled: bool = False
    customer: str | None = None
    tax_included: bool = False
    lines: tuple[OrderLine, ...] = ()
    shipping: Decimal = ZERO
    shipping_tax: Decimal = ZERO
    channel: str = ""
    tags: tuple[str, ...] = ()
    lists_all_refunds: bool = False
    refund_references: tuple[str, ...] = ()
    paid_with_points: Decimal = ZERO
    codes: tuple[str, ...] = ()
    fulfilled_at: datetime | None = None
    utc_offset: int | None = None
    cancelled_at: datetime | None = None


class RefundLine(Value, frozen=True, omit_defaults=True):
    """What a refund gives back of one line: `subtotal` in the order's tax mode, after discounts."""

    line: str
    quantity: int
    subtotal: Decimal
    tax: Decimal = ZERO


class Refund(Value, frozen=True, omit_defaults=True):
    """A refund as its source showed it once.

    `money`: the sum of its successful money transactions, positive. `shipping`: the part given back for shipping,
    positive, in the order's tax mode.
    """

    reference: str
    stamp: Stamp
    occurred_at: datetime
    lines: tuple[RefundLine, ...] = ()
    money: Decimal = ZERO
    shipping: Decimal = ZERO
    shipping_tax: Decimal = ZERO


class OrderState(Value, frozen=True, omit_defaults=True):
    """Everything known of one order: the newest snapshot, and each refund at its newest state.

    `former_codes`: discount codes that only older snapshots showed; what was used once stays used.
    """

    snapshot: OrderSnapshot | None = None
    refunds: Mapping[str, Refund] = {}
    former_codes: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """Every discount code that the order showed at some time, the newest snapshot's first."""
        return (*(self.snapshot.codes if self.snapshot is not None else ()), *self.former_codes)


EMPTY = OrderState()


def merge(left: OrderState, right: OrderState) -> OrderState:
    """The join of two states: commutative, associative and idempotent."""
    refunds = dict(left.refunds)
    for reference, refund in right.refunds.items():
        known = refunds.get(reference)
        if known is None or known.stamp < refund.stamp:
            refunds[reference] = refund
    snapshot = _newer(left.snapshot, right.snapshot)
    former = {*left.codes, *right.codes}.difference(snapshot.codes if snapshot is not None else ())
    return OrderState(snapshot=snapshot, refunds=refunds, former_codes=tuple(sorted(former)))


def _newer(left: OrderSnapshot | None, right: OrderSnapshot | None) -> OrderSnapshot | None:
    if left is None or right is None:
        return left or right
    return right if left.stamp < right.stamp else left


def state_of(snapshot: OrderSnapshot | None, refunds: Iterable[Refund]) -> OrderState:
    """A state that knows just this snapshot and these refunds."""
    state = OrderState(snapshot=snapshot)
    for refund in refunds:
        state = merge(state, OrderState(refunds={refund.reference: refund}))
    return state


def standing_refunds(state: OrderState) -> tuple[Refund, ...]:
    """The refunds that count, by reference.

    A snapshot that lacks a known refund does not remove it, unless its source promises to list them all: then those
    that it names count, and any newer than it.
    """
    snapshot = state.snapshot
    refunds = sorted(state.refunds.values(), key=lambda refund: refund.reference)
    if snapshot is None or not snapshot.lists_all_refunds:
        return tuple(refunds)
    named = frozenset(snapshot.refund_references)
    return tuple(r for r in refunds if r.reference in named or snapshot.stamp < r.stamp)


def exceeds(refund: Refund, snapshot: OrderSnapshot) -> bool:
    """Whether a refund gives back more than the whole order: it is kept aside and does not count."""
    return refund.money > snapshot.total


def is_tied(state: OrderState, incoming: OrderSnapshot, received_at: int) -> bool:
    """Whether a webhook body claims the moment of what is known, with other content, so that only a fetch can tell.

    `received_at`: when it came, in microseconds since 1970; what was fetched later than that is newer anyway.
    """
    known = state.snapshot
    return (
        known is not None
        and incoming.stamp.read_at == 0
        and known.stamp.at == incoming.stamp.at
        and known.stamp.digest != incoming.stamp.digest
        and known.stamp.read_at < received_at
    )
