"""Hostile and odd webhooks, to every plugin that takes some in: a plain answer, a count, no points, and the server goes on."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import itertools
import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import pytest
from sqlalchemy import func, select

from stampcard.clock import SystemClock
from stampcard.settings import Settings
from stampcard.storage.tables import entry, inbox
from stampcard.testing.demonstration import Demonstration
from stampcard.testing.waiting import eventually
from stampcard_shopify.simulator import ShopifySimulator

Demonstrating = Callable[..., AbstractAsyncContextManager[Demonstration]]
#: What a person makes up for tests.
WOO, ANY = "a secret of the shop's own", base64.b64encode(bytes(range(32))).decode()
_numbers = itertools.count(1)


def _base64(secret: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.digest(secret, message, hashlib.sha256)).decode()


def of_shopify(shop: ShopifySimulator, body: bytes, topic: str) -> Mapping[str, str]:
    settings = shop.settings()
    secrets = settings["webhook_secrets"]
    assert isinstance(secrets, list)
    return {
        "X-Shopify-Topic": topic,
        "X-Shopify-Shop-Domain": str(settings["shop"]),
        "X-Shopify-Webhook-Id": f"odd-{next(_numbers)}",
        "X-Shopify-Hmac-Sha256": _base64(secrets[0].encode(), body),
    }


def of_woocommerce(_: ShopifySimulator, body: bytes, topic: str) -> Mapping[str, str]:
    return {"X-WC-Webhook-Topic": topic, "X-WC-Webhook-Signature": _base64(WOO.encode(), body)}


def of_anybody(_: ShopifySimulator, body: bytes, topic: str, ahead: int = 0) -> Mapping[str, str]:
    id_, at = f"odd-{next(_numbers)}", str(int(SystemClock().now().timestamp()) + ahead)
    content = b".".join((id_.encode(), at.encode(), body))
    signature = f"v1,{_base64(base64.b64decode(ANY), content)}"
    return {"webhook-id": id_, "webhook-timestamp": at, "webhook-signature": signature}


#: Connection → how its webhooks are signed, the topic of an order, and the parts of its body that decide what it earns.
SENDERS: Mapping[str, tuple[Callable[..., Mapping[str, str]], str, Any]] = {
    "shop": (
        of_shopify,
        "orders/paid",
        {
            "id": 1,
            "created_at": "2026-03-10T12:00:00Z",
            "updated_at": "2026-03-10T12:00:00Z",
            "currency": "USD",
            "total_price": "10.00",
            "financial_status": "paid",
            "line_items": [{"id": 1, "quantity": 1, "price": "10.00", "total_discount": "0.00"}],
            "customer": {"id": 7},
        },
    ),
    "woo": (
        of_woocommerce,
        "order.updated",
        {
            "id": 1,
            "status": "processing",
            "currency": "USD",
            "total": "10.00",
            "customer_id": 7,
            "date_created_gmt": "2026-03-10T12:00:00",
            "date_modified_gmt": "2026-03-10T12:00:00",
            "line_items": [{"id": 1, "quantity": 1, "subtotal": "10.00", "total": "10.00", "total_tax": "0.00"}],
        },
    ),
    "any": (
        of_anybody,
        "order.updated",
        {"type": "order.updated", "timestamp": "2026-03-10T12:00:00Z", "data": {"reference": "1", "currency": "USD"}},
    ),
}
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    1e308,
    "",
    "x" * 5000,
    [],
    {},
    [[]],
    {"id": {}},
    "\x00",
    "2026-13-45",
    "NaN",
    10**400,
)


def spoilt(body: Any, chance: random.Random, how_many: int) -> Iterator[bytes]:
    """The body with a value here and there that no shop would send."""
    text = json.dumps(body)
    yield from (text[: chance.randrange(len(text))].encode() for _ in range(3))
    yield from (
        text.encode("utf-16"),
        b"\xff\xfe" + text.encode(),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"null",
        b"7",
        b'""',
    )
    places = list(_places(body))
    for _ in range(how_many):
        copy = json.loads(text)
        for path in chance.sample(places, min(2, len(places))):
            holder = copy
            try:
                for step in path[:-1]:
                    holder = holder[step]
                holder[path[-1]] = chance.choice(ODD)
            except (KeyError, IndexError, TypeError):
                continue
        yield json.dumps(copy).encode()


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (*path, step)
        yield from _places(inner, (*path, step))


def adapt(settings: Settings) -> Settings:
    """With a shop of another kind and a system without a plugin; nobody is there to be asked."""
    others = {
        "woo": {"plugin": "woocommerce", "shop": "https://shop.invalid", "webhook_secrets": [WOO], "consumer_key": "k",
                "consumer_secret": "s"},
        "any": {"plugin": "standard_webhooks", "webhook_secrets": ["whsec_" + ANY]},
    }  # fmt: skip
    return settings.model_copy(update={"connections": {**settings.connections, **others}})


async def counted(demonstration: Demonstration, statement: Any) -> int:
    return await demonstration.application.database.read(lambda c: int(c.execute(statement).scalar() or 0))


@pytest.mark.parametrize("name", SENDERS)
async def test_whatever_comes_is_answered_and_earns_nothing_that_nobody_earned(
    name: str, demonstrate: Demonstrating, shop: ShopifySimulator
) -> None:
    sign, topic, body = SENDERS[name]
    chance = random.Random(f"odd {name}")
    async with demonstrate(shop, adapt=adapt) as demonstration, aiohttp.ClientSession() as session:
        target = f"{demonstration.address}/webhooks/{name}"

        async def post(content: bytes, headers: Mapping[str, str]) -> int:
            async with session.post(target, data=io.BytesIO(content), headers=headers) as answer:
                await answer.read()
                return answer.status

        unsigned = [await post(content, {}) for content in spoilt(body, chance, 10)]
        assert set(unsigned) == {401}
        huge = json.dumps({"id": "x" * 10_000_000}).encode()
        assert await post(huge, sign(shop, huge, topic)) == 413
        odd = list(spoilt(body, chance, 25))  # more than 50 alike pause a connection
        signed = [await post(content, sign(shop, content, topic)) for content in odd]
        assert set(signed) == {200}
        strange = [await post(content, sign(shop, content, "no such/topic ~")) for content in odd[:5]]
        assert set(strange) == {200}
        # What is asked of shops that are not there waits on.
        ready = select(func.count()).select_from(inbox).where(inbox.c.status == "ready")

        async def is_over() -> bool:
            return await counted(demonstration, ready) == 0

        await eventually("everything was looked at", is_over)
        held = await counted(
            demonstration, select(func.count()).select_from(inbox).where(inbox.c.status == "quarantined")
        )
        assert held > 0
        # What was still an order of 10 has earned 10 at most, however often it came; nobody signed up otherwise.
        assert await demonstration.points() <= 10 + 50
        told = demonstration.application.metrics.registry.get_sample_value
        assert told("stampcard_webhooks_received_total", {"connection": name, "outcome": "signature"}) == len(unsigned)
        assert told("stampcard_webhooks_received_total", {"connection": name, "outcome": "body"}) == 1
        assert await post(b"{}", sign(shop, b"{}", topic)) == 200


async def test_a_clock_that_is_off_by_hours_is_told_and_counted(
    demonstrate: Demonstrating, shop: ShopifySimulator
) -> None:
    body = json.dumps(SENDERS["any"][2]).encode()
    async with demonstrate(shop, adapt=adapt) as demonstration, aiohttp.ClientSession() as session:
        for ahead in (-7200, 7200):
            target, headers = f"{demonstration.address}/webhooks/any", of_anybody(shop, body, "", ahead)
            async with session.post(target, data=body, headers=headers) as answer:
                assert answer.status == 401
                assert "clock" in await answer.text()
        assert await counted(demonstration, select(func.count()).select_from(entry)) == 0
