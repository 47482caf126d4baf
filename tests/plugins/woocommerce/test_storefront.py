from __future__ import annotations

from typing import Any

import pytest

from stampcard_woocommerce.storefront import WooCommerceStorefront


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({}, "https://shop.example/?ref=ANN-7"),
        ({"coupon_parameter": "coupon-code"}, "https://shop.example/?ref=ANN-7&coupon-code=ANN-7"),
        ({"shop": "https://shop.example/en/"}, "https://shop.example/en/?ref=ANN-7"),
    ],
)
def test_a_friend_arrives_at_the_shop_with_the_code_in_the_address(
    settings: Any, changes: dict[str, str], address: str
) -> None:
    assert WooCommerceStorefront(settings(**changes)).landing("ANN-7") == address
