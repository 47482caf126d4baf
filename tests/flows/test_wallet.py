"""A purchase at a shop shows on the card in a phone, and the card that was saved is paid for; all over HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from sqlalchemy import select

from stampcard.domain.scopes import ADMIN
from stampcard.engine.codes import read_code
from stampcard.settings import HttpSettings, SecuritySettings, Settings
from stampcard.storage.keys import create_key
from stampcard.storage.tables import identity
from stampcard.testing.demonstration import CONNECTION, Demonstration
from stampcard.testing.simulator import SignedRequest
from stampcard.testing.waiting import eventually
from stampcard_google_wallet.simulator import GoogleWalletSimulator
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulator import ShopifySimulator

Demonstrating = Callable[..., AbstractAsyncContextManager[Demonstration]]
Post = Callable[[str, SignedRequest], Awaitable[aiohttp.ClientResponse]]
PROGRAM = """
program: club
name: Bean Club
currency: USD
timezone: America/Toronto
wallets: {points: {refunds: {policy: within_balance}}}
tiers: {by: spend, within: ever, levels: {guest: 0, gold: {from: 100, name: Gold}}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 USD}
  - {id: saved, on: card_saved, award: 25}
rewards:
  mug: {name: A mug, gives: merchandise, price: 2000}
card: {logo: 'https://shop.example/logo.png', rotates: true, redeem: fresh}
"""
#: Where the outside is told that we are; Google's callbacks are led to where we really are.
PUBLIC = "https://points.example"


class Scene:
    """A shop and Google Wallet before one installation, and somebody with a key."""

    def __init__(
        self, demonstration: Demonstration, shop: ShopifySimulator, google: GoogleWalletSimulator, post: Post, key: str
    ) -> None:
        self.demonstration, self.shop, self.google, self._post, self._key = demonstration, shop, google, post, key
        self._at = 0

    async def tell(self, topic: str, body: Any) -> None:
        """A webhook of the shop."""
        self._at += 1
        raw = json.dumps(body).encode()
        secrets = self.shop.settings()["webhook_secrets"]
        assert isinstance(secrets, list)
        signature = base64.b64encode(hmac.digest(secrets[0].encode(), raw, hashlib.sha256)).decode()
        headers = {
            "X-Shopify-Topic": topic,
            "X-Shopify-Shop-Domain": str(self.shop.settings()["shop"]),
            "X-Shopify-Webhook-Id": f"{topic}:{self._at}",
            "X-Shopify-Hmac-Sha256": signature,
        }
        answer = await self._post(self.demonstration.target, SignedRequest(headers=headers, body=raw))
        assert answer.status == 200

    async def buys(self, who: int, order: int, amount: int) -> None:
        at = self.demonstration.application.clock.now().isoformat()
        line = {"id": order * 10, "quantity": 1, "price": f"{amount}.00", "total_discount": "0.00"}
        body = {
            "id": order, "name": f"#{order}", "created_at": at, "processed_at": at, "updated_at": at, "currency": "USD",
            "financial_status": "paid", "total_price": f"{amount}.00", "taxes_included": False,
            "customer": {"id": who}, "line_items": [line], "refunds": [],
        }  # fmt: skip
        await self.tell("orders/paid", body)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The API, with everything allowed."""
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method,
                f"{self.demonstration.address}/api/v1{path}",
                json=body,
                headers={"Authorization": f"Bearer {self._key}"},
            ) as answer,
        ):
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def member(self, reference: int) -> str:
        statement = select(identity.c.member).where(
            identity.c.connection == CONNECTION, identity.c.reference == str(reference)
        )

        async def known() -> bool:
            return await self._member(statement) is not None

        await eventually("the customer is a member", known)
        return str(await self._member(statement))

    async def _member(self, statement: Any) -> str | None:
        return await self.demonstration.application.database.read(lambda c: c.execute(statement).scalar())

    def shown(self, serial: str) -> tuple[int, str]:
        """Points and tier on the card."""
        card = self.google.card(serial)
        return card["loyaltyPoints"]["balance"]["int"], card["secondaryLoyaltyPoints"]["balance"]["string"]

    async def shows(self, serial: str, points: int, tier: str) -> None:
        async def is_shown() -> bool:
            return self.shown(serial) == (points, tier)

        await eventually(f"the card shows {points} and {tier}", is_shown)


@pytest.fixture
async def scene(demonstrate: Demonstrating, post: Post) -> AsyncIterator[Scene]:
    shop, google = ShopifySimulator(7, ShopPlan(api_failures=0.0)), GoogleWalletSimulator(3)
    await google.start()

    def adapt(settings: Settings) -> Settings:
        hosts = tuple(urlsplit(one.api_url).netloc for one in (shop, google))
        connections = {**settings.connections, "phone": {"plugin": "google_wallet", **google.settings()}}
        return settings.model_copy(
            update={
                "http": HttpSettings(port=0, public_url=PUBLIC),
                "security": SecuritySettings(outbound_allow=hosts),
                "connections": connections,
            }
        )

    try:
        async with demonstrate(shop, PROGRAM, adapt=adapt) as demonstration:
            application = demonstration.application
            google.hooks.route = f"{demonstration.address}/webhooks/phone"
            now = application.clock.now()
            _, key = await application.database.write(lambda c: create_key(c, "main", "test", (ADMIN,), None, now))
            yield Scene(demonstration, shop, google, post, key)
    finally:
        await google.stop()


async def test_a_purchase_shows_on_the_card_and_the_card_is_read_at_the_counter(scene: Scene) -> None:
    await scene.buys(1, 11, 40)
    member = await scene.member(1)
    made = await scene.call("POST", f"/members/{member}/passes", {"connection": "phone"})
    serial = made["serial"]
    await scene.shows(serial, 40, "guest")

    assert await scene.google.save(made["url"]) == 200
    await scene.shows(serial, 65, "guest")

    await scene.buys(1, 12, 100)
    await scene.shows(serial, 165, "Gold")
    assert scene.google.notices(serial) == ["update", "update"]

    code = scene.google.code(serial, scene.demonstration.application.clock.now())
    assert code.startswith(f"{PUBLIC}/k/R")
    bare = code.rpartition("/")[2]
    seen = await scene.call("GET", f"/cards/{bare}?scan=s1")
    assert (seen["member"], seen["known"], seen["may_redeem"]) == (member, "fresh", True)
    act = {"id": "a1", "kind": "earn", "card": bare, "scan": "s1", "amount": "35.00"}
    (done,) = (await scene.call("POST", "/counter/acts", {"till": "berlin", "acts": [act]}))["items"]
    assert (done["status"], done["points"]) == ("done", {"points": 35})
    await scene.shows(serial, 200, "Gold")
    again = {**act, "id": "a2", "scan": "s2"}
    (refused,) = (await scene.call("POST", "/counter/acts", {"till": "berlin", "acts": [again]}))["items"]
    assert (refused["status"], refused["code"]) == ("refused", "shown_before")
    assert read_code(bare).number == scene.google.card(serial)["accountId"]

    assert await scene.google.remove(serial) == 200
    await scene.buys(1, 13, 10)

    async def booked() -> bool:
        person = await scene.call("GET", f"/members/{member}")
        return bool(person["balances"]["points"]["active"] == 210)

    await eventually("the purchase is booked", booked)
    assert await scene.demonstration.settled(30)
    assert scene.shown(serial) == (200, "Gold"), "nobody has it in a phone"
    assert scene.google.tally.throttled == 0
