from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from stampcard.plugin import Storefront

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings


class ShopifyStorefront(Storefront):
    """The shop's pages; a code that is a discount there is applied to the cart, and the theme can read any from `ref`.

    By https://help.shopify.com/en/manual/discounts/managing-discounts/share-discount-links.
    """

    def __init__(self, settings: ShopifySettings) -> None:
        self._url = settings.storefront_url

    def landing(self, code: str) -> str:
        arrives = urlencode({"redirect": f"/?{urlencode({'ref': code})}"})
        return f"{self._url}/discount/{quote(code, safe='')}?{arrives}"
