from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from pathlib import Path

import httpx
import msgspec

import stampcard_shopify.plugin
from stampcard.plugin import (
    ConnectionEnded,
    ConsentSeen,
    CustomerErased,
    CustomerSeen,
    CustomersMerged,
    CustomEvent,
    DataRequested,
    OrderSeen,
    Refetch,
    RefundSeen,
    SourceErased,
)
from stampcard.testing.contract import PluginContract
from stampcard_shopify.webhooks import TOPICS

SECRETS = ("shhh-newer", "shhh-older")
TOKEN = "shpat_of-the-contract"
SETTINGS = {"shop": "acme.myshopify.com", "webhook_secrets": SECRETS, "access_token": TOKEN}
EXPECTED: dict[str, list[type]] = {
    "app_uninstalled__plain": [ConnectionEnded],
    "customers_create__full": [CustomerSeen],
    "customers_email_marketing_consent_update__never": [],
    "customers_email_marketing_consent_update__subscribed": [ConsentSeen, CustomEvent],
    "customers_marketing_consent_update__unsubscribed": [ConsentSeen],
    "customers_data_request__person": [DataRequested],
    "customers_merge__completed": [CustomersMerged],
    "customers_merge__failed": [],
    "customers_redact__email_only": [CustomerErased],
    "customers_redact__person": [CustomerErased],
    "customers_update__bare": [CustomerSeen],
    "fetched_order__refunded": [OrderSeen],
    "orders_cancelled__voided": [OrderSeen],
    "orders_create__pending": [OrderSeen],
    "orders_edited__removal": [Refetch],
    "orders_paid__dinar": [OrderSeen],
    "orders_paid__discounted": [OrderSeen],
    "orders_paid__test": [],
    "orders_paid__yen_gift_card": [OrderSeen],
    "orders_updated__edited": [OrderSeen],
    "orders_updated__refunded": [OrderSeen],
    "refunds_create__lines": [RefundSeen],
    "refunds_create__money_only": [RefundSeen],
    "refunds_create__old_shipping": [RefundSeen],
    "shop_redact__plain": [SourceErased],
}
FETCHED = msgspec.json.decode((Path(__file__).parent / "fixtures" / "fetched_order__refunded.json").read_bytes())
#: A past of one order, by the fields that are asked for.
PAST = {
    "ordersCount": {"ordersCount": {"count": 1}},
    "orders(first": {
        "orders": {
            "pageInfo": {"hasNextPage": False},
            "edges": [{"cursor": "c", "node": {"legacyResourceId": FETCHED["id"].rpartition("/")[2]}}],
        }
    },
    "nodes(ids": {"nodes": [FETCHED]},
}


class TestShopify(PluginContract):
    plugin = stampcard_shopify.plugin
    settings = SETTINGS
    secrets = SECRETS
    credentials = (TOKEN,)
    fixtures = Path(__file__).parent / "fixtures"
    topics = tuple(TOPICS)
    fetched = ("fetched/order",)
    expected = EXPECTED
    unknown_topic = "products/create"
    signature_header = "x-shopify-hmac-sha256"
    sinks = ("balance", "tags")
    unfit_reference = "nobody"

    def sign(self, topic: str, body: bytes, secret: str) -> Mapping[str, str]:
        digest = hmac.digest(secret.encode(), body, hashlib.sha256)
        return {
            "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
            "X-Shopify-Topic": topic,
            "X-Shopify-Shop-Domain": "acme.myshopify.com",
            "X-Shopify-Webhook-Id": hashlib.sha256(body).hexdigest()[:16],
            "X-Shopify-Triggered-At": "2026-03-10T11:59:59Z",
            "X-Shopify-API-Version": "2026-10",
        }

    def vendor(self, request: httpx.Request) -> httpx.Response:
        if request.headers["x-shopify-access-token"] != TOKEN:
            return httpx.Response(401)
        query = msgspec.json.decode(request.content)["query"]
        tagged = re.findall(r"(c\d+_\w+): tags", query)
        for name, answer in PAST.items():
            if name in query:
                return httpx.Response(200, json={"data": answer})
        kinds = tagged or ["metafieldsSet" if "metafieldsSet" in query else "shop"]
        return httpx.Response(200, json={"data": {kind: {"userErrors": []} for kind in kinds}})
