"""Records as WooCommerce's REST API v3 shows them, in webhooks and in answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from stampcard_woocommerce.simulated_book import TAX, Back, Coupon, Customer, Item, Order, Refund, cents

Body = dict[str, Any]
#: The shop's clock is behind UTC, as a shop in America's is.
BEHIND = timedelta(hours=5)
CURRENCY = "USD"


def gmt(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%S")


def times(name: str, at: datetime | None) -> Body:
    """A time as WooCommerce tells it: by the shop's clock and in UTC, both without a zone."""
    return {name: gmt(at - BEHIND if at else None), f"{name}_gmt": gmt(at)}


def address_body(email: str, first_name: str, last_name: str = "", phone: str = "", country: str = "US") -> Body:
    return {
        "first_name": first_name,
        "last_name": last_name,
        "company": "",
        "address_1": "1 Long Street",
        "address_2": "",
        "city": "Springfield",
        "state": "IL",
        "postcode": "62701",
        "country": country,
        "email": email,
        "phone": phone,
    }


def customer_body(customer: Customer) -> Body:
    return {
        "id": customer.id,
        **times("date_created", customer.created_at),
        **times("date_modified", customer.modified_at),
        "email": customer.email,
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "role": customer.role,
        "username": customer.email.partition("@")[0],
        "billing": address_body(
            customer.email, customer.first_name, customer.last_name, customer.phone, customer.country
        ),
        "is_paying_customer": True,
        "avatar_url": "",
        "meta_data": [
            {"id": place, "key": key, "value": value} for place, (key, value) in enumerate(customer.meta.items(), 1)
        ],
    }


def order_body(order: Order) -> Body:
    shipping_tax = cents(order.shipping * TAX)
    return {
        "id": order.id,
        "parent_id": 0,
        "status": order.status,
        "currency": CURRENCY,
        "prices_include_tax": False,
        **times("date_created", order.created_at),
        **times("date_modified", order.modified_at),
        **times("date_paid", order.paid_at),
        **times("date_completed", order.completed_at),
        "discount_total": _money(sum((item.off for item in order.items), Decimal(0))),
        "shipping_total": _money(order.shipping),
        "shipping_tax": _money(shipping_tax),
        "total": _money(order.total),
        "total_tax": _money(sum((item.tax for item in order.items), shipping_tax)),
        "customer_id": order.customer_id,
        "billing": address_body(order.email, order.first_name),
        "payment_method": "cod",
        "created_via": "checkout",
        "number": str(order.id),
        "meta_data": [],
        "line_items": [_item_body(item) for item in order.items],
        "shipping_lines": [
            {"id": order.id * 1000, "method_id": "flat_rate", "total": _money(order.shipping), "total_tax": _money(shipping_tax)}
        ],
        "fee_lines": [],
        "coupon_lines": [
            {"id": order.id * 1000 + place, "code": code, "discount": _money(off)}
            for place, (code, off) in enumerate(order.coupons.items(), 500)
        ],
        "refunds": [
            {"id": refund.id, "reason": "", "total": f"-{_money(refund.amount)}"} for refund in reversed(order.refunds)
        ],
    }  # fmt: skip


def _item_body(item: Item) -> Body:
    return {
        "id": item.id,
        "name": item.product.name,
        "product_id": item.product.id,
        "variation_id": 0,
        "quantity": item.quantity,
        "subtotal": _money(item.subtotal),
        "subtotal_tax": _money(cents(item.subtotal * TAX)),
        "total": _money(item.total),
        "total_tax": _money(item.tax),
        "meta_data": [],
        "sku": item.product.sku,
        "price": float(item.product.price),
    }


def refund_body(refund: Refund) -> Body:
    return {
        "id": refund.id,
        **times("date_created", refund.at),
        "amount": _money(refund.amount),
        "reason": "",
        "refunded_by": 1,
        "refunded_payment": True,
        "meta_data": [],
        "line_items": [_back_body(line) for line in refund.lines],
        "shipping_lines": [],
        "tax_lines": [],
        "fee_lines": [],
    }


def _back_body(line: Back) -> Body:
    return {
        "id": line.id,
        "name": line.item.product.name,
        "product_id": line.item.product.id,
        "quantity": -line.quantity,
        "subtotal": f"-{_money(line.total)}",
        "total": f"-{_money(line.total)}",
        "total_tax": f"-{_money(line.tax)}",
        "meta_data": [{"id": line.id + 1, "key": "_refunded_item_id", "value": str(line.item.id)}],
    }


def coupon_body(coupon: Coupon) -> Body:
    return {
        "id": coupon.id,
        "code": coupon.code,
        "amount": _money(coupon.amount),
        "status": "publish",
        **times("date_created", coupon.created_at),
        **times("date_expires", coupon.expires_at),
        "discount_type": coupon.kind,
        "description": coupon.description,
        "usage_count": coupon.used,
        "individual_use": coupon.alone,
        "product_ids": list(coupon.products),
        "product_categories": list(coupon.categories),
        "usage_limit": coupon.usage_limit or None,
        "limit_usage_to_x_items": coupon.pieces or None,
        "free_shipping": coupon.free_shipping,
        "minimum_amount": _money(coupon.minimum),
        "email_restrictions": list(coupon.emails),
    }


def _money(amount: Decimal) -> str:
    return format(cents(amount), "f")
