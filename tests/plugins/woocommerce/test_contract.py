from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

import httpx
import msgspec

import stampcard_woocommerce.plugin
from stampcard.plugin import CustomerSeen, OrderSeen, Refetch
from stampcard.testing.contract import PluginContract
from stampcard_woocommerce.webhooks import TOPICS

SECRETS = ("newer secret", "older secret")
KEY, KEY_SECRET = "ck_of-the-contract", "cs_of-the-contract"
SETTINGS = {
    "shop": "https://shop.example",
    "webhook_secrets": SECRETS,
    "consumer_key": KEY,
    "consumer_secret": KEY_SECRET,
}
EXPECTED: dict[str, list[type]] = {
    "customer_created__full": [CustomerSeen],
    "customer_deleted__plain": [],
    "customer_updated__administrator": [],
    "customer_updated__bare": [CustomerSeen],
    "fetched_nothing__plain": [OrderSeen],
    "fetched_order__binned": [OrderSeen],
    "fetched_order__guest": [CustomerSeen, OrderSeen],
    "fetched_order__known_guest": [OrderSeen],
    "fetched_order__refunded": [OrderSeen],
    "order_created__draft": [],
    "order_created__guest": [Refetch],
    "order_created__nobody": [OrderSeen],
    "order_created__pending": [OrderSeen],
    "order_deleted__plain": [Refetch],
    "order_restored__full": [Refetch],
    "order_updated__discounted": [OrderSeen],
    "order_updated__failed": [OrderSeen],
    "order_updated__late": [Refetch],
    "order_updated__paid": [OrderSeen],
    "order_updated__refunded": [Refetch],
    "order_updated__vanished": [],
}


class TestWooCommerce(PluginContract):
    plugin = stampcard_woocommerce.plugin
    settings = SETTINGS
    secrets = SECRETS
    credentials = (KEY, KEY_SECRET)
    fixtures = Path(__file__).parent / "fixtures"
    topics = tuple(TOPICS)
    fetched = ("fetched/order", "fetched/nothing")
    expected = EXPECTED
    unknown_topic = "product.created"
    signature_header = "x-wc-webhook-signature"
    sinks = ("balance", "tags")
    unfit_reference = "nobody"
    # A 404 without a word of WooCommerce's own says that its API is not there, not that a customer is not.
    refusals = (400, 422)

    def sign(self, topic: str, body: bytes, secret: str) -> Mapping[str, str]:
        digest = hmac.digest(secret.encode(), body, hashlib.sha256)
        resource, _, event = topic.partition(".")
        return {
            "X-WC-Webhook-Source": "https://shop.example/",
            "X-WC-Webhook-Topic": topic,
            "X-WC-Webhook-Resource": resource,
            "X-WC-Webhook-Event": event,
            "X-WC-Webhook-Signature": base64.b64encode(digest).decode(),
            "X-WC-Webhook-ID": "11",
            "X-WC-Webhook-Delivery-ID": "5fd1cba8b1f0b9e7",
        }

    def vendor(self, request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] != httpx.BasicAuth(KEY, KEY_SECRET)._auth_header:
            return httpx.Response(401, json={"code": "woocommerce_rest_cannot_view", "message": "", "data": {}})
        if request.method == "GET":
            return httpx.Response(200, json=[], headers={"x-wp-total": "0", "x-wp-totalpages": "0"})
        asked = msgspec.json.decode(request.content or b"{}")
        if not request.url.path.endswith("/batch"):
            return httpx.Response(200, json={"id": 31, "code": "made"})
        made = {verb: [{"id": one.get("id", 31)} for one in items] for verb, items in asked.items()}
        return httpx.Response(200, json=made)
