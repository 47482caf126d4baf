"""The simulated shop: it behaves as WooCommerce's own code does, where that matters to us."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp import web

from stampcard.plugin import Delivery, InvalidSignature, UnverifiedRequest, VerifiedRequest
from stampcard.testing.clock import NOON
from stampcard.testing.simulator import SignedRequest
from stampcard_woocommerce.plugin import WooCommerceSettings
from stampcard_woocommerce.simulator import WooCommerceSimulator, build
from stampcard_woocommerce.webhooks import WooCommerceWebhooks


class Inbox:
    """Somebody who gets webhooks, and answers what the test wants."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.got.append(({name.lower(): text for name, text in request.headers.items()}, await request.read()))
        return web.Response(status=self.status)


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    box, server = Inbox(), web.Application()
    server.router.add_post("/hook", box.take)
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    box.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield box
    await runner.cleanup()


@pytest.fixture
async def api(simulated: WooCommerceSimulator) -> AsyncIterator[httpx.AsyncClient]:
    told = simulated.settings()
    auth = (str(told["consumer_key"]), str(told["consumer_secret"]))
    root = f"{simulated.api_url}/wp-json/wc/v3"
    async with httpx.AsyncClient(base_url=root, auth=auth, trust_env=False) as asking:
        yield asking


async def hook(api: httpx.AsyncClient, inbox: Inbox, topic: str = "order.updated") -> int:
    one = {"topic": topic, "delivery_url": inbox.url, "secret": "s"}
    made = (await api.post("/webhooks/batch", json={"create": [one]})).json()
    return int(made["create"][0]["id"])


async def test_a_new_webhook_asks_once_unsigned_whether_anybody_is_there(api: Any, inbox: Inbox) -> None:
    number = await hook(api, inbox)
    ((headers, body),) = inbox.got
    assert body == f"webhook_id={number}".encode()
    assert not [name for name in headers if name.startswith("x-wc-")]


async def test_changes_collapse_until_they_are_sent_and_bodies_are_as_of_then(
    simulated: WooCommerceSimulator, api: Any, inbox: Inbox
) -> None:
    await hook(api, inbox)
    inbox.got.clear()
    order, other = (simulated.buy(simulated.register()) for _ in range(2))
    simulated.turn(order, "send")
    simulated.turn(order, "return_some")
    assert await simulated.hooks.run() == 2
    bodies = [json.loads(body) for _, body in inbox.got]
    assert [body["id"] for body in bodies] == [order.id, other.id]
    assert (bodies[0]["status"], len(bodies[0]["refunds"])) == ("completed", 1)
    assert len({headers["x-wc-webhook-delivery-id"] for headers, _ in inbox.got}) == 1
    assert await simulated.hooks.run() == 0


async def test_nothing_is_sent_again_and_the_seventh_failure_in_a_row_switches_off(
    simulated: WooCommerceSimulator, api: Any, inbox: Inbox
) -> None:
    number = await hook(api, inbox)
    one = simulated.hooks.all[number]
    for status, times in ((500, 6), (200, 1), (503, 6)):
        inbox.status = status
        for _ in range(times):
            simulated.buy(simulated.register())
            await simulated.hooks.run()
    assert one.status == "active"
    simulated.buy(simulated.register())
    await simulated.hooks.run()
    assert one.status == "disabled"
    simulated.buy(simulated.register())
    before = len(inbox.got)
    await simulated.hooks.run()
    assert len(inbox.got) == before == 1 + 6 + 1 + 7


async def test_a_record_that_is_gone_is_told_as_an_error(simulated: Any, api: Any, inbox: Inbox) -> None:
    await hook(api, inbox)
    simulated.delete(simulated.buy(simulated.register()))
    await simulated.hooks.run()
    assert json.loads(inbox.got[-1][1])["code"] == "woocommerce_rest_shop_order_invalid_id"


async def test_pages_say_how_many_there_are(simulated: Any, api: Any) -> None:
    for _ in range(12):
        simulated.buy(simulated.register())
    first = await api.get("/orders", params={"_fields": "id", "order": "asc", "orderby": "id"})
    assert (first.headers["x-wp-total"], first.headers["x-wp-totalpages"], len(first.json())) == ("12", "2", 10)
    second = await api.get("/orders", params={"_fields": "id", "order": "asc", "orderby": "id", "page": 2})
    assert [set(one) for one in second.json()] == [{"id"}] * 2
    assert (await api.get("/customers", params={"email": "nobody@mail.example"})).headers["x-wp-total"] == "0"


async def test_only_keys_that_were_given_out_open_it(simulated: Any) -> None:
    async with httpx.AsyncClient(base_url=f"{simulated.api_url}/wp-json/wc/v3", trust_env=False) as stranger:
        for auth in (None, ("ck_x", "cs_x"), (str(simulated.settings()["consumer_key"]), "")):
            answer = await stranger.get("/orders", auth=auth or httpx.USE_CLIENT_DEFAULT)
            assert answer.status_code == 401
            assert answer.json()["code"] == "woocommerce_rest_cannot_view"


@pytest.mark.parametrize("topic", build(3).topics())
def test_a_sample_is_signed_for_whoever_asks_and_can_be_read(topic: str) -> None:
    shop = build(3)
    request = shop.sample(topic, settings={"webhook_secrets": ["&lt;theirs&gt;"]})
    settings = WooCommerceSettings.model_validate({"shop": "https://shop.example", "webhook_secrets": ["<theirs>"]})
    headers = {name.lower(): text for name, text in request.headers.items()}
    source = WooCommerceWebhooks(settings)
    verified = source.verify(UnverifiedRequest(url="", headers=headers, body=request.body, received_at=NOON))
    assert isinstance(verified, VerifiedRequest)
    delivery = Delivery(connection="shop", key="k", topic=verified.topic, body=verified.body, received_at=NOON)
    assert list(source.events(delivery)) or topic == "customer.deleted"
    with pytest.raises(ValueError, match="no sample"):
        shop.sample("tea.made")


def test_the_same_seed_lives_through_the_same_history(clock: Any) -> None:
    def lived(seed: int) -> list[SignedRequest]:
        return list(WooCommerceSimulator(seed, clock=clock).history(30))

    assert lived(4) == lived(4)
    assert [one.body for one in lived(4)] != [one.body for one in lived(5)]


def test_every_forgery_is_refused(clock: Any) -> None:
    shop, chance = WooCommerceSimulator(4, clock=clock), random.Random(1)
    source = WooCommerceWebhooks(WooCommerceSettings.model_validate(shop.settings()))
    for request in itertools.islice(shop.history(20), 40):
        forged = shop.forge(request, chance)
        headers = {name.lower(): text for name, text in forged.headers.items()}
        with pytest.raises(InvalidSignature):
            source.verify(UnverifiedRequest(url="", headers=headers, body=forged.body, received_at=NOON))


async def test_the_owners_yes_hands_over_keys_and_anything_but_200_takes_them_back(
    simulated: WooCommerceSimulator, inbox: Inbox
) -> None:
    query = {
        "app_name": "Stampcard",
        "scope": "read_write",
        "user_id": "state",
        "return_url": "http://127.0.0.1:9/back",
        "callback_url": inbox.url,
    }
    async with aiohttp.ClientSession() as session:

        async def ask(page: str, **changes: str) -> aiohttp.ClientResponse:
            url = f"{simulated.api_url}/wc-auth/v1/{page}"
            async with session.get(url, params=query | changes, allow_redirects=False) as answer:
                await answer.read()
                return answer

        assert (await ask("authorize")).status == 200
        assert (await ask("authorize", callback_url="http://shop.example/keys")).status == 401
        assert (await ask("authorize", scope="all")).status == 401
        done = await ask("access_granted")
        assert done.headers["Location"] == "http://127.0.0.1:9/back?success=1&user_id=state"
        handed = json.loads(inbox.got[-1][1])
        assert simulated.api.keys[handed["consumer_key"]] == handed["consumer_secret"]
        inbox.status = 204
        assert (await ask("access_granted")).status == 401
        assert json.loads(inbox.got[-1][1])["consumer_key"] not in simulated.api.keys
