from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from stampcard_shopify.plugin import ShopifySettings, plugin_manifest

Make = Callable[..., ShopifySettings]


def test_the_plugin_says_who_it_is() -> None:
    manifest = plugin_manifest()
    assert (manifest.name, manifest.settings) == ("shopify", ShopifySettings)


def test_the_api_is_at_the_shop_unless_told_otherwise(settings: Make) -> None:
    assert settings().api_url == "https://acme.myshopify.com"
    assert settings(api_url="http://127.0.0.1:8080").api_url == "http://127.0.0.1:8080"


@pytest.mark.parametrize("given", ["one", ["one"], ("one",)])
def test_one_secret_needs_no_list(settings: Make, given: Any) -> None:
    assert [secret.get_secret_value() for secret in settings(webhook_secrets=given).webhook_secrets] == ["one"]


@pytest.mark.parametrize("given", ["https://shop.example", ["https://shop.example"], ("https://shop.example",)])
def test_one_origin_needs_no_list(settings: Make, given: Any) -> None:
    assert settings(origins=given).origins == ("https://shop.example",)


def test_browsers_may_ask_directly_from_nowhere_unless_told(settings: Make) -> None:
    assert settings().origins == ()
    several = ["https://shop.example:8443", "https://xn--caf-dma.example", "https://127.0.0.1"]
    assert settings(origins=several).origins == tuple(several)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"shop": "acme.example"}, "shop"),
        ({"shop": "evil.example/acme.myshopify.com"}, "shop"),
        ({"shop": "acme.myshopify.com\n"}, "shop"),
        ({"webhook_secrets": []}, "webhook_secrets"),
        ({"webhook_secrets": ""}, "webhook_secrets"),
        ({"webhook_secrets": ["good", ""]}, "webhook_secrets"),
        ({"access_token": None}, "access_token"),
        ({"access_token": None, "client_id": "app"}, "client_secret"),
        ({"client_id": "app"}, "client_id"),
        ({"client_id": "app", "client_secret": "s"}, "access_token"),
        ({"api_url": "ftp://127.0.0.1"}, "api_url"),
        ({"api_url": "https://user@127.0.0.1"}, "api_url"),
        ({"api_version": "latest"}, "api_version"),
        ({"test_orders": "maybe"}, "test_orders"),
        ({"metafield_key": "b"}, "metafield_key"),
        ({"acess_token": "typo"}, "acess_token"),
        ({"origins": "http://shop.example"}, "origins"),
        ({"origins": "https://shop.example/"}, "origins"),
        ({"origins": ["https://shop.example", "https://Shop.example"]}, "origins"),
        ({"origins": "https://shop.example/points"}, "origins"),
        ({"origins": "https://user@shop.example"}, "origins"),
        ({"origins": "https://shop.example\n"}, "origins"),
        ({"origins": "shop.example"}, "origins"),
        ({"origins": "*"}, "origins"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_is_shown(settings: Make, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**changes)
    assert named in str(caught.value)
    assert "good" not in str(caught.value)
    assert "tok\n" not in str(caught.value)
