"""What we take in, in our own words: the parts of `{type, timestamp, data}`, from which the published schema is made.

Fields that are not named here are refused, so that a misspelt one is told instead of overlooked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

#: Neither money nor a count is believed beyond these.
MOST_MONEY, MOST_ITEMS = Decimal("1E12"), 1_000_000
#: An order with more lines than this is none, and would hold up all others.
MOST_PARTS = 5_000
_PLAIN = r"^[^\x00-\x1f\x7f]+$"
_WORD = r"^[^\x00]*$"
_SCALAR: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
_ZERO = Decimal(0)

#: A name or an id of somebody else's.
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=_PLAIN)]
Word = Annotated[str, Meta(max_length=200, pattern=_WORD)]
#: Decimal text, or a number.
Money = Decimal
Moment = Annotated[datetime, Meta(tz=True)]
Count = Annotated[int, Meta(ge=0, le=MOST_ITEMS)]
Scalar = Annotated[Any, Meta(extra_json_schema=_SCALAR)]
Agreed = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]


class Told(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The root of what stands in `data`."""


class Line(Told, frozen=True, kw_only=True):
    """A line of an order as placed or edited, before refunds. It has either `price` or `gross`."""

    reference: Annotated[Word, Meta(description="What refunds call it; by default its place, from 1.")] = ""
    sku: Word = ""
    product: Annotated[Word, Meta(description="The source's id of the product.")] = ""
    vendor: Word = ""
    quantity: Count = 1
    price: Annotated[Money | None, Meta(description="Of one item, before discounts.")] = None
    gross: Annotated[Money | None, Meta(description="Of the whole line, before discounts.")] = None
    discount: Annotated[Money, Meta(description="On the whole line.")] = _ZERO
    tax: Annotated[Money, Meta(description="On the whole line.")] = _ZERO
    gift_card: Annotated[bool, Meta(description="Whether a gift card is bought.")] = False
    collections: tuple[Word, ...] = ()
    tags: tuple[Word, ...] = ()


class ReturnedLine(Told, frozen=True, kw_only=True):
    """What a refund gives back of one line."""

    line: Annotated[Name, Meta(description="The line's reference.")]
    quantity: Count = 0
    subtotal: Annotated[Money, Meta(description="After discounts; with its tax if the order's prices have it.")]
    tax: Money = _ZERO


class Return(Told, frozen=True, kw_only=True):
    """A refund at its newest state."""

    reference: Annotated[Name, Meta(description="The source's id of the refund; the same one counts once.")]
    occurred_at: Annotated[Moment | None, Meta(description="By default `updated_at`.")] = None
    updated_at: Annotated[
        Moment | None, Meta(description="When it last changed: the newest state counts. By default `timestamp`.")
    ] = None
    money: Annotated[Money, Meta(description="What was paid back in all.")] = _ZERO
    lines: Annotated[tuple[ReturnedLine, ...], Meta(max_length=MOST_PARTS)] = ()
    shipping: Annotated[Money, Meta(description="The part of it that was for shipping.")] = _ZERO
    shipping_tax: Money = _ZERO


class Person(Told, frozen=True, kw_only=True):
    """A customer as the source knows them."""

    reference: Annotated[Name, Meta(description="The source's id of the customer.")]
    attributes: Annotated[
        Mapping[Name, Scalar],
        Meta(
            description="email, phone, first_name, last_name, language, country, timezone, and what a program declares. "
            "null: there is none any more; what is left out stays."
        ),
    ] = {}
    verified: Annotated[
        tuple[Literal["email", "phone"], ...], Meta(description="What the source knows to be the customer's own.")
    ] = ()


class Customer(Person, frozen=True, kw_only=True):
    """A customer was made, or changed."""

    updated_at: Annotated[Moment | None, Meta(description="By default `timestamp`.")] = None


class Order(Told, frozen=True, kw_only=True):
    """A whole order as it is now, whatever happened to it; amounts are in the shop's own currency."""

    reference: Annotated[Name, Meta(description="The source's id of the order.")]
    number: Annotated[Word, Meta(description="What people call it; by default `reference`.")] = ""
    placed_at: Moment
    updated_at: Annotated[
        Moment | None, Meta(description="When it last changed: the newest state counts. By default `timestamp`.")
    ] = None
    currency: Currency
    total: Annotated[Money, Meta(description="What is owed for it, before refunds.")]
    paid: bool
    cancelled: bool = False
    cancelled_at: Moment | None = None
    customer: Annotated[Person | None, Meta(description="null: a guest. What it tells beside `reference` is kept.")] = (
        None
    )
    tax_included: Annotated[bool, Meta(description="Whether prices and shipping contain their tax.")] = False
    lines: Annotated[tuple[Line, ...], Meta(max_length=MOST_PARTS)] = ()
    shipping: Money = _ZERO
    shipping_tax: Money = _ZERO
    channel: Annotated[Word, Meta(description="Where it was bought: `web`, `pos` …")] = ""
    tags: tuple[Word, ...] = ()
    codes: Annotated[tuple[Word, ...], Meta(description="Discount codes that the customer gave.")] = ()
    paid_with_points: Annotated[Money, Meta(description="The part of the total that points paid.")] = _ZERO
    fulfilled_at: Annotated[Moment | None, Meta(description="Since when all of it is sent or handed over.")] = None
    utc_offset: Annotated[
        Annotated[int, Meta(ge=-1440, le=1440)] | None,
        Meta(description="Minutes that the shop's clock was ahead of UTC when it was placed."),
    ] = None
    refunds: Annotated[tuple[Return, ...], Meta(max_length=MOST_PARTS, description="All that are known.")] = ()
    lists_all_refunds: Annotated[bool, Meta(description="Whether a refund that is left out is gone.")] = False


class Refund(Return, frozen=True, kw_only=True):
    """A refund of an order, which may not be known yet."""

    order: Annotated[Name, Meta(description="The order's reference.")]


class Erased(Told, frozen=True, kw_only=True):
    """A customer is to be forgotten."""

    reference: Annotated[Word, Meta(description="The source's id of the customer, if it has one still.")] = ""
    emails: tuple[Word, ...] = ()
    phones: tuple[Word, ...] = ()
    occurred_at: Annotated[Moment | None, Meta(description="By default `timestamp`.")] = None


class Requested(Told, frozen=True, kw_only=True):
    """A customer asks for their data: a task for the merchant."""

    reference: Annotated[Name, Meta(description="The source's id of the customer.")]
    request: Annotated[Word, Meta(description="What the source calls the request, if it has a name.")] = ""
    occurred_at: Annotated[Moment | None, Meta(description="By default `timestamp`.")] = None


class Consented(Told, frozen=True, kw_only=True):
    """What a customer said about being addressed; told once more it changes nothing."""

    customer: Annotated[Name, Meta(description="The source's id of the customer.")]
    channel: Annotated[Agreed, Meta(description="How: `email`, `sms` …")]
    purpose: Annotated[Agreed, Meta(description="What for.")] = "marketing"
    state: Literal["given", "pending", "refused", "withdrawn"]
    confirmed: Annotated[bool, Meta(description="You asked back already, so a yes counts at once.")] = False
    occurred_at: Annotated[Moment | None, Meta(description="When they said it. By default `timestamp`.")] = None


class Merged(Told, frozen=True, kw_only=True):
    """Two customers became one at the source."""

    kept: Annotated[Name, Meta(description="The reference that stays.")]
    gone: Annotated[Name, Meta(description="The reference that is no more.")]
    occurred_at: Annotated[Moment | None, Meta(description="By default `timestamp`.")] = None


class Happened(Told, frozen=True, kw_only=True):
    """Something that a customer did, of an event that a program knows."""

    name: Annotated[Name, Meta(description="The event, as the program calls it.")]
    customer: Annotated[Name, Meta(description="The source's id of the customer.")]
    key: Annotated[Name, Meta(description="Makes it count once, however often it is told.")]
    occurred_at: Annotated[Moment | None, Meta(description="By default `timestamp`.")] = None
    data: Annotated[Mapping[Name, Scalar], Meta(description="The fields that the program knows of it.")] = {}


#: What `type` says → what stands in `data`. Any other type is ignored.
TYPES: Mapping[str, type[Told]] = {
    "order.updated": Order,
    "refund.updated": Refund,
    "customer.updated": Customer,
    "customer.consented": Consented,
    "customer.erased": Erased,
    "customer.merged": Merged,
    "customer.data_requested": Requested,
    "event.happened": Happened,
}
