"""A whole installation under a simulated shop, and ways to write to it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from stampcard.testing.demonstration import Demonstration, demonstrating
from stampcard.testing.simulator import ShopSimulator, SignedRequest
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulator import ShopifySimulator

PROGRAM = files("stampcard.cli").joinpath("templates/demo.yaml").read_text(encoding="utf8")
_numbers = itertools.count(1)


@pytest.fixture
def program() -> str:
    """The program of the demo."""
    return PROGRAM


@pytest.fixture
def shop() -> ShopifySimulator:
    """A shop whose own API never fails by chance."""
    return ShopifySimulator(7, ShopPlan(api_failures=0.0))


@pytest.fixture
def demonstrate(
    tmp_path: Path, new_sqlite: Callable[[], str]
) -> Callable[..., AbstractAsyncContextManager[Demonstration]]:
    """Serves a fresh installation for a shop: ``async with demonstrate(shop, database=…) as demonstration``."""

    def make(
        simulator: ShopSimulator, program: str = PROGRAM, *, database: str = "", **more: Any
    ) -> AbstractAsyncContextManager[Demonstration]:
        url = database or new_sqlite()
        return demonstrating(simulator, tmp_path, program, plugin="shopify", database=url, **more)

    return make


@pytest.fixture
async def post() -> AsyncIterator[Callable[[str, SignedRequest], Awaitable[aiohttp.ClientResponse]]]:
    """Posts a webhook and gives the answer, already read."""
    async with aiohttp.ClientSession() as session:

        async def send(target: str, request: SignedRequest) -> aiohttp.ClientResponse:
            async with session.post(target, data=request.body, headers=request.headers) as answer:
                await answer.read()
                return answer

        yield send


@pytest.fixture
def signed(shop: ShopifySimulator) -> Callable[..., SignedRequest]:
    """Signs any body as the shop would: ``signed(b"{}", topic="orders/paid", key="1")``."""

    def make(body: bytes, *, topic: str = "orders/paid", key: str = "") -> SignedRequest:
        settings = shop.settings()
        secrets = settings["webhook_secrets"]
        assert isinstance(secrets, list)
        signature = base64.b64encode(hmac.digest(secrets[0].encode(), body, hashlib.sha256)).decode()
        headers = {
            "Content-Type": "application/json",
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-Sha256": signature,
            "X-Shopify-Shop-Domain": str(settings["shop"]),
            "X-Shopify-Webhook-Id": key or f"made-up-{next(_numbers)}",
        }
        return SignedRequest(headers=headers, body=body)

    return make
