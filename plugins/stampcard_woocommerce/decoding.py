"""From WooCommerce's payloads to our values; pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Any, TypeVar

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
from stampcard_woocommerce.payloads import (
    ZERO,
    Address,
    Line,
    OrderBody,
    Person,
    RefundBody,
    RefundedLine,
    Vanished,
    is_number,
)

CANCELLED = frozenset({"cancelled", "failed", "trash"})
#: Of these WooCommerce knows itself what they mean: that a payment was noted once says nothing more.
_PLAIN = frozenset({"pending", "on-hold", "processing", "completed", *CANCELLED})
_FINEST = Decimal("1E-9")
_LIMIT = Decimal("1E12")
_MOST = 1_000_000
#: Minutes that a clock can be ahead of UTC, or behind.
_FARTHEST = 14 * 60
T = TypeVar("T")


def read(body: bytes, shape: type[T]) -> T:
    """The body in the given shape, or MalformedPayload, which says where but never what stands there."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedPayload(f"not what WooCommerce's REST API v3 publishes: {error}") from None
    except UnicodeDecodeError:
        raise MalformedPayload("not what WooCommerce publishes: the text is not UTF-8") from None


def gmt(moment: datetime) -> datetime:
    """A time of a ``_gmt`` field, which has no zone and is UTC."""
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
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


def pieces(quantity: Decimal) -> int:
    """How many pieces a quantity is, also one that is given back: what is sold by weight counts as the next whole number."""
    if not quantity.is_finite() or abs(quantity) > _MOST:
        raise MalformedPayload(f"a quantity is not a number up to {_MOST}")
    return int(abs(quantity).to_integral_value(ROUND_CEILING))


def is_paid(order: OrderBody, statuses: Collection[str]) -> bool:
    """Whether an order counts as paid; one that was refunded, or has a status of the shop's own, if a payment is noted."""
    return order.status in statuses or (order.status not in _PLAIN and order.date_paid_gmt is not None)


def snapshot_of(order: OrderBody, customer: str | None, statuses: Collection[str], read_at: int) -> OrderSnapshot:
    """The order as placed or edited, before refunds, which it lists all."""
    value = OrderSnapshot(
        stamp=Stamp(at=gmt(order.date_modified_gmt)),
        number=str(order.number or order.id),
        occurred_at=gmt(order.date_created_gmt),
        currency=order.currency,
        total=exact(order.total),
        paid=is_paid(order, statuses),
        cancelled=order.status in CANCELLED,
        customer=customer,
        lines=_lines(order),
        shipping=total(line.total for line in order.shipping_lines),
        shipping_tax=total(line.total_tax for line in order.shipping_lines),
        channel=order.created_via,
        lists_all_refunds=True,
        refund_references=tuple(sorted(str(refund.id) for refund in order.refunds)),
        codes=tuple(sorted({line.code for line in order.coupon_lines if line.code})),
        fulfilled_at=_fulfilled_at(order),
        utc_offset=_utc_offset(order),
    )
    return msgspec.structs.replace(value, stamp=Stamp(at=value.stamp.at, read_at=read_at, digest=_digest(value)))


def emptied(order: Vanished, read_at: int, now: datetime) -> OrderSnapshot:
    """What is left of an order that the shop deleted for good: it is worth nothing, and was so for good from now on."""
    return OrderSnapshot(
        stamp=Stamp(at=now, read_at=read_at),
        number=str(order.vanished),
        occurred_at=now,
        currency=order.currency,
        total=ZERO,
        paid=False,
        cancelled=True,
        lists_all_refunds=True,
    )


def _digest(value: OrderSnapshot | Refund) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()[:24]


def _fulfilled_at(order: OrderBody) -> datetime | None:
    done = order.date_completed_gmt if order.status == "completed" else None
    return None if done is None else gmt(done)


def _utc_offset(order: OrderBody) -> int | None:
    """WooCommerce tells both times of the same moment: the shop's own and UTC."""
    local = order.date_created
    if local is None or local.tzinfo is not None:
        return None
    ahead = int((local.replace(tzinfo=UTC) - gmt(order.date_created_gmt)).total_seconds()) // 60
    return ahead if abs(ahead) <= _FARTHEST else None


def _lines(order: OrderBody) -> tuple[OrderLine, ...]:
    """All lines; what fees take off is spread over them, for that is how plugins give discounts, and its tax with it."""
    off = -total(min(ZERO, exact(fee.total)) for fee in order.fee_lines)
    untaxed = -total(min(ZERO, exact(fee.total_tax)) for fee in order.fee_lines)
    shares = _spread(off, [exact(line.total) for line in order.line_items])
    taxes = _spread(untaxed, [exact(line.total_tax) for line in order.line_items])
    return tuple(map(_line, order.line_items, shares, taxes))


def _line(line: Line, off: Decimal, untaxed: Decimal) -> OrderLine:
    return OrderLine(
        reference=str(line.id),
        quantity=pieces(line.quantity),
        gross=exact(line.subtotal),
        discount=exact(exact(line.subtotal) - exact(line.total) + off),
        tax=exact(exact(line.total_tax) - untaxed),
        product=str(line.product_id or ""),
        sku=line.sku or "",
    )


def _spread(amount: Decimal, over: Sequence[Decimal]) -> list[Decimal]:
    """So much to each, in proportion, never more than there is; the last of them takes what rounding left."""
    whole = sum(over, ZERO)
    if amount <= 0 or whole <= 0:
        return [ZERO] * len(over)
    amount = min(amount, whole)
    shares = [exact(amount * max(ZERO, part) / whole) for part in over]
    last = max(place for place, part in enumerate(over) if part > 0)
    shares[last] = exact(shares[last] + amount - sum(shares, ZERO))
    return shares


def refund_of(refund: RefundBody) -> Refund:
    """The refund; where it does not name all its lines, its amount alone counts."""
    at = gmt(refund.date_created_gmt)
    lines = [(_refunded_line(line), line) for line in refund.line_items]
    if not all(of for of, _ in lines):
        lines = []
    value = Refund(
        reference=str(refund.id),
        stamp=Stamp(at=at),
        occurred_at=at,
        lines=tuple(sorted((_given_back(of, line) for of, line in lines), key=msgspec.structs.astuple)),
        money=abs(exact(refund.amount)),
        shipping=total(abs(exact(line.total)) for line in refund.shipping_lines),
        shipping_tax=total(abs(exact(line.total_tax)) for line in refund.shipping_lines),
    )
    return msgspec.structs.replace(value, stamp=Stamp(at=at, digest=_digest(value)))


def _given_back(of: str, line: RefundedLine) -> RefundLine:
    amounts = {"subtotal": abs(exact(line.total)), "tax": abs(exact(line.total_tax))}
    return RefundLine(line=of, quantity=pieces(line.quantity), **amounts)


def _refunded_line(line: RefundedLine) -> str:
    """The reference of the order's line, which stands among whatever plugins put there; empty if it does not."""
    entries: list[Any] = line.meta_data if isinstance(line.meta_data, list) else []
    told = [one.get("value") for one in entries if isinstance(one, dict) and one.get("key") == "_refunded_item_id"]
    text = str(told[0]) if told and isinstance(told[0], int | str) else ""
    return text if is_number(text) else ""


def customer_of(person: Person, delivery: Delivery, *, verified: bool) -> CustomerSeen:
    """A registered customer; WooCommerce itself verifies no address."""
    seen = person.date_modified_gmt or person.date_created_gmt
    own = {"email": person.email, "first_name": person.first_name, "last_name": person.last_name}
    return CustomerSeen(
        reference=str(person.id),
        occurred_at=delivery.received_at if seen is None else gmt(seen),
        attributes=_told(person.billing, own),
        verified=frozenset({"email"}) if verified and person.email else frozenset(),
    )


def guest_of(order: OrderBody, reference: str) -> CustomerSeen:
    """Somebody without an account, as their order shows them."""
    return CustomerSeen(
        reference=reference, occurred_at=gmt(order.date_created_gmt), attributes=_told(order.billing, {})
    )


def _told(billing: Address, own: dict[str, str | None]) -> dict[str, str | None]:
    """What an account says of itself, and the billing address of what it leaves open."""
    names = ("email", "phone", "first_name", "last_name", "country")
    return {name: own.get(name) or getattr(billing, name) or None for name in names}
