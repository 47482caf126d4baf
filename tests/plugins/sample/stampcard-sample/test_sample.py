import base64
import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

import httpx
import stampcard_sample

from stampcard.plugin import OrderSeen
from stampcard.testing.contract import PluginContract

SECRETS = ("a-newer-secret", "an-older-secret")
TOKEN = "a-token-of-the-till"
SETTINGS = {"webhook_secrets": SECRETS, "token": TOKEN}
EXPECTED = {"sale__paid": [OrderSeen]}


class TestSample(PluginContract):
    plugin = stampcard_sample
    settings = SETTINGS
    secrets = SECRETS
    credentials = (TOKEN,)
    fixtures = Path(__file__).parent / "fixtures"
    topics = ("sale",)
    expected = EXPECTED
    signature_header = "till-signature"
    sinks = ("balance",)
    unfit_reference = "nobody"

    def sign(self, _topic: str, body: bytes, secret: str) -> Mapping[str, str]:
        digest = hmac.digest(secret.encode(), body, hashlib.sha256)
        return {"till-signature": base64.b64encode(digest).decode()}

    def vendor(self, request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] != f"Bearer {TOKEN}":
            return httpx.Response(401)
        return httpx.Response(404) if "/nobody/" in request.url.path else httpx.Response(200, text="shown")
