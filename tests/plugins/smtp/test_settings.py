from __future__ import annotations

from typing import Any

import pytest

from stampcard.errors import ConfigurationError
from stampcard.host.sections import read_settings
from stampcard_smtp.plugin import SmtpSettings, plugin_manifest


def read(**changes: Any) -> tuple[SmtpSettings | None, list[str]]:
    """A connection called mail, as the host reads its section, and the settings that are wrong."""
    told = {"host": "smtp.shop.example", "sender": "loyalty@shop.example", **changes}
    settings, problems = read_settings("mail", plugin_manifest(), told)
    assert settings is None or isinstance(settings, SmtpSettings)
    return settings, [named(problem) for problem in problems]


def named(problem: ConfigurationError) -> str:
    return problem.setting.removeprefix("connections.mail").removeprefix(".")


def test_host_and_sender_are_enough() -> None:
    settings, problems = read()
    assert problems == []
    assert settings is not None
    assert settings.outbound_hosts() == ("smtp.shop.example:587",)
    assert (settings.security, settings.domain, settings.connections) == ("starttls", "shop.example", 4)


@pytest.mark.parametrize(
    ("host", "where"),
    [("mail", "mail:25"), ("192.0.2.1", "192.0.2.1:25"), ("2001:db8::1", "[2001:db8::1]:25"), ("::1", "[::1]:25")],
)
def test_the_one_host_that_may_be_dialled_is_the_servers(host: str, where: str) -> None:
    settings, _ = read(host=host, port=25)
    assert settings is not None
    assert settings.outbound_hosts() == (where,)


def test_the_domain_is_the_senders_in_ascii_unless_another_is_told() -> None:
    for changes, domain in (
        ({"sender": "hi@bücher.example"}, "xn--bcher-kva.example"),
        ({"domain": "mx.bücher.example"}, "mx.xn--bcher-kva.example"),
    ):
        settings, _ = read(**changes)
        assert settings is not None
        assert settings.domain == domain


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"host": "https://smtp.shop.example"}, "host"),
        ({"host": "smtp.shop.example:25"}, "host"),
        ({"host": "smtp shop"}, "host"),
        ({"host": "smtp\r\nshop"}, "host"),
        ({"port": 0}, "port"),
        ({"port": 99999}, "port"),
        ({"security": "ssl"}, "security"),
        ({"sender": "loyalty"}, "sender"),
        ({"sender": "The Shop <loyalty@shop.example>"}, "sender"),
        ({"sender": "loyalty@shop.example\n"}, "sender"),
        ({"sender_name": "Shop\r\nBcc: eve@evil.example"}, "sender_name"),
        ({"reply_to": "help"}, "reply_to"),
        ({"sender": "loyalty.@shop.example", "domain": "shop.example"}, "sender"),
        ({"sender": "loyalty@-shop.example", "domain": "shop.example"}, "sender"),
        ({"reply_to": "a..b@shop.example"}, "reply_to"),
        ({"reply_to": "help@shop..example"}, "reply_to"),
        ({"domain": "shop..example"}, "domain"),
        ({"connections": 0}, "connections"),
        ({"connections": 21}, "connections"),
        ({"per_connection": 0}, "per_connection"),
        ({"idle": 0}, "idle"),
        ({"per_second": 0}, "per_second"),
        ({"timeout": 0}, "timeout"),
        ({"bounce_tokens": ["a-token-of-19-chars"]}, "bounce_tokens.0"),
        ({"username": "shop"}, ""),
        ({"password": "correct horse"}, ""),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], wrong: str) -> None:
    settings, problems = read(**changes)
    assert settings is None
    assert wrong in problems
