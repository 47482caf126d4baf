"""Addresses that put a card into a phone."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import jwt
import pytest

from stampcard.plugin import CardDesign, CardField, PassPush, PassSink, PluginError, RotatingCode
from stampcard_google_wallet.passes import LONGEST
from stampcard_google_wallet.simulated_signing import _service_key
from stampcard_google_wallet.simulator import GoogleWalletSimulator

Pushes = Callable[..., PassPush]
Sinks = Callable[..., Awaitable[PassSink]]
SERIAL = "a0" * 12
CODE = RotatingCode(pattern="R7.{timestamp}.{password}", key="31" * 20, period=30, digits=8)
#: So little of a card that it fits into an address.
PLAIN = CardDesign(
    program="coffee", language="en", name={"en": "Club"}, issuer={"en": "Hill"}, logo="https://hill.example/l.png"
)


def claims(google: GoogleWalletSimulator, address: str) -> dict[str, Any]:
    """What the token at the end of an address says, by another library's judgement of its signature."""
    token = address.removeprefix(f"{google.api_url}/gp/v/save/")
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "typ": "JWT", "kid": google.account.key_id}
    told: dict[str, Any] = jwt.decode(
        token, _service_key().public_key(), algorithms=["RS256"], audience="google", options={"verify_iat": False}
    )
    return told


async def test_a_card_that_google_has_is_named_and_no_more(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes, clock: Any
) -> None:
    await passes.deliver([push()])
    google.calls.clear()
    address = await passes.link(push(), is_there=True)
    assert google.calls == []
    thin = {"id": f"{google.issuer}.{SERIAL}", "classId": f"{google.issuer}.phone_coffee"}
    assert claims(google, address) == {
        "iss": google.account.email,
        "aud": "google",
        "typ": "savetowallet",
        "iat": int(clock.now().timestamp()),
        "origins": ["https://points.example"],
        "payload": {"loyaltyObjects": [thin]},
    }
    assert await google.save(address) == 0
    assert thin["id"] in google.book.saved


async def test_a_card_that_google_does_not_have_yet_is_made_by_a_short_address(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    address = await passes.link(push(), is_there=False)
    assert len(address) < 200
    (call,) = google.calls
    assert (call.method, call.path, len(call.body["jwt"]) > LONGEST) == ("POST", "jwt", True)
    assert google.card(SERIAL)["accountId"] == "123412341234"
    assert [len(google.book.kept[kind]) for kind in ("loyaltyClass", "loyaltyObject")] == [1, 1]
    await google.save(address)
    assert f"{google.issuer}.{SERIAL}" in google.book.saved


async def test_a_small_card_needs_no_call_although_google_does_not_have_it(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    small = push(design=PLAIN, fields=(CardField(name="points", text="1", number="1"),))
    await passes.deliver([push("b1" * 12, design=PLAIN)])
    google.calls.clear()
    address = await passes.link(small, is_there=False)
    assert google.calls == []
    assert list(claims(google, address)["payload"]) == ["loyaltyObjects"]
    await google.save(address)
    assert google.card(SERIAL)["loyaltyPoints"]["balance"] == {"int": 1}


async def test_the_key_of_a_code_that_rotates_is_in_no_address(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    small = push(design=PLAIN, fields=(), holder="", rotating=CODE)
    await passes.deliver([push("b1" * 12, design=PLAIN)])
    google.calls.clear()
    address = await passes.link(small, is_there=False)
    (call,) = google.calls
    assert (call.method, call.path, len(call.body["jwt"]) <= LONGEST) == ("POST", "jwt", True)
    assert "rotatingBarcode" in claims(google, call.body["jwt"])["payload"]["loyaltyObjects"][0]
    assert len(address) < 200
    await google.save(address)
    assert google.card(SERIAL)["rotatingBarcode"]["totpDetails"]["parameters"][0]["key"] == CODE.key
    assert "rotatingBarcode" not in repr(claims(google, await passes.link(small, is_there=True)))


async def test_a_card_that_came_to_be_meanwhile_is_named(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    google.fail("POST jwt", 409, reason="existingResource")
    address = await passes.link(push(), is_there=False)
    assert claims(google, address)["payload"] == {
        "loyaltyObjects": [{"id": f"{google.issuer}.{SERIAL}", "classId": f"{google.issuer}.phone_coffee"}]
    }


@pytest.mark.parametrize(
    ("status", "words"), [(403, "add it as a user"), (503, "answered 503"), (0, "no answer from Google")]
)
async def test_why_there_is_no_address_is_told_in_words(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes, status: int, words: str
) -> None:
    google.fail("POST jwt", status)
    with pytest.raises(PluginError, match=words) as caught:
        await passes.link(push(), is_there=False)
    assert "Zoë" not in str(caught.value)


async def test_google_words_about_a_token_are_told_without_what_stands_in_it(
    google: GoogleWalletSimulator, sink: Sinks, push: Pushes
) -> None:
    def play(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return httpx.Response(200, json={"access_token": "token", "expires_in": 3599})
        if not request.url.path.endswith("/jwt"):
            return httpx.Response(200, json={"keys": []})
        token = json.loads(request.content)["jwt"]
        (card,) = claims(google, token)["payload"]["loyaltyObjects"]
        code, texts = card["rotatingBarcode"], card["textModulesData"]
        said = [
            card["accountName"],
            card["accountId"],
            code["alternateText"],
            code["totpDetails"]["parameters"][0]["key"],
        ]
        told = f"Invalid values {' '.join(said)} {texts[0]['body']} {token} at loyaltyObjects"
        return httpx.Response(400, json={"error": {"code": 400, "message": told}})

    one = await sink(play=play)
    with pytest.raises(PluginError) as caught:
        await one.link(push(rotating=CODE), is_there=False)
    assert str(caught.value).endswith("Google answered 400: Invalid values … … … … … … at loyaltyObjects")


async def test_an_address_that_leads_elsewhere_is_none(sink: Sinks, push: Pushes) -> None:
    def play(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return httpx.Response(200, json={"access_token": "token", "expires_in": 3599})
        return httpx.Response(200, json={"saveUri": "javascript:alert(1)"})

    one = await sink(play=play)
    with pytest.raises(PluginError, match="no address"):
        await one.link(push(), is_there=False)


async def test_web_sites_with_the_button_are_those_of_the_settings(
    google: GoogleWalletSimulator, sink: Sinks, push: Pushes
) -> None:
    one = await sink(origins=["https://shop.example", "https://www.shop.example"])
    address = await one.link(push(), is_there=True)
    assert claims(google, address)["origins"] == ["https://shop.example", "https://www.shop.example"]


async def test_an_address_that_somebody_changed_saves_nothing(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    address = await passes.link(push(), is_there=True)
    base, _, token = address.rpartition("/")
    head, _, signature = token.split(".")
    told = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    told["payload"]["loyaltyObjects"][0]["id"] = f"{google.issuer}.{'c2' * 12}"
    body = base64.urlsafe_b64encode(json.dumps(told).encode()).rstrip(b"=").decode()
    assert await google.save(f"{base}/{head}.{body}.{signature}") == 400
    assert google.book.saved == set()
