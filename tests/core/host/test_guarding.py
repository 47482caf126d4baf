import asyncio
import gzip
import socket
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer

from stampcard.errors import CallRefused
from stampcard.host.guarding import guarded_client

LIMIT = 100_000


class Resolving(AbstractResolver):
    """Answers every name with the addresses given."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.addresses
        ]

    async def close(self) -> None: ...


async def hello(request: web.Request) -> web.Response:
    return web.json_response({"accepts": request.headers["accept-encoding"], "host": request.host})


async def redirect(request: web.Request) -> web.Response:
    raise web.HTTPFound(f"http://127.0.0.1:{request.url.port}/hello")


async def huge(request: web.Request) -> web.StreamResponse:
    if "announced" in request.query:
        return web.Response(body=b"x" * (LIMIT + 1))
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(b"x" * 4096)
    except ConnectionError:
        return response


async def packed(request: web.Request) -> web.Response:
    size = int(request.query["size"])
    coding = request.query["coding"]
    plain = b"x" * size
    body = {"gzip": gzip.compress(plain), "deflate": zlib.compress(plain)}.get(coding, plain)
    if "cut" in request.query:
        body = body[:-9]
    return web.Response(body=body, headers={"content-encoding": coding})


async def vanish(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(b".")
            await asyncio.sleep(0.01)
    except ConnectionError:
        return response


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    app = web.Application()
    for handler in (hello, redirect, huge, packed, vanish, drip):
        app.router.add_get(f"/{handler.__name__}", handler)
    running = TestServer(app, host="127.0.0.1")
    async with running:
        yield running


def at(server: TestServer, path: str, host: str = "127.0.0.1") -> str:
    return f"http://{host}:{server.port}{path}"


def open_client(server: TestServer, **options: float) -> httpx.AsyncClient:
    return guarded_client((f"127.0.0.1:{server.port}",), (), max_answer=LIMIT, timeout=options.get("timeout", 10.0))


async def test_an_allowed_loopback_server_is_called(server: TestServer) -> None:
    async with open_client(server) as client:
        answer = await client.get(at(server, "/hello"))
    assert answer.json() == {"accepts": "gzip", "host": f"127.0.0.1:{server.port}"}


async def test_a_body_is_sent_and_connections_are_kept(server: TestServer) -> None:
    async with open_client(server) as client:
        statuses = [(await client.post(at(server, "/hello"), json={"n": n})).status_code for n in range(3)]
    assert statuses == [405, 405, 405]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
async def test_loopback_is_refused_unless_allowed_however_it_is_written(host: str, server: TestServer) -> None:
    async with guarded_client((), (f"{host}:{server.port}",)) as client:
        with pytest.raises((CallRefused, httpx.UnsupportedProtocol)):
            await client.get(f"https://{host}:{server.port}/hello")
        with pytest.raises(CallRefused, match="only https"):
            await client.get(at(server, "/hello", host))


async def test_a_name_that_stands_for_loopback_is_refused_when_connecting() -> None:
    async with guarded_client((), ("localhost",)) as client:
        with pytest.raises(CallRefused, match="stands for an address that is not public"):
            await client.get("https://localhost/")


async def test_several_calls_at_once_to_a_forbidden_name_are_all_refused() -> None:
    async with guarded_client((), ("shop.example",), resolver=Resolving("10.0.0.1")) as client:
        calls = (client.get("https://shop.example/") for _ in range(5))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [CallRefused] * 5


async def test_of_several_addresses_only_those_that_are_public_or_allowed_are_tried(server: TestServer) -> None:
    resolver = Resolving("10.0.0.1", "127.0.0.1")
    async with guarded_client(("127.0.0.0/8",), ("shop.example:1",), resolver=resolver) as client:
        with pytest.raises(httpx.ConnectError, match=r"127\.0\.0\.1|Connect call failed"):
            await client.get("https://shop.example:1/")


async def test_an_allowed_name_is_reached_at_a_private_address(server: TestServer) -> None:
    async with guarded_client(("shop.example",), (), resolver=Resolving("127.0.0.1")) as client:
        answer = await client.get(at(server, "/hello", "shop.example"))
    assert answer.json()["host"] == f"shop.example:{server.port}"


async def test_a_url_with_a_password_is_refused_and_not_quoted(server: TestServer) -> None:
    async with open_client(server) as client:
        with pytest.raises(CallRefused, match="user name or password") as caught:
            await client.get(f"http://me:sesame@127.0.0.1:{server.port}/hello")
    assert "sesame" not in str(caught.value)


async def test_a_host_that_the_connection_does_not_name_is_refused() -> None:
    async with guarded_client((), ("api.example.com",)) as client:
        with pytest.raises(CallRefused, match="do not name this host"):
            await client.get("https://elsewhere.example.com/")


async def test_a_redirect_is_handed_back_and_not_followed(server: TestServer) -> None:
    async with open_client(server) as client:
        answer = await client.get(at(server, "/redirect"))
    assert answer.status_code == 302


async def test_a_redirect_that_a_plugin_follows_by_itself_is_checked_again(server: TestServer) -> None:
    resolver = Resolving("127.0.0.1")
    async with guarded_client((f"shop.example:{server.port}",), (), resolver=resolver) as client:
        with pytest.raises(CallRefused, match="only https"):
            await client.get(at(server, "/redirect", "shop.example"), follow_redirects=True)


@pytest.mark.parametrize("query", ["", "?announced"])
async def test_a_huge_answer_is_cut_off(query: str, server: TestServer) -> None:
    async with open_client(server) as client:
        with pytest.raises(httpx.ReadError, match=f"longer than {LIMIT} bytes"):
            await client.get(at(server, f"/huge{query}"))


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_packed_answer_is_unpacked_up_to_the_limit(coding: str, server: TestServer) -> None:
    async with open_client(server) as client:
        answer = await client.get(at(server, f"/packed?coding={coding}&size={LIMIT}"))
        assert answer.content == b"x" * LIMIT
        with pytest.raises(httpx.ReadError, match="longer than"):
            await client.get(at(server, f"/packed?coding={coding}&size={LIMIT * 50}"))


async def test_a_packed_answer_that_is_cut_or_packed_otherwise_is_an_error(server: TestServer) -> None:
    async with open_client(server) as client:
        with pytest.raises(httpx.ReadError, match="ended early"):
            await client.get(at(server, "/packed?coding=gzip&size=1000&cut"))
        with pytest.raises(httpx.DecodingError, match="packed as 'br'"):
            await client.get(at(server, "/packed?coding=br&size=10"))


async def test_a_packed_answer_that_is_not_what_it_says_is_an_error(server: TestServer) -> None:
    async with open_client(server) as client:
        with pytest.raises(httpx.DecodingError, match="broken"):
            await client.get(at(server, "/packed?coding=x-gzip&size=10"))


async def test_a_lost_connection_is_not_told_as_one_that_was_never_made(server: TestServer) -> None:
    async with open_client(server) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(at(server, "/vanish"))


async def test_a_connection_that_nobody_accepts_is_a_connect_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with guarded_client(("127.0.0.1",), ()) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(f"http://127.0.0.1:{unused.getsockname()[1]}/")


async def test_an_answer_that_never_ends_is_given_up_when_the_whole_call_took_too_long(server: TestServer) -> None:
    async with open_client(server, timeout=0.2) as client:
        with pytest.raises(httpx.ReadTimeout, match=r"within 0\.2 seconds"):
            await client.get(at(server, "/drip"))
