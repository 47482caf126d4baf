"""The checkout of the simulated shop: whether a code may be used, and what it takes off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from stampcard_shopify.simulated_book import ZERO, Applied, Book, Line, Order, cents
from stampcard_shopify.simulated_discounts import SHIPPING, Discount
from stampcard_shopify.simulated_replies import number_of


class CodeRefused(Exception):
    """What the shopper reads instead of a discount."""


def use(discount: Discount | None, given: str, order: Order, book: Book, now: datetime) -> None:
    """Take off the order what the code that was given is for; raises CodeRefused where the shop would not."""
    if discount is None:
        raise CodeRefused("there is no such code")
    code, lines = discount.spelt(given), _entitled(discount, order, book)
    _check(discount, code, order, now)
    if discount.kind == SHIPPING:
        _free_shipping(code, order)
    elif lines:
        _take_off(discount, code, order, lines)
    else:
        raise CodeRefused("the code is not for anything in the cart")
    discount.uses[code] += 1


def _check(discount: Discount, code: str, order: Order, now: datetime) -> None:
    """The limit of uses counts for each code of the discount."""
    owner = order.customer.id if order.customer else 0
    limit = discount.terms.get("usageLimit")
    refusals = (
        (discount.status(now) != "ACTIVE", "the code is not active"),
        (limit is not None and discount.uses[code] >= limit, "the code has been used up"),
        (bool(discount.customers) and owner not in discount.customers, "the code is somebody else's"),
        (order.subtotal < discount.minimum, "the cart is too small for the code"),
    )
    for applies, reason in refusals:
        if applies:
            raise CodeRefused(reason)


def _entitled(discount: Discount, order: Order, book: Book) -> list[Line]:
    """The lines that the code is for; never gift cards."""
    items: Mapping[str, Any] = discount.terms.get("customerGets", {}).get("items", {"all": True})
    goods = [line for line in order.lines if not line.product.gift_card]
    if items.get("all"):
        return goods
    named = {number_of(one, "Product") for one in items.get("products", {}).get("productsToAdd", [])}
    for one in items.get("collections", {}).get("add", []):
        named |= book.collections.get(number_of(one, "Collection"), frozenset())
    return [line for line in goods if line.product.id in named]


def _free_shipping(code: str, order: Order) -> None:
    order.free_shipping, order.shipping = order.shipping, ZERO
    order.applied = Applied(code, "shipping", "100.0")


def _take_off(discount: Discount, code: str, order: Order, lines: Sequence[Line]) -> None:
    gets = discount.terms["customerGets"]
    selection = "all" if gets["items"].get("all") else "entitled"
    worth = sum((line.net for line in lines), ZERO)
    share = gets["value"].get("percentage")
    if share is not None:
        percent = Decimal(str(share)) * 100
        order.applied = Applied(code, "percentage", f"{percent:.1f}", selection)
        _spread(lines, cents(worth * percent / 100), worth)
    else:
        amount = cents(Decimal(gets["value"]["discountAmount"]["amount"]))
        order.applied = Applied(code, "fixed_amount", str(amount), selection)
        _spread(lines, min(amount, worth), worth)


def _spread(lines: Sequence[Line], amount: Decimal, worth: Decimal) -> None:
    """By what the lines cost; rounding is cumulative, so that the parts add up to the amount."""
    seen = given = ZERO
    for line in lines:
        seen += line.net
        upto = cents(amount * seen / worth) if worth else ZERO
        line.discount, given = line.discount + upto - given, upto
