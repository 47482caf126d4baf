from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from stampcard.host.sections import read_settings
from stampcard.plugin import Capabilities
from stampcard.testing.clock import NOON
from stampcard_google_wallet.plugin import connect, plugin_manifest
from stampcard_google_wallet.settings import GoogleWalletSettings
from stampcard_google_wallet.simulated_signing import Account
from stampcard_google_wallet.simulator import GoogleWalletSimulator

KEY_FILE = json.loads(Account(random.Random(1)).key_file())
SECRET = KEY_FILE["private_key"].splitlines()[1]


def made(**changes: Any) -> GoogleWalletSettings:
    return GoogleWalletSettings.model_validate(
        {"issuer_id": "3388", "service_account": json.dumps(KEY_FILE), **changes}
    )


def elliptic() -> str:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(*form).decode()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"issuer_id": "3388x"}, "issuer_id"),
        ({"issuer_id": ""}, "issuer_id"),
        ({"service_account": "stampcard@project.iam.gserviceaccount.com"}, "is no key file of a service account"),
        ({"service_account": ""}, "is no key file"),
        ({"service_account": "[" * 100_000}, "is no key file"),
        ({"service_account": json.dumps({**KEY_FILE, "type": "authorized_user"})}, "is another kind of key"),
        ({"service_account": json.dumps({**KEY_FILE, "client_email": ""})}, "is another kind of key"),
        ({"service_account": json.dumps({**KEY_FILE, "private_key": "secret"})}, "no RSA key in PEM"),
        ({"service_account": json.dumps({**KEY_FILE, "private_key": elliptic()})}, "no RSA key in PEM"),
        ({"service_account": {"type": "service_account"}}, "is no key file"),
        ({"key_expires": "soon"}, "key_expires"),
        ({"class_suffix": "coffee club"}, "class_suffix"),
        ({"origins": ["shop.example"]}, "origins"),
        ({"origins": ["https://shop.example/path"]}, "origins"),
        ({"api_url": "walletobjects.googleapis.com"}, "api_url"),
        ({"token_url": "none"}, "token_url"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told) as caught:
        made(**changes)
    assert SECRET not in str(caught.value)


def test_a_wrong_key_file_is_told_in_words_that_say_what_to_do_and_show_nothing_of_it() -> None:
    for given in (json.dumps(KEY_FILE)[:-1], {**KEY_FILE, "type": "x"}, {**KEY_FILE, "private_key": SECRET}):
        section = {"issuer_id": "3388", "service_account": given}
        settings, (problem,) = read_settings("phone", plugin_manifest(), section)
        assert settings is None
        assert str(problem).startswith("connections.phone.service_account: ")
        assert "give the whole key file" in str(problem)
        assert SECRET not in str(problem)


def test_a_variable_that_holds_json_is_as_good_as_a_text() -> None:
    assert made(service_account=KEY_FILE).service_account == made().service_account


def test_nothing_of_the_key_shows() -> None:
    for text in (repr(made()), made().model_dump_json(), repr(made().model_dump())):
        assert SECRET not in text


def test_google_is_where_it_is_unless_the_settings_say_otherwise() -> None:
    settings = made()
    assert settings.outbound_hosts() == ("walletobjects.googleapis.com", "oauth2.googleapis.com", "pay.google.com")
    assert settings.keys_url == "https://pay.google.com/gp/m/issuer/keys"
    elsewhere = made(api_url="http://127.0.0.1:9/google/")
    assert elsewhere.token_url == "http://127.0.0.1:9/google/token"
    assert elsewhere.save_url == "http://127.0.0.1:9/google/gp/v/save"
    assert elsewhere.outbound_hosts() == ("127.0.0.1:9",)


def test_whoever_adds_a_connection_is_asked_for_settings_that_exist() -> None:
    manifest = plugin_manifest()
    assert set(manifest.asks) <= manifest.settings.model_fields.keys()


async def health(able: Capabilities) -> tuple[bool, str]:
    assert able.check_health is not None
    told = await able.check_health()
    return told.ok, told.problem


async def test_an_account_that_may_keep_cards_is_well(google: GoogleWalletSimulator, able: Capabilities) -> None:
    assert await health(able) == (True, "")


async def test_health_says_what_to_do_about_a_key_that_does_not_count(
    google: GoogleWalletSimulator, able: Capabilities
) -> None:
    google.api.is_key_good = False
    ok, problem = await health(able)
    assert not ok
    told = (
        f"Google gives no token for this key (invalid_grant): give service_account a new key of {google.account.email}"
    )
    assert problem.startswith(told)


async def test_health_says_what_to_do_about_an_account_without_access(
    google: GoogleWalletSimulator, able: Capabilities
) -> None:
    google.api.is_user = False
    ok, problem = await health(able)
    assert not ok
    assert "did not have edit access on the issuer." in problem
    assert "add it as a user in the Google Pay & Wallet console" in problem


async def test_health_misses_the_keys_that_callbacks_are_signed_with(
    google: GoogleWalletSimulator, connection: Callable[..., Any]
) -> None:
    google.fail("GET keys", 500, times=2)
    able = await connect(connection())
    assert await health(able) == (False, "Google gives no keys (500): check keys_url")
    assert await health(able) == (True, "")


@pytest.mark.parametrize(
    ("days", "ok", "how"),
    [(29, True, "ends"), (30, True, "ends"), (31, True, ""), (0, True, "ends"), (-1, False, "ended")],
)
async def test_a_key_that_is_about_to_end_is_told_thirty_days_before_and_works_as_yet(
    connection: Callable[..., Any], days: int, ok: bool, how: str
) -> None:
    ends = (NOON + timedelta(days=days)).date()
    told, problem = await health(await connect(connection(key_expires=ends)))
    assert told == ok
    assert problem.startswith(f"the key of the service account {how} on {ends}: make another") if how else not problem


async def test_a_connection_stands_although_google_cannot_be_reached(connection: Callable[..., Any]) -> None:
    def nobody(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody", request=request)

    able = await connect(connection(play=nobody))
    ok, problem = await health(able)
    assert (ok, problem) == (False, "no answer from Google where tokens are had: ConnectError")
