"""Links of messages: short, opaque, good for as long as the message is known."""

from __future__ import annotations

from typing import Literal

from stampcard.sealing import Sealer

#: What a link is for: to end messages of its purpose, to choose what one gets, to confirm, to answer a question.
Purpose = Literal["u", "p", "c", "q"]
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


def _proof(sealer: Sealer, merchant: str, purpose: Purpose, message: int) -> str:
    digest = int(sealer.fingerprint(f"message link:{merchant}:{purpose}:{message}"), 16)
    return _written(digest & (1 << _BITS * _PROOF) - 1).rjust(_PROOF, _DIGITS[0])
