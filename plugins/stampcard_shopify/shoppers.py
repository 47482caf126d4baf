from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl

import msgspec

from stampcard.plugin import Clock, InvalidSignature, ShopperSource, UnverifiedRequest

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

#: Seconds that a signed query counts, before and after: as many as Shopify's own JavaScript library allows. The signature
#: covers neither the path nor the body, so whoever overhears one must not have it for long.
TOLERANCE = 90
#: Seconds that Shopify's clock and ours may differ where a token says when it counts; Shopify's libraries allow as many.
LEEWAY = 10
LONGEST_TOKEN = 4096
LONGEST_QUERY = 16_384
MOST_PARAMETERS = 100

SECRETS = "client_secret and webhook_secrets"
CUSTOMER = "logged_in_customer_id"
#: What Shopify adds to a query, each once.
TOLD = ("shop", "timestamp", CUSTOMER)
NUMBER = re.compile(r"[1-9][0-9]{0,18}")
CUSTOMER_GID = re.compile(rf"gid://shopify/Customer/({NUMBER.pattern})")
SECONDS = re.compile(r"[0-9]{1,12}")
HEX_DIGEST = re.compile(r"[0-9a-f]{64}")

T = TypeVar("T")


class _Header(msgspec.Struct, frozen=True):
    alg: str
    #: Extensions that a reader must understand; we understand none.
    crit: tuple[str, ...] | None = None


class _Claims(msgspec.Struct, frozen=True):
    aud: str
    dest: str
    exp: float
    nbf: float = 0
    iss: str | None = None
    sub: str | None = None


class ShopifyShoppers(ShopperSource):
    """Vouches for a shop's customers by the session token of a UI extension, or else by the query of an app proxy."""

    def __init__(self, settings: ShopifySettings, clock: Clock) -> None:
        self.origins = settings.origins
        self._shop, self._client_id, self._clock = settings.shop.lower(), settings.client_id, clock
        own = (settings.client_secret,) if settings.client_secret else ()
        self._secrets = [secret.get_secret_value().encode() for secret in (*own, *settings.webhook_secrets)]

    def identify(self, request: UnverifiedRequest) -> str | None:
        scheme, _, token = request.header("authorization").partition(" ")
        if scheme.lower() == "bearer":
            return self._of_token(token)
        return self._of_query(request.url.partition("?")[2])

    def _of_token(self, token: str) -> str | None:
        claims = self._claims(token)
        if claims.aud != self._client_id:
            raise InvalidSignature("the session token is not for this app", "client_id")
        if any(_host(told) != self._shop for told in (claims.dest, claims.iss) if told is not None):
            raise InvalidSignature("the session token is of another shop", "shop")
        if not claims.nbf - LEEWAY <= self._now() < claims.exp + LEEWAY:
            raise InvalidSignature("the session token does not count now: it is too old, or a clock is wrong")
        return _customer_of(claims)

    def _claims(self, token: str) -> _Claims:
        """What a token says, once its signature fits."""
        if len(token) > LONGEST_TOKEN:
            raise InvalidSignature("the session token is too long")
        signed, _, signature = token.rpartition(".")
        self._check(signed.encode(errors="replace"), _bytes_of(signature))
        header, _, claims = signed.partition(".")
        read = _read(header, _Header)
        if read.alg != "HS256" or read.crit is not None:
            raise InvalidSignature("the session token is signed in another way than HS256")
        return _read(claims, _Claims)

    def _of_query(self, query: str) -> str | None:
        found = _parameters(query)
        if any(len(found.get(name, ())) > 1 for name in ("signature", *TOLD)):
            raise InvalidSignature("the query says twice what Shopify says once")
        signature = found.pop("signature", [""])[0]
        if not HEX_DIGEST.fullmatch(signature):
            raise InvalidSignature("neither a session token nor the signature of an app proxy is there")
        self._check(_signed_text(found), bytes.fromhex(signature))
        shop, timestamp, customer = (found.get(name, [""])[0] for name in TOLD)
        if shop.lower() != self._shop:
            raise InvalidSignature("the query is of another shop", "shop")
        if not SECONDS.fullmatch(timestamp) or abs(self._now() - int(timestamp)) > TOLERANCE:
            raise InvalidSignature("the query does not count now: it is too old, or a clock is wrong")
        if customer and not NUMBER.fullmatch(customer):
            raise InvalidSignature(f"the {CUSTOMER} is no number")
        return customer or None

    def _check(self, message: bytes, given: bytes) -> None:
        fits = False
        for secret in self._secrets:
            fits |= hmac.compare_digest(hmac.digest(secret, message, "sha256"), given)
        if not fits:
            raise InvalidSignature("the signature does not fit the request", SECRETS)

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _customer_of(claims: _Claims) -> str | None:
    if not claims.sub:
        return None
    customer = CUSTOMER_GID.fullmatch(claims.sub)
    if not customer:
        # The tokens of the shop's own admin name a member of its staff, by a number that may be a customer's too.
        raise InvalidSignature("the session token names no customer")
    return customer[1]


def _host(told: str) -> str:
    """The host of a shop that is told bare (by extensions) or as an address (by the shop's admin)."""
    return told.removeprefix("https://").partition("/")[0].lower()


def _read(part: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(_bytes_of(part), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise InvalidSignature("the session token cannot be read") from None


def _bytes_of(part: str) -> bytes:
    """The bytes of base64url without padding; the decoder alone would take other spellings of the same bytes."""
    try:
        content = base64.b64decode(part + "=" * (-len(part) % 4), altchars="-_", validate=True)
    except ValueError:
        raise InvalidSignature("the session token is not base64url") from None
    if base64.urlsafe_b64encode(content).rstrip(b"=").decode() != part:
        raise InvalidSignature("the session token is not base64url")
    return content


def _parameters(query: str) -> dict[str, list[str]]:
    """The values of each parameter, decoded; bytes that are no UTF-8 are kept as they are, for they are signed as well."""
    if len(query) > LONGEST_QUERY:
        raise InvalidSignature("the query is too long")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="surrogateescape", max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise InvalidSignature("the query has too many parameters") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _signed_text(found: Mapping[str, Sequence[str]]) -> bytes:
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
