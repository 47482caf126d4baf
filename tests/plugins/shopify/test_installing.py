"""An app finds its way into a shop: who may begin, who may end it, and what is kept."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from shopify import Session

from stampcard.plugin import (
    ConnectionContext,
    InvalidSignature,
    MalformedPayload,
    PluginError,
    Reply,
    UnverifiedRequest,
)
from stampcard_shopify.client import Client
from stampcard_shopify.installing import PATIENCE, Installing
from stampcard_shopify.plugin import SCOPES, ShopifySettings, connect
from stampcard_shopify.queries import parameters, signed_texts
from stampcard_shopify.simulator import ShopifySimulator
from stampcard_shopify.subscribing import ShopifySubscriptions
from stampcard_shopify.tokens import Grant, Kept
from stampcard_webhooks.visiting import VISITS

At = Callable[..., ConnectionContext[ShopifySettings]]


class Desk:
    """An installed app's addresses, and a browser that goes where it is sent."""

    def __init__(self, context: ConnectionContext[ShopifySettings], shop: ShopifySimulator) -> None:
        self.context, self.shop = context, shop
        self.client = Client(context)
        subscriptions = ShopifySubscriptions(self.client, context.settings)
        self.installing = Installing(context, self.client.tokens, subscriptions)

    async def visit(self, path: str, query: str = "") -> Reply:
        handlers = {route.path: route.handler for route in self.installing.routes()}
        url = f"https://points.example/connections/acme/{path}{'?' if query else ''}{query}"
        return await handlers[path](
            UnverifiedRequest(url=url, headers={}, body=b"", received_at=self.context.clock.now())
        )

    async def agree(self, sent: Reply) -> str:
        """The query with which the shop sends a person back who agreed."""
        async with httpx.AsyncClient() as browser:
            back = (await browser.get(sent.location)).headers["location"]
        assert back.startswith("https://points.example/connections/acme/installed?")
        return urlsplit(back).query

    async def install(self) -> Reply:
        return await self.visit("installed", await self.agree(await self.visit("install")))


@pytest.fixture
def desk(at_shop: At, simulated: ShopifySimulator) -> Desk:
    return Desk(at_shop(grant="installation"), simulated)


async def test_a_person_who_agrees_installs_the_app_and_its_webhooks(desk: Desk) -> None:
    with pytest.raises(PluginError, match="not installed at the shop: open https://points"):
        await desk.client.ping()
    reply = await desk.install()

    assert (reply.status, reply.resumes) == (200, True)
    assert reply.body.decode().startswith(f"Stampcard is installed at {desk.context.settings.shop}.")
    topics = {node["topic"] for node in desk.shop.subscriptions.nodes.values()}
    assert {"ORDERS_PAID", "APP_UNINSTALLED"} <= topics
    await desk.client.ping()


async def test_what_is_asked_of_the_shop_is_what_the_settings_say(desk: Desk) -> None:
    sent = await desk.visit("install")
    asked = parse_qs(urlsplit(sent.location).query)

    assert sent.status == 302
    assert asked["scope"] == [",".join(SCOPES)]
    assert asked["redirect_uri"] == ["https://points.example/connections/acme/installed"]
    assert len(asked["state"][0]) >= 32


async def test_a_state_counts_once_and_not_for_long(desk: Desk, clock: Any) -> None:
    query = await desk.agree(await desk.visit("install"))
    await desk.visit("installed", query)
    with pytest.raises(InvalidSignature, match="not begun here, or too long ago"):
        await desk.visit("installed", query)
    sent = await desk.visit("install")
    clock.moment += timedelta(minutes=16)
    with pytest.raises(InvalidSignature, match="too long ago"):
        await desk.visit("installed", await desk.agree(sent))


async def test_nobody_who_begins_as_often_as_one_visitor_may_pushes_another_out(desk: Desk) -> None:
    query = await desk.agree(await desk.visit("install"))
    for _ in range(round(VISITS.burst + VISITS.per_second * PATIENCE.total_seconds())):
        await desk.visit("install")
    assert (await desk.visit("installed", query)).status == 200


async def test_nobody_else_ends_an_installation(desk: Desk, clock: Any) -> None:
    query = await desk.agree(await desk.visit("install"))
    told = {name: values[0] for name, values in parse_qs(query).items()}
    forged: Mapping[str, str] = {
        "not signed": urlencode({name: text for name, text in told.items() if name != "hmac"}),
        "does not fit": urlencode({**told, "code": "another"}),
        "twice": f"{query}&shop=other.myshopify.com",
        "another shop": desk.shop.tokens.signed(shop="other.myshopify.com", code="c", state=told["state"]),
    }
    for reason, wrong in forged.items():
        with pytest.raises(InvalidSignature, match=reason):
            await desk.visit("installed", wrong)
    clock.moment += timedelta(seconds=91)
    with pytest.raises(InvalidSignature, match="too old"):
        await desk.visit("installed", query)


async def test_a_signed_answer_without_a_code_is_malformed(desk: Desk) -> None:
    state = parse_qs(urlsplit((await desk.visit("install")).location).query)["state"][0]
    with pytest.raises(MalformedPayload, match="no code"):
        await desk.visit("installed", desk.shop.tokens.signed(state=state))


async def test_a_code_that_the_shop_does_not_know_installs_nothing(desk: Desk) -> None:
    state = parse_qs(urlsplit((await desk.visit("install")).location).query)["state"][0]
    with pytest.raises(PluginError, match="does not take this installation"):
        await desk.visit("installed", desk.shop.tokens.signed(state=state, code="made up"))
    with pytest.raises(PluginError, match="not installed"):
        await desk.client.ping()


async def test_the_shop_may_vouch_for_whoever_opens_the_app_in_its_admin(desk: Desk) -> None:
    query = desk.shop.tokens.signed(embedded="1", host="YWRtaW4", id_token=desk.shop.tokens.session())
    reply = await desk.visit("install", query)

    assert reply.resumes
    assert reply.frames == (f"https://{desk.context.settings.shop}", "https://admin.shopify.com")
    await desk.client.ping()
    # What ended goes on also where a crash came between the token and the connection's state.
    again = await desk.visit("install", query)
    assert (again.body, again.resumes) == (b"Stampcard is connected to this shop.\n", True)


async def test_who_opens_the_app_installs_it_anew_where_the_shop_took_the_token_away(desk: Desk) -> None:
    await desk.install()
    desk.shop.uninstall()  # of which no webhook came yet
    reply = await desk.visit("install", desk.shop.tokens.signed(id_token=desk.shop.tokens.session()))
    assert reply.body.decode().startswith("Stampcard is installed at")
    await desk.client.ping()


async def test_a_session_token_that_is_not_the_shops_installs_nothing(desk: Desk) -> None:
    token = desk.shop.tokens.session()
    with pytest.raises(InvalidSignature):
        await desk.visit("install", desk.shop.tokens.signed(id_token=token[:-4] + "AAAA"))
    with pytest.raises(InvalidSignature):
        await desk.visit("install", urlencode({"id_token": token}))


async def test_a_token_is_renewed_by_one_of_all_processes(desk: Desk, clock: Any) -> None:
    await desk.install()
    others = [Client(desk.context) for _ in range(3)]
    clock.moment += timedelta(minutes=56)
    for client in (desk.client, *others):
        await client.ping()
    assert desk.shop.tokens.refreshed == 1


async def test_a_renewal_whose_answer_got_lost_is_asked_for_again(desk: Desk, clock: Any, store: Any) -> None:
    await desk.install()
    before = dict(store)
    clock.moment += timedelta(hours=2)
    await desk.client.ping()
    # As after a crash between the shop's answer and its being stored.
    store.clear()
    store.update(before)
    again = Client(desk.context)
    await again.ping()
    clock.moment += timedelta(hours=2)
    await again.ping()
    assert desk.shop.tokens.refreshed == 3


async def test_who_was_uninstalled_is_told_where_to_install_again(desk: Desk, store: Any) -> None:
    await desk.install()
    desk.shop.uninstall()
    capabilities = await connect(desk.context)
    assert capabilities.check_health is not None
    health = await capabilities.check_health()
    assert (health.ok, health.open) == (False, "https://points.example/connections/acme/install")
    store.clear()
    await desk.install()
    assert (await capabilities.check_health()).ok


async def test_what_the_shop_did_not_allow_is_told(desk: Desk) -> None:
    desk.shop.tokens.scopes = "read_orders,write_customers"
    reply = await desk.install()
    assert "did not allow: read_customer_merge, write_discounts" in reply.body.decode()
    capabilities = await connect(desk.context)
    assert capabilities.check_health is not None
    health = await capabilities.check_health()
    assert "does not allow read_customer_merge" in health.problem


def test_what_holds_a_token_does_not_show_it() -> None:
    shown = f"{Grant('shpat_1', refresh_token='shprt_1')} {[Kept('shpat_1', refresh_token='shprt_1')]}"
    assert "_1" not in shown


async def test_other_ways_to_a_token_have_no_addresses(at_shop: At) -> None:
    assert (await connect(at_shop())).routes == ()


@pytest.mark.parametrize("more", [{}, {"host": "YWRtaW4uc2hvcGlmeQ=="}, {"locale": "pt-BR", "code": "a b&c=d%"}])
def test_shopifys_own_library_signs_the_same_text(more: Mapping[str, str]) -> None:
    told = {"shop": "acme.myshopify.com", "timestamp": "1337178173", "code": "0907", **more}
    Session.setup(api_key="app", secret="hush")
    texts = signed_texts(parameters(urlencode(told)))
    assert Session.calculate_hmac(told) in {hmac.new(b"hush", text, hashlib.sha256).hexdigest() for text in texts}
