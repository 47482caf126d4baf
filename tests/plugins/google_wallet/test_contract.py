"""It keeps the contract. Google signs inside the body, so that callbacks are made when the tests begin, with keys of theirs."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

import stampcard_google_wallet.plugin
from stampcard.domain.value import replace
from stampcard.plugin import PassRemoved, PassSaved, UnverifiedRequest
from stampcard.testing.clock import NOON
from stampcard.testing.contract import PluginContract
from stampcard.testing.rules.case import Vendor, Visit
from stampcard_google_wallet.simulated_batches import Call, Told, calls_of, written
from stampcard_google_wallet.simulated_signing import Account, Notary
from stampcard_google_wallet.webhooks import OTHER, TOPICS

ISSUER, CARD = "3388000000022", "a0" * 12
ACCOUNT, NOTARY = Account(random.Random(1)), Notary()
KEY_FILE = ACCOUNT.key_file()
#: Lines of the private key, as they stand in the file.
LINES = json.loads(KEY_FILE)["private_key"].splitlines()[1:4]
#: What is told → Google's word for it, and the cards.
TOLD: Mapping[str, Mapping[str, object]] = {
    "save__one": {"eventType": "save", "objectId": f"{ISSUER}.{CARD}"},
    "save__several": {"eventType": "save", "objectIds": [f"{ISSUER}.{CARD}", f"{ISSUER}.{'b1' * 12}"]},
    "save__of_another_issuer": {"eventType": "save", "objectId": f"{ISSUER}9.{CARD}"},
    "del__one": {"eventType": "del", "objectId": f"{ISSUER}.{CARD}"},
    "other__activate": {"eventType": "activate", "objectId": f"{ISSUER}.{CARD}"},
}
EXPECTED: dict[str, list[type]] = {
    "save__one": [PassSaved],
    "save__several": [PassSaved, PassSaved],
    "save__of_another_issuer": [],
    "del__one": [PassRemoved],
    "other__activate": [],
}


class TestGoogleWallet(PluginContract):
    plugin = stampcard_google_wallet.plugin
    settings = {"issuer_id": ISSUER, "service_account": KEY_FILE, "class_suffix": "club"}  # noqa: RUF012
    secrets = LINES[:1]
    credentials = LINES[1:]
    topics = (*TOPICS, OTHER)
    expected = EXPECTED
    unknown_topic = "activate"
    # What is signed stands in the body as a text: white space around it is nobody's.
    signs_body = False
    sinks = ("pass",)
    channels = ("wallet",)
    unfit_serial = "unfit"
    # Where something is not there, it is made; and what never is, some setting is to blame for.
    refusals = (400, 422)

    def sign(self, _topic: str, _body: bytes, _secret: str, /) -> Mapping[str, str]:
        return {"Content-Type": "application/json"}

    def request(self, topic: str, body: bytes, secret: str = "") -> UnverifiedRequest:
        request = super().request(topic, body, secret)
        if secret in {"", *self.secrets}:
            return request
        forged = Notary().envelope(json.loads(json.loads(body)["signedMessage"]), ISSUER, NOON)
        return replace(request, body=json.dumps(forged).encode())

    def _signature(self) -> str:
        return str(json.loads(self._any().body)["signature"])

    def _signed_with(self, signature: str | None) -> UnverifiedRequest:
        recording = self._any()
        told = {name: one for name, one in json.loads(recording.body).items() if name != "signature"}
        body = json.dumps(told if signature is None else {**told, "signature": signature}).encode()
        return replace(self.request(recording.topic, recording.body), body=body)

    @asynccontextmanager
    async def visiting(self, vendor: Vendor | None = None, **changes: Any) -> AsyncIterator[Visit]:
        """Tokens are had whatever becomes of the vendor: tests of their own look at those."""

        def beside(request: httpx.Request) -> httpx.Response:
            is_token = request.url.path.endswith("/token")
            return self.vendor(request) if vendor is None or is_token else vendor(request)

        async with super().visiting(beside, **changes) as visit:
            yield visit

    def vendor(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/token"):
            return httpx.Response(200, json={"access_token": "ya29." + "t" * 60, "expires_in": 3599})
        if path.endswith("/keys"):
            return httpx.Response(200, json=NOTARY.published(NOON))
        if request.headers.get("authorization", "") != "Bearer ya29." + "t" * 60:
            return httpx.Response(401)
        if not path.endswith("/batch"):
            body = json.loads(request.content) if request.content else None
            told = answer(Call(method=request.method, path=path, body=body))
            return httpx.Response(told.status, json=told.body)
        calls = calls_of(request.content, request.headers["content-type"])
        content, kind = written(calls, [answer(call) for call in calls], random.Random(1))
        return httpx.Response(200, content=content, headers={"content-type": kind})


def answer(call: Call) -> Told:
    """Google, which has every card, and all of them without offers and messages."""
    kind, name, step = (*call.path.partition("/v1/")[2].split("/"), "", "")[:3]
    if step == "addMessage":
        if not call.body["message"]["body"]:
            return Told(status=400, body={"error": {"code": 400, "message": "Message body must be set."}})
        return Told(status=200, body={"resource": {"id": unquote(name)}})
    if kind == "jwt":
        return Told(status=200, body={"saveUri": "https://pay.google.com/gp/v/save/short", "resources": {}})
    if name.endswith(".unfit"):
        return Told(status=400, body={"error": {"code": 400, "message": "Invalid resource ID."}})
    if not name and call.method == "GET":
        return Told(status=200, body={"resources": []})
    return Told(status=200, body={"id": unquote(name) or call.body["id"], "kind": f"walletobjects#{kind}"})


@pytest.fixture(autouse=True, scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Callbacks as Google would have sent them."""
    folder = tmp_path_factory.mktemp("google_wallet")
    for name, told in TOLD.items():
        message = {"classId": f"{ISSUER}.club", "count": 1, "nonce": f"nonce-of-{name}", **told}
        message["expTimeMillis"] = int(NOON.replace(hour=23, minute=59).timestamp() * 1000)
        content = json.dumps(NOTARY.envelope(message, ISSUER, NOON), ensure_ascii=False)
        (folder / f"{name}.json").write_text(content, encoding="utf-8")
    TestGoogleWallet.fixtures = folder
