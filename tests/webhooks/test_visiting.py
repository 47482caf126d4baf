"""The addresses that a plugin has for itself: what reaches it, and what leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from stampcard.plugin import InvalidSignature, MalformedPayload, PluginError, Rate, Reply, Route, UnverifiedRequest
from stampcard_webhooks import visiting


class Desk:
    """A route that keeps what it was asked, and answers or raises what it was told to."""

    def __init__(self, answer: Reply | Exception) -> None:
        self.answer = answer
        self.asked: list[UnverifiedRequest] = []

    async def handle(self, request: UnverifiedRequest) -> Reply:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
async def opened(api: Any) -> Callable[[Reply | Exception], Any]:
    """Gives the shop a desk that answers so, under a name of its own."""

    async def give(answer: Reply | Exception) -> Desk:
        desk = Desk(answer)
        api.shop.routes = (
            Route(method="GET", path="install", handler=desk.handle),
            Route(method="POST", path="keys", handler=desk.handle),
        )
        assert (await api.call("POST", "/connections", {"name": "till", "plugin": "shopping"})).status == 201
        return desk

    return give


async def visit(api: Any, method: str, path: str, **more: Any) -> aiohttp.ClientResponse:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{api.address}/connections/{path}", allow_redirects=False, **more) as response,
    ):
        await response.read()
        return response


async def test_a_visitor_is_sent_on_and_nobody_shows_it_in_a_frame(api: Any, opened: Any) -> None:
    desk = await opened(Reply(status=302, location="https://shop.example/allow"))
    response = await visit(api, "GET", "till/install?state=a%20b")

    assert (response.status, response.headers["Location"]) == (302, "https://shop.example/allow")
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["Cache-Control"] == "no-store"
    assert desk.asked[0].url == f"{api.application.public_url}/connections/till/install?state=a%20b"


async def test_a_body_reaches_the_handler_as_it_is(api: Any, opened: Any) -> None:
    desk = await opened(Reply(body=b"thanks", frames=("https://admin.example",)))
    response = await visit(api, "POST", "till/keys", data=b'{"a": 1}', headers={"X-Sign": "s"})

    assert response.status == 200
    assert "frame-ancestors https://admin.example" in response.headers["Content-Security-Policy"]
    assert (desk.asked[0].body, desk.asked[0].header("x-sign")) == (b'{"a": 1}', "s")


async def test_what_is_not_there_is_not_found(api: Any, opened: Any) -> None:
    await opened(Reply())
    assert (await visit(api, "GET", "till/other")).status == 404
    assert (await visit(api, "GET", "nobody/install")).status == 404
    wrong = await visit(api, "POST", "till/install")
    assert (wrong.status, wrong.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidSignature("the query is not signed"), 401),
        (MalformedPayload("there is no code"), 400),
        (PluginError("shopping", "the shop does not answer"), 503),
        (RuntimeError("a secret text"), 503),
    ],
)
async def test_what_a_handler_raises_is_answered_plainly(api: Any, opened: Any, error: Exception, status: int) -> None:
    await opened(error)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{api.address}/connections/till/install") as response,
    ):
        assert response.status == status
        assert "a secret text" not in await response.text()


async def test_large_bodies_and_haste_are_refused(api: Any, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await opened(Reply())

    async def chunks() -> Any:
        for _ in range(80):
            yield b"x" * 1024

    assert (await visit(api, "POST", "till/keys", data=b"x" * (64 * 1024 + 1))).status == 413
    assert (await visit(api, "POST", "till/keys", data=chunks())).status == 413
    assert desk.asked == []
    monkeypatch.setattr(visiting, "VISITS", Rate(per_second=0.01, burst=1))
    statuses = [(await visit(api, "GET", "till/install")).status for _ in range(25)]
    assert statuses[-1] == 429
