"""Ways of sending that nobody thought of keep the contract, too: a chat, a place on a page, and posted letters."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
import stampcard_audience
import stampcard_banner
import stampcard_chat
import stampcard_letter

from stampcard.plugin import MessageReceived
from stampcard.testing.contract import PluginContract
from stampcard.testing.installing import install

HERE = Path(__file__).parent
TOKEN, KEY = "a-token-of-the-chat", "a-key-of-the-printer"
SECRETS = ("a-newer-secret", "an-older-secret")


@pytest.fixture(autouse=True)
def _discoverable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for project in HERE.glob("stampcard-*"):
        install(project, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


class TestChat(PluginContract):
    plugin = stampcard_chat
    settings = {"token": TOKEN, "webhook_secrets": SECRETS}  # noqa: RUF012 - a declaration, never changed
    secrets = SECRETS
    credentials = (TOKEN,)
    fixtures = HERE / "fixtures"
    topics = ("message",)
    expected = {"message__question": [MessageReceived], "message__stop": [MessageReceived]}  # noqa: RUF012
    signature_header = "chat-signature"
    channels = ("chat",)
    unfit_address = "nobody"

    def sign(self, _topic: str, body: bytes, secret: str, /) -> Mapping[str, str]:
        return {"Chat-Signature": base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()}

    def vendor(self, request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] != f"Bearer {TOKEN}":
            return httpx.Response(401)
        said = json.loads(request.content)
        if not said["text"] or len(said["text"]) > 4096:
            return httpx.Response(422)
        return httpx.Response(404) if said["to"] == "nobody" else httpx.Response(202, text="sent")


class TestBanner(PluginContract):
    plugin = stampcard_banner
    settings = {}  # noqa: RUF012
    channels = ("banner",)
    calls_by_http = False


class TestLetter(PluginContract):
    plugin = stampcard_letter
    settings = {"key": KEY}  # noqa: RUF012
    credentials = (KEY,)
    channels = ("letter",)
    unfit_address = "nobody"

    def vendor(self, request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] != f"Bearer {KEY}":
            return httpx.Response(401)
        if request.method == "GET":
            return httpx.Response(200, json={"key": "p-1", "state": "none"})
        letters = [
            {"key": letter["key"], "state": "nobody" if letter["to"] == "nobody" else "taken"}
            for letter in reversed(json.loads(request.content))
        ]
        return httpx.Response(200, json=letters)


class TestAudience(PluginContract):
    plugin = stampcard_audience
    settings = {"token": KEY, "audiences": {"spenders": "a1", "sleepers": "a2"}}  # noqa: RUF012
    credentials = (KEY,)
    sinks = ("audience",)
    unfit_audience = "nowhere"

    def vendor(self, request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] != f"Bearer {KEY}":
            return httpx.Response(401)
        named = {name for one in json.loads(request.content) for name in (*one["add"], *one["remove"])}
        return httpx.Response(200, json={"refused": sorted(named - {"a1", "a2"})})
