"""Shopify webhooks of about 2 KB as bytes for the wire, each signed and with an id of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

SECRET = "a made-up secret"
SHOP = "bench.myshopify.com"
SIZE = 2048
FIRST_CUSTOMER = 7_000_000_000
_ORDER, _CUSTOMER = "900000000000", "700000000000"


def _line(number: int) -> dict[str, Any]:
    return {
        "id": 866550311766439020 + number,
        "title": "IPod Nano - 8GB",
        "variant_title": None,
        "sku": f"IPOD2008-{number}",
        "vendor": "Apple",
        "product_id": 632910392 + number,
        "quantity": 1,
        "price": "49.50",
        "total_discount": "0.00",
        "fulfillment_service": "manual",
        "requires_shipping": True,
        "taxable": True,
        "gift_card": False,
        "discount_allocations": [],
        "tax_lines": [{"title": "VAT", "price": "7.90", "rate": 0.19}],
    }


def _template() -> bytes:
    order = {
        "id": int(_ORDER),
        "admin_graphql_api_id": f"gid://shopify/Order/{_ORDER}",
        "name": "#1001",
        "created_at": "2026-11-10T12:00:00+01:00",
        "updated_at": "2026-11-10T12:00:05+01:00",
        "processed_at": "2026-11-10T12:00:00+01:00",
        "cancelled_at": None,
        "currency": "USD",
        "financial_status": "paid",
        "source_name": "web",
        "tags": "vip, newsletter",
        "test": False,
        "taxes_included": True,
        "total_price": "99.00",
        "total_tax": "15.80",
        "customer": {"id": int(_CUSTOMER), "created_at": "2026-01-01T12:00:00+01:00", "first_name": "Ann"},
        "line_items": [_line(1), _line(2)],
        "shipping_lines": [],
        "refunds": [],
        "note": "",
    }
    spare = SIZE - len(json.dumps(order))
    # Words that differ pack about as well as a real note does.
    order["note"] = " ".join(hashlib.sha256(bytes([n])).hexdigest()[:7] for n in range(128))[:spare]
    return json.dumps(order).encode()


def bodies(count: int, first_order: int, customers: int) -> Iterator[bytes]:
    """So many paid orders, number by number from `first_order`, of so many customers in turn."""
    template = _template()
    for number in range(first_order, first_order + count):
        body = template.replace(_ORDER.encode(), b"%012d" % (900_000_000_000 + number))
        yield body.replace(_CUSTOMER.encode(), b"%d" % customer_of(number, customers))


def webhooks(count: int, first_order: int, customers: int) -> list[bytes]:
    """The same as whole requests."""
    secret = SECRET.encode()
    return [
        _request(number, base64.b64encode(hmac.digest(secret, body, hashlib.sha256)), body)
        for number, body in enumerate(bodies(count, first_order, customers), start=first_order)
    ]


def customer_of(number: int, customers: int) -> int:
    """The customer of that order."""
    return FIRST_CUSTOMER + number % customers


def _request(number: int, signature: bytes, body: bytes) -> bytes:
    head = (
        b"POST /webhooks/shop HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: */*\r\n"
        b"User-Agent: Shopify-Captain-Hook\r\nX-Shopify-Topic: orders/paid\r\nX-Shopify-Hmac-Sha256: %b\r\n"
        b"X-Shopify-Shop-Domain: %b\r\nX-Shopify-API-Version: 2026-10\r\n"
        b"X-Shopify-Webhook-Id: b54557e4-bdd9-4b37-8a5f-%012d\r\n"
        b"X-Shopify-Triggered-At: 2026-11-10T12:00:06.123456789Z\r\n"
        b"X-Shopify-Event-Id: 98880550-7158-44d4-b7cd-%012d\r\nContent-Length: %d\r\n\r\n"
    )
    return head % (signature, SHOP.encode(), number, number, len(body)) + body


def settings(api_url: str = "http://127.0.0.1:1") -> dict[str, object]:
    """The connection's section that takes these webhooks."""
    return {
        "plugin": "shopify",
        "shop": SHOP,
        "webhook_secrets": [SECRET],
        "access_token": "made-up",
        "api_url": api_url,
    }
