"""One person at three shops of two kinds: one member, one balance, shown everywhere; over HTTP on both databases."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from sqlalchemy import select

from stampcard.settings import SecuritySettings, Settings
from stampcard.storage.tables import balance, member
from stampcard.storage.verifying import verify
from stampcard.testing.demonstration import CONNECTION, Demonstration
from stampcard.testing.simulator import SignedRequest, Simulator
from stampcard.testing.waiting import eventually
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulator import ShopifySimulator
from stampcard_woocommerce.simulated_trade import WooPlan
from stampcard_woocommerce.simulator import WooCommerceSimulator

Demonstrating = Callable[..., AbstractAsyncContextManager[Demonstration]]
Post = Callable[[str, SignedRequest], Awaitable[aiohttp.ClientResponse]]
PROGRAM = """
program: club
currency: USD
timezone: America/Toronto
wallets: {points: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 USD}
"""
ADA = "ada@example.com"


def signed(simulator: Simulator, body: Any, headers: dict[str, str], signature: str) -> SignedRequest:
    """What a shop would send."""
    secrets = simulator.settings()["webhook_secrets"]
    assert isinstance(secrets, list)
    raw = json.dumps(body).encode()
    digest = hmac.digest(secrets[0].encode(), raw, hashlib.sha256)
    return SignedRequest(headers={**headers, signature: base64.b64encode(digest).decode()}, body=raw)


def at_shopify(shop: ShopifySimulator, topic: str, body: Any) -> SignedRequest:
    name = str(shop.settings()["shop"])
    headers = {"X-Shopify-Topic": topic, "X-Shopify-Shop-Domain": name, "X-Shopify-Webhook-Id": f"{topic}{body['id']}"}
    return signed(shop, body, headers, "X-Shopify-Hmac-Sha256")


def shopper(shop: ShopifySimulator, who: int, now: datetime) -> list[SignedRequest]:
    """Ada joins a Shopify shop, which makes sure of her address, and buys for 30."""
    at = now.isoformat()
    person = {"id": who, "created_at": at, "updated_at": at, "email": ADA, "verified_email": True}
    line = {"id": 1, "quantity": 1, "price": "30.00", "total_discount": "0.00"}
    order = {
        "id": who + 1,
        "created_at": at,
        "updated_at": at,
        "currency": "USD",
        "total_price": "30.00",
        "financial_status": "paid",
        "line_items": [line],
        "customer": {"id": who},
    }
    return [at_shopify(shop, "customers/create", person), at_shopify(shop, "orders/paid", order)]


def at_woocommerce(shop: WooCommerceSimulator, who: int, now: datetime) -> SignedRequest:
    """The same address at a shop of another kind, which has a plugin of its own that makes sure of it."""
    at = now.replace(tzinfo=None).isoformat(timespec="seconds")
    person = {"id": who, "email": ADA, "role": "customer", "date_created_gmt": at, "date_modified_gmt": at}
    return signed(shop, person, {"X-WC-Webhook-Topic": "customer.created"}, "X-WC-Webhook-Signature")


async def test_one_person_at_three_shops_is_one_member_and_sees_one_balance_everywhere(
    demonstrate: Demonstrating, shop: ShopifySimulator, post: Post, database_url: str
) -> None:
    twin = ShopifySimulator(8, ShopPlan(api_failures=0.0))
    woo = WooCommerceSimulator(9, WooPlan(api_failures=0.0))
    for simulator in (shop, twin, woo):
        list(simulator.history(4))
    await twin.start()
    await woo.start()

    def adapt(settings: Settings) -> Settings:
        allowed = (*settings.security.outbound_allow, *(urlsplit(one.api_url).netloc for one in (twin, woo)))
        others = {
            "twin": {"plugin": "shopify", **twin.settings()},
            "woo": {"plugin": "woocommerce", **woo.settings(), "verified_addresses": True},
        }
        security = SecuritySettings(outbound_allow=allowed)
        return settings.model_copy(update={"connections": {**settings.connections, **others}, "security": security})

    try:
        async with demonstrate(shop, PROGRAM, database=database_url, adapt=adapt) as demonstration:
            now = demonstration.application.clock.now() - timedelta(minutes=1)
            first, second = (next(iter(one.book.customers)) for one in (shop, twin))
            third = next(one.id for one in woo.book.customers.values())
            sent = {
                CONNECTION: shopper(shop, first, now),
                "twin": shopper(twin, second, now),
                "woo": [at_woocommerce(woo, third, now)],
            }
            for name, requests in sent.items():
                for request in requests:
                    assert (await post(f"{demonstration.address}/webhooks/{name}", request)).status == 200

            async def are_one() -> bool:
                return len(await everybody(demonstration)) == 3 and len(await living(demonstration)) == 1

            await eventually("the three are one member", are_one)
            assert await demonstration.settled(60)
            (ada,) = await living(demonstration)
            assert await points(demonstration, ada) == 60
            assert shop.shown()[str(first)] == twin.shown()[str(second)] == woo.shown()[str(third)] == 60
            found = await demonstration.application.database.read(lambda c: verify(c, "main"))
            assert (found.findings, found.total) == ((), 0)
    finally:
        await twin.stop()
        await woo.stop()


async def everybody(demonstration: Demonstration) -> list[str]:
    found = await demonstration.application.database.read(lambda c: c.execute(select(member.c.id)).scalars().all())
    return list(found)


async def living(demonstration: Demonstration) -> list[str]:
    statement = select(member.c.id).where(member.c.merged_into.is_(None))
    found = await demonstration.application.database.read(lambda c: c.execute(statement).scalars().all())
    return list(found)


async def points(demonstration: Demonstration, who: str) -> int:
    statement = select(balance.c.active).where(balance.c.member == who)
    return await demonstration.application.database.read(lambda c: c.execute(statement).scalar() or 0)
