"""A server that ends closes everybody, also whoever was just being let in."""

from __future__ import annotations

import asyncio
import gc
import socket

import aiohttp
import pytest
from aiohttp import web

from stampcard.listening import Listening


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


def application() -> web.Application:
    served = web.Application()
    served.router.add_get("/", hello)
    return served


async def test_an_application_is_served_until_it_ends() -> None:
    listening = await Listening.at(application(), "127.0.0.1", 0, patience=0.1)
    host, port = listening.address
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://{host}:{port}/") as answer:
            assert await answer.text() == "hello"
        with pytest.raises(OSError, match=str(port)):
            await Listening.at(application(), host, port, patience=0.1)
        await listening.end()
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(f"http://{host}:{port}/")


@pytest.mark.parametrize("turns", range(6))
async def test_whoever_comes_in_while_it_ends_is_closed(turns: int) -> None:
    listening = await Listening.at(application(), "127.0.0.1", 0, patience=0.1)
    with socket.socket() as caller:
        caller.setblocking(False)
        caller.connect_ex(listening.address)
        for _ in range(turns):
            await asyncio.sleep(0)
        await listening.end()
    gc.collect()  # what was never closed is warned of here, and a warning is an error
