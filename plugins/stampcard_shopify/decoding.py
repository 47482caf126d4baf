"""From Shopify's payloads to our values; pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TypeVar

import msgspec

from stampcard.plugin import (
    CustomerSeen,
    Delivery,
    MalformedPayload,
    OrderLine,
    OrderSnapshot,
    Refund,
    RefundLine,
    Stamp,
)
from stampcard_shopify.payloads import ZERO, Line, OrderBody, Person, RefundBody, RefundedLine, Transaction

PAID = frozenset({"paid", "partially_refunded", "refunded"})
_FINEST = Decimal("1E-9")
_LIMIT = Decimal("1E12")
T = TypeVar("T")


def read(body: bytes, shape: type[T]) -> T:
    """The body in the given shape, or MalformedPayload, which says where but never what stands there."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedPayload(f"not what Shopify publishes: {error}") from None
    except UnicodeDecodeError:
        raise MalformedPayload("not what Shopify publishes: the text is not UTF-8") from None


def utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise MalformedPayload("a time lies outside of the calendar") from None


@lru_cache(maxsize=8192)
def exact(amount: Decimal) -> Decimal:
    """The amount in its one shortest form, so that "5.00" and 5 have the same digest; equal amounts share one answer."""
    if not amount.is_finite() or not -_LIMIT < amount < _LIMIT:
        raise MalformedPayload(f"an amount is not a number below {_LIMIT}")
    return Decimal(format(amount.quantize(_FINEST).normalize() + 0, "f"))


def total(amounts: Iterable[Decimal]) -> Decimal:
    return exact(sum(map(exact, amounts), ZERO))


def snapshot_of(order: OrderBody, read_at: int) -> OrderSnapshot:
    """The order as placed or edited, before refunds."""
    refunded: Counter[int] = Counter()
    for refund in order.refunds:
        for gone in refund.refund_line_items:
            refunded[gone.line_item_id] += gone.quantity
    lines = tuple(_line(line, _kept(line, refunded[line.id])) for line in order.line_items)
    shipping, shipping_tax = _shipping(order)
    tags = order.tags.split(",") if isinstance(order.tags, str) else order.tags
    value = OrderSnapshot(
        stamp=Stamp(at=utc(order.updated_at)),
        number=order.name,
        occurred_at=utc(order.processed_at or order.created_at),
        currency=order.currency,
        total=_total(order, lines, shipping, shipping_tax),
        paid=(order.financial_status or "").lower() in PAID,
        cancelled=order.cancelled_at is not None,
        cancelled_at=order.cancelled_at,
        customer=None if order.customer is None else str(order.customer.id),
        tax_included=order.taxes_included,
        lines=lines,
        shipping=shipping,
        shipping_tax=shipping_tax,
        channel=order.source_name or "",
        tags=tuple(tag.strip() for tag in tags if tag.strip()),
        codes=_codes(order),
        fulfilled_at=_fulfilled_at(order),
    )
    stamp = Stamp(at=value.stamp.at, read_at=read_at, digest=_digest(value))
    # Not part of the content: only webhooks tell it.
    return msgspec.structs.replace(value, stamp=stamp, utc_offset=_utc_offset(order, read_at))


def _codes(order: OrderBody) -> tuple[str, ...]:
    """Webhooks tell them with what each took off, the Admin API alone, and neither promises an order."""
    told = (entry if isinstance(entry, str) else entry.code for entry in order.discount_codes)
    return tuple(sorted({code for code in told if code}))


def _fulfilled_at(order: OrderBody) -> datetime | None:
    """When the last part was sent, once all is."""
    if (order.fulfillment_status or "").lower() != "fulfilled":
        return None
    return max((utc(part.created_at) for part in order.fulfillments), default=utc(order.updated_at))


def _utc_offset(order: OrderBody, read_at: int) -> int | None:
    """Webhooks tell times by the shop's clock, the Admin API in UTC."""
    offset = (order.processed_at or order.created_at).utcoffset()
    return None if read_at or offset is None else int(offset.total_seconds()) // 60


def _digest(value: OrderSnapshot | Refund) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()[:24]


def _kept(line: Line, refunded: int) -> int:
    return line.quantity if line.current_quantity is None else line.current_quantity + refunded


def _line(line: Line, quantity: int) -> OrderLine:
    discount = total(part.amount for part in line.discount_allocations) or exact(line.total_discount)
    return OrderLine(
        reference=str(line.id),
        quantity=quantity,
        gross=exact(exact(line.price) * quantity),
        discount=_share(discount, quantity, line.quantity),
        tax=_share(total(tax.price for tax in line.tax_lines), quantity, line.quantity),
        gift_card=line.gift_card,
        product=str(line.product_id or ""),
        sku=line.sku or "",
        vendor=line.vendor or "",
    )


def _share(amount: Decimal, quantity: int, listed: int) -> Decimal:
    """Shopify lists discounts and taxes including those of units that an edit removed (schema, LineItem)."""
    return amount if quantity == listed or not listed else exact(amount * quantity / listed)


def _shipping(order: OrderBody) -> tuple[Decimal, Decimal]:
    kept = [line for line in order.shipping_lines if not line.is_removed]
    tax = total(part.price for line in kept for part in line.tax_lines)
    if not order.shipping_lines and order.total_shipping_price_set is not None:
        return exact(order.total_shipping_price_set.shop_money.amount), tax
    return total(line.discounted_price for line in kept), tax


def _total(order: OrderBody, lines: Sequence[OrderLine], shipping: Decimal, shipping_tax: Decimal) -> Decimal:
    """What is owed: `total_price` may lack what an edit added and may still hold what an edit removed."""

    def owed(line: OrderLine) -> Decimal:
        return line.gross - line.discount + (ZERO if order.taxes_included else line.tax)

    standing = total(map(owed, lines))
    edited = any(line.quantity != kept.quantity for line, kept in zip(order.line_items, lines, strict=True))
    listed = total(owed(_line(line, line.quantity)) for line in order.line_items) if edited else standing
    freight = shipping + (ZERO if order.taxes_included else shipping_tax)
    return exact(max(exact(order.total_price), listed + freight) - listed + standing)


def settled(refund: RefundBody) -> list[Transaction]:
    """The transactions that gave money back."""
    return [t for t in refund.transactions if t.kind.lower() == "refund" and t.status.lower() == "success"]


def is_foreign(refund: RefundBody, shop_currency: str | None = None) -> bool:
    """Whether transactions tell money in the buyer's currency, as Shopify's REST resource does where it differs."""
    if shop_currency is None and refund.total_duties_set is not None:
        shop_currency = refund.total_duties_set.shop_money.currency_code
    return bool(shop_currency) and any(t.currency not in {None, shop_currency} for t in settled(refund))


def refund_of(refund: RefundBody) -> Refund:
    """The refund, from its own object alone, so that it is equal in whichever body it comes."""
    moment = refund.processed_at or refund.created_at
    if moment is None:
        raise MalformedPayload("a refund has neither processed_at nor created_at")
    at, paid_back = utc(moment), settled(refund)
    shipping, shipping_tax = _refunded_shipping(refund)
    value = Refund(
        reference=str(refund.id),
        stamp=Stamp(at=at),
        occurred_at=at,
        lines=tuple(sorted(map(_refunded, refund.refund_line_items), key=msgspec.structs.astuple)),
        money=total(transaction.amount for transaction in paid_back),
        shipping=shipping,
        shipping_tax=shipping_tax,
    )
    # A refund has no time of its last change, but its transactions only ever settle: their count in front lets the
    # later of two readings win.
    return msgspec.structs.replace(value, stamp=Stamp(at=at, digest=f"{len(paid_back):04}{_digest(value)}"))


def _refunded(line: RefundedLine) -> RefundLine:
    amounts = {"subtotal": exact(line.subtotal), "tax": exact(line.total_tax)}
    return RefundLine(line=str(line.line_item_id), quantity=line.quantity, **amounts)


def _refunded_shipping(refund: RefundBody) -> tuple[Decimal, Decimal]:
    """Since 2024-10 in lines of its own, before that as negative adjustments; some bodies hold both."""
    if lines := refund.refund_shipping_lines:
        taxes = (line.tax_amount_set.shop_money.amount for line in lines if line.tax_amount_set is not None)
        return total(line.subtotal_amount_set.shop_money.amount for line in lines), total(taxes)
    given = [part for part in refund.order_adjustments if part.kind == "shipping_refund"]
    return total(-part.amount for part in given), total(-part.tax_amount for part in given)


def customer_of(person: Person, delivery: Delivery) -> CustomerSeen:
    told = {
        "email": person.email,
        "phone": person.phone,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "country": person.default_address.country_code if person.default_address else None,
    }
    return CustomerSeen(
        reference=str(person.id),
        occurred_at=utc(person.updated_at or person.created_at or delivery.received_at),
        attributes={name: value or None for name, value in told.items()},
        verified=frozenset({"email"} if person.verified_email else ()),
    )
