"""Each fault as a caller meets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from aiohttp import web

from stampcard.host.guarding import guarded_client
from stampcard.testing import faults
from stampcard.testing.faults import Fault, FaultServer
from stampcard.testing.waiting import eventually

LIMIT = 256 * 1024


@pytest.fixture
async def vendor() -> AsyncIterator[str]:
    """A vendor that echoes."""

    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"path": request.path_qs, "body": await request.text()}, headers={"X-Of": "vendor"})

    app = web.Application()
    app.router.add_post("/{path:.*}", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client with little patience, as plugins have one with more."""
    client = guarded_client(["127.0.0.1"], [], timeout=1.0, max_answer=LIMIT)
    yield client
    await client.aclose()


async def test_without_a_fault_the_vendor_answers_as_ever(vendor: str, client: httpx.AsyncClient) -> None:
    async with FaultServer(vendor) as server:
        answer = await client.post(f"{server.url}/api/things?page=2", content=b"hello")
    assert answer.json() == {"path": "/api/things?page=2", "body": "hello"}
    assert answer.headers["x-of"] == "vendor"
    assert [(call.method, call.path, call.body) for call in server.calls] == [("POST", "/api/things?page=2", b"hello")]


async def test_without_an_upstream_nothing_is_found(client: httpx.AsyncClient) -> None:
    async with FaultServer() as server:
        assert (await client.post(server.url)).status_code == 404


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(faults.latency(5), httpx.ReadTimeout, id="latency"),
        pytest.param(faults.drip(0.05), httpx.ReadTimeout, id="drip"),
        pytest.param(faults.reset(), httpx.TransportError, id="reset"),
        pytest.param(faults.lost_answer(), httpx.TransportError, id="lost answer"),
        pytest.param(faults.half_answer(), httpx.TransportError, id="half answer"),
        pytest.param(faults.garbage(), httpx.TransportError, id="garbage"),
        pytest.param(faults.huge(4 * LIMIT), httpx.ReadError, id="huge"),
        pytest.param(faults.bomb(4 * LIMIT), httpx.ReadError, id="bomb"),
    ],
)
async def test_a_fault_of_the_transport_is_an_error_of_the_transport(
    vendor: str, client: httpx.AsyncClient, fault: Fault, expected: type[Exception]
) -> None:
    async with FaultServer(vendor) as server:
        server.fault = fault
        with pytest.raises(expected):
            await client.post(server.url, content=b"hello")


async def test_a_fault_of_the_vendor_is_an_answer(vendor: str, client: httpx.AsyncClient) -> None:
    async with FaultServer(vendor) as server:
        server.fault = faults.throttling(3)
        throttled = await client.post(server.url)
        server.fault = faults.redirecting("http://127.0.0.1:1/inside")
        redirected = await client.post(server.url)
        server.fault = faults.page()
        page = await client.post(server.url)
    assert (throttled.status_code, throttled.headers["retry-after"]) == (429, "3")
    assert (redirected.status_code, redirected.headers["location"]) == (307, "http://127.0.0.1:1/inside")
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (200, "text/html")


async def test_a_fault_ends_when_it_is_taken_back(vendor: str, client: httpx.AsyncClient) -> None:
    async with FaultServer(vendor) as server:
        server.fault = faults.reset()
        with pytest.raises(httpx.TransportError):
            await client.post(server.url)
        server.fault = None
        assert (await client.post(server.url)).status_code == 200


async def test_a_server_that_still_drips_closes_at_once(vendor: str) -> None:
    patient = guarded_client(["127.0.0.1"], [], timeout=60.0)
    async with FaultServer(vendor) as server:
        server.fault = faults.drip(0.05)

        async def arrived() -> bool:
            return bool(server.calls)

        call = asyncio.create_task(patient.post(server.url))
        await eventually("the call arrives", arrived)
    with pytest.raises(httpx.TransportError):
        await call
    await patient.aclose()
