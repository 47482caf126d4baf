"""An app that is installed at a shop by its owner, taken out, and installed again, over HTTP on both databases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from urllib.parse import urlsplit

import aiohttp

from stampcard.settings import HttpSettings, Settings
from stampcard.storage.stating import load_states
from stampcard.testing.demonstration import CONNECTION, WELCOME, Demonstration
from stampcard.testing.simulator import SignedRequest
from stampcard_shopify.simulator import ShopifySimulator

Demonstrating = Callable[..., AbstractAsyncContextManager[Demonstration]]
Post = Callable[[str, SignedRequest], Awaitable[aiohttp.ClientResponse]]
PUBLIC = "https://points.example"


def installed_app(settings: Settings) -> Settings:
    """The shop's connection as one of an app that somebody has to install."""
    section = {**settings.connections[CONNECTION], "grant": "installation"}
    http = HttpSettings(port=0, public_url=PUBLIC)
    return settings.model_copy(update={"connections": {CONNECTION: section}, "http": http})


async def browse(demonstration: Demonstration) -> str:
    """Open the app's address, agree at the shop, come back; answers what the last page says."""

    def here(address: str) -> str:
        parts = urlsplit(address)
        return f"{demonstration.address}{parts.path}?{parts.query}" if address.startswith(PUBLIC) else address

    address = f"{PUBLIC}/connections/{CONNECTION}/install"
    async with aiohttp.ClientSession() as browser:
        while True:
            async with browser.get(here(address), allow_redirects=False) as answer:
                if answer.status != 302:
                    return await answer.text()
                address = answer.headers["Location"]


async def states(demonstration: Demonstration) -> dict[str, str]:
    found = await demonstration.application.database.read(lambda connection: load_states(connection, "main"))
    return {row.connection: row.state for row in found}


async def test_an_app_is_installed_taken_out_and_installed_again(
    demonstrate: Demonstrating, shop: ShopifySimulator, post: Post, database_url: str
) -> None:
    async with demonstrate(shop, database=database_url, adapt=installed_app) as demonstration:
        for told in shop.history(5):
            await post(demonstration.target, told)
        who = str(next(iter(shop.book.customers)))

        def shown() -> bool:
            return shop.shown().get(who) == shop.expected(Decimal(1), WELCOME)[who]

        assert shop.shown() == {}
        assert "is installed at" in await browse(demonstration)
        assert await demonstration.settled(60)
        assert shown()

        uninstalled = shop.uninstall()
        await post(demonstration.target, uninstalled)
        assert await demonstration.settled(60)
        assert await states(demonstration) == {CONNECTION: "ended"}

        assert "kinds of webhooks" in await browse(demonstration)
        assert await states(demonstration) == {}
        # The news comes once more, hours late: it is of before.
        again = SignedRequest(headers={**uninstalled.headers, "X-Shopify-Webhook-Id": "late"}, body=uninstalled.body)
        await post(demonstration.target, again)
        for order in shop.buy(who):
            await post(demonstration.target, order)
        assert await demonstration.settled(60)
        assert await states(demonstration) == {}
        assert shown()
