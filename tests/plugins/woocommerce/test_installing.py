"""How a shop owner hands the shop's keys over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

import stampcard_woocommerce.plugin
from stampcard.plugin import Capabilities, InvalidSignature, MalformedPayload, PluginError, Reply, UnverifiedRequest
from stampcard_webhooks.visiting import VISITS
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.installing import PATIENCE, Handed
from stampcard_woocommerce.keys import Pair
from stampcard_woocommerce.simulator import WooCommerceSimulator

Visit = Callable[..., Any]
#: As the fixture of the connection says.
OURS = "http://127.0.0.1:9"
WITHOUT = {"consumer_key": None, "consumer_secret": None}


@pytest.fixture
async def capabilities(connection: Callable[..., Any]) -> Capabilities:
    """A connection whose settings have no keys."""
    found = await stampcard_woocommerce.plugin.connect(connection(**WITHOUT))
    assert isinstance(found, Capabilities)
    return found


@pytest.fixture
def visit(capabilities: Capabilities, clock: Any) -> Visit:
    """Ask one of the connection's addresses."""

    async def ask(path: str, body: Mapping[str, Any] | bytes = b"") -> Reply:
        route = next(route for route in capabilities.routes if route.path == path)
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        url = f"{OURS}/connections/shop/{path}"
        return await route.handler(UnverifiedRequest(url=url, headers={}, body=raw, received_at=clock.now()))

    return ask


async def begun(visit: Visit) -> dict[str, str]:
    """What the owner's browser takes along to the shop."""
    reply = await visit("install")
    assert reply.status == 302
    return {name: values[0] for name, values in parse_qs(urlsplit(reply.location).query).items()}


def handed(simulated: WooCommerceSimulator, state: str, **changes: Any) -> dict[str, Any]:
    key, secret = simulated.api.new_key()
    told = {"key_id": 1, "user_id": state, "consumer_key": key, "consumer_secret": secret}
    return told | {"key_permissions": "read_write"} | changes


async def test_the_owner_is_sent_to_the_shop_with_all_that_it_wants(simulated: Any, visit: Visit) -> None:
    reply = await visit("install")
    assert reply.location.startswith(f"{simulated.api_url}/wc-auth/v1/authorize?")
    query = await begun(visit)
    assert query["scope"] == "read_write"
    assert query["callback_url"] == OURS + "/connections/shop/keys"
    assert query["return_url"] == OURS + "/connections/shop/installed"
    assert (await begun(visit))["user_id"] != query["user_id"]


async def test_keys_that_work_are_kept_and_used(
    simulated: Any, visit: Visit, capabilities: Capabilities, store: Any, connection: Any
) -> None:
    assert capabilities.check_health is not None
    health = await capabilities.check_health()
    assert (health.ok, health.open) == (False, OURS + "/connections/shop/install")
    assert "no keys" in (await visit("installed")).body.decode()

    state = (await begun(visit))["user_id"]
    body = handed(simulated, state)
    assert (await visit("keys", body)).status == 200

    assert (await capabilities.check_health()).ok
    simulated.fail("webhooks/batch", 503)
    assert "still to be set up" in (await visit("installed")).body.decode()
    assert (await visit("installed")).body == b"Stampcard has the keys of the shop. This page can be closed.\n"
    assert body["consumer_secret"] not in repr(store.keys())
    assert store.held
    await Client(connection(**WITHOUT)).ping()  # another process


async def test_who_comes_back_finds_the_webhooks_set_up_once(simulated: Any, visit: Visit) -> None:
    await visit("keys", handed(simulated, (await begun(visit))["user_id"]))
    assert "sends 7 kinds of webhooks" in (await visit("installed")).body.decode()
    assert {hook.url for hook in simulated.hooks.all.values()} == {OURS + "/webhooks/shop"}
    calls = len(simulated.api.calls)
    await visit("installed")
    assert len(simulated.api.calls) == calls


async def test_two_pages_that_are_shown_at_once_set_the_webhooks_up_once(simulated: Any, visit: Visit) -> None:
    await visit("keys", handed(simulated, (await begun(visit))["user_id"]))
    told = [reply.body.decode() for reply in await asyncio.gather(visit("installed"), visit("installed"))]
    assert sum("kinds of webhooks" in text for text in told) == 1
    assert len(simulated.hooks.all) == 7


async def test_what_nobody_was_sent_with_is_refused_and_nothing_is_kept_twice(
    simulated: Any, visit: Visit, clock: Any
) -> None:
    with pytest.raises(InvalidSignature):
        await visit("keys", handed(simulated, "made-up"))
    state = (await begun(visit))["user_id"]
    other = (await begun(visit))["user_id"]
    await visit("keys", handed(simulated, state))
    with pytest.raises(InvalidSignature):
        await visit("keys", handed(simulated, state))
    clock.moment += timedelta(minutes=31)
    with pytest.raises(InvalidSignature):
        await visit("keys", handed(simulated, other))


async def test_keys_that_do_not_work_are_not_kept(simulated: Any, visit: Visit, capabilities: Capabilities) -> None:
    state = (await begun(visit))["user_id"]
    with pytest.raises(PluginError, match="refuses the keys") as raised:
        await visit("keys", handed(simulated, state, consumer_secret="cs_guessed"))
    assert "cs_guessed" not in str(raised.value)
    state = (await begun(visit))["user_id"]
    with pytest.raises(MalformedPayload, match="both read and write"):
        await visit("keys", handed(simulated, state, key_permissions="read"))
    assert capabilities.check_health is not None
    assert not (await capabilities.check_health()).ok


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b"\xff", b'{"user_id": 1}', b"[" * 50_000])
async def test_what_is_no_message_of_the_shops_is_malformed(visit: Visit, body: bytes) -> None:
    with pytest.raises(MalformedPayload):
        await visit("keys", body)


async def test_nobody_who_begins_as_often_as_one_visitor_may_pushes_the_owner_out(simulated: Any, visit: Visit) -> None:
    state = (await begun(visit))["user_id"]
    for _ in range(round(VISITS.burst + VISITS.per_second * PATIENCE.total_seconds())):
        await visit("install")
    assert (await visit("keys", handed(simulated, state))).status == 200


async def test_new_keys_take_the_place_of_refused_ones_in_every_process(
    simulated: Any, visit: Visit, connection: Any
) -> None:
    await visit("keys", handed(simulated, (await begun(visit))["user_id"]))
    other = Client(connection(**WITHOUT))
    await other.ping()
    simulated.api.keys.clear()
    await visit("keys", handed(simulated, (await begun(visit))["user_id"]))
    await other.ping()


async def test_keys_that_are_refused_are_to_be_handed_over_anew_unless_the_settings_have_them(
    simulated: Any, visit: Visit, capabilities: Capabilities, connection: Any
) -> None:
    await visit("keys", handed(simulated, (await begun(visit))["user_id"]))
    fixed = await stampcard_woocommerce.plugin.connect(connection())
    simulated.api.keys.clear()
    opens = []
    for one in (capabilities, fixed):
        assert one.check_health is not None
        health = await one.check_health()
        assert "refuses the keys" in health.problem
        opens.append(health.open)
    assert opens == [f"{OURS}/connections/shop/install", ""]


def test_what_holds_keys_does_not_show_them() -> None:
    handed = Handed(user_id="u", consumer_key="ck_1", consumer_secret="cs_1", key_permissions="read")
    assert "_1" not in f"{handed} {[Pair('ck_1', 'cs_1')]}"


async def test_keys_in_the_settings_are_not_replaced(simulated: Any, connection: Any, clock: Any) -> None:
    capabilities = await stampcard_woocommerce.plugin.connect(connection())
    install, keys, installed = (route.handler for route in capabilities.routes)
    request = UnverifiedRequest(url=OURS, headers={}, body=b"{}", received_at=clock.now())
    assert (await install(request)).status == 409
    assert "has the keys" in (await installed(request)).body.decode()
    with pytest.raises(InvalidSignature):
        await keys(request)


async def test_keys_never_reach_another_shop(simulated: Any, visit: Visit, connection: Any) -> None:
    await visit("keys", handed(simulated, (await begun(visit))["user_id"]))
    moved = connection(**WITHOUT, shop=simulated.api_url + "/other")
    with pytest.raises(PluginError, match="no keys of the shop yet"):
        await Client(moved).ping()
