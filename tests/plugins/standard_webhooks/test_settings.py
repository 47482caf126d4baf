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
