from __future__ import annotations

from collections.abc import Callable

import pytest

from stampcard_shopify.plugin import ShopifySettings
from stampcard_shopify.storefront import ShopifyStorefront


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({}, "https://acme.myshopify.com/discount/ANN-7?redirect=%2F%3Fref%3DANN-7"),
        ({"storefront_url": "https://acme.example"}, "https://acme.example/discount/ANN-7?redirect=%2F%3Fref%3DANN-7"),
    ],
)
def test_a_friend_arrives_with_the_code_in_the_cart_and_in_the_address(
    settings: Callable[..., ShopifySettings], changes: dict[str, str], address: str
) -> None:
    assert ShopifyStorefront(settings(**changes)).landing("ANN-7") == address
