"""It keeps the contract. What Twilio sends are forms, so that each fixture is one, byte for byte."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl

import httpx

import stampcard_twilio.plugin
from stampcard.plugin import MessageReceived, MessageReported
from stampcard.testing.contract import PluginContract
from stampcard_twilio.webhooks import TOPICS

ACCOUNT = "AC" + "0123456789abcdef" * 2
SECRETS = ("newer auth token", "older auth token")
KEY, KEY_SECRET = "SK" + "fedcba9876543210" * 2, "secret-of-the-key"
SETTINGS = {
    "account_sid": ACCOUNT,
    "auth_token": SECRETS,
    "api_key_sid": KEY,
    "api_key_secret": KEY_SECRET,
    "messaging_service": "MG" + "ab" * 16,
}
EXPECTED: dict[str, list[type]] = {
    "inbound__picture": [MessageReceived],
    "inbound__question": [MessageReceived],
    "inbound__short_code": [],
    "inbound__stop": [MessageReceived],
    "inbound__stop_in_own_words": [MessageReceived],
    "inbound__whatsapp": [],
    "status__accepted_by_service": [MessageReported],
    "status__canceled": [MessageReported],
    "status__delivered": [MessageReported],
    "status__failed_opted_out": [MessageReported],
    "status__failed_unexplained": [MessageReported],
    "status__of_the_future": [],
    "status__queued": [MessageReported],
    "status__sent": [MessageReported],
    "status__undelivered": [MessageReported],
}


class TestTwilio(PluginContract):
    plugin = stampcard_twilio.plugin
    settings = SETTINGS
    secrets = SECRETS
    credentials = (KEY_SECRET,)
    fixtures = Path(__file__).parent / "fixtures"
    topics = tuple(TOPICS)
    expected = EXPECTED
    unknown_topic = "call.completed"
    signature_header = "x-twilio-signature"
    channels = ("sms",)
    unfit_address = "+15005550001"

    def sign(self, _: str, body: bytes, secret: str, /) -> Mapping[str, str]:
        fields = sorted(set(parse_qsl(body.decode(), keep_blank_values=True)))
        text = "https://loyalty.example/webhooks/contract" + "".join(name + value for name, value in fields)
        digest = hmac.digest(secret.encode(), text.encode(), hashlib.sha1)
        return {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "I-Twilio-Idempotency-Token": "0b1f3a52-6a52-4f0e-a6a4-9b8b6f3f0d1c",
            "X-Twilio-Signature": base64.b64encode(digest).decode(),
        }

    def vendor(self, request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] != httpx.BasicAuth(KEY, KEY_SECRET)._auth_header:
            return httpx.Response(401, json={"code": 20003, "message": "Authenticate", "status": 401})
        if request.method == "GET":
            return httpx.Response(200, json={"messages": [], "next_page_uri": None})
        form = dict(parse_qsl(request.content.decode(), keep_blank_values=True))
        if form["To"] == self.unfit_address:
            return httpx.Response(400, json={"code": 21211, "message": f"{form['To']} is no number", "status": 400})
        if not form["Body"]:
            return httpx.Response(400, json={"code": 21602, "message": "Message body is required", "status": 400})
        return httpx.Response(201, json={"sid": "SM" + "0" * 32, "status": "queued", "body": form["Body"]})
