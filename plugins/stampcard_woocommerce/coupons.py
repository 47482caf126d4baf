"""Rewards as coupons: what is sent for a voucher, and which vouchers no coupon would keep to. Pure.

Facts are of WooCommerce's class-wc-coupon.php, class-wc-discounts.php and its controller of coupons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from stampcard.plugin import Rejected, RewardKind, Voucher
from stampcard_woocommerce.payloads import is_number

#: So much later than now may something begin that cannot begin later; clocks differ.
SLACK = timedelta(hours=1)
#: Longer than any code of ours, and shorter than a title of WordPress may be.
_LONGEST_CODE = 150
_LONGEST_NAME = 200
#: One of which a voucher of a kind must say.
_NEEDS: Mapping[RewardKind, tuple[str, ...]] = {
    "amount_off": ("amount",),
    "percent_off": ("percent",),
    "free_product": ("products", "collections"),
}
#: What no coupon would keep to: better no reward than one that is worth more than was promised.
_CANNOT: Mapping[RewardKind, tuple[str, ...]] = {
    "amount_off": ("at_most",),
    "percent_off": ("at_most",),
    "free_product": ("at_most",),
    "free_shipping": ("at_most", "products", "collections"),
}


def misfit(voucher: Voucher, now: datetime) -> Rejected | None:
    """Why its terms cannot be kept to, whoever it is for."""
    reason = next(_problems(voucher, now), "")
    return Rejected(reason=reason) if reason else None


def _problems(voucher: Voucher, now: datetime) -> Iterator[str]:
    needed = _NEEDS.get(voucher.kind, ())
    if needed and not any(getattr(voucher, name) for name in needed):
        yield f"a {voucher.kind} needs {' or '.join(needed)}"
    for name in _CANNOT[voucher.kind]:
        if getattr(voucher, name):
            yield f"WooCommerce has no {name} for a {voucher.kind}"
    if voucher.products and voucher.collections:
        yield "one coupon has either products or collections here, not both"
    if not all(map(is_number, (*voucher.products, *voucher.collections))):
        yield "products and collections must be WooCommerce's own numbers"
    if voucher.starts_at > now + SLACK:
        yield "a coupon of WooCommerce is good from the moment that it is made: it has no starts_at"
    if not is_code(voucher.code):
        yield "the code is not one that WooCommerce keeps as it is"


def coupon_of(voucher: Voucher, email: str = "") -> dict[str, Any]:
    """The coupon that stands for a voucher; `email`: the address without which nobody may use it."""
    made: dict[str, Any] = {
        "code": voucher.code,
        "description": (voucher.title or voucher.name or voucher.code)[:_LONGEST_NAME],
        "individual_use": voucher.stack == "never",
        "usage_limit": voucher.uses,
        "date_expires": moment(voucher.ends_at),
        **_value(voucher),
    }
    if voucher.minimum:
        made["minimum_amount"] = plain(voucher.minimum)
    if voucher.products:
        made["product_ids"] = [int(number) for number in voucher.products]
    if voucher.collections:
        made["product_categories"] = [int(number) for number in voucher.collections]
    # A star would stand for any letters.
    if email and "*" not in email:
        made |= {"email_restrictions": [email], "usage_limit_per_user": voucher.uses}
    return made


def _value(voucher: Voucher) -> dict[str, Any]:
    """What it takes off. A fixed amount off the cart would ignore which products it is for, so that one piece has it."""
    limited = bool(voucher.products or voucher.collections)
    if voucher.kind == "free_shipping":
        return {"discount_type": "fixed_cart", "amount": "0", "free_shipping": True}
    if voucher.kind == "percent_off":
        return {"discount_type": "percent", "amount": plain(voucher.percent)}
    if voucher.kind == "free_product" and not voucher.amount:
        return {"discount_type": "percent", "amount": "100", "limit_usage_to_x_items": 1}
    if limited:
        return {"discount_type": "fixed_product", "amount": plain(voucher.amount), "limit_usage_to_x_items": 1}
    return {"discount_type": "fixed_cart", "amount": plain(voucher.amount)}


def is_code(code: str) -> bool:
    """Whether WooCommerce, which takes tags and spaces out of codes, leaves this one as it is."""
    return code.isascii() and 0 < len(code) <= _LONGEST_CODE and code.replace("-", "").replace("_", "").isalnum()


def plain(amount: Decimal | None) -> str:
    """An amount without an exponent, as WooCommerce reads it."""
    return format(amount or Decimal(0), "f")


def moment(at: datetime | None) -> str:
    """A time with its zone: ``date_expires_gmt`` cannot be written, and without a zone it would be the shop's own."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
