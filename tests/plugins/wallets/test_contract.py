"""A wallet whose phones ask for their cards themselves keeps the contract, and needs nothing but its plugin."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
import stampcard_pocket

from stampcard.plugin import PassRemoved, PassSaved, Reply
from stampcard.testing.contract import PluginContract
from stampcard.testing.installing import install
from stampcard.testing.rules.case import Visit

HERE = Path(__file__).parent
KEY, TOKEN, TYPE = "a-key-of-the-passes", "a-token-of-the-pushes", "pass.example.card"


@pytest.fixture(autouse=True)
def _discoverable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(HERE / "stampcard-pocket", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


def proof(serial: str) -> Mapping[str, str]:
    """What a phone that has the pass sends along."""
    return {"Authorization": f"ApplePass {hmac.digest(KEY.encode(), serial.encode(), 'sha256').hex()}"}


class TestPocket(PluginContract):
    plugin = stampcard_pocket
    settings = {"pass_key": KEY, "push_token": TOKEN}  # noqa: RUF012 - a declaration, never changed
    credentials = (KEY, TOKEN)
    fixtures = HERE / "fixtures"
    topics = ("phone",)
    expected = {"phone__saved": [PassSaved], "phone__removed": [PassRemoved]}  # noqa: RUF012
    sends_webhooks = False
    sinks = ("pass",)
    unfit_serial = "f" * 24
    success_is_in_the_body = False

    async def before(self, visit: Visit, /) -> None:
        for serial in visit.passes:
            where = f"v1/devices/phone-{serial}/registrations/{TYPE}/{serial}"
            reply = await visit.ask("POST", where, proof(serial), b'{"pushToken": "%b"}' % serial.encode())
            assert reply.status == 201

    async def fetch_pass(self, visit: Visit, serial: str, headers: Mapping[str, str], /) -> Reply:
        return await visit.ask("GET", f"v1/passes/{TYPE}/{serial}", {**headers, **proof(serial)})

    def vendor(self, request: httpx.Request) -> httpx.Response:
        if (request.headers["authorization"], request.headers["apns-topic"]) != (f"Bearer {TOKEN}", TYPE):
            return httpx.Response(403, json={"reason": "InvalidProviderToken"})
        if request.content != b"{}":
            return httpx.Response(400, json={"reason": "PayloadTooLarge"})
        unfit = request.url.path.endswith(self.unfit_serial)
        return httpx.Response(400, json={"reason": "BadDeviceToken"}) if unfit else httpx.Response(200)
