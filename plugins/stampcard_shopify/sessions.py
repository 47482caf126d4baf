"""Session tokens, by which Shopify says who uses an app inside its pages."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, TypeVar

import msgspec

from stampcard.plugin import Clock, InvalidSignature
from stampcard_shopify.signing import check, secrets_of

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

#: Seconds that Shopify's clock and ours may differ where a token says when it counts; Shopify's libraries allow as many.
LEEWAY = 10
LONGEST = 4096
T = TypeVar("T")


class _Header(msgspec.Struct, frozen=True):
    alg: str
    #: Extensions that a reader must understand; we understand none.
    crit: tuple[str, ...] | None = None


class Claims(msgspec.Struct, frozen=True):
    """What a session token says; `sub`: a customer, or by a bare number a member of the shop's staff."""

    aud: str
    dest: str
    exp: float
    nbf: float = 0
    iss: str | None = None
    sub: str | None = None


class SessionTokens:
    """Vouches for the session tokens of one shop and one app."""

    def __init__(self, settings: ShopifySettings, clock: Clock) -> None:
        self._shop, self._client_id, self._clock = settings.shop.lower(), settings.client_id, clock
        self._secrets = secrets_of(settings)

    def claims(self, token: str) -> Claims:
        """What a token says, once it is sure that Shopify says it, now and to us; raises InvalidSignature."""
        claims = self._signed(token)
        if claims.aud != self._client_id:
            raise InvalidSignature("the session token is not for this app", "client_id")
        if any(_host(told) != self._shop for told in (claims.dest, claims.iss) if told is not None):
            raise InvalidSignature("the session token is of another shop", "shop")
        if not claims.nbf - LEEWAY <= self._clock.now().timestamp() < claims.exp + LEEWAY:
            raise InvalidSignature("the session token does not count now: it is too old, or a clock is wrong")
        return claims

    def _signed(self, token: str) -> Claims:
        if len(token) > LONGEST:
            raise InvalidSignature("the session token is too long")
        signed, _, signature = token.rpartition(".")
        check(self._secrets, _bytes_of(signature), signed.encode(errors="replace"))
        header, _, claims = signed.partition(".")
        read = _read(header, _Header)
        if read.alg != "HS256" or read.crit is not None:
            raise InvalidSignature("the session token is signed in another way than HS256")
        return _read(claims, Claims)


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
