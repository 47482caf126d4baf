from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from stampcard.plugin import Storefront

if TYPE_CHECKING:
    from stampcard_woocommerce.plugin import WooCommerceSettings


class WooCommerceStorefront(Storefront):
    """The shop's start page, which can read the code from `ref`; WooCommerce itself puts no coupon of an address into a cart."""

    def __init__(self, settings: WooCommerceSettings) -> None:
        self._url, self._parameter = settings.shop.rstrip("/"), settings.coupon_parameter

    def landing(self, code: str) -> str:
        names = ("ref", self._parameter) if self._parameter else ("ref",)
        return f"{self._url}/?{urlencode(dict.fromkeys(names, code))}"
