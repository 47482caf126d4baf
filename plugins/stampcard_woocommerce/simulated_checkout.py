"""What coupons do at the simulated checkout, as class-wc-discounts.php has it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from stampcard_woocommerce.simulated_book import ZERO, Coupon, Item, Order, cents

_HUNDRED = Decimal(100)


class CodeRefused(Exception):
    """A code that does not work for this cart; says why."""


def apply(order: Order, coupons: Sequence[Coupon], at: datetime) -> None:
    """Take off what the coupons say, and note them on the order; raises CodeRefused."""
    if len(coupons) > 1 and any(coupon.alone for coupon in coupons):
        message = "one of them goes with no other"
        raise CodeRefused(message)
    for coupon in coupons:
        _check(order, coupon, at)
    for coupon in coupons:
        before = order.goods
        for item, off in _taken(order.items, coupon):
            item.off = min(item.subtotal, item.off + off)
        if coupon.free_shipping:
            order.shipping = ZERO
        order.coupons[coupon.code] = before - order.goods
        coupon.used += 1


def _check(order: Order, coupon: Coupon, at: datetime) -> None:
    subtotal = sum((item.subtotal for item in order.items), ZERO)
    wrong = {
        "it has expired": coupon.expires_at is not None and at > coupon.expires_at,
        "it was used too often": coupon.usage_limit > 0 and coupon.used >= coupon.usage_limit,
        "the cart is too small": subtotal < coupon.minimum,
        "it is somebody else's": bool(coupon.emails) and order.email.lower() not in coupon.emails,
        "it is for other products": not any(_fits(coupon, item) for item in order.items),
    }
    for reason, is_so in wrong.items():
        if is_so:
            raise CodeRefused(reason)


def _fits(coupon: Coupon, item: Item) -> bool:
    if not coupon.products and not coupon.categories:
        return True
    return item.product.id in coupon.products or item.product.category in coupon.categories


def _taken(items: Sequence[Item], coupon: Coupon) -> list[tuple[Item, Decimal]]:
    fitting = [item for item in items if _fits(coupon, item)]
    if coupon.kind == "fixed_cart":
        # It ignores which products it is for: those only have to be in the cart.
        whole = sum((item.total for item in items), ZERO)
        off = min(coupon.amount, whole)
        shares = [(item, cents(off * item.total / whole) if whole else ZERO) for item in items]
        rest = off - sum((share for _, share in shares), ZERO)
        return [*shares[:-1], (shares[-1][0], shares[-1][1] + rest)]
    left = coupon.pieces or sum(item.quantity for item in fitting)
    taken = []
    for item in fitting:
        pieces = min(left, item.quantity)
        left -= pieces
        price = item.total / item.quantity
        each = price * coupon.amount / _HUNDRED if coupon.kind == "percent" else min(coupon.amount, price)
        taken.append((item, cents(each * pieces)))
    return taken
