"""It keeps the contract in both directions; only that its address is called `url`, because it is no vendor's."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
from standardwebhooks.webhooks import Webhook

import stampcard_standard_webhooks.plugin
from stampcard.plugin import (
    Command,
    ConsentSeen,
    CustomerErased,
    CustomerSeen,
    CustomersMerged,
    CustomEvent,
    DataRequested,
    OrderSeen,
    RefundSeen,
)
from stampcard.testing.clock import NOON
from stampcard.testing.contract import PluginContract
from stampcard.testing.rules.case import Item
from stampcard.testing.rules.decoding import DecodingRules
from stampcard.testing.rules.delivering import ELSEWHERE
from stampcard.testing.rules.verifying import VerifyingRules

SIGNING = ("whsec_dGhlIG5ld2VyIHNlY3JldCBvZiBmb3J0eSBieXRlcywgcmFuZG9tPw==", "whsec_YW4gb2xkZXIgb25lIG9mIDI0IGJ5dGVz")
PROVING = ("whsec_ZnJvbSB0aGUgdGlsbCwgb25lIG9mIDMwIGJ5dGVz", "whsec_ZnJvbSB0aGUgdGlsbCwgYW4gb2xkZXIgb25lIQ==")


class TestStandardWebhooks(PluginContract):
    plugin = stampcard_standard_webhooks.plugin
    settings = {  # noqa: RUF012 - a declaration, never changed
        "url": "https://shop.example/loyalty",
        "secrets": SIGNING,
        "state_url": "https://shop.example/loyalty",
        "webhook_secrets": PROVING,
    }
    secrets = PROVING
    credentials = SIGNING
    fixtures = Path(__file__).parent / "fixtures"
    topics = ("message",)
    expected = {  # noqa: RUF012
        "message__order": [CustomerSeen, OrderSeen],
        "message__guest": [OrderSeen],
        "message__bare": [OrderSeen],
        "message__refund": [RefundSeen],
        "message__customer": [CustomerSeen],
        "message__consented": [ConsentSeen],
        "message__erased": [CustomerErased],
        "message__merged": [CustomersMerged],
        "message__requested": [DataRequested],
        "message__event": [CustomEvent],
        "message__unknown": [],
    }
    signature_header = "webhook-signature"
    sinks = ("balance", "webhook")
    refusals = (410,)
    success_is_in_the_body = False

    def sign(self, _: str, body: bytes, secret: str, /) -> Mapping[str, str]:
        signature = Webhook(secret).sign("msg_1", NOON, body.decode())
        stamp = str(int(NOON.timestamp()))
        return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": signature}

    def vendor(self, request: httpx.Request) -> httpx.Response:
        told = msgspec.json.decode(request.content)
        return httpx.Response(204 if told["type"] and request.headers["webhook-signature"] else 400)

    def item(self, kind: str, number: int) -> Item:
        if kind != "webhook":
            return super().item(kind, number)
        data = {"type": "points.earned", "timestamp": "2026-03-10T12:00:00Z", "data": {"member": f"m{number}"}}
        return Command(kind=kind, key=f"msg_{number}", member=f"m{number}", reference="", data=data)

    def test_settings_have_an_api_url(self) -> None:
        hosts = self._read(url="http://127.0.0.1:9", state_url="http://127.0.0.1:10").outbound_hosts()
        assert hosts == ("127.0.0.1:9", "127.0.0.1:10")

    def test_all_calls_go_to_the_api_url(self) -> None:
        async def asked() -> list[str]:
            async with self.visiting(url=ELSEWHERE, state_url=f"{ELSEWHERE}/state") as visit:
                for kind in self.sinks:
                    await visit.sink(kind).deliver([self.item(kind, 1)])
                return [str(request.url) for request in visit.requests]

        assert self.run(asked()) == [f"{ELSEWHERE}/state", ELSEWHERE]

    def test_a_redelivery_has_the_same_key(self) -> None:
        """Its signature tells when it was sent, so that it is signed anew: test_verifying has that case."""


#: A till whose own JSON a table of the settings explains, with the topic in the body.
TABLES: dict[str, Any] = {
    "topic": "kind",
    "customer": "buyer.id",
    "topics": {
        "sale": {
            "root": "sale",
            "order": {
                "reference": "no",
                "placed_at": {"path": "at", "as": "seconds"},
                "updated_at": {"path": ["changed", "at"], "as": "seconds"},
                "currency": {"value": "EUR"},
                "total": {"path": "cents", "as": "minor"},
                "paid": {"path": "state", "values": {"closed": True, "*": False}},
                "customer": {"reference": "$.buyer.id", "attributes": {"email": "$.buyer.mail"}},
                "lines": {"each": "items", "sku": "article", "gross": {"path": "cents", "as": "minor"}},
                "codes": "coupons[].code",
            },
        },
        "smile": {
            "event": {
                "name": {"value": "review"},
                "customer": "buyer.id",
                "key": "id",
                "occurred_at": {"path": "at", "as": "milliseconds"},
                "data": {"stars": {"path": "stars", "as": "number"}},
            },
        },
    },
}


class TestMapped(VerifyingRules, DecodingRules):
    plugin = stampcard_standard_webhooks.plugin
    settings = {  # noqa: RUF012
        "signature": "hmac-sha256-hex",
        "signature_header": "X-Till-Signature",
        "webhook_secrets": ("a-shared-secret-1", "a-shared-secret-2"),
        "mapping": TABLES,
    }
    secrets = ("a-shared-secret-1", "a-shared-secret-2")
    fixtures = Path(__file__).parent / "fixtures" / "mapped"
    topics = ("message",)
    expected = {"message__sale": [CustomerSeen, OrderSeen], "message__smile": [CustomEvent]}  # noqa: RUF012
    signature_header = "x-till-signature"

    def sign(self, _: str, body: bytes, secret: str, /) -> Mapping[str, str]:

        return {"X-Till-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}
