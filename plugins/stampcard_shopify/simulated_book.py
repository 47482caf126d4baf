"""The simulated shop's own books: what was ordered, taken off, paid and given back, in plain exact arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import floor

CENT = Decimal("0.01")
ZERO = Decimal("0.00")


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


@dataclass(slots=True)
class Customer:
    """A person known to the shop."""

    id: int
    first_name: str
    last_name: str
    email: str
    created_at: datetime
    updated_at: datetime
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """An article of the shop's range."""

    id: int
    variant: int
    title: str
    sku: str
    vendor: str
    price: Decimal
    gift_card: bool = False


@dataclass(frozen=True, slots=True)
class Applied:
    """A discount code as an order shows it; `type` is percentage, fixed_amount or shipping."""

    code: str
    type: str
    value: str
    selection: str = "all"


@dataclass(slots=True)
class Line:
    """One line of an order; `quantity` as placed or added, `removed` by edits, `refunded` by returns."""

    id: int
    product: Product
    quantity: int
    tax_rate: Decimal
    tax_included: bool
    discount: Decimal = ZERO
    removed: int = 0
    refunded: int = 0

    @property
    def ordered(self) -> int:
        """The quantity after edits, before returns."""
        return self.quantity - self.removed

    @property
    def current(self) -> int:
        return self.ordered - self.refunded

    @property
    def net(self) -> Decimal:
        """What the line costs after its discount, before returns, in the order's tax mode."""
        return self.product.price * self.ordered - self.discount

    @property
    def tax(self) -> Decimal:
        return tax_of(self.net, self.tax_rate, included=self.tax_included)

    @property
    def listed_tax(self) -> Decimal:
        """As the shop lists it: with the tax of units that an edit removed."""
        listed = self.product.price * self.quantity - self.discount
        return tax_of(listed, self.tax_rate, included=self.tax_included)

    @property
    def goods(self) -> Decimal:
        """What of the line counts as goods: without tax, nothing for a gift card."""
        return ZERO if self.product.gift_card else untaxed(self.net, self.tax, included=self.tax_included)


@dataclass(frozen=True, slots=True)
class ReturnedLine:
    """The part of a line that a refund gives back; `subtotal` in the order's tax mode."""

    id: int
    line: Line
    quantity: int
    subtotal: Decimal
    tax: Decimal

    @property
    def goods(self) -> Decimal:
        if self.line.product.gift_card:
            return ZERO
        return untaxed(self.subtotal, self.tax, included=self.line.tax_included)


@dataclass(slots=True)
class Refund:
    """Money going back: for lines, for shipping, or without any reason (`lines` is empty then).

    `failed`: a first attempt of the bank transfer failed, so the refund also lists a transaction that moved nothing.
    """

    id: int
    at: datetime
    money: Decimal
    lines: list[ReturnedLine] = field(default_factory=list)
    shipping: Decimal = ZERO
    shipping_tax: Decimal = ZERO
    failed: bool = False


@dataclass(slots=True)
class Order:
    """An order with everything that happened to it; `shipping` is less what a code took off, `free_shipping`."""

    id: int
    number: int
    created_at: datetime
    updated_at: datetime
    lines: list[Line]
    shipping: Decimal
    shipping_id: int
    tax_rate: Decimal
    tax_included: bool
    customer: Customer | None = None
    test: bool = False
    applied: Applied | None = None
    free_shipping: Decimal = ZERO
    tags: tuple[str, ...] = ()
    source: str = "web"
    currency: str = "USD"
    presentment: str = "USD"
    presentment_rate: Decimal = Decimal(1)
    paid: Decimal = ZERO
    fulfilled: bool = False
    edited: bool = False
    cancelled_at: datetime | None = None
    refunds: list[Refund] = field(default_factory=list)

    @property
    def code(self) -> str:
        return self.applied.code if self.applied else ""

    @property
    def discounts(self) -> Decimal:
        return sum((line.discount for line in self.lines), self.free_shipping)

    @property
    def subtotal(self) -> Decimal:
        return sum((line.net for line in self.lines), ZERO)

    @property
    def shipping_tax(self) -> Decimal:
        return tax_of(self.shipping, self.tax_rate, included=self.tax_included)

    @property
    def tax(self) -> Decimal:
        return sum((line.tax for line in self.lines), self.shipping_tax)

    @property
    def total(self) -> Decimal:
        """What the customer owes as placed or edited, before refunds: with shipping and tax."""
        return self.subtotal + self.shipping + (ZERO if self.tax_included else self.tax)

    @property
    def given_back(self) -> Decimal:
        return sum((refund.money for refund in self.refunds), ZERO)

    @property
    def returned(self) -> list[ReturnedLine]:
        return [line for refund in self.refunds for line in refund.lines]

    @property
    def returned_shipping(self) -> Decimal:
        return sum((refund.shipping for refund in self.refunds), ZERO)

    @property
    def is_settled(self) -> bool:
        return self.paid > 0 and self.paid >= self.total

    @property
    def financial_status(self) -> str:
        if self.paid == 0:
            return "voided" if self.cancelled_at else "pending"
        if self.given_back > 0:
            return "refunded" if self.given_back >= self.paid else "partially_refunded"
        return "paid" if self.is_settled else "partially_paid"

    @property
    def kept(self) -> Fraction:
        """The goods that the customer kept: without tax, shipping and gift cards, less what was given back."""
        goods = Fraction(sum((line.goods for line in self.lines), ZERO))
        left = goods - Fraction(sum((line.goods for line in self.returned), ZERO))
        for refund in self.refunds:
            if not refund.lines:
                left -= Fraction(refund.money) * goods / Fraction(self.total)
        return max(left, Fraction(0))

    @property
    def earns(self) -> bool:
        return self.is_settled and self.cancelled_at is None and not self.test

    def give_back(self, quantities: dict[int, int], refund: Refund, ids: list[int]) -> None:
        """Enter a refund of these quantities by line id; rounding is cumulative, so that parts add up to the line."""
        for line in self.lines:
            quantity = quantities.get(line.id, 0)
            if quantity:
                before, after = line.refunded, line.refunded + quantity
                subtotal = part(line.net, after, line.ordered) - part(line.net, before, line.ordered)
                tax = part(line.tax, after, line.ordered) - part(line.tax, before, line.ordered)
                line.refunded = after
                refund.lines.append(ReturnedLine(ids.pop(), line, quantity, subtotal, tax))
                refund.money += subtotal + (ZERO if self.tax_included else tax)
        refund.money += refund.shipping + (ZERO if self.tax_included else refund.shipping_tax)
        if self.paid == 0:
            refund.money = ZERO
        self.refunds.append(refund)


@dataclass(slots=True)
class Book:
    """Everything the shop knows, by id."""

    customers: dict[int, Customer] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    #: Which products are in which collection.
    collections: dict[int, frozenset[int]] = field(default_factory=dict)

    def expected(self, points_per_unit: Decimal, welcome: int) -> dict[str, int]:
        """The points due to each customer, by the reference that the shop gives them."""
        due = dict.fromkeys(self.customers, welcome)
        for order in self.orders.values():
            if order.earns and order.customer is not None and order.customer.id in due:
                due[order.customer.id] += floor(Fraction(points_per_unit) * order.kept)
        return {str(customer): points for customer, points in due.items()}


def tax_of(amount: Decimal, rate: Decimal, *, included: bool) -> Decimal:
    return cents(amount - amount / (1 + rate)) if included else cents(amount * rate)


def untaxed(amount: Decimal, tax: Decimal, *, included: bool) -> Decimal:
    return amount - tax if included else amount


def part(amount: Decimal, count: int, of: int) -> Decimal:
    return cents(amount * count / of)
