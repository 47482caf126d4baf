"""A bad delivery does not stop the line: it is set aside with its reason, visible, and applied after the mend."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec
import pytest
from sqlalchemy import Connection, Row, func, select
from tests.databases import on_sqlite

from stampcard.applying import deliveries
from stampcard.applying.unit import Unit
from stampcard.inbox import working
from stampcard.plugin import Adjustment, Award, PluginManifest, PluginSettings, hookimpl
from stampcard.storage.depths import Depths, load_depths
from stampcard.storage.stating import MOST_ALIKE, load_states, set_state
from stampcard.storage.tables import entry, inbox
from stampcard.storage.verifying import verify
from stampcard.testing.demonstration import RATE, WELCOME, Demonstration
from stampcard.testing.simulator import SignedRequest
from stampcard.testing.waiting import eventually
from stampcard_shopify.simulator import ShopifySimulator

Demonstrate = Callable[..., AbstractAsyncContextManager[Demonstration]]
Post = Callable[[str, SignedRequest], Awaitable[aiohttp.ClientResponse]]
Sign = Callable[..., SignedRequest]


class Generous:
    """A plugin that adds points to awards, or fails as long as it is broken."""

    def __init__(self) -> None:
        self.broken = True
        self.asked = 0

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="generous", summary="Adds seven points", settings=PluginSettings)

    @hookimpl
    def award_adjustments(self, award: Award) -> Iterable[Adjustment]:
        if award.rule != "purchase":
            return ()
        self.asked += 1
        if self.broken:
            raise ZeroDivisionError
        return (Adjustment(points=Decimal(7), reason="a gift"),)


async def rows(demonstration: Demonstration) -> Sequence[Row[Any]]:
    return await demonstration.application.database.read(
        lambda connection: connection.execute(select(inbox).order_by(inbox.c.id)).all()
    )


async def depths(demonstration: Demonstration) -> Depths:
    return await demonstration.application.database.read(lambda connection: load_depths(connection, "main"))


async def entries(demonstration: Demonstration) -> int:
    statement = select(func.count()).select_from(entry)
    return await demonstration.application.database.read(lambda connection: connection.execute(statement).scalar() or 0)


async def assert_right(demonstration: Demonstration) -> None:
    """The shop shows what its books expect, and the ledger is without a difference."""
    shop = demonstration.simulator
    assert await demonstration.settled(30)
    assert shop.shown() == shop.expected(RATE, WELCOME)
    verified = await demonstration.application.database.read(lambda connection: verify(connection, "main"))
    assert (verified.total, verified.findings) == (0, ())


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that were applied."""
    sizes: list[int] = []

    def recorded(connection: Connection, setting: Any, batch: Sequence[Any], *more: Any) -> deliveries.Applied:
        sizes.append(len(batch))
        return deliveries.apply_deliveries(connection, setting, batch, *more)

    monkeypatch.setattr(working, "apply_deliveries", recorded)
    return sizes


async def receive_together(
    demonstration: Demonstration, post: Post, requests: Iterable[SignedRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the worker rest until all requests are stored, so that it finds them in one batch."""

    resting_now = asyncio.Event()

    async def rest(_: object) -> int:
        resting_now.set()
        return 0

    with monkeypatch.context() as resting:
        resting.setattr(working.Worker, "work_once", rest)
        demonstration.application.worker.wake.set()
        await resting_now.wait()
        for request in requests:
            assert (await post(demonstration.target, request)).status == 200
    demonstration.application.worker.wake.set()
    assert await demonstration.settled(30)


@on_sqlite
async def test_what_cannot_be_understood_is_set_aside_at_once_and_the_rest_of_its_batch_is_applied(
    shop: ShopifySimulator,
    demonstrate: Demonstrate,
    database_url: str,
    post: Post,
    signed: Sign,
    batches: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad = signed(b'{"id": "anna@example.com", "line_items": 7}', key="bad")
    requests = [shop.sample("order.paid"), shop.sample("order.paid"), bad, shop.sample("order.paid")]
    async with demonstrate(shop, database=database_url) as demonstration:
        await receive_together(demonstration, post, requests, monkeypatch)
        assert batches == [4]
        by_key = {row.key: row for row in await rows(demonstration)}
        set_aside = by_key.pop("bad")
        assert (set_aside.status, set_aside.code, set_aside.attempts) == ("quarantined", "malformed", 0)
        assert "not what Shopify publishes" in set_aside.detail
        assert "anna" not in set_aside.detail, "a reason quotes no personal data"
        assert {row.status for row in by_key.values()} == {"done"}
        assert (await depths(demonstration)).quarantined == 1
        await assert_right(demonstration)


async def test_what_cannot_be_saved_is_found_one_by_one_and_the_rest_of_its_batch_is_applied(
    shop: ShopifySimulator,
    demonstrate: Demonstrate,
    database_url: str,
    post: Post,
    batches: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliveries, "RETRY_AFTER", 50_000)
    requests = [shop.sample("order.paid") for _ in range(4)]
    poisonous = ("shop", str(msgspec.json.decode(requests[1].body)["id"]))
    save = Unit.save

    def failing(unit: Unit) -> Any:
        if poisonous in unit.orders:
            raise ValueError("it does not fit")
        return save(unit)

    async with demonstrate(shop, database=database_url) as demonstration:
        with monkeypatch.context() as patched:
            patched.setattr(Unit, "save", failing)
            await receive_together(demonstration, post, requests, monkeypatch)
        assert batches[:5] == [4, 1, 1, 1, 1]
        by_key = {row.key: row for row in await rows(demonstration)}
        set_aside = by_key.pop(requests[1].headers["X-Shopify-Webhook-Id"])
        assert (set_aside.status, set_aside.code, set_aside.attempts) == ("quarantined", "ValueError", 3)
        assert set_aside.detail == "it does not fit"
        assert {row.status for row in by_key.values()} == {"done"}

        assert (await post(demonstration.target, requests[1])).status == 200
        await assert_right(demonstration)


@on_sqlite
async def test_what_a_plugin_cannot_decide_is_tried_three_times_and_applied_after_the_mend(
    shop: ShopifySimulator,
    demonstrate: Demonstrate,
    database_url: str,
    post: Post,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliveries, "RETRY_AFTER", 50_000)
    plugin, request = Generous(), shop.sample("order.paid")
    async with demonstrate(shop, database=database_url, plugins={"generous": plugin}) as demonstration:
        assert (await post(demonstration.target, request)).status == 200
        assert await demonstration.settled(30)
        (row,) = await rows(demonstration)
        assert (row.status, row.code, row.attempts) == ("quarantined", "PluginError", 3)
        assert "generous" in row.detail
        assert "ZeroDivisionError" in row.detail
        assert plugin.asked == 3
        assert await entries(demonstration) == 0
        assert shop.shown() == {}

        plugin.broken = False
        assert (await post(demonstration.target, request)).status == 200
        assert await demonstration.settled(30)
        (row,) = await rows(demonstration)
        assert row.status == "done"
        assert shop.shown() == {who: points + 7 for who, points in shop.expected(RATE, WELCOME).items()}


@on_sqlite
async def test_a_flood_of_the_same_error_pauses_the_connection_until_it_is_resumed(
    shop: ShopifySimulator,
    demonstrate: Demonstrate,
    database_url: str,
    post: Post,
    signed: Sign,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with demonstrate(shop, database=database_url) as demonstration:
        application = demonstration.application

        async def states() -> dict[str, tuple[str, str]]:
            found = await application.database.read(lambda connection: load_states(connection, "main"))
            return {row.connection: (row.state, row.reason) for row in found}

        flood = [signed(b"no order", key=f"flood-{number}") for number in range(MOST_ALIKE)]
        await receive_together(demonstration, post, flood, monkeypatch)
        assert await states() == {}, "as many as may be set aside are"
        one_more = signed(b"no order", key="one-more")
        assert (await post(demonstration.target, one_more)).status == 200
        await eventually("the connection is paused", states)
        state, reason = (await states())["shop"]
        assert state == "paused"
        assert "malformed" in reason
        assert str(MOST_ALIKE + 1) in reason

        genuine = shop.sample("order.paid")
        assert (await post(demonstration.target, genuine)).status == 200
        assert await application.worker.work_once() == 0
        assert [row.status for row in await rows(demonstration)].count("ready") == 1

        clock = application.clock
        await application.database.write(
            lambda connection: set_state(connection, "main", "shop", "active", "mended", clock)
        )
        await eventually("what waited is applied", lambda: is_known(shop))
        await assert_right(demonstration)
        assert (await depths(demonstration)).quarantined == MOST_ALIKE + 1


async def is_known(shop: ShopifySimulator) -> bool:
    return bool(shop.shown())
