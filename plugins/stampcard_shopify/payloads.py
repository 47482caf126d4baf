"""The parts of Shopify's payloads that we read, as its samples of 2026-07 show them; other fields are ignored.

Money is shop money and comes as text or as a number; ids have up to 19 digits.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta, Struct

Id = Annotated[int, Meta(ge=1, lt=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Moment = Annotated[datetime, Meta(tz=True)]
ZERO = Decimal(0)


class Payload(Struct, frozen=True, kw_only=True):
    pass


class Money(Payload, frozen=True):
    amount: Decimal
    currency_code: str = ""


class MoneySet(Payload, frozen=True):
    shop_money: Money


class TaxLine(Payload, frozen=True):
    price: Decimal


class Line(Payload, frozen=True):
    id: Id
    quantity: Count
    price: Decimal
    current_quantity: Count | None = None
    total_discount: Decimal = ZERO
    discount_allocations: tuple[Money, ...] = ()
    tax_lines: tuple[TaxLine, ...] = ()
    gift_card: bool = False
    product_id: Id | None = None
    sku: str | None = None
    vendor: str | None = None


class ShippingLine(Payload, frozen=True):
    discounted_price: Decimal
    is_removed: bool = False
    tax_lines: tuple[TaxLine, ...] = ()


class RefundedLine(Payload, frozen=True):
    line_item_id: Id
    quantity: Count
    subtotal: Decimal
    total_tax: Decimal = ZERO


class RefundedShipping(Payload, frozen=True):
    subtotal_amount_set: MoneySet
    tax_amount_set: MoneySet | None = None


class Adjustment(Payload, frozen=True):
    kind: str = ""
    amount: Decimal = ZERO
    tax_amount: Decimal = ZERO


class Transaction(Payload, frozen=True):
    kind: str
    status: str
    amount: Decimal
    currency: str | None = None
    test: bool = False


class RefundBody(Payload, frozen=True):
    id: Id
    created_at: Moment | None = None
    processed_at: Moment | None = None
    refund_line_items: tuple[RefundedLine, ...] = ()
    refund_shipping_lines: tuple[RefundedShipping, ...] = ()
    order_adjustments: tuple[Adjustment, ...] = ()
    transactions: tuple[Transaction, ...] = ()
    total_duties_set: MoneySet | None = None


class NewRefund(RefundBody, frozen=True, kw_only=True):
    order_id: Id


class Address(Payload, frozen=True):
    country_code: str | None = None


class Person(Payload, frozen=True):
    id: Id
    created_at: Moment | None = None
    updated_at: Moment | None = None
    email: str | None = None
    verified_email: bool | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    default_address: Address | None = None


class Saying(Payload, frozen=True):
    """What a customer says about being addressed; without a state nothing was ever said."""

    state: str | None = None
    opt_in_level: str | None = None
    consent_updated_at: Moment | None = None


class EmailConsent(Payload, frozen=True):
    customer_id: Id
    email_marketing_consent: Saying | None


class SmsConsent(Payload, frozen=True):
    id: Id
    sms_marketing_consent: Saying | None


class Fulfillment(Payload, frozen=True):
    created_at: Moment


class DiscountCode(Payload, frozen=True):
    code: str | None = None


class OrderBody(Payload, frozen=True):
    id: Id
    created_at: Moment
    updated_at: Moment
    currency: str
    total_price: Decimal
    line_items: tuple[Line, ...]
    name: str = ""
    processed_at: Moment | None = None
    cancelled_at: Moment | None = None
    financial_status: str | None = None
    test: bool = False
    taxes_included: bool = False
    customer: Person | None = None
    shipping_lines: tuple[ShippingLine, ...] = ()
    total_shipping_price_set: MoneySet | None = None
    refunds: tuple[RefundBody, ...] = ()
    source_name: str | None = None
    tags: str | tuple[str, ...] = ""
    fulfillment_status: str | None = None
    fulfillments: tuple[Fulfillment, ...] = ()
    discount_codes: tuple[DiscountCode | str, ...] = ()


class OrderEdit(Payload, frozen=True):
    order_id: Id


class Edited(Payload, frozen=True):
    order_edit: OrderEdit


class Anything(Payload, frozen=True):
    """A body of any topic, with what may say whom it is about."""

    id: Any = None
    customer: Any = None
    customer_id: Any = None


class Merge(Payload, frozen=True):
    status: str
    admin_graphql_api_customer_kept_id: str = ""
    admin_graphql_api_customer_deleted_id: str = ""


class Subject(Payload, frozen=True):
    """Whom a request of the law is about: one who only ever left an e-mail address has no id."""

    id: Id | None = None
    email: str | None = None
    phone: str | None = None


class Redaction(Payload, frozen=True):
    """`orders_to_redact` is required: it tells this body from a data request."""

    shop_domain: str
    customer: Subject
    orders_to_redact: tuple[Id, ...]


class DataRequest(Payload, frozen=True):
    shop_domain: str
    customer: Subject
    data_request: Subject


class ShopRedaction(Payload, frozen=True, forbid_unknown_fields=True):
    """Nothing else is allowed in it: that tells this body from one about a single customer."""

    shop_domain: str
    shop_id: Id | None = None


class Shop(Payload, frozen=True):
    myshopify_domain: str | None = None
    domain: str | None = None
