from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stampcard.plugin import Clock, InvalidSignature, ShopperSource, UnverifiedRequest
from stampcard_shopify.queries import HEX_DIGEST, Parameters, check_moment, check_once, check_shop, first, parameters
from stampcard_shopify.sessions import Claims, SessionTokens
from stampcard_shopify.signing import check, secrets_of

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

CUSTOMER = "logged_in_customer_id"
#: What Shopify adds to a query, each once.
TOLD = ("shop", "timestamp", CUSTOMER)
NUMBER = re.compile(r"[1-9][0-9]{0,18}")
CUSTOMER_GID = re.compile(rf"gid://shopify/Customer/({NUMBER.pattern})")


class ShopifyShoppers(ShopperSource):
    """Vouches for a shop's customers by the session token of a UI extension, or else by the query of an app proxy."""

    def __init__(self, settings: ShopifySettings, clock: Clock) -> None:
        self.origins = settings.origins
        self._shop, self._clock = settings.shop, clock
        self._sessions, self._secrets = SessionTokens(settings, clock), secrets_of(settings)

    def identify(self, request: UnverifiedRequest) -> str | None:
        scheme, _, token = request.header("authorization").partition(" ")
        if scheme.lower() == "bearer":
            return _customer_of(self._sessions.claims(token))
        return self._of_query(request.url.partition("?")[2])

    def _of_query(self, query: str) -> str | None:
        found = parameters(query)
        check_once(found, ("signature", *TOLD))
        signature = found.pop("signature", [""])[0]
        if not HEX_DIGEST.fullmatch(signature):
            raise InvalidSignature("neither a session token nor the signature of an app proxy is there")
        check(self._secrets, bytes.fromhex(signature), _signed_text(found))
        check_shop(found, self._shop)
        check_moment(found, self._clock.now())
        customer = first(found, CUSTOMER)
        if customer and not NUMBER.fullmatch(customer):
            raise InvalidSignature(f"the {CUSTOMER} is no number")
        return customer or None


def _customer_of(claims: Claims) -> str | None:
    if not claims.sub:
        return None
    customer = CUSTOMER_GID.fullmatch(claims.sub)
    if not customer:
        # The tokens of the shop's own admin name a member of its staff, by a number that may be a customer's too.
        raise InvalidSignature("the session token names no customer")
    return customer[1]


def _signed_text(found: Parameters) -> bytes:
    try:
        pairs = [f"{name}={','.join(values)}".encode(errors="surrogateescape") for name, values in found.items()]
    except UnicodeEncodeError:
        raise InvalidSignature("the query is no text") from None
    text = b"".join(sorted(pairs))
    # Nothing parts one pair from the next, so a shopper could put `logged_in_customer_id=7` into a value of their own, and
    # what Shopify signed for it would fit a query that names customer 7 as well. Then the name stands in the text twice.
    if any(text.count(f"{name}=".encode()) > 1 for name in TOLD):
        raise InvalidSignature("the query can be read in two ways")
    return text
