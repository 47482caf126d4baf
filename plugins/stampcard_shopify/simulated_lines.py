"""How the simulated shop writes time, money and the lines of an order."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from stampcard_shopify.simulated_book import ZERO, Line, Order, cents

Body = dict[str, Any]
SHOP_ZONE = timezone(timedelta(hours=-5))


def moment(at: datetime | None) -> str | None:
    """As the shop writes time: to the second, with its own offset."""
    return None if at is None else at.astimezone(SHOP_ZONE).isoformat(timespec="seconds")


def gid(kind: str, number: int) -> str:
    return f"gid://shopify/{kind}/{number}"


def money(order: Order, amount: Decimal) -> Body:
    """A bag of the shop's money and of what the buyer saw."""
    seen = cents(amount * order.presentment_rate)
    return {
        "shop_money": {"amount": str(amount), "currency_code": order.currency},
        "presentment_money": {"amount": str(seen), "currency_code": order.presentment},
    }


def tax_lines(order: Order, tax: Decimal) -> list[Body]:
    if tax == 0:
        return []
    return [
        {
            "title": "VAT",
            "rate": float(order.tax_rate),
            "price": str(tax),
            "price_set": money(order, tax),
            "channel_liable": False,
        }
    ]


def line_body(order: Order, line: Line) -> Body:
    product = line.product
    return {
        "id": line.id,
        "admin_graphql_api_id": gid("LineItem", line.id),
        "fulfillable_quantity": 0 if order.fulfilled else max(line.current, 0),
        "fulfillment_service": "manual",
        "fulfillment_status": "fulfilled" if order.fulfilled else None,
        "gift_card": product.gift_card,
        "grams": 100,
        "name": product.title,
        "price": str(product.price),
        "price_set": money(order, product.price),
        "product_exists": True,
        "product_id": product.id,
        "properties": [],
        "quantity": line.quantity,
        "requires_shipping": not product.gift_card,
        "sku": product.sku,
        "taxable": not product.gift_card,
        "title": product.title,
        # Discounts of the whole order stand in the allocations; this field tells only of the line's own.
        "total_discount": "0.00",
        "total_discount_set": money(order, ZERO),
        "variant_id": product.variant,
        "variant_inventory_management": None,
        "variant_title": None,
        "vendor": product.vendor,
        "tax_lines": tax_lines(order, line.listed_tax),
        "duties": [],
        "discount_allocations": _allocations(order, line.discount),
    }


def _allocations(order: Order, amount: Decimal) -> list[Body]:
    if amount == 0:
        return []
    return [{"amount": str(amount), "amount_set": money(order, amount), "discount_application_index": 0}]


def shipping_line(order: Order) -> Body:
    left, listed = order.shipping - order.returned_shipping, order.shipping + order.free_shipping
    return {
        "id": order.shipping_id,
        "carrier_identifier": None,
        "code": "Standard",
        "current_discounted_price_set": money(order, left),
        "discounted_price": str(order.shipping),
        "discounted_price_set": money(order, order.shipping),
        "is_removed": False,
        "phone": None,
        "price": str(listed),
        "price_set": money(order, listed),
        "requested_fulfillment_service_id": None,
        "source": "shopify",
        "title": "Standard & tracked",
        "tax_lines": tax_lines(order, order.shipping_tax),
        "discount_allocations": _allocations(order, order.free_shipping),
    }
