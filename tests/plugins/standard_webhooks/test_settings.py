from __future__ import annotations

from typing import Any

import pytest

from stampcard.errors import ConfigurationError
from stampcard.host.sections import read_settings
from stampcard.plugin import PluginSettings
from stampcard_standard_webhooks.plugin import plugin_manifest

SECRET = "whsec_YW4gb2xkZXIgb25lIG9mIDI0IGJ5dGVz"


def read(**changes: Any) -> tuple[PluginSettings | None, tuple[ConfigurationError, ...]]:
    """A connection called ours, as the host reads its section."""
    return read_settings("ours", plugin_manifest(), {"url": "https://shop.example/", "secrets": [SECRET], **changes})


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://shop.example/hooks?a=b", "shop.example"),
        ("https://shop.example:8443", "shop.example:8443"),
        ("https://käse.example/", "xn--kse-qla.example"),
        ("http://127.0.0.1:9/x", "127.0.0.1:9"),
        ("https://[2001:db8::1]:9/x", "[2001:db8::1]:9"),
    ],
)
def test_the_one_host_that_may_be_called_is_that_of_the_url(url: str, host: str) -> None:
    settings, problems = read(url=url)
    assert problems == ()
    assert settings is not None
    assert settings.outbound_hosts() == (host,)


@pytest.mark.parametrize(
    "url",
    [
        *("", "shop.example", "ftp://shop.example/", "https:///x", "https://[::1", "https://shop.example:0/"),
        *("https://shop.example:99999/", "https://ada:pass@shop.example/", "https://shop example/", "https://a\\b/"),
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    settings, (problem,) = read(url=url)
    assert settings is None
    assert str(problem) == (
        "connections.ours.url: is no address such as https://example.com/webhooks, without a user name"
    )


@pytest.mark.parametrize("secret", ["whsec_c2hvcnQ=", "whsec_!!!! no base64 at all !!!!", "a-secret-of-another-kind"])
def test_a_bad_secret_is_named_and_not_shown(secret: str) -> None:
    settings, (problem,) = read(secrets=[SECRET, secret])
    assert settings is None
    assert str(problem) == "connections.ours.secrets.1: must be whsec_ and the base64 of 24 to 64 random bytes"


def test_a_connection_without_a_secret_is_refused() -> None:
    assert [problem.setting for problem in read(secrets=[])[1]] == ["connections.ours.secrets"]


def test_one_secret_or_pattern_needs_no_list() -> None:
    settings, problems = read(secrets=SECRET, events="points.*")
    assert problems == ()
    assert settings == read(secrets=[SECRET], events=["points.*"])[0]


def test_a_pattern_that_fits_no_event_is_refused_with_those_there_are() -> None:
    _, (problem,) = read(events=["points.*", "point.*"])
    assert str(problem).startswith("connections.ours.events.1: 'point.*' fits no event; there are points.earned, ")


def alone(**section: Any) -> list[str]:
    """What is wrong with a section that has no other settings."""
    return [str(problem) for problem in read_settings("ours", plugin_manifest(), section)[1]]


@pytest.mark.parametrize(
    "section",
    [
        {"url": "https://shop.example/", "secrets": SECRET},
        {"state_url": "https://shop.example/", "secrets": SECRET},
        {"webhook_secrets": SECRET},
        {"webhook_secrets": [SECRET, "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="], "tolerance": 60},
        {
            "webhook_secrets": SECRET,
            "url": "https://shop.example/",
            "secrets": SECRET,
            "state_url": "https://b.example",
        },
        {"webhook_secrets": "0123456789abcdef", "signature": "token", "signature_header": "X-Token"},
    ],
)
def test_a_connection_may_tell_or_be_told_or_both(section: dict[str, Any]) -> None:
    assert alone(**section) == []


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({}, "connections.ours: set url and secrets to be told of changes, or webhook_secrets to take webhooks in"),
        ({"url": "https://shop.example/"}, "connections.ours: give secrets: what webhooks to url and state_url are"),
        ({"secrets": SECRET}, "connections.ours: set url and secrets to be told of changes"),
        ({"secrets": SECRET, "webhook_secrets": SECRET}, "connections.ours: secrets sign what is sent"),
        (
            {"webhook_secrets": "a-secret-of-another-kind"},
            "connections.ours.webhook_secrets: the secret with number 0, from 0, must be whsec_",
        ),
        (
            {"webhook_secrets": [SECRET, "whpk_AAAA"]},
            "connections.ours.webhook_secrets: the secret with number 1, from 0, must be whpk_",
        ),
        (
            {"webhook_secrets": "short", "signature": "token", "signature_header": "X"},
            "connections.ours.webhook_secrets: the secret with number 0, from 0, must have at least 16",
        ),
        (
            {"webhook_secrets": "0123456789abcdef", "signature": "token"},
            "connections.ours: set signature_header to the name",
        ),
        ({"webhook_secrets": SECRET, "signature_header": "X"}, "connections.ours: set signature_header to the name"),
        ({"webhook_secrets": SECRET, "tolerance": 0}, "connections.ours.tolerance: "),
        ({"webhook_secrets": SECRET, "signature": "md5"}, "connections.ours.signature: "),
    ],
)
def test_what_does_not_go_together_says_what_to_set(section: dict[str, Any], said: str) -> None:
    (first, *_) = alone(**section)
    assert first.startswith(said)
    assert SECRET not in first
