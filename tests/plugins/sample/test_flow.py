from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stampcard.app import Application
from stampcard.sealing import new_key_text
from stampcard.settings import DeliverSettings, HttpSettings, SecuritySettings, Settings
from stampcard.testing.waiting import eventually
from stampcard_webhooks.server import serving

PROGRAM = """
program: till
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: purchase, on: purchase, award: 2 per 1 EUR}
  - {id: welcome, on: sign_up, award: 50}
"""
SECRET = "a-secret-of-the-till"


class Till:
    """The vendor: shows points, and remembers them."""

    def __init__(self) -> None:
        self.shown: dict[str, int] = {}

    async def show(self, request: web.Request) -> web.Response:
        assert request.headers["authorization"] == "Bearer a-token-of-the-till"
        self.shown[request.match_info["customer"]] = (await request.json())["points"]
        return web.Response(text="shown")


@pytest.fixture
async def till() -> AsyncIterator[tuple[Till, str]]:
    """The till and where it listens."""
    vendor, application = Till(), web.Application()
    application.router.add_put("/customers/{customer}/points", vendor.show)
    async with TestServer(application) as server:
        yield vendor, str(server.make_url("")).rstrip("/")


def settings(folder: Path, api_url: str) -> Settings:
    (folder / "program.yaml").write_text(PROGRAM)
    (folder / "key").touch(mode=0o600)
    (folder / "key").write_text(new_key_text())
    connection = {
        "plugin": "sample",
        "webhook_secrets": [SECRET],
        "token": "a-token-of-the-till",
        "api_url": api_url,
    }
    return Settings(
        database=f"sqlite:///{folder / 'stampcard.db'}",
        programs=(str(folder / "program.yaml"),),
        key_file=folder / "key",
        http=HttpSettings(port=0),
        security=SecuritySettings(outbound_allow=(api_url.removeprefix("http://"),)),
        deliver=DeliverSettings(coalesce=0),
        connections={"till": connection},
    )


async def test_a_sale_at_the_till_becomes_points_on_its_display(till: tuple[Till, str], tmp_path: Path) -> None:
    vendor, api_url = till
    async with Application(settings(tmp_path, api_url)) as application, serving(application) as address:

        async def sell(receipt: str, total: str, secret: str = SECRET) -> int:
            at = application.clock.now().isoformat()
            sale = {"receipt": receipt, "customer": "C-42", "total": total, "currency": "EUR", "at": at}
            body = json.dumps(sale).encode()
            signature = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()
            async with aiohttp.ClientSession() as session:
                headers = {"till-signature": signature}
                async with session.post(f"{address}/webhooks/till", data=body, headers=headers) as answer:
                    return answer.status

        async def shows(points: int) -> bool:
            return vendor.shown.get("C-42") == points

        assert await sell("R-1", "19.90") == 200
        await eventually("39 points and 50 for joining", lambda: shows(89))
        assert await sell("R-2", "100.00", secret="a-forger's-secret") == 401
        assert await sell("R-3", "0.60") == 200
        await eventually("one point more", lambda: shows(90))
    assert vendor.shown == {"C-42": 90}
