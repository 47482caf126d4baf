"""An app that somebody lets into an account, its token, and what a connection says of itself."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import msgspec
import pytest

from stampcard.plugin import (
    ConnectionContext,
    Health,
    InvalidSignature,
    MalformedPayload,
    Rejected,
    Reply,
    RetryLater,
    UnverifiedRequest,
)
from stampcard.testing.clock import NOON
from stampcard_hubspot.calling import CallFailed
from stampcard_hubspot.client import Client
from stampcard_hubspot.installing import Installing
from stampcard_hubspot.plugin import HubSpotSettings, connect
from stampcard_hubspot.simulator import HubSpotSimulator

BACK = "https://points.example/connections/crm/installed"


@pytest.fixture
def context(connection: Any, portal: HubSpotSimulator) -> ConnectionContext[HubSpotSettings]:
    made: ConnectionContext[HubSpotSettings] = connection(portal.oauth_settings())
    return made


@pytest.fixture
def client(context: ConnectionContext[HubSpotSettings]) -> Client:
    return Client(context)


@pytest.fixture
def installing(context: ConnectionContext[HubSpotSettings], client: Client) -> Installing:
    return Installing(context, client.tokens)


def visit(address: str) -> UnverifiedRequest:
    return UnverifiedRequest(url=address, headers={}, body=b"", received_at=NOON)


async def sent_back(reply: Reply) -> str:
    """Where HubSpot sends a person who agrees."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(reply.location)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


async def install(installing: Installing) -> Reply:
    return await installing.installed(visit(await sent_back(await installing.install(visit("")))))


async def test_a_person_is_sent_to_hubspot_and_comes_back_with_a_token(
    installing: Installing, client: Client, portal: HubSpotSimulator
) -> None:
    begun = await installing.install(visit(""))
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.location).query).items()}
    assert begun.location.startswith(f"{portal.api_url}/oauth/authorize?")
    assert (asked["client_id"], asked["redirect_uri"]) == (portal.client_id, BACK)
    assert "crm.objects.contacts.write" in asked["scope"].split(" ")
    reply = await installing.installed(visit(await sent_back(begun)))
    assert (reply.status, reply.resumes) == (200, True)
    assert "https://points.example/webhooks/crm" in reply.body.decode()
    assert "hs_additional_emails" in reply.body.decode()
    assert await client.account() == portal.portal_id


@pytest.mark.parametrize("authorize", ["https://app.hubspot.com", "https://app-eu1.hubspot.com/oauth/authorize"])
async def test_the_page_is_the_same_with_and_without_its_path(
    connection: Any, portal: HubSpotSimulator, authorize: str
) -> None:
    context = connection(portal.oauth_settings(), authorize_url=authorize)
    begun = await Installing(context, Client(context).tokens).install(visit(""))
    assert urlsplit(begun.location).path == "/oauth/authorize"


async def test_an_installation_counts_once_and_not_for_long(installing: Installing, hurried: Any) -> None:
    address = await sent_back(await installing.install(visit("")))
    await installing.installed(visit(address))
    with pytest.raises(InvalidSignature, match="not begun here"):
        await installing.installed(visit(address))
    begun = await installing.install(visit(""))
    hurried.advance(timedelta(minutes=16))
    with pytest.raises(InvalidSignature, match="not begun here, or too long ago"):
        await installing.installed(visit(await sent_back(begun)))


@pytest.mark.parametrize("query", ["", "code=x", "code=x&state=guess", "state=%ff", "code&state"])
async def test_who_was_not_sent_is_not_taken(installing: Installing, query: str) -> None:
    with pytest.raises(InvalidSignature):
        await installing.installed(visit(f"{BACK}?{query}"))


@pytest.mark.parametrize("query", ["state=a&state=b", "a=" + "x" * 20_000, "&".join(f"p{n}=1" for n in range(60))])
async def test_a_query_that_hubspot_never_sends_is_refused(installing: Installing, query: str) -> None:
    with pytest.raises(MalformedPayload):
        await installing.installed(visit(f"{BACK}?{query}"))


async def test_somebody_who_declines_is_told_how_to_begin_anew(installing: Installing) -> None:
    begun = await installing.install(visit(""))
    state = parse_qs(urlsplit(begun.location).query)["state"][0]
    with pytest.raises(MalformedPayload, match=r"open https://points\.example/connections/crm/install"):
        await installing.installed(visit(f"{BACK}?{urlencode({'error': 'access_denied', 'state': state})}"))


async def test_a_code_that_hubspot_does_not_know_is_refused_for_good(installing: Installing) -> None:
    begun = await installing.install(visit(""))
    state = parse_qs(urlsplit(begun.location).query)["state"][0]
    with pytest.raises(CallFailed, match="begin anew") as raised:
        await installing.installed(visit(f"{BACK}?{urlencode({'code': 'guess', 'state': state})}"))
    assert isinstance(raised.value.outcome, Rejected)


async def test_an_app_that_was_let_into_another_account_is_refused(connection: Any, portal: HubSpotSimulator) -> None:
    context = connection({**portal.oauth_settings(), "portal_id": 1})
    client = Client(context)
    with pytest.raises(CallFailed, match="another account: choose that of portal_id"):
        await install(Installing(context, client.tokens))
    assert await client.tokens.stored() is None


async def test_a_token_is_renewed_by_its_age(installing: Installing, client: Client, hurried: Any) -> None:
    await install(installing)
    first = await client.tokens.current()
    hurried.advance(timedelta(minutes=24))
    assert await client.tokens.current() == first
    hurried.advance(timedelta(minutes=2))
    assert await client.tokens.current() != first
    await client.account()


async def test_a_renewed_token_is_kept_and_many_who_ask_renew_once(
    installing: Installing, context: ConnectionContext[HubSpotSettings], hurried: Any, store: Any, portal: Any
) -> None:
    await install(installing)
    hurried.advance(timedelta(minutes=29))
    clients = [Client(context) for _ in range(4)]
    tokens = await asyncio.gather(*(client.tokens.current() for client in clients))
    assert len(set(tokens)) == 1
    kept = msgspec.json.decode(store[f"token {portal.api_url} {portal.client_id} {portal.portal_id}"])
    assert kept["access_token"] == tokens[0]
    assert kept["refresh_token"].startswith("eu1-")


async def test_a_refused_token_is_replaced_once(
    installing: Installing, client: Client, portal: HubSpotSimulator
) -> None:
    await install(installing)
    first = await client.tokens.current()
    portal.tokens.revoke(first)
    assert await client.account() == portal.portal_id
    second = await client.tokens.current()
    assert second != first
    portal.tokens.revoke(second)
    for _ in range(2):
        with pytest.raises(CallFailed, match=r"refuses the credentials \(401\): check client_id and client_secret"):
            await client.account()
    assert await client.tokens.current() == second


async def test_before_it_is_installed_the_address_to_open_is_told(context: Any) -> None:
    able = await connect(context)
    assert able.check_health is not None
    where = "https://points.example/connections/crm/install"
    assert await able.check_health() == Health(
        ok=False, problem=f"nobody let the app into HubSpot yet: open {where}", open=where
    )
    assert [route.path for route in able.routes] == ["install", "installed"]


async def test_when_it_was_taken_away_the_address_to_open_is_told(
    context: Any, installing: Installing, portal: HubSpotSimulator, hurried: Any
) -> None:
    await install(installing)
    able = await connect(context)
    assert able.check_health is not None
    assert await able.check_health() == Health(ok=True)
    portal.tokens._refresh.clear()
    hurried.advance(timedelta(minutes=31))
    health = await able.check_health()
    assert (health.ok, health.open) == (False, "https://points.example/connections/crm/install")
    assert (
        "HubSpot renews no token (400): check client_id and client_secret, or install the app again" in health.problem
    )


async def test_scopes_that_the_account_did_not_allow_are_told(connection: Any, portal: HubSpotSimulator) -> None:
    few = connection(portal.oauth_settings(), scopes=["oauth", "crm.objects.contacts.read"])
    await install(Installing(few, Client(few).tokens))
    able = await connect(connection(portal.oauth_settings()))
    assert able.check_health is not None
    health = await able.check_health()
    assert "the account does not allow crm.objects.contacts.write, " in health.problem
    assert health.open == "https://points.example/connections/crm/install"


async def test_a_private_app_needs_no_installation(connection: Any, portal: HubSpotSimulator) -> None:
    able = await connect(connection(portal.settings()))
    assert able.check_health is not None
    assert able.routes == ()
    assert await able.check_health() == Health(ok=True)


async def test_the_token_of_another_account_is_told_by_its_setting(connection: Any, portal: HubSpotSimulator) -> None:
    able = await connect(connection({**portal.settings(), "portal_id": 1}))
    assert able.check_health is not None
    problem = f"the token is of the account {portal.portal_id}: check portal_id and access_token"
    assert await able.check_health() == Health(ok=False, problem=problem)


async def test_a_token_that_may_not_read_contacts_is_told(connection: Any, portal: HubSpotSimulator) -> None:
    able = await connect(connection({**portal.settings(), "access_token": portal.new_token(["oauth"])}))
    assert able.check_health is not None
    health = await able.check_health()
    assert "let the app have crm.objects.contacts.read" in health.problem


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"\xff", b"[]", b'{"access_token":"a"}', b'{"access_token":"a","expires_in":1e999}', b"[" * 90_000],
)
async def test_an_answer_without_a_token_is_asked_for_later(connection: Any, content: bytes) -> None:
    context = connection(
        {"portal_id": 1, "client_id": "a", "client_secret": "b"}, play=lambda _: httpx.Response(200, content=content)
    )
    with pytest.raises(CallFailed) as raised:
        await Client(context).tokens.install("code", BACK)
    assert isinstance(raised.value.outcome, RetryLater)
