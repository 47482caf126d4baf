"""What an owner types while a server serves the same database reaches the shop by that server."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.databases import on_sqlite
from typer.testing import CliRunner

from stampcard.cli.main import app
from stampcard.testing.demonstration import CONNECTION, RATE, WELCOME
from stampcard.testing.processes import Sender, Server, install, starting
from stampcard.testing.waiting import eventually
from stampcard_shopify.simulator import ShopifySimulator

Type = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def config(shop: ShopifySimulator, tmp_path: Path, database_url: str, program: str) -> AsyncIterator[Path]:
    """The settings file of an installation that is connected to the shop, which serves its API."""
    await shop.start()
    yield install(tmp_path, shop, program, plugin="shopify", database=database_url)
    await shop.stop()


@pytest.fixture
async def server(config: Path, stampcard: Sequence[str]) -> AsyncIterator[Server]:
    async with starting(config, entry=stampcard) as server:
        yield server


@pytest.fixture
def type_(config: Path) -> Type:
    """Runs a command here, which is another process than the server's; answers its code and what it printed."""

    async def call(*arguments: str) -> tuple[int, str, str]:
        done = await asyncio.to_thread(CliRunner().invoke, app, ["--config", str(config), *arguments])
        return done.exit_code, done.stdout, done.stderr

    return call


@pytest.fixture
def start(config: Path, stampcard: Sequence[str]) -> Type:
    """Runs a command in a process of its own, so that several run at once."""

    async def call(*arguments: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *stampcard, "--config", str(config), *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    return call


async def data(type_: Type, *arguments: str) -> Any:
    code, out, err = await type_(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


async def settled(type_: Type) -> None:
    async def is_idle() -> bool:
        row = await data(type_, "connection", "show", CONNECTION)
        return row["last_delivery_at"] is not None and not row["due"]

    await eventually("nothing is due", is_idle)


async def traded(shop: ShopifySimulator, server: Server, type_: Type, orders: int = 3) -> str:
    """Let the shop trade until it shows all that is due; gives somebody who has more than the welcome."""
    await Sender(lambda: server.address).send(shop.history(orders))

    async def is_shown() -> bool:
        return shop.shown() == shop.expected(RATE, WELCOME)

    await eventually("all points are shown", is_shown)
    await settled(type_)
    return next(who for who, points in shop.shown().items() if points > WELCOME)


@on_sqlite
async def test_points_that_are_adjusted_beside_a_running_server_are_sent_by_it(
    shop: ShopifySimulator, server: Server, type_: Type
) -> None:
    who = await traded(shop, server, type_)
    before = shop.shown()[who]
    code, _, err = await type_("member", "adjust", f"{CONNECTION}:{who}", "points", "-20", "--reason", "a mistake")
    assert code == 0, err

    async def is_sent() -> bool:
        return shop.shown()[who] == before - 20

    await eventually("the shop shows the adjusted points", is_sent)


async def test_commands_and_webhooks_at_the_same_time_lose_nothing(
    shop: ShopifySimulator, server: Server, type_: Type, start: Type
) -> None:
    who = await traded(shop, server, type_)
    adjust = ("member", "adjust", f"{CONNECTION}:{who}", "points", "7", "--reason", "a gift")
    sender = Sender(lambda: server.address, pause=0.02)
    results = await asyncio.gather(*(start(*adjust) for _ in range(3)), sender.send(shop.history(40)))
    assert [result[0] for result in results[:3] if result] == [0, 0, 0], results

    async def is_shown() -> bool:
        expected = shop.expected(RATE, WELCOME)
        return shop.shown() == expected | {who: expected[who] + 21}

    await eventually("the shop shows what was earned and what was given", is_shown)
    assert (await data(type_, "verify"))["ok"] is True


@on_sqlite
async def test_a_resync_restores_what_the_shop_lost(shop: ShopifySimulator, server: Server, type_: Type) -> None:
    who = await traded(shop, server, type_)
    before = shop.shown()
    shop._shelf.clear(int(who))
    assert shop.shown() != before
    assert (await data(type_, "resync", CONNECTION))["members"] >= len(before)

    async def is_back() -> bool:
        return shop.shown() == before

    await eventually("the shop shows again what it lost", is_back)


@on_sqlite
async def test_a_paused_connection_takes_in_and_waits_until_it_is_resumed(
    shop: ShopifySimulator, server: Server, type_: Type
) -> None:
    who = await traded(shop, server, type_)
    before = shop.shown()
    assert (await type_("connection", "pause", CONNECTION, "--note", "moving house"))[0] == 0
    # Every process has looked at the switches by then.
    await asyncio.sleep(1.5)
    await Sender(lambda: server.address).send(shop.history(3))
    assert (await type_("member", "adjust", f"{CONNECTION}:{who}", "points", "7", "--reason", "a gift"))[0] == 0
    assert shop.shown() == before
    assert (await type_("connection", "resume", CONNECTION))[0] == 0

    async def is_shown() -> bool:
        expected = shop.expected(RATE, WELCOME)
        return shop.shown() == expected | {who: expected[who] + 7}

    await eventually("the shop shows what waited", is_shown)


@on_sqlite
async def test_a_triggered_webhook_is_taken_in_and_makes_a_member(server: Server, type_: Type) -> None:
    code, out, err = await type_("trigger", "order.paid", "--url", server.address)
    assert code == 0, err
    assert "order.paid was taken in (200)" in out

    async def is_member() -> bool:
        return bool(await data(type_, "member", "list"))

    await eventually("the made-up customer is a member", is_member)
