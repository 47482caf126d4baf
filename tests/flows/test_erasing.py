"""After a shop's erasure nothing that it ever sent about the person is left, on both databases."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import Row, select

from stampcard.storage.tables import inbox
from stampcard.testing.demonstration import Demonstration
from stampcard.testing.simulator import SignedRequest
from stampcard_shopify.simulator import ShopifySimulator

Post = Callable[[str, SignedRequest], Awaitable[aiohttp.ClientResponse]]

TEST_ORDER = (Path(__file__).parents[1] / "plugins/shopify/fixtures/orders_paid__test.json").read_bytes()
PERSON = json.loads(TEST_ORDER)["customer"]["id"]


async def test_a_test_order_and_what_nobody_understood_are_gone_after_the_erasure(
    demonstrate: Callable[..., AbstractAsyncContextManager[Demonstration]],
    shop: ShopifySimulator,
    post: Post,
    signed: Callable[..., SignedRequest],
    database_url: str,
) -> None:
    told = json.dumps({"customer": {"id": PERSON, "email": "ada@shop.example"}}).encode()
    redact = {"shop_domain": shop.settings()["shop"], "customer": {"id": PERSON}, "orders_to_redact": []}
    async with demonstrate(shop, database=database_url) as running:
        for topic, body in (("orders/paid", TEST_ORDER), ("checkouts/update", told), ("orders/paid", told)):
            assert (await post(running.target, signed(body, topic=topic))).status == 200
        assert await running.settled(30)
        before = await stored(running)

        request = signed(json.dumps(redact).encode(), topic="customers/redact")
        assert (await post(running.target, request)).status == 200
        assert await running.settled(30)
        after = await stored(running)

    assert [(row.status, row.body_sealed is not None) for row in before] == [
        ("done", True),
        ("done", True),
        ("quarantined", True),
    ]
    assert [row.status for row in after] == ["done", "done", "dropped", "done"]
    assert [row.body_sealed for row in after] == [None] * 4


async def stored(running: Demonstration) -> Sequence[Row[Any]]:
    return await running.application.database.read(
        lambda connection: connection.execute(select(inbox).order_by(inbox.c.id)).all()
    )
