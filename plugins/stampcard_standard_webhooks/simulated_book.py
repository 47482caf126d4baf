"""What the simulated till knows: customers, orders, refunds and events, and the points that are due for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import floor
from typing import Literal

ZERO = Decimal(0)
_CENT = Decimal("0.01")
_SECOND = timedelta(seconds=1)
#: How a till tells refunds: all in each order, in the order and apart, or apart alone.
Telling = Literal["listed", "both", "apart"]


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)


@dataclass(slots=True)
class Customer:
    reference: str
    email: str
    first_name: str
    updated_at: datetime
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """Something on the shelf; `tax` is its rate."""

    id: str
    price: Decimal
    tax: Decimal = Decimal("0.19")
    gift_card: bool = False


@dataclass(slots=True)
class Item:
    """A line of an order; `off` is the discount on all of it, `included` whether prices contain their tax."""

    reference: str
    product: Product
    quantity: int
    included: bool
    off: Decimal = ZERO
    returned: int = 0

    @property
    def gross(self) -> Decimal:
        return self.product.price * self.quantity

    @property
    def net(self) -> Decimal:
        """After the discount, in the order's tax mode."""
        return self.gross - self.off

    @property
    def tax(self) -> Decimal:
        return tax_of(self.net, self.product.tax, included=self.included)

    @property
    def goods(self) -> Decimal:
        """What of it earns: without tax, and nothing of a gift card."""
        if self.product.gift_card:
            return ZERO
        return self.net - self.tax if self.included else self.net


@dataclass(frozen=True, slots=True)
class Back:
    """What a refund gives back of one line; `subtotal` in the order's tax mode."""

    item: Item
    quantity: int
    subtotal: Decimal
    tax: Decimal

    @property
    def goods(self) -> Decimal:
        if self.item.product.gift_card:
            return ZERO
        return self.subtotal - self.tax if self.item.included else self.subtotal


@dataclass(slots=True)
class Refund:
    """Money that goes back: for lines, or out of goodwill. `void`: the bank sent it back again, so nothing went."""

    reference: str
    at: datetime
    updated_at: datetime
    money: Decimal
    lines: list[Back] = field(default_factory=list)
    shipping: Decimal = ZERO
    shipping_tax: Decimal = ZERO
    void: bool = False


@dataclass(slots=True)
class Order:
    """An order with all that happened to it; `as_numbers`: its amounts are told as numbers, not as text."""

    reference: str
    placed_at: datetime
    updated_at: datetime
    items: list[Item]
    shipping: Decimal
    included: bool
    telling: Telling
    as_numbers: bool
    customer: Customer | None = None
    channel: str = "pos"
    paid: bool = False
    cancelled_at: datetime | None = None
    fulfilled_at: datetime | None = None
    refunds: list[Refund] = field(default_factory=list)

    @property
    def shipping_tax(self) -> Decimal:
        return tax_of(self.shipping, Decimal("0.19"), included=self.included)

    @property
    def total(self) -> Decimal:
        """What is owed for it before refunds, with shipping and tax."""
        taxes = ZERO if self.included else sum((item.tax for item in self.items), self.shipping_tax)
        return sum((item.net for item in self.items), self.shipping) + taxes

    @property
    def standing(self) -> list[Refund]:
        """The refunds that went through."""
        return [refund for refund in self.refunds if not refund.void]

    @property
    def kept(self) -> Fraction:
        """The goods that are paid and were neither given back nor cancelled."""
        if not self.paid or self.cancelled_at is not None:
            return Fraction(0)
        goods = Fraction(sum((item.goods for item in self.items), ZERO))
        left = goods
        for refund in self.standing:
            if refund.lines:
                left -= Fraction(sum((line.goods for line in refund.lines), ZERO))
            else:
                left -= Fraction(refund.money) * goods / Fraction(self.total)
        return max(left, Fraction(0))

    def touch(self, at: datetime) -> None:
        """Move its time of change on; a till's clock knows whole seconds."""
        self.updated_at = max(at.replace(microsecond=0), self.updated_at + _SECOND)

    def give_back(self, quantities: dict[str, int], refund: Refund) -> None:
        """Enter a refund of so many pieces of each line; parts of a line add up to it, to the cent."""
        for item in self.items:
            pieces = quantities.get(item.reference, 0)
            if pieces:
                before, after = item.returned, item.returned + pieces
                subtotal = _part(item.net, after, item.quantity) - _part(item.net, before, item.quantity)
                tax = _part(item.tax, after, item.quantity) - _part(item.tax, before, item.quantity)
                item.returned = after
                refund.lines.append(Back(item, pieces, subtotal, tax))
                refund.money += subtotal + (ZERO if self.included else tax)
        refund.money += refund.shipping + (ZERO if self.included else refund.shipping_tax)
        self.refunds.append(refund)


@dataclass(slots=True)
class Book:
    """Everything that the till knows, by reference; `erased` are those who want to be forgotten.

    `consents`: what each said last.
    """

    customers: dict[str, Customer] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    #: Key of an event → whose it is.
    events: dict[str, str] = field(default_factory=dict)
    consents: dict[str, str] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)

    def expected(self, points_per_unit: Decimal, welcome: int, for_an_event: int = 0) -> dict[str, int]:
        """The points due to each customer."""
        due = dict.fromkeys(self.customers, welcome)
        for order in self.orders.values():
            if order.customer is not None and order.customer.reference in due:
                due[order.customer.reference] += floor(Fraction(points_per_unit) * order.kept)
        for reference in self.events.values():
            if reference in due:
                due[reference] += for_an_event
        return due


def tax_of(amount: Decimal, rate: Decimal, *, included: bool) -> Decimal:
    return cents(amount - amount / (1 + rate)) if included else cents(amount * rate)


def _part(amount: Decimal, count: int, of: int) -> Decimal:
    return cents(amount * count / of)
