"""The page of who makes which reward real says what the plugins say."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path
from typing import Any, get_args

import pytest

from stampcard.plugin import Feature
from stampcard_shopify import offering as shopify
from stampcard_woocommerce import offering as woocommerce


@pytest.fixture(scope="module")
def fulfilment() -> dict[str, Any]:
    return run_path(str(Path(__file__).parents[2] / "docs" / "fulfilment.py"))


def test_the_page_of_who_makes_rewards_real_is_up_to_date(fulfilment: dict[str, Any]) -> None:
    assert fulfilment["PAGE"].read_text(encoding="utf-8") == fulfilment["page"](), "run: make docs"


def test_every_feature_has_words(fulfilment: dict[str, Any]) -> None:
    assert set(fulfilment["WORDS"]) == set(get_args(Feature))


@pytest.mark.parametrize("shop", [shopify, woocommerce])
def test_what_a_shop_says_of_itself_is_on_the_page(fulfilment: dict[str, Any], shop: Any) -> None:
    text = fulfilment["page"]()
    for support in (*shop.KINDS.values(), *shop.FEATURES.values()):
        assert support.note[1:] in text
