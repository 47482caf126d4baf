from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import respx

from stampcard.plugin import ConnectionContext, RetryLater
from stampcard_shopify.client import Client
from stampcard_shopify.posting import CallFailed

HOST = "https://acme.myshopify.com"
Connection = Callable[..., ConnectionContext[Any]]


class App:
    """Shopify's two addresses: grants tokens t1, t2, … and takes only the newest."""

    def __init__(self, router: respx.Router) -> None:
        self.granted = 0
        self.valid = ""
        self.grants = router.post(f"{HOST}/admin/oauth/access_token").mock(side_effect=self._grant)
        self.calls = router.post(f"{HOST}/admin/api/2026-10/graphql.json").mock(side_effect=self._answer)

    async def _grant(self, request: httpx.Request) -> httpx.Response:
        assert parse_qs(request.content.decode()) == {
            "client_id": ["app"],
            "client_secret": ["its secret"],
            "grant_type": ["client_credentials"],
        }
        await asyncio.sleep(0)
        self.granted += 1
        self.valid = f"t{self.granted}"
        return httpx.Response(200, json={"access_token": self.valid, "scope": "write_customers", "expires_in": 86399})

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        if request.headers["x-shopify-access-token"] != self.valid:
            return httpx.Response(401, json={"errors": "[API] Invalid API key or access token"})
        return httpx.Response(200, json={"data": {"shop": {"name": "Acme"}}})


@pytest.fixture
def app(router: respx.Router) -> App:
    return App(router)


@pytest.fixture
def granted(connection: Connection) -> Callable[..., ConnectionContext[Any]]:
    """Make a connection that gets its tokens by client credentials."""
    return lambda **changes: connection(access_token=None, client_id="app", client_secret="its secret", **changes)


async def test_concurrent_callers_share_one_grant(app: App, granted: Connection) -> None:
    client = Client(granted())
    await asyncio.gather(*(client.ping() for _ in range(20)))
    assert (app.granted, app.calls.call_count) == (1, 20)


async def test_a_refused_token_is_renewed_once_for_all(app: App, granted: Connection) -> None:
    client = Client(granted())
    await client.ping()
    app.valid = "revoked"
    await asyncio.gather(*(client.ping() for _ in range(20)))
    assert app.granted == 2


async def test_a_token_outlives_a_restart(app: App, granted: Connection) -> None:
    await Client(granted()).ping()
    await Client(granted()).ping()
    assert app.granted == 1


async def test_a_token_that_another_process_renewed_is_used(app: App, granted: Connection) -> None:
    one, other = Client(granted()), Client(granted())
    await one.ping()
    await other.ping()
    app.valid = "revoked"
    await other.ping()
    await one.ping()
    assert app.granted == 2


async def test_a_token_is_renewed_shortly_before_it_expires(app: App, granted: Connection, clock: Any) -> None:
    client = Client(granted())
    await client.ping()
    clock.moment += timedelta(seconds=86399 - 301)
    await client.ping()
    assert app.granted == 1
    clock.moment += timedelta(seconds=2)
    await client.ping()
    assert app.granted == 2


async def test_a_token_never_goes_to_another_host(app: App, granted: Connection, router: respx.Router) -> None:
    await Client(granted()).ping()
    elsewhere = router.route(host="127.0.0.1").mock(return_value=httpx.Response(500))
    with pytest.raises(CallFailed):
        await Client(granted(api_url="http://127.0.0.1:9")).ping()
    assert [call.request.url.path for call in elsewhere.calls] == ["/admin/oauth/access_token"]


async def test_a_damaged_stored_token_is_replaced(app: App, granted: Connection, store: Any) -> None:
    await Client(granted()).ping()
    (key,) = store
    store[key] = b"\xff"
    await Client(granted()).ping()
    assert app.granted == 2


async def test_a_token_that_is_refused_at_once_names_the_settings(app: App, granted: Connection) -> None:
    app.calls.mock(return_value=httpx.Response(401))
    with pytest.raises(CallFailed, match="client_id and client_secret") as caught:
        await Client(granted()).ping()
    assert isinstance(caught.value.outcome, RetryLater)
    assert app.calls.call_count == 2
    assert "secret\n" not in str(caught.value)


async def test_a_fixed_token_that_is_refused_names_its_setting(app: App, connection: Connection) -> None:
    with pytest.raises(CallFailed, match="access_token") as caught:
        await Client(connection()).ping()
    assert isinstance(caught.value.outcome, RetryLater)
    assert (app.granted, app.calls.call_count) == (0, 1)


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (httpx.Response(400, json={"error": "invalid_client"}), "check client_id and client_secret"),
        (httpx.Response(403), "check client_id and client_secret"),
        (httpx.Response(503, headers={"retry-after": "3"}), "503"),
        (httpx.Response(200, json={"scope": ""}), "holds no token"),
        (httpx.Response(200, json={"access_token": "t", "expires_in": 1e300}), "holds no token"),
        (httpx.Response(200, content=b"<html>"), "holds no token"),
    ],
)
async def test_without_a_grant_the_call_is_tried_later(
    app: App, granted: Connection, response: httpx.Response, told: str
) -> None:
    app.grants.mock(return_value=response)
    with pytest.raises(CallFailed, match=told) as caught:
        await Client(granted()).ping()
    assert isinstance(caught.value.outcome, RetryLater)
    assert app.calls.call_count == 0
