"""From earning to a code that was used and given back: through the shopper's API, at the simulated shop."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from tests.databases import on_sqlite
from typer.testing import CliRunner

from stampcard.cli.main import app
from stampcard.storage.loading import load_identities
from stampcard.storage.verifying import verify
from stampcard.testing.demonstration import Demonstration
from stampcard.testing.simulator import SignedRequest
from stampcard.testing.waiting import eventually
from stampcard_shopify.client import Client
from stampcard_shopify.fulfilling import ShopifyFulfilment
from stampcard_shopify.simulated_checkout import CodeRefused
from stampcard_shopify.simulator import ShopifySimulator

PROGRAM = """
program: club
currency: USD
timezone: America/Toronto
wallets: {points: {refunds: {spent: proportional}}}
rules:
  - {id: buy, on: purchase, award: 10 per 1 USD}
rewards:
  money: {name: Money, gives: 5 USD off, price: 20, valid: 30 days, by: shop}
  percent: {gives: 10 % off, price: 20, minimum: 1 USD, by: shop}
  freight: {gives: free shipping, price: 20, stack: never, by: shop}
  product: {gives: "free product, worth 3 USD", price: 20, only: {product: [PRODUCT]}, by: shop}
  card: {gives: gift card 5 USD, price: 20, by: shop}
  credit: {gives: store credit 5 USD, price: 20, valid: 60 days, by: shop}
  ours: {gives: 5 USD off, price: 20, by: own}
  pooled: {gives: 5 USD off, price: 20, valid: 30 days, by: pool}
  people: {gives: merchandise, price: 20}
"""
KINDS = ("money", "percent", "freight", "product", "card", "credit", "ours", "people")
#: What a database sees differ: made by a shop, by Stampcard itself, by people.
SOME = ("money", "ours", "people")
#: What a shop makes in a way of its own, and by which field of its API.
MADE = {"money": "discountCodeBasicCreate", "card": "giftCardCreate", "credit": "storeCreditAccountCredit"}
Post = Callable[[str, SignedRequest], Any]


@dataclass(slots=True)
class Shopping:
    """A shopper of the simulated shop, and what they do."""

    shop: ShopifySimulator
    demonstration: Demonstration
    session: aiohttp.ClientSession
    post: Post
    customer: str

    async def send(self, *requests: SignedRequest) -> None:
        """Let the shop tell, and everything come to rest."""
        for request in requests:
            answer = await self.post(self.demonstration.target, request)
            assert answer.status == 200
        assert await self.demonstration.settled(30)

    async def ask(self, method: str, path: str, body: Any = None, customer: str | None = None) -> Any:
        """A request through the shop's app proxy."""
        settings = self.shop.settings()
        signed = {
            "shop": str(settings["shop"]),
            "path_prefix": "/apps/club",
            "timestamp": str(int(self.shop.clock.now().timestamp())),
            "logged_in_customer_id": self.customer if customer is None else customer,
        }
        text = "".join(sorted(f"{name}={value}" for name, value in signed.items()))
        signed["signature"] = hmac.new(
            str(settings["client_secret"]).encode(), text.encode(), hashlib.sha256
        ).hexdigest()
        url = f"{self.demonstration.address}/shopper/shop{path}?{urlencode(signed)}"
        async with self.session.request(method, url, json=body) as response:
            return await response.json(content_type=None)

    async def points(self) -> dict[str, int]:
        return dict((await self.ask("GET", "/me"))["balances"]["points"])

    async def redeem(self, reward: str, key: str = "") -> Any:
        return await self.ask("POST", "/redemptions", {"reward": reward, "key": key or f"wish-for-{reward}"})

    async def of(self, redemption: Any) -> Any:
        return await self.ask("GET", f"/redemptions/{redemption['id']}")

    async def buys(self, **more: Any) -> str:
        """Answers the order's reference."""
        requests = self.shop.buy(self.customer, **more)
        await self.send(*requests)
        bodies = [json.loads(request.body) for request in requests]
        return str(next(body["id"] for body in bodies if "line_items" in body))

    async def proves(self) -> None:
        merchant = self.demonstration.application.setting.merchant
        found = await self.demonstration.application.database.read(lambda connection: verify(connection, merchant))
        assert (found.findings, found.total) == ((), 0)


@pytest.fixture
def shopping(shop: ShopifySimulator, demonstrate: Any, database_url: str, post: Post) -> Any:
    """A shopper with points."""

    @asynccontextmanager
    async def begin() -> AsyncIterator[Shopping]:
        program = PROGRAM.replace("PRODUCT", shop.products()[0])
        async with (
            demonstrate(shop, program, database=database_url) as demonstration,
            aiohttp.ClientSession() as session,
        ):
            history = list(shop.history(4))
            customer = next(iter(shop.book.customers))
            shopper = Shopping(shop, demonstration, session, post, str(customer))
            await shopper.send(*history)
            for _ in range(2):
                await shopper.buys()
            yield shopper

    return begin


@pytest.mark.parametrize(
    ("database_url", "reward"),
    [*(("sqlite", kind) for kind in KINDS), *(("postgresql", kind) for kind in SOME)],
    indirect=["database_url"],
)
async def test_every_kind_is_seen_redeemed_and_made_real_once(shopping: Any, reward: str) -> None:
    async with shopping() as shopper:
        before = await shopper.points()
        offered = {one["reward"]: one for one in (await shopper.ask("GET", "/rewards"))["items"]}
        assert offered[reward]["usable"], offered[reward]

        taken = await shopper.redeem(reward)
        again = await shopper.redeem(reward)

        assert taken == again
        after = await shopper.points()
        by_hand = reward == "people"
        assert taken["status"] == ("held" if by_hand else "issued")
        assert (before["active"] - after["active"], after["held"]) == (20, 20 if by_hand else 0)
        shop = shopper.shop
        made = len(shop.discounts.codes) + len(shop.cards.cards)
        credited = shop.credits.balance_of(shopper.customer, "USD")
        assert (made, int(credited)) == {"ours": (0, 0), "people": (0, 0), "credit": (0, 5)}.get(reward, (1, 0))
        if reward in {"money", "percent", "freight", "product"}:
            assert taken["code"] in shop.discounts.codes
        await shopper.proves()


@pytest.mark.parametrize(
    ("database_url", "reward", "field", "done"),
    [
        *(("sqlite", *made, done) for made in MADE.items() for done in (True, False)),
        ("postgresql", *next(iter(MADE.items())), True),
    ],
    indirect=["database_url"],
)
async def test_a_lost_answer_makes_nothing_twice_and_loses_nothing(
    shopping: Any, monkeypatch: pytest.MonkeyPatch, reward: str, field: str, done: bool
) -> None:
    async with shopping() as shopper:
        dispatcher = shopper.demonstration.application.dispatchers["shop"]
        job = next(job for job in dispatcher.jobs if job.line.sink.kind == "reward_issue")
        monkeypatch.setattr(job.line.sink, "visible_after", timedelta(0))
        shopper.shop.lose_answers(field, done=done, times=1)

        taken = await shopper.redeem(reward)

        async def issued() -> bool:
            return bool((await shopper.of(taken))["status"] == "issued")

        await eventually("the reward is issued", issued)
        shop = shopper.shop
        made = (
            len(shop.discounts.codes)
            + len(shop.cards.cards)
            + int(shop.credits.balance_of(shopper.customer, "USD")) // 5
        )
        assert made == 1
        await shopper.proves()


async def test_a_code_is_used_partly_refunded_and_cancelled(shopping: Any) -> None:
    async with shopping() as shopper:
        first, second = await shopper.redeem("money", "1"), await shopper.redeem("money", "2")
        start = await shopper.points()
        order = await shopper.buys(code=first["code"])
        used = await shopper.of(first)
        assert (used["status"], used["orders"]) == ("used", [f"order:shop:{order}"])

        await shopper.send(*shopper.shop.give_back(order, all_of_it=False))
        partly = await shopper.points()
        await shopper.send(*shopper.shop.give_back(order, all_of_it=True))
        wholly = await shopper.points()
        other = await shopper.buys(code=second["code"])
        await shopper.send(*shopper.shop.cancel(other))
        end = await shopper.points()

        assert start["spent"] == 40
        assert 20 <= wholly["spent"] <= partly["spent"] <= 40
        assert wholly["spent"] == 20
        assert end["spent"] == 0
        assert end["active"] == start["active"] + 40
        await shopper.proves()


@on_sqlite
async def test_a_code_is_its_members_alone_and_ends_in_time(shopping: Any) -> None:
    async with shopping() as shopper:
        taken = await shopper.redeem("money")
        others = [str(one) for one in shopper.shop.book.customers if str(one) != shopper.customer]
        with pytest.raises(CodeRefused):
            shopper.shop.buy(others[0], code=taken["code"])
        assert (await shopper.ask("GET", f"/redemptions/{taken['id']}", customer=others[0]))["status"] == 404


@on_sqlite
async def test_a_stranger_at_the_proxy_learns_nothing(shopping: Any) -> None:
    async with shopping() as shopper:
        assert (await shopper.ask("GET", "/me", customer=""))["code"] == "not_logged_in"
        assert (await shopper.ask("GET", "/me", customer="424242"))["code"] == "not_a_member"
        url = f"{shopper.demonstration.address}/shopper/shop/me?logged_in_customer_id={shopper.customer}"
        async with shopper.session.get(url) as response:
            assert response.status == 401


async def test_a_member_who_leaves_keeps_nothing_here(shopping: Any) -> None:
    async with shopping() as shopper:
        await shopper.redeem("money")
        await shopper.ask("POST", "/erase", {"confirm": True})
        application = shopper.demonstration.application
        key = ("shop", shopper.customer)
        known = await application.database.read(lambda c: load_identities(c, application.setting.merchant, [key]))
        assert known == {}
        await shopper.proves()


@on_sqlite
async def test_codes_made_in_bulk_are_given_out_without_a_call(shopping: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with shopping() as shopper:
        shop, settings = shopper.shop, shopper.demonstration.application.settings
        monkeypatch.setattr("stampcard.settings.load_settings", lambda _: settings)
        filled = await asyncio.to_thread(CliRunner().invoke, app, ["reward", "fill", "pooled", "--count", "300"])
        assert (filled.exit_code, filled.stdout) == (0, "300 codes were made at shop; 300 are free now\n")
        assert len(shop.discounts.codes) == 300
        asked: list[str] = []
        ask = Client.ask

        async def listen(self: Client, document: str, *more: Any) -> Any:
            asked.append(document)
            return await ask(self, document, *more)

        monkeypatch.setattr(Client, "ask", listen)

        taken = await shopper.redeem("pooled")

        assert taken["status"] == "issued"
        assert taken["code"] in shop.discounts.codes
        order = await shopper.buys(code=taken["code"])
        used = await shopper.of(taken)
        assert (used["status"], used["orders"]) == ("used", [f"order:shop:{order}"])
        assert [document for document in asked if "iscount" in document] == []
        assert len(shop.discounts.codes) == 300
        other = await shopper.redeem("pooled", "another")
        await shopper.buys(code=other["code"])
        await shopper.proves()


async def test_codes_made_in_bulk_are_switched_off_with_their_reward_and_on_again(
    shopping: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ShopifyFulfilment, "visible_after", timedelta(0))
    async with shopping() as shopper:
        settings, codes = shopper.demonstration.application.settings, shopper.shop.discounts.codes
        monkeypatch.setattr("stampcard.settings.load_settings", lambda _: settings)

        async def run(*words: str) -> None:
            done = await asyncio.to_thread(CliRunner().invoke, app, [*words])
            assert done.exit_code == 0, done.output

        async def is_there() -> bool:
            return second["code"] in codes

        async def is_gone() -> bool:
            return second["code"] not in codes

        await run("reward", "fill", "pooled", "--count", "3")
        first, second = [await shopper.redeem("pooled", key) for key in ("first", "second")]
        await shopper.buys(code=first["code"])
        await run("stop", "reward", "pooled", "--note", "misprint")

        await run("reward", "withdraw", "pooled")
        await eventually("the code is switched off", is_gone, 30)
        with pytest.raises(CodeRefused):
            shopper.shop.buy(shopper.customer, code=second["code"])
        assert len(codes) == 2

        await run("reward", "restore", "pooled")
        await eventually("the code works again", is_there, 30)
        await shopper.buys(code=second["code"])
        assert (await shopper.of(second))["status"] == "used"
        await shopper.proves()
