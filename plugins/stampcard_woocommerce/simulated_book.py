"""What the simulated shop knows: customers, orders, refunds, coupons and webhooks, as its database would hold them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from itertools import count

ZERO = Decimal(0)
CENT = Decimal("0.01")
TAX = Decimal("0.20")
_SECOND = timedelta(seconds=1)
#: Statuses in which an order is worth points.
WORTH = frozenset({"processing", "completed", "refunded"})


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


@dataclass(slots=True)
class Customer:
    id: int
    email: str
    first_name: str
    last_name: str
    created_at: datetime
    modified_at: datetime
    role: str = "customer"
    phone: str = ""
    country: str = "US"
    meta: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Product:
    id: int
    name: str
    price: Decimal
    category: int
    sku: str


@dataclass(slots=True)
class Item:
    """A line; `off` is what coupons took off all of it."""

    id: int
    product: Product
    quantity: int
    off: Decimal = ZERO

    @property
    def subtotal(self) -> Decimal:
        return self.product.price * self.quantity

    @property
    def total(self) -> Decimal:
        return self.subtotal - self.off

    @property
    def tax(self) -> Decimal:
        return cents(self.total * TAX)


@dataclass(slots=True)
class Back:
    """What a refund gives back of one line."""

    id: int
    item: Item
    quantity: int
    total: Decimal

    @property
    def tax(self) -> Decimal:
        return cents(self.total * TAX)


@dataclass(slots=True)
class Refund:
    id: int
    at: datetime
    amount: Decimal
    lines: list[Back] = field(default_factory=list)


@dataclass(slots=True)
class Order:
    id: int
    customer_id: int
    email: str
    first_name: str
    created_at: datetime
    modified_at: datetime
    items: list[Item]
    shipping: Decimal = ZERO
    status: str = "pending"
    paid_at: datetime | None = None
    completed_at: datetime | None = None
    coupons: dict[str, Decimal] = field(default_factory=dict)
    refunds: list[Refund] = field(default_factory=list)

    @property
    def goods(self) -> Decimal:
        """What the goods cost after discounts, without tax."""
        return sum((item.total for item in self.items), ZERO)

    @property
    def total(self) -> Decimal:
        shipping = self.shipping + cents(self.shipping * TAX)
        return self.goods + sum((item.tax for item in self.items), ZERO) + shipping

    @property
    def left(self) -> Decimal:
        """What has not been paid back."""
        return self.total - sum((refund.amount for refund in self.refunds), ZERO)

    def kept(self) -> Decimal:
        """What of the goods was paid and not given back."""
        if self.status not in WORTH or self.paid_at is None:
            return ZERO
        back = ZERO
        for refund in self.refunds:
            if refund.lines:
                back += sum((line.total for line in refund.lines), ZERO)
            else:
                back += self.goods * refund.amount / self.total
        return max(ZERO, self.goods - back)

    def unreturned(self, item: Item) -> int:
        """How many pieces of a line were not given back."""
        gone = (line.quantity for refund in self.refunds for line in refund.lines if line.item is item)
        return item.quantity - sum(gone)


@dataclass(slots=True)
class Coupon:
    id: int
    code: str
    kind: str
    amount: Decimal
    created_at: datetime
    expires_at: datetime | None = None
    usage_limit: int = 0
    used: int = 0
    emails: tuple[str, ...] = ()
    minimum: Decimal = ZERO
    products: tuple[int, ...] = ()
    categories: tuple[int, ...] = ()
    pieces: int = 0
    alone: bool = False
    free_shipping: bool = False
    description: str = ""


class Book:
    """All of it, and the numbers that WordPress gives out, which every kind of thing shares."""

    def __init__(self, first: int) -> None:
        """`first`: the first number, so that two shops, or two samples, seldom have the same."""
        self.customers: dict[int, Customer] = {}
        self.orders: dict[int, Order] = {}
        self.coupons: dict[int, Coupon] = {}
        self._numbers = count(first)

    def new_id(self) -> int:
        return next(self._numbers)

    def touch(self, order: Order, at: datetime) -> None:
        """Move its time of change on, which is kept to the second."""
        order.modified_at = max(at.replace(microsecond=0), order.modified_at + _SECOND)

    def coupon(self, code: str) -> Coupon | None:
        """The newest of that code, as WooCommerce looks one up."""
        found = [coupon for coupon in self.coupons.values() if coupon.code == code.lower()]
        return max(found, key=lambda coupon: coupon.id, default=None)

    def account(self, email: str) -> Customer | None:
        return next((one for one in self.customers.values() if one.email.lower() == email.lower()), None)

    def owner(self, order: Order) -> int:
        """Whose the order is: an account's that had its address by then, too; 0 for a guest."""
        if order.customer_id:
            return order.customer_id
        account = self.account(order.email)
        return account.id if account is not None and account.created_at <= order.created_at else 0

    def expected(self, points_per_unit: Decimal, welcome: int) -> dict[str, int]:
        """The points due to each account: the floor of each order, and the welcome."""
        points = dict.fromkeys(self.customers, welcome)
        for order in self.orders.values():
            owner = self.owner(order)
            if owner in points:
                points[owner] += int((order.kept() * points_per_unit).to_integral_value(ROUND_FLOOR))
        return {str(reference): due for reference, due in points.items()}

    def known(self) -> Iterator[Customer]:
        return iter(self.customers.values())
