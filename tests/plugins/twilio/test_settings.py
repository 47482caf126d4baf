from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from stampcard.plugin import Capabilities
from stampcard_twilio.plugin import connect, plugin_manifest
from stampcard_twilio.settings import TwilioSettings
from stampcard_twilio.simulator import TwilioSimulator

Make = Callable[..., TwilioSettings]
SERVICE = "MG" + "ab" * 16
KEY = {"api_key_sid": "SK" + "ab" * 16, "api_key_secret": "secret of the key"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"account_sid": "AC12"}, "account_sid"),
        ({"account_sid": "SM" + "0" * 32}, "account_sid"),
        ({"account_sid": "AC" + "0" * 32 + "\n"}, "account_sid"),
        ({"auth_token": []}, "auth_token"),
        ({"auth_token": ""}, "auth_token"),
        ({"auth_token": ["good", ""]}, "auth_token"),
        ({"sender": None}, "give either messaging_service or sender"),
        ({"messaging_service": SERVICE}, "give either messaging_service or sender"),
        ({"sender": None, "messaging_service": "MG1"}, "messaging_service"),
        ({"sender": "0171 2345678"}, "sender"),
        ({"sender": "A name too long"}, "sender"),
        ({"sender": "+1"}, "sender"),
        ({"api_key_sid": KEY["api_key_sid"]}, "give both api_key_sid and api_key_secret"),
        ({"api_key_secret": KEY["api_key_secret"]}, "give both api_key_sid and api_key_secret"),
        ({"validity": 0}, "validity"),
        ({"validity": 36_001}, "validity"),
        ({"segments_per_second": 0}, "segments_per_second"),
        ({"price": "-0.01"}, "price"),
        ({"api_url": "api.twilio.com"}, "api_url"),
    ],
)
def test_what_is_wrong_is_named(settings: Make, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        settings(**changes)


@pytest.mark.parametrize(
    ("sender", "takes_replies"), [("+14155550100", True), ("72273", True), ("Cafe Mia", False), ("1Shop-2", False)]
)
def test_to_a_name_nobody_can_write_back(settings: Make, sender: str, takes_replies: bool) -> None:
    assert settings(sender=sender).takes_replies is takes_replies


def test_calls_are_made_with_the_key_if_there_is_one_and_else_with_the_newest_token(settings: Make) -> None:
    assert settings().credentials == (settings().account_sid, "newer token")
    assert settings(auth_token="only token").credentials == (settings().account_sid, "only token")
    assert settings(**KEY).credentials == (KEY["api_key_sid"], KEY["api_key_secret"])


def test_all_calls_go_to_the_api_alone(settings: Make) -> None:
    assert settings().outbound_hosts() == ("api.twilio.com",)


def test_whoever_adds_a_connection_is_asked_for_settings_that_exist() -> None:
    manifest = plugin_manifest()
    assert set(manifest.asks) <= manifest.settings.model_fields.keys()


async def health(able: Capabilities) -> tuple[bool, str]:
    assert able.check_health is not None
    told = await able.check_health()
    return told.ok, told.problem


async def test_health_names_the_setting_that_is_wrong(
    simulated: TwilioSimulator, connection: Callable[..., Any]
) -> None:
    assert await health(await connect(connection())) == (True, "")
    wrong = await connect(connection(auth_token="another token"))
    assert await health(wrong) == (False, "Twilio refuses the credentials (401): check account_sid and auth_token")
    key, secret = simulated.new_key()
    assert await health(await connect(connection(api_key_sid=key, api_key_secret=secret))) == (True, "")
    ok, problem = await health(await connect(connection(api_key_sid=key, api_key_secret="another")))
    assert (ok, problem.endswith("check account_sid, api_key_sid and api_key_secret")) == (False, True)
    ok, problem = await health(await connect(connection(account_sid="AC" + "0" * 32)))
    assert (ok, "account_sid" in problem) == (False, True)
    simulated.close()
    assert await health(await connect(connection())) == (
        False,
        "the account is suspended or closed: look at account_sid",
    )


async def test_an_account_of_somebody_else_with_good_credentials_is_told(
    simulated: TwilioSimulator, connection: Callable[..., Any]
) -> None:
    key, secret = simulated.new_key()
    other = connection(account_sid="AC" + "0" * 32, api_key_sid=key, api_key_secret=secret)
    assert await health(await connect(other)) == (
        False,
        "Twilio knows no such account (404): check account_sid and api_url",
    )


async def test_who_answers_in_another_shape_is_not_well(context: Callable[..., Any]) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json={}))) as http:
        ok, problem = await health(await connect(context(http)))
    assert (ok, "published shape" in problem) == (False, True)
