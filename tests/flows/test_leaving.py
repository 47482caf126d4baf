"""A shop that is left: what was made and shown there goes, points go back, and what stays is told; on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import aiohttp
import pytest
from sqlalchemy import Select, select
from typer.testing import CliRunner

from stampcard.applying.redeeming import redeem
from stampcard.applying.requests import Answer, answer
from stampcard.applying.unit import Unit
from stampcard.cli import leaving
from stampcard.cli.main import app
from stampcard.engine.rewarding import Asking
from stampcard.settings import HttpSettings, Settings
from stampcard.storage.plugging import Plugged, save_plugged
from stampcard.storage.stating import set_state
from stampcard.storage.tables import balance, connection, redemption
from stampcard.storage.verifying import verify
from stampcard.testing.demonstration import CONNECTION, Demonstration
from stampcard.testing.simulator import SignedRequest
from stampcard_shopify.simulator import ShopifySimulator

Demonstrating = Callable[..., AbstractAsyncContextManager[Demonstration]]
Post = Callable[[str, SignedRequest], Awaitable[aiohttp.ClientResponse]]
PROGRAM = """
program: club
currency: USD
timezone: America/Toronto
wallets: {points: {}}
rules:
  - {id: buy, on: purchase, award: 10 per 1 USD}
rewards:
  money: {gives: 5 USD off, price: 20, valid: 30 days, by: shop}
"""
HERE = f"https://points.example/webhooks/{CONNECTION}"


def unplugged(settings: Settings) -> Settings:
    """Without a connection in the file: one is plugged in later."""
    http = HttpSettings(port=0, public_url="https://points.example")
    return settings.model_copy(update={"connections": {}, "http": http})


async def plug(demonstration: Demonstration, shop: ShopifySimulator) -> None:
    application = demonstration.application
    now = application.clock.now()
    one = Plugged(name=CONNECTION, plugin="shopify", settings=shop.settings(), added_at=now, changed_at=now)
    await application.database.write(lambda c: save_plugged(c, "main", application.setting.sealer, one))
    await application.refresh()


async def rows_of(demonstration: Demonstration, statement: Select[Any]) -> Sequence[Any]:
    return await demonstration.application.database.read(lambda c: c.execute(statement).all())


async def take_codes(demonstration: Demonstration, members: list[str]) -> None:
    application = demonstration.application

    for member in members:

        def work(unit: Unit, member: str = member) -> Answer:
            redeem(unit, member, "money", "", Asking(at=CONNECTION))
            return Answer(status=200, body={})

        now = application.clock.now()
        await application.database.write(partial(answer, setting=application.setting, once=None, now=now, work=work))
    application.wake()


async def test_a_shop_is_left_clean_and_what_stays_is_told(
    demonstrate: Demonstrating,
    shop: ShopifySimulator,
    post: Post,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leaving, "HEARD", 0.6)
    async with demonstrate(shop, PROGRAM, database=database_url, adapt=unplugged) as demonstration:
        application = demonstration.application
        await plug(demonstration, shop)
        for told in shop.history(8):
            await post(demonstration.target, told)
        assert await demonstration.settled(60)
        assert shop.shown()
        shop.subscriptions.put("ORDERS_PAID", HERE)
        rich = await rows_of(demonstration, select(balance.c.member).where(balance.c.active >= 20).limit(2))
        await take_codes(demonstration, [row.member for row in rich])
        assert await demonstration.settled(60)
        assert [row.status for row in await rows_of(demonstration, select(redemption))] == ["issued"] * 2
        settings = application.settings.model_copy(update={"connections": {}})
        monkeypatch.setattr("stampcard.settings.load_settings", lambda _: settings)

        done = await asyncio.to_thread(CliRunner().invoke, app, ["connection", "remove", CONNECTION, "--yes"])

        assert done.exit_code == 0, done.output
        assert "1 webhook subscriptions ended at the vendor" in done.stdout
        assert "2 rewards that were not used yet were taken back" in done.stdout
        assert "Stays" not in done.stdout
        assert shop.shown() == {}
        assert shop.subscriptions.nodes == {}
        now = application.clock.now()
        assert all(one.ends_at is not None and one.ends_at <= now for one in shop.discounts.codes.values())
        assert {row.status for row in await rows_of(demonstration, select(redemption))} == {"revoked"}
        assert await rows_of(demonstration, select(connection)) == []
        found = await application.database.read(lambda c: verify(c, "main"))
        assert (found.findings, found.total) == ((), 0)


async def test_what_was_to_be_made_real_is_given_up_before_codes_are_switched_off(
    demonstrate: Demonstrating, shop: ShopifySimulator, post: Post
) -> None:
    async with demonstrate(shop, PROGRAM, adapt=unplugged) as demonstration:
        application = demonstration.application
        await plug(demonstration, shop)
        for told in shop.history(8):
            await post(demonstration.target, told)
        assert await demonstration.settled(60)
        rich = await rows_of(demonstration, select(balance.c.member).where(balance.c.active >= 20).limit(1))
        pause = partial(set_state, merchant="main", name=CONNECTION, state="paused", reason="", clock=application.clock)
        await application.database.write(pause)
        await application.refresh()
        await take_codes(demonstration, [row.member for row in rich])

        await leaving.take_codes_back(application, CONNECTION, leaving.Left(), lambda _: None)
        application.wake()

        async with asyncio.timeout(10):
            while [row.status for row in await rows_of(demonstration, select(redemption))] != ["released"]:  # noqa: ASYNC110 - it happens in a database
                await asyncio.sleep(0.02)
        assert shop.discounts.codes == {}
        found = await application.database.read(lambda c: verify(c, "main"))
        assert (found.findings, found.total) == ((), 0)
