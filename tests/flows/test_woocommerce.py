"""A WooCommerce shop from the handing over of its keys to a refund, over HTTP, on both databases."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import select

from stampcard.domain.scopes import ADMIN
from stampcard.inbox.reconciling import reconcile
from stampcard.plugin import Audit, Capabilities
from stampcard.settings import HttpSettings, Settings
from stampcard.storage.backfilling import begin_backfill, load_backfill
from stampcard.storage.keys import create_key
from stampcard.storage.tables import identity
from stampcard.storage.verifying import verify
from stampcard.testing.demonstration import Demonstration, demonstrating
from stampcard.testing.waiting import eventually
from stampcard_woocommerce.guests import reference_of
from stampcard_woocommerce.simulated_trade import WooPlan
from stampcard_woocommerce.simulator import WooCommerceSimulator
from stampcard_woocommerce.subscribing import TOPICS

PROGRAM = """
program: club
currency: USD
timezone: America/New_York
wallets: {points: {refunds: {spent: proportional}}}
rules:
  - {id: buy, on: purchase, award: 10 per 1 USD}
rewards:
  five: {name: Five off, gives: 5 USD off, price: 20, valid: 30 days, by: shop}
"""
RATE = Decimal(10)


@dataclass(slots=True)
class Storefront:
    """The shop, Stampcard, and somebody at a till with a key."""

    shop: WooCommerceSimulator
    demonstration: Demonstration
    session: aiohttp.ClientSession

    @property
    def capabilities(self) -> Capabilities:
        found = self.demonstration.application.connections["shop"].capabilities
        assert found is not None
        return found

    async def hand_over(self) -> str:
        """The owner opens the connection's address, says yes at the shop, and comes back; answers what they then see."""
        async with self.session.get(
            f"{self.demonstration.address}/connections/shop/install", allow_redirects=False
        ) as sent:
            asked = sent.headers["Location"]
        async with self.session.get(asked) as page:
            assert "would like to connect" in await page.text()
        async with self.session.get(asked.replace("/authorize?", "/access_granted?")) as back:
            assert back.url.path == "/connections/shop/installed"
            return await back.text()

    async def mend(self) -> Audit:
        assert self.capabilities.subscriptions is not None
        return await self.capabilities.subscriptions.mend(self.demonstration.target)

    async def tell(self) -> int:
        """Let the shop send what is queued, and everything come to rest; answers how much was taken."""
        taken = await self.shop.hooks.run()
        assert await self.demonstration.settled(30)
        return taken

    async def poll(self) -> tuple[int, int]:
        application = self.demonstration.application
        assert self.capabilities.orders is not None
        since = application.clock.now() - timedelta(minutes=15)
        found = await reconcile(
            application.database, application.clock, "main", "shop", "shop", self.capabilities.orders, since
        )
        assert await self.demonstration.settled(30)
        return found

    async def member(self, reference: str) -> str | None:
        named = select(identity.c.member).where(identity.c.reference == reference)
        return await self.demonstration.application.database.read(lambda connection: connection.execute(named).scalar())

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self.demonstration.address}/api/v1{path}"
        async with self.session.request(method, url, json=body) as response:
            assert response.status < 300, await response.text()
            return await response.json()

    async def proves(self) -> None:
        merchant = self.demonstration.application.setting.merchant
        found = await self.demonstration.application.database.read(lambda connection: verify(connection, merchant))
        assert (found.findings, found.total) == ((), 0)


@pytest.fixture
def storefront(tmp_path: Path, database_url: str) -> Callable[[], AbstractAsyncContextManager[Storefront]]:
    """A shop that was added by its address, where whoever opens an account takes over what they have as a guest."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def adapt(settings: Settings) -> Settings:
        given = {"consumer_key", "consumer_secret"}
        sections = {
            name: {key: value for key, value in section.items() if key not in given} | {"guests_join": True}
            for name, section in settings.connections.items()
        }
        http = HttpSettings(port=port, public_url=f"http://127.0.0.1:{port}")
        return settings.model_copy(update={"connections": sections, "http": http})

    @asynccontextmanager
    async def begin() -> AsyncIterator[Storefront]:
        shop = WooCommerceSimulator(7, WooPlan(api_failures=0.0))
        async with demonstrating(
            shop, tmp_path, PROGRAM, plugin="woocommerce", database=database_url, adapt=adapt
        ) as demonstration:
            application = demonstration.application
            now = application.clock.now()
            _, key = await application.database.write(lambda c: create_key(c, "main", "till", (ADMIN,), None, now))
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
                yield Storefront(shop, demonstration, session)

    return begin


async def test_a_whole_history_twice_out_of_order_and_partly_forged_ends_with_the_shops_own_books(
    program: str, tmp_path: Path
) -> None:
    shop = WooCommerceSimulator(3, WooPlan(api_failures=0.0))
    async with demonstrating(shop, tmp_path, program, plugin="woocommerce") as demonstration:
        await shop.trade(demonstration.target, 25)
        assert await demonstration.settled(60)
        assert all(check.holds for check in await demonstration.prove()), demonstration.checks


async def test_a_past_of_which_no_webhook_told_is_read_once(program: str, tmp_path: Path) -> None:
    shop = WooCommerceSimulator(4, WooPlan(api_failures=0.0))
    list(shop.history(25))
    async with demonstrating(shop, tmp_path, program, plugin="woocommerce") as demonstration:
        database, now = demonstration.application.database, demonstration.application.clock.now()

        async def is_over() -> bool:
            known = await database.read(lambda connection: load_backfill(connection, "main", "shop"))
            return known is not None and known.ended_at is not None

        for _ in range(2):
            await database.write(lambda c: begin_backfill(c, "main", "shop", now, None, anew=True))
            await eventually("the past is read", is_over)
            assert await demonstration.settled(60)
            expected = shop.expected(Decimal(1), 50)
            known = {str(shop.book.owner(order)) for order in shop.book.orders.values() if order.status != "trash"}
            assert shop.shown() == {who: due for who, due in expected.items() if who in known}


async def test_from_handed_over_keys_to_a_coupon_that_was_used_and_partly_given_back(storefront: Any) -> None:
    async with storefront() as front:
        shop = front.shop
        assert f"sends {len(TOPICS)} kinds of webhooks" in await front.hand_over()
        assert front.capabilities.check_health is not None
        assert (await front.capabilities.check_health()).ok
        assert shop.hooks.pings == [200] * len(TOPICS)

        customer = shop.register("ada@mail.example")
        shop.buy(customer)
        guest = shop.buy(email="uno@mail.example")
        assert await front.tell() > 0
        assert shop.shown()[customer] == shop.expected(RATE, 0)[customer] > 20
        assert await front.member(str(reference_of("shop", guest.email))) is not None

        account = shop.register("uno@mail.example")
        await front.tell()
        assert shop.shown()[account] == int(guest.kept() * RATE)  # as the setting guests_join says

        member = await front.member(customer)
        taken = await front.ask("POST", f"/members/{member}/redemptions?wait=10", {"reward": "five"})
        assert taken["status"] == "issued"
        assert shop.book.coupon(taken["code"]).emails == ("ada@mail.example",)

        order = shop.buy(customer, codes=[taken["code"]])
        await front.tell()
        assert (await front.ask("GET", f"/redemptions/{taken['id']}"))["status"] == "used"
        assert shop.shown()[customer] == shop.expected(RATE, 0)[customer] - 20

        before = shop.shown()[customer]
        shop.turn(order, "return_some")
        await front.tell()  # with what was pushed, which comes back as changes of the customer
        assert shop.shown()[customer] < before
        await front.proves()


async def test_what_webhooks_did_not_tell_is_found_by_asking_and_earns_once(storefront: Any) -> None:
    async with storefront() as front:
        shop = front.shop
        await front.hand_over()
        customer = shop.register()
        told = shop.buy(customer)
        await front.tell()

        lost = [shop.buy(customer), shop.buy(email="uno@mail.example")]
        shop.turn(told, "return_some")
        shop.turn(lost[0], "give_money_back")
        assert shop.hooks.lose() > 0
        await front.tell()
        assert shop.shown()[customer] != shop.expected(RATE, 0)[customer]
        looked_at, wanted = await front.poll()
        assert (looked_at, wanted) == (3, 3)
        assert shop.shown()[customer] == shop.expected(RATE, 0)[customer]

        assert (await front.poll())[1] == 0
        shop.turn(lost[0], "send")
        await front.tell()
        assert shop.shown()[customer] == shop.expected(RATE, 0)[customer]

        # Somebody changes the secret at the shop: all is refused, and WooCommerce switches the webhook off.
        hook = next(hook for hook in shop.hooks.all.values() if hook.topic == "order.created")
        hook.secret = "of their own"
        for _ in range(7):
            shop.buy(customer)
            await shop.hooks.run()
        assert hook.status == "disabled"
        assert front.capabilities.subscriptions is not None
        audit = await front.capabilities.subscriptions.look(front.demonstration.target)
        assert ["switched off" in one.problem for one in audit.wrong] == [True]
        assert (await front.mend()).wrong == ()
        shop.buy(customer)
        assert await front.tell() > 0
        await front.poll()
        assert shop.shown()[customer] == shop.expected(RATE, 0)[customer]
        await front.proves()
