"""Somebody asks the shop for what is stored of them: over a signed webhook, until somebody answered; on both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import aiohttp
import pytest
from typer.testing import CliRunner

from stampcard.cli.main import app
from stampcard.testing.demonstration import Demonstration
from stampcard.testing.simulator import SignedRequest
from stampcard_shopify.simulator import ShopifySimulator

Demonstrating = Callable[..., AbstractAsyncContextManager[Demonstration]]
Post = Callable[[str, SignedRequest], Awaitable[aiohttp.ClientResponse]]


async def test_a_request_for_data_waits_until_it_is_answered(
    demonstrate: Demonstrating,
    shop: ShopifySimulator,
    post: Post,
    signed: Callable[..., SignedRequest],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with demonstrate(shop, database=database_url) as demonstration:
        monkeypatch.setattr("stampcard.settings.load_settings", lambda _: demonstration.application.settings)

        async def run(*words: str, code: int = 0) -> str:
            done = await asyncio.to_thread(CliRunner().invoke, app, [*words])
            assert done.exit_code == code, done.output
            return done.stdout

        for told in shop.history(3):
            await post(demonstration.target, told)
        customer = next(iter(shop.book.customers.values()))
        asks = {
            "shop_id": 1,
            "shop_domain": shop.settings()["shop"],
            "orders_requested": [],
            "customer": {"id": customer.id, "email": customer.email, "phone": None},
            "data_request": {"id": 9999},
        }
        for key in ("one", "two"):
            await post(demonstration.target, signed(json.dumps(asks).encode(), topic="customers/data_request", key=key))
        assert await demonstration.settled(60)

        (waits,) = json.loads(await run("member", "requests", "--json"))
        assert (waits["connection"], waits["request"], waits["answered_at"]) == ("shop", "9999", None)
        stored = json.loads(await run("member", "export", waits["member"]))
        assert customer.email in json.dumps(stored)
        await run("member", "answered", "shop", "9999", "--note", "sent by post")
        await run("member", "answered", "shop", "9999", code=1)
        assert json.loads(await run("member", "requests", "--json")) == []
        (done,) = json.loads(await run("member", "requests", "--all", "--json"))
        assert done["note"] == "sent by post"
