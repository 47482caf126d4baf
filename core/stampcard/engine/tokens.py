"""Links that carry who is meant: those of messages, short and good for as long as the message is known, and a member's own,
for a quarter of an hour.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypeVar

import msgspec

from stampcard.clock import from_micros, to_micros
from stampcard.domain.value import Value
from stampcard.errors import ConfigurationError
from stampcard.sealing import Sealer

#: How long a link that was handed out opens a member's own things, and what its token begins with.
LINK, LINK_PREFIX = timedelta(minutes=15), "st_"
_ABOUT = b"shopper link"

#: What a link is for: to end messages of its purpose, to choose what one gets, to confirm, to answer a question.
Purpose = Literal["u", "p", "c", "q"]
#: The same of the page of a card.
CARD = "card"
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_BITS, _MASK = 5, 31
#: Characters of the part that nobody can guess: 80 bits.
_PROOF = 16
_LONGEST = 13


def token_of(sealer: Sealer, merchant: str, purpose: Purpose, message: int) -> str:
    """The token of one message for one purpose."""
    return f"{_written(message)}-{_proof(sealer, merchant, purpose, message)}"


def message_in(token: str) -> int | None:
    """The message that a token names, which is not vouched for yet; None for what is no token."""
    digits, _, proof = token.partition("-")
    if not digits or len(digits) > _LONGEST or len(proof) != _PROOF or not set(digits + proof) <= set(_DIGITS):
        return None
    number = 0
    for digit in digits:
        number = number << _BITS | _DIGITS.index(digit)
    return number if number < 2**63 else None


def is_genuine(sealer: Sealer, merchant: str, purpose: Purpose, token: str) -> bool:
    """Whether we made a token for this."""
    message = message_in(token)
    if message is None:
        return False
    return sealer.same(token, token_of(sealer, merchant, purpose, message))


def _written(number: int) -> str:
    digits = ""
    while number or not digits:
        digits, number = _DIGITS[number & _MASK] + digits, number >> _BITS
    return digits


def _proof(sealer: Sealer, merchant: str, purpose: str, message: int) -> str:
    digest = int(sealer.fingerprint(f"message link:{merchant}:{purpose}:{message}"), 16)
    return _written(digest & (1 << _BITS * _PROOF) - 1).rjust(_PROOF, _DIGITS[0])


def card_token(sealer: Sealer, merchant: str, number: str) -> str:
    """The token of a card's own page: good for as long as the card has its number."""
    return f"{number}-{_proof(sealer, merchant, CARD, int(number))}"


def card_in(sealer: Sealer, merchant: str, token: str) -> str | None:
    """The number of the card whose page a token opens; None for a token that we did not make."""
    number = token.partition("-")[0]
    if not (number.isascii() and number.isdigit()) or len(number) > _LONGEST:
        return None
    return number if sealer.same(token, card_token(sealer, merchant, number)) else None


class Dated(Protocol):
    """What counts until a moment (microseconds)."""

    @property
    def until(self) -> int: ...


D = TypeVar("D", bound=Dated)


class Link(Value, frozen=True, array_like=True):
    """What a member's own link says: whose it is, and until when (microseconds)."""

    merchant: str
    member: str
    until: int


def new_link(sealer: Sealer, merchant: str, member: str, now: datetime) -> tuple[str, datetime]:
    """A token that lets its bearer act as a member for a while; nothing of it is stored."""
    until = now + LINK
    return LINK_PREFIX + sealed(sealer, Link(merchant, member, to_micros(until)), _ABOUT), until


def opened_link(sealer: Sealer, token: str, now: datetime) -> Link | None:
    """What a token says that we made and whose time is not over."""
    return opened(sealer, token.removeprefix(LINK_PREFIX), _ABOUT, Link, now)


class Pairing(Value, frozen=True, array_like=True):
    """What a token of a till says: which pairing of it, and until when (microseconds)."""

    merchant: str
    till: str
    number: int
    until: int


class Pairs(Value, frozen=True):
    """Tokens of one kind: what for, so that none is taken for another, and how long they live."""

    about: bytes
    lives: timedelta


#: What makes a device one of a till's, and what a device keeps that is one: it makes no other.
LINKS, DEVICES = Pairs(about=b"till pairing", lives=LINK), Pairs(about=b"till device", lives=timedelta(days=365))


def new_pairing(sealer: Sealer, merchant: str, till: str, number: int, now: datetime, of: Pairs = LINKS) -> str:
    """A token that makes its bearer's device one of a till's, or says that it is; nothing of it is stored."""
    return sealed(sealer, Pairing(merchant, till, number, to_micros(now + of.lives)), of.about)


def opened_pairing(sealer: Sealer, token: str, now: datetime, of: Pairs = LINKS) -> Pairing | None:
    """What a token says that we made and whose time is not over; whether that pairing still counts is for others to know."""
    return opened(sealer, token, of.about, Pairing, now)


def sealed(sealer: Sealer, said: Dated, about: bytes) -> str:
    """A token that says something to us alone; nothing of it is stored. `about`: what for, so that no other is taken for it."""
    return base64.urlsafe_b64encode(sealer.seal(msgspec.json.encode(said), about)).rstrip(b"=").decode()


def opened(sealer: Sealer, token: str, about: bytes, kind: type[D], now: datetime) -> D | None:
    """What a token says that we made and whose time is not over."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
        said = msgspec.json.decode(sealer.open(raw, about), type=kind)
    except (ConfigurationError, ValueError, binascii.Error, msgspec.MsgspecError):
        return None
    return said if from_micros(said.until) > now else None
