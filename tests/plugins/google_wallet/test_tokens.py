"""The token: had for a signed assertion, kept, shared, and renewed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import jwt
import pytest

from stampcard.testing.clock import FakeClock
from stampcard_google_wallet.calling import CallFailed, Request
from stampcard_google_wallet.client import Client
from stampcard_google_wallet.simulated_signing import _service_key
from stampcard_google_wallet.simulator import GoogleWalletSimulator
from stampcard_google_wallet.tokens import GRANT, SCOPE

Make = Callable[..., Any]
LIST = Request("GET", "loyaltyClass?issuerId=1")


def granting(seen: list[httpx.Request], *answers: httpx.Response) -> Callable[[httpx.Request], httpx.Response]:
    """A vendor that gives tokens ``token 1``, ``token 2`` …, or these answers first."""
    waiting = list(answers)

    def play(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/token":
            return httpx.Response(200, json={})
        seen.append(request)
        given = httpx.Response(200, json={"access_token": f"token {len(seen)}", "expires_in": 3599})
        return waiting.pop(0) if waiting else given

    return play


async def test_an_assertion_says_who_asks_for_what_and_is_signed(
    google: GoogleWalletSimulator, connection: Make, clock: FakeClock
) -> None:
    seen: list[httpx.Request] = []
    assert await Client(connection(play=granting(seen))).tokens.current() == "token 1"
    form = parse_qs(seen[0].content.decode())
    assert form["grant_type"] == [GRANT]
    told = jwt.decode(
        form["assertion"][0],
        _service_key().public_key(),
        algorithms=["RS256"],
        audience=f"{google.api_url}/token",
        options={"verify_exp": False, "verify_iat": False},
    )
    at = int(clock.now().timestamp())
    assert told == {
        "iss": google.account.email, "scope": SCOPE, "aud": f"{google.api_url}/token", "iat": at, "exp": at + 3600,
    }  # fmt: skip


async def test_a_token_is_kept_and_shared_and_replaced_before_its_end(connection: Make, clock: FakeClock) -> None:
    seen: list[httpx.Request] = []
    one, other = Client(connection(play=granting(seen))), Client(connection(play=granting(seen)))
    told = await asyncio.gather(*(client.tokens.current() for client in (one, other) * 10))
    assert set(told) == {"token 1"}
    clock.advance(timedelta(minutes=54))
    assert await other.tokens.current() == "token 1"
    clock.advance(timedelta(minutes=2))
    assert {await other.tokens.current(), await one.tokens.current()} == {"token 2"}
    assert len(seen) == 2


async def test_another_key_of_the_same_account_has_a_token_of_its_own(
    google: GoogleWalletSimulator, connection: Make
) -> None:
    seen: list[httpx.Request] = []
    assert await Client(connection(play=granting(seen))).tokens.current() == "token 1"
    told = json.loads(google.account.key_file())
    other = connection(play=granting(seen), service_account=json.dumps({**told, "private_key_id": "another"}))
    assert await Client(other).tokens.current() == "token 2", "a key that Google does not know is found out at once"


async def test_a_token_that_is_refused_is_had_anew_once(google: GoogleWalletSimulator, connection: Make) -> None:
    client = Client(connection())
    assert (await client.one(LIST)).status == 200
    google.api.tokens.clear()
    assert (await client.one(LIST)).status == 200
    assert len(google.api.tokens) == 1


async def test_a_token_that_was_good_for_a_while_and_is_refused_is_had_anew_each_time(
    google: GoogleWalletSimulator, connection: Make, clock: FakeClock
) -> None:
    client = Client(connection())
    for _ in range(4):
        assert (await client.one(LIST)).status == 200
        assert [answer.status for answer in await client.ask([LIST, LIST])] == [200, 200]
        clock.advance(timedelta(minutes=5))
        google.api.tokens.clear()


async def test_another_process_profits_of_a_token_that_was_had_anew(
    google: GoogleWalletSimulator, connection: Make
) -> None:
    one, other = Client(connection()), Client(connection())
    await one.one(LIST)
    await other.one(LIST)
    google.api.tokens.clear()
    await asyncio.gather(one.one(LIST), other.one(LIST))
    assert len(google.api.tokens) == 1


async def test_a_service_that_refuses_every_token_is_not_asked_for_more_and_more(connection: Make) -> None:
    seen: list[httpx.Request] = []
    give = granting(seen)
    play = lambda request: give(request) if request.url.path == "/token" else httpx.Response(401)  # noqa: E731
    client = Client(connection(play=play))
    for _ in range(5):
        answer = await client.one(LIST)
        assert "check service_account" in answer.failure(LIST).reason
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (httpx.Response(400, json={"error": "invalid_grant"}), "(invalid_grant): give service_account a new key of"),
        (httpx.Response(401, json={"error": "invalid_client"}), "(invalid_client): check service_account"),
        (httpx.Response(403, json={"error": "disabled_client"}), "is disabled"),
        (httpx.Response(400, text="<html>"), "(400): check service_account and token_url"),
        (httpx.Response(500), "gives no token (500)"),
        (httpx.Response(302, headers={"location": "https://elsewhere.example"}), "gives no token (302)"),
        (httpx.Response(200, json={"access_token": "secret-token"}), "holds no token"),
        (httpx.Response(200, json={"access_token": "secret-token", "expires_in": -1}), "holds no token"),
        (httpx.Response(200, json={"access_token": "secret-token", "expires_in": 1e300}), "holds no token"),
        (httpx.Response(200, content=b"[" * 100_000), "holds no token"),
    ],
)
async def test_why_there_is_no_token_is_told(connection: Make, answer: httpx.Response, told: str) -> None:
    client = Client(connection(play=granting([], answer)))
    with pytest.raises(CallFailed) as caught:
        await client.tokens.current()
    assert told in str(caught.value)
    assert "secret-token" not in str(caught.value)


async def test_a_lost_answer_quotes_nothing_of_what_was_sent(connection: Make) -> None:
    def lost(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout(request.content.decode(), request=request)

    with pytest.raises(CallFailed) as caught:
        await Client(connection(play=lost)).tokens.current()
    assert str(caught.value).endswith("no answer from Google where tokens are had: ReadTimeout")
    assert caught.value.__suppress_context__


async def test_whoever_gives_tokens_too_often_is_asked_later(connection: Make) -> None:
    busy = httpx.Response(429, headers={"retry-after": "7"})
    client = Client(connection(play=granting([], busy)))
    assert (await client.one(LIST)).after == 7
    assert client.pace() == 7


async def test_what_is_kept_in_the_store_by_somebody_else_is_not_believed(
    google: GoogleWalletSimulator, connection: Make, store: dict[str, bytes]
) -> None:
    store[f"token {google.api_url} {google.account.email}"] = b"{"
    assert (await Client(connection()).one(LIST)).status == 200


async def test_a_key_that_google_does_not_know_gets_no_token(google: GoogleWalletSimulator, connection: Make) -> None:
    """The simulated Google looks at the signature."""
    other = GoogleWalletSimulator(6)
    with pytest.raises(CallFailed, match="invalid_grant"):
        await Client(connection(service_account=other.account.key_file())).tokens.current()
