"""What a webhook is answered, over real HTTP; whatever is not answered 200 has left no trace."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, closing
from typing import Any

import aiohttp
import psycopg
import pytest
from sqlalchemy import Connection, Row, make_url, select

from stampcard.domain.value import replace
from stampcard.errors import CannotVerify, Unavailable
from stampcard.inbox import batching
from stampcard.settings import HttpSettings, Settings
from stampcard.storage.tables import inbox
from stampcard.testing.demonstration import Demonstration
from stampcard.testing.simulator import SignedRequest
from stampcard.testing.waiting import eventually
from stampcard_shopify import webhooks
from stampcard_shopify.simulator import ShopifySimulator
from stampcard_shopify.webhooks import ShopifyWebhooks

Demonstrate = Callable[..., AbstractAsyncContextManager[Demonstration]]
Post = Callable[[str, SignedRequest], Awaitable[aiohttp.ClientResponse]]
Sign = Callable[..., SignedRequest]

SIGNATURE = "X-Shopify-Hmac-Sha256"
MOST = 64 * 1024


def adapt(settings: Settings) -> Settings:
    """A small limit for bodies, and a connection that cannot stand."""
    broken = {"plugin": "shopify", "shop": "not a shop"}
    return settings.model_copy(
        update={
            "http": HttpSettings(port=0, max_body=MOST),
            "connections": {**settings.connections, "broken": broken},
        }
    )


@pytest.fixture
async def running(shop: ShopifySimulator, demonstrate: Demonstrate) -> AsyncIterator[Demonstration]:
    """Served from SQLite."""
    async with demonstrate(shop, adapt=adapt) as demonstration:
        yield demonstration


@pytest.fixture
async def on_both(shop: ShopifySimulator, demonstrate: Demonstrate, database_url: str) -> AsyncIterator[Demonstration]:
    """Served from a database of each kind."""
    async with demonstrate(shop, adapt=adapt, database=database_url) as demonstration:
        yield demonstration


async def stored(demonstration: Demonstration) -> Sequence[Row[Any]]:
    return await demonstration.application.database.read(
        lambda connection: connection.execute(select(inbox).order_by(inbox.c.id)).all()
    )


def without(request: SignedRequest, header: str) -> SignedRequest:
    return replace(request, headers={name: text for name, text in request.headers.items() if name != header})


def with_header(request: SignedRequest, header: str, text: str) -> SignedRequest:
    return replace(request, headers={**request.headers, header: text})


async def test_a_genuine_webhook_is_answered_200_and_stored(
    running: Demonstration, shop: ShopifySimulator, post: Post
) -> None:
    request = shop.sample("order.paid")
    answer = await post(running.target, request)
    assert answer.status == 200
    (row,) = await stored(running)
    assert (row.connection, row.key, row.topic) == ("shop", request.headers["X-Shopify-Webhook-Id"], "orders/paid")


async def test_an_unknown_connection_is_answered_404(
    running: Demonstration, shop: ShopifySimulator, post: Post
) -> None:
    answer = await post(f"{running.address}/webhooks/nobody", shop.sample("order.paid"))
    assert (answer.status, answer.content_type) == (404, "application/problem+json")
    assert await stored(running) == []


@pytest.mark.parametrize("name", ["shop", "nobody"])
async def test_whatever_is_not_posted_is_answered_405(running: Demonstration, name: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{running.address}/webhooks/{name}") as answer:
        assert (answer.status, answer.content_type) == (405, "application/problem+json")
        assert answer.headers["Allow"] == "POST"


FORGERIES: dict[str, Callable[[SignedRequest], SignedRequest]] = {
    "bad": lambda request: with_header(request, SIGNATURE, "A" * 43 + "="),
    "missing": lambda request: without(request, SIGNATURE),
    "empty": lambda request: with_header(request, SIGNATURE, ""),
    "truncated": lambda request: with_header(request, SIGNATURE, request.headers[SIGNATURE][:20]),
    "not ASCII": lambda request: with_header(request, SIGNATURE, "schlüssel🔑"),
    "not base64": lambda request: with_header(request, SIGNATURE, "%%%"),
    "very long": lambda request: with_header(request, SIGNATURE, "A" * 4000),
    "of other bytes": lambda request: replace(request, body=request.body + b" "),
    "of nothing": lambda request: replace(request, body=b""),
    "of another shop": lambda request: with_header(request, "X-Shopify-Shop-Domain", "other.myshopify.com"),
}


@pytest.mark.parametrize("forged", FORGERIES.values(), ids=FORGERIES)
async def test_a_signature_that_does_not_fit_is_answered_401(
    running: Demonstration, shop: ShopifySimulator, post: Post, forged: Callable[[SignedRequest], SignedRequest]
) -> None:
    genuine = shop.sample("order.paid")
    answer = await post(running.target, forged(genuine))
    assert answer.status == 401
    assert await stored(running) == []
    assert (await post(running.target, genuine)).status == 200, "the genuine one under the same key is still taken"


async def test_a_body_that_says_it_is_too_large_is_answered_413(
    running: Demonstration, post: Post, signed: Sign
) -> None:
    answer = await post(running.target, signed(b" " * (MOST + 1)))
    assert answer.status == 413
    assert await stored(running) == []


async def test_a_body_that_turns_out_too_large_is_answered_413(running: Demonstration, signed: Sign) -> None:
    request = signed(b" " * (4 * MOST))

    async def in_chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(request.body), MOST // 4):
            yield request.body[start : start + MOST // 4]

    async with (
        aiohttp.ClientSession() as session,
        session.post(running.target, data=in_chunks(), headers=request.headers) as answer,
    ):
        assert answer.request_info.headers["Transfer-Encoding"] == "chunked"
        assert answer.status == 413
    assert await stored(running) == []


async def test_the_largest_body_that_is_allowed_is_taken(running: Demonstration, post: Post, signed: Sign) -> None:
    assert (await post(running.target, signed(b" " * MOST))).status == 200
    assert len(await stored(running)) == 1


async def test_a_packed_body_is_answered_415(running: Demonstration, shop: ShopifySimulator, post: Post) -> None:
    request = with_header(shop.sample("order.paid"), "Content-Encoding", "gzip")
    assert (await post(running.target, request)).status == 415
    assert await stored(running) == []


async def test_a_connection_that_does_not_stand_asks_to_come_again(
    running: Demonstration, shop: ShopifySimulator, post: Post
) -> None:
    answer = await post(f"{running.address}/webhooks/broken", shop.sample("order.paid"))
    assert_comes_again(answer)
    assert await stored(running) == []


@pytest.mark.parametrize("error", [CannotVerify("the keys are not here yet"), RuntimeError("a bug"), RecursionError()])
async def test_a_plugin_that_cannot_tell_asks_to_come_again(
    running: Demonstration,
    shop: ShopifySimulator,
    post: Post,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    request = shop.sample("order.paid")
    with monkeypatch.context() as patched:
        patched.setattr(ShopifyWebhooks, "verify", raising(error))
        answer = await post(running.target, request)
    assert_comes_again(answer)
    assert "a bug" not in await answer.text(), "a stranger learns nothing of our inside"
    assert await stored(running) == []
    assert (await post(running.target, request)).status == 200


async def test_a_full_queue_asks_to_come_again_and_keeps_what_it_has(
    running: Demonstration, shop: ShopifySimulator, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "QUEUE_ROWS", 2)
    requests = [shop.sample("order.paid") for _ in range(4)]
    database, batcher = running.application.database, running.application.batcher
    held, release = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        held.set()
        release.wait()

    holding = asyncio.create_task(database.write(hold))
    await asyncio.to_thread(held.wait)
    # The first is in the commit that waits, two more fill the queue.
    waiting = [asyncio.ensure_future(post(running.target, requests[0]))]
    await eventually("the first is being committed", holds(lambda: batcher._task is not None and not batcher._queue))
    waiting += [asyncio.ensure_future(post(running.target, request)) for request in requests[1:3]]
    await eventually("two more are queued", holds(lambda: len(batcher._queue) == 2))
    refused = await post(running.target, requests[3])
    release.set()
    await holding

    assert_comes_again(refused)
    assert [answer.status for answer in await asyncio.gather(*waiting)] == [200, 200, 200]
    assert {row.key for row in await stored(running)} == {r.headers["X-Shopify-Webhook-Id"] for r in requests[:3]}


async def test_a_database_that_cannot_commit_asks_to_come_again(
    running: Demonstration, shop: ShopifySimulator, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(running.application.database, "write", failing(Unavailable("the database")))
        answer = await post(running.target, shop.sample("order.paid"))
    assert_comes_again(answer)
    assert await stored(running) == []


async def test_an_sqlite_file_that_another_holds_asks_to_come_again(
    running: Demonstration, shop: ShopifySimulator, post: Post
) -> None:
    database = running.application.database
    # The patience of ten seconds is not what is tried here.
    await database.write(lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout=20"))
    request = shop.sample("order.paid")
    with closing(sqlite3.connect(str(database.path), isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout=10000")
        other.execute("BEGIN EXCLUSIVE")
        answer = await post(running.target, request)
        other.execute("ROLLBACK")
    assert_comes_again(answer)
    assert await stored(running) == []
    assert (await post(running.target, request)).status == 200


async def test_a_full_disk_asks_to_come_again_until_there_is_room(
    running: Demonstration, shop: ShopifySimulator, post: Post, signed: Sign
) -> None:
    database = running.application.database

    async def allow(pages: int) -> None:
        await database.write(lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={pages}").all())

    await allow(1)  # SQLite takes it as: not a page more than there are
    filling = [await post(running.target, signed(noise(number))) for number in range(8)]
    full = next(number for number, answer in enumerate(filling) if answer.status != 200)
    assert_comes_again(filling[full])
    assert len(await stored(running)) == sum(answer.status == 200 for answer in filling)
    await allow(1_000_000)
    assert (await post(running.target, signed(noise(full)))).status == 200
    assert (await post(running.target, shop.sample("order.paid"))).status == 200


async def test_a_lost_postgresql_asks_to_come_again_until_it_is_back(
    shop: ShopifySimulator, demonstrate: Demonstrate, post: Post, new_postgresql: Callable[[], str]
) -> None:
    url = new_postgresql()
    name = make_url(url).database
    request = shop.sample("order.paid")
    async with demonstrate(shop, database=url) as demonstration:
        with psycopg.connect(url.replace(f"/{name}?", "/postgres?"), autocommit=True) as server:
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
            server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            lost = await post(demonstration.target, request)
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
        assert_comes_again(lost)
        assert await stored(demonstration) == []
        assert (await post(demonstration.target, request)).status == 200
        assert len(await stored(demonstration)) == 1


async def test_a_delivery_that_comes_twice_is_answered_200_twice_and_stored_once(
    on_both: Demonstration, shop: ShopifySimulator, post: Post
) -> None:
    request = shop.sample("order.paid")
    answers = await asyncio.gather(*(post(on_both.target, request) for _ in range(6)))
    assert {answer.status for answer in answers} == {200}
    assert await on_both.settled(30)
    assert (await post(on_both.target, request)).status == 200
    (row,) = await stored(on_both)
    assert row.status == "done"


async def test_another_body_under_the_same_key_is_stored_too(on_both: Demonstration, post: Post, signed: Sign) -> None:
    for body in (b'{"one": 1}', b'{"two": 2}', b'{"one": 1}'):
        assert (await post(on_both.target, signed(body, topic="unknown/topic", key="the same"))).status == 200
    assert [row.key for row in await stored(on_both)] == ["the same", "the same"]


async def test_a_quarantined_delivery_that_comes_again_is_queued_again(
    on_both: Demonstration, post: Post, signed: Sign, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = signed(b"this is no order", key="once more")
    assert (await post(on_both.target, request)).status == 200
    assert await on_both.settled(30)
    (before,) = await stored(on_both)
    assert (before.status, before.code) == ("quarantined", "malformed")

    monkeypatch.setitem(webhooks.TOPICS, "orders/paid", lambda _delivery, _settings: ())
    assert (await post(on_both.target, request)).status == 200
    assert await on_both.settled(30)
    (after,) = await stored(on_both)
    assert (after.id, after.status) == (before.id, "done")


def assert_comes_again(answer: aiohttp.ClientResponse) -> None:
    assert (answer.status, answer.content_type) == (503, "application/problem+json")
    assert int(answer.headers["Retry-After"]) >= 1


def holds(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return condition()

    return ask


def noise(seed: int) -> bytes:
    """Half of the largest body, of bytes that do not pack."""
    return random.Random(seed).randbytes(MOST // 2)


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise error

    return fail


def failing(error: Exception) -> Callable[..., Awaitable[Any]]:
    async def fail(*_: object) -> None:
        raise error

    return fail
