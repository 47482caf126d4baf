"""The parts of WooCommerce's REST API v3 that we read (https://woocommerce.github.io/woocommerce-rest-api-docs/).

Webhooks have the same bodies. Money is text; times that end in ``_gmt`` have no zone and are UTC; other fields are ignored.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta, Struct

Id = Annotated[int, Meta(ge=1, lt=2**63 - 1)]
#: As many digits as surely fit into such an id.
DIGITS = 18
#: WordPress hands some ids on as text.
Numeral = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,17}$")]
#: 0 where there is nobody and nothing.
Nullable = Annotated[int, Meta(ge=0, lt=2**63 - 1)]
ZERO = Decimal(0)


class Payload(Struct, frozen=True, kw_only=True):
    pass


class Address(Payload, frozen=True):
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    country: str | None = None


class Line(Payload, frozen=True):
    """`subtotal` before and `total` after discounts, both without tax, whatever `prices_include_tax` says."""

    id: Id
    quantity: Decimal
    subtotal: Decimal
    total: Decimal
    total_tax: Decimal = ZERO
    product_id: Nullable | None = None
    sku: str | None = None


class Charge(Payload, frozen=True):
    """A line of shipping, or a fee; a fee that is negative is a discount."""

    id: Id
    total: Decimal
    total_tax: Decimal = ZERO


class CouponLine(Payload, frozen=True):
    code: str


class RefundTotal(Payload, frozen=True):
    """What an order tells of a refund: no more than its sum."""

    id: Id


class OrderBody(Payload, frozen=True):
    id: Id
    status: str
    currency: str
    total: Decimal
    customer_id: Nullable
    date_created_gmt: datetime
    date_modified_gmt: datetime
    line_items: tuple[Line, ...]
    number: str | int = ""
    created_via: str = ""
    date_created: datetime | None = None
    date_paid_gmt: datetime | None = None
    date_completed_gmt: datetime | None = None
    shipping_lines: tuple[Charge, ...] = ()
    fee_lines: tuple[Charge, ...] = ()
    coupon_lines: tuple[CouponLine, ...] = ()
    refunds: tuple[RefundTotal, ...] = ()
    billing: Address = Address()


class RefundedLine(Payload, frozen=True):
    """Amounts and quantities are negative; which line they are of stands in `meta_data` as ``_refunded_item_id``."""

    total: Decimal
    total_tax: Decimal = ZERO
    quantity: Decimal = ZERO
    meta_data: Any = None


class RefundBody(Payload, frozen=True):
    """One of ``/orders/{id}/refunds``; `amount` is positive and includes everything."""

    id: Id
    date_created_gmt: datetime
    amount: Decimal
    line_items: tuple[RefundedLine, ...] = ()
    shipping_lines: tuple[RefundedLine, ...] = ()


class Fetched(Payload, frozen=True):
    """What we put together of an order that we read: `owner` is a registered customer with the guest's address, 0 for none."""

    order: OrderBody
    refunds: tuple[RefundBody, ...]
    owner: Nullable = 0


class Vanished(Payload, frozen=True):
    """What is left of an order that the shop has no more: nothing but what we asked for."""

    vanished: Id
    currency: str


class Person(Payload, frozen=True):
    id: Id
    email: str | None
    role: str = ""
    first_name: str | None = None
    last_name: str | None = None
    date_created_gmt: datetime | None = None
    date_modified_gmt: datetime | None = None
    billing: Address = Address()


class Named(Payload, frozen=True):
    """The body of a deletion."""

    id: Id | Numeral


class Gone(Payload, frozen=True, forbid_unknown_fields=True):
    """The body of a customer's deletion, which holds nothing else: nobody signs the topic, and orders have an `id`, too."""

    id: Id | Numeral


class Anything(Payload, frozen=True):
    """A body of any topic, with what may say whom it is about, or why WooCommerce could not build it."""

    id: Any = None
    customer_id: Any = None
    billing: Any = None
    order: Any = None
    owner: Any = None
    code: Any = None


def is_number(text: str) -> bool:
    """Whether a text is an id of WooCommerce's."""
    return text.isascii() and text.isdecimal() and len(text) <= DIGITS and text.strip("0") != ""
