"""The simulated Google, as the plugin and as somebody careless see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from stampcard.testing.clock import FakeClock
from stampcard_google_wallet.client import Client
from stampcard_google_wallet.simulated_fields import misfits
from stampcard_google_wallet.simulator import GoogleWalletSimulator, build


@pytest.fixture
async def api(google: GoogleWalletSimulator, connection: Callable[..., Any]) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with a good token."""
    token = await Client(connection()).tokens.current()
    base, headers = f"{google.api_url}/walletobjects/v1/", {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as http:
        yield http


def a_class(google: GoogleWalletSimulator, **changes: Any) -> dict[str, Any]:
    logo = {"sourceUri": {"uri": "https://hill.example/logo.png"}}
    told = {"id": f"{google.issuer}.c", "issuerName": "Hill", "programName": "Club", "programLogo": logo}
    return {**told, "reviewStatus": "UNDER_REVIEW", **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"programName": None}, "LoyaltyClass.programName must be set"),
        ({"programLogo": {}}, "must be set"),
        ({"colour": "#fff"}, "Unknown name 'colour'"),
        ({"reviewStatus": "APPROVED"}, "Invalid value at reviewStatus"),
        ({"issuerName": 5}, "Invalid value at issuerName"),
        ({"id": "another.c"}, "Invalid resource ID"),
    ],
)
async def test_a_class_that_google_would_not_take_is_refused(
    google: GoogleWalletSimulator, api: httpx.AsyncClient, changes: dict[str, Any], words: str
) -> None:
    body = {name: part for name, part in a_class(google, **changes).items() if part is not None}
    answer = await api.post("loyaltyClass", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert list(misfits("LoyaltyClass", a_class(google))) == []


async def test_what_is_there_is_not_made_twice_and_what_is_not_is_not_changed(
    google: GoogleWalletSimulator, api: httpx.AsyncClient
) -> None:
    assert (await api.post("loyaltyClass", json=a_class(google))).status_code == 200
    assert (await api.post("loyaltyClass", json=a_class(google))).status_code == 409
    assert (await api.patch("loyaltyObject/1.x", json={"state": "ACTIVE"})).status_code == 404
    card = {"id": f"{google.issuer}.x", "classId": f"{google.issuer}.nowhere", "state": "ACTIVE"}
    assert (await api.post("loyaltyObject", json=card)).status_code == 404
    assert (await api.patch(f"loyaltyClass/{google.issuer}.c", json={"programName": "New"})).status_code == 400
    assert (await api.get("weather")).status_code == 404


async def test_a_patch_merges_what_is_inside_and_replaces_lists_and_null_takes_away(
    google: GoogleWalletSimulator, api: httpx.AsyncClient
) -> None:
    await api.post("loyaltyClass", json=a_class(google))
    texts = [{"id": "a", "header": "A", "body": "1"}, {"id": "b", "header": "B", "body": "2"}]
    points = {"label": "Points", "balance": {"int": 1}}
    card = {"id": f"{google.issuer}.x", "classId": f"{google.issuer}.c", "state": "ACTIVE", "accountName": "Ann"}
    await api.post("loyaltyObject", json={**card, "loyaltyPoints": points, "textModulesData": texts})
    path = f"loyaltyObject/{google.issuer}.x"

    changes = {"loyaltyPoints": {"balance": {"string": "1.5"}}, "textModulesData": texts[:1], "accountName": None}
    told = (await api.patch(path, json=changes)).json()
    assert told["loyaltyPoints"] == {"label": "Points", "balance": {"int": 1, "string": "1.5"}}
    assert (told["textModulesData"], told["state"], "accountName" in told) == (texts[:1], "ACTIVE", False)

    told = (await api.patch(path, json={"loyaltyPoints": {"balance": {"int": None, "money": None}}})).json()
    assert told["loyaltyPoints"] == {"label": "Points", "balance": {"string": "1.5"}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loyaltyPoints": {"balance": None}}, "LoyaltyPoints.balance must be set"),
        ({"loyaltyPoints": {"balance": {"text": None}}}, "Unknown name 'text' at loyaltyPoints.balance.text"),
        ({"textModulesData": [{"id": None}]}, "Invalid value at textModulesData.id"),
        ({"classId": None}, "LoyaltyObject.classId must be set"),
    ],
)
async def test_a_patch_that_leaves_a_card_that_google_would_not_take_is_refused(
    google: GoogleWalletSimulator, api: httpx.AsyncClient, changes: dict[str, Any], words: str
) -> None:
    await api.post("loyaltyClass", json=a_class(google))
    card = {"id": f"{google.issuer}.x", "classId": f"{google.issuer}.c", "state": "ACTIVE"}
    await api.post("loyaltyObject", json={**card, "loyaltyPoints": {"label": "P", "balance": {"int": 1}}})
    answer = await api.patch(
        f"loyaltyObject/{google.issuer}.x", json={**changes, "notifyPreference": "NOTIFY_ON_UPDATE"}
    )
    assert (answer.status_code, google.notices("x")) == (400, [])
    assert words in answer.json()["error"]["message"]
    assert google.card("x")["loyaltyPoints"] == {"label": "P", "balance": {"int": 1}}


async def test_an_offer_that_is_not_there_cannot_be_linked(
    google: GoogleWalletSimulator, api: httpx.AsyncClient
) -> None:
    await api.post("loyaltyClass", json=a_class(google))
    card = {"id": f"{google.issuer}.x", "classId": f"{google.issuer}.c", "state": "ACTIVE"}
    await api.post("loyaltyObject", json=card)
    body = {"linkedOfferObjectIds": {"addLinkedOfferObjectIds": [f"{google.issuer}.nothing"]}}
    path = f"loyaltyObject/{google.issuer}.x/modifyLinkedOfferObjects"
    assert (await api.post(path, json=body)).status_code == 400


async def test_the_twenty_first_request_of_a_second_is_refused(
    google: GoogleWalletSimulator, api: httpx.AsyncClient, clock: FakeClock
) -> None:
    answers = [(await api.get("loyaltyClass")).status_code for _ in range(21)]
    assert answers == [200] * 20 + [429]
    clock.advance(1)
    assert (await api.get("loyaltyClass")).status_code == 200


async def test_who_has_no_token_gets_nothing(google: GoogleWalletSimulator) -> None:
    async with httpx.AsyncClient(base_url=google.api_url, trust_env=False) as http:
        for headers in ({}, {"authorization": "Bearer guess"}, {"authorization": "Basic x"}):
            assert (await http.get("/walletobjects/v1/loyaltyClass", headers=headers)).status_code == 401
            assert (await http.post("/batch", content=b"", headers=headers)).status_code == 401
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a.b.c"}
        assert (await http.post("/token", data=form)).status_code == 400
        assert (await http.get("/gp/v/save/a.b.c")).status_code == 400
    assert google.calls == []


def test_there_is_no_other_sample(google: GoogleWalletSimulator) -> None:
    with pytest.raises(ValueError, match="no sample of"):
        google.sample("pass.read")


def test_samples_are_for_connections_that_know_its_keys(google: GoogleWalletSimulator) -> None:
    assert google.unfit(google.settings()) == ""
    assert "Google alone" in google.unfit({"issuer_id": "1", "api_url": "https://walletobjects.googleapis.com"})
    assert "Google alone" in build(1).unfit(build(1).settings())


def test_the_same_seed_gives_the_same_account() -> None:
    assert build(7).settings() == build(7).settings() != build(8).settings()
