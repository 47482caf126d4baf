"""The codes of cards: what is drawn on them, what a scanner read, and whether that can be believed.

One number names a card; people type it. What scanners read has a proof beside it that nobody can make up: for good, for a
minute or two, or for one period of a code that rotates. Only capitals, digits and dots, which QR codes pack most densely.
"""

from __future__ import annotations

import re
import secrets
from datetime import datetime, timedelta
from typing import Literal

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

from stampcard.domain.passes import RotatingCode
from stampcard.domain.tills import Proof
from stampcard.domain.value import Value
from stampcard.errors import RequestRefused
from stampcard.sealing import Sealer

#: Digits of a card's number; the last proves the others (Luhn).
DIGITS = 12
#: Seconds for which a rotating code stays the same, and digits of its password.
PERIOD, PASSWORD = 30, 8
#: How long a code that was made for a screen is good.
GOOD = timedelta(minutes=2)
#: How far the clock of a phone or a till may be off.
DRIFT = timedelta(seconds=60)

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PROOF = 10
_CODE = re.compile(
    rf"(?P<lasting>S)(?P<n1>\d{{{DIGITS}}})(?P<p1>[{_LETTERS}]{{{_PROOF}}})"
    rf"|(?P<made>Q)(?P<n2>\d{{{DIGITS}}})\.(?P<t2>\d{{10}})\.(?P<p2>[{_LETTERS}]{{{_PROOF}}})"
    rf"|(?P<rotating>R)(?P<n3>\d{{{DIGITS}}})\.(?P<t3>\d{{10}})\.(?P<p3>\d{{{PASSWORD}}})"
)
_BETWEEN = re.compile(r"[\s\-]")

Kind = Literal["typed", "lasting", "made", "rotating"]


class Code(Value, frozen=True):
    """What was read of a card, before anybody vouches for it. `at`: in seconds since 1970, of a code of its moment."""

    kind: Kind
    number: str
    proof: str = ""
    at: int = 0

    @property
    def moment(self) -> str:
        """What of a code of its moment can be shown once; empty for one that lasts."""
        if self.kind == "rotating":
            return f"R{self.at // PERIOD}"
        return f"Q{self.at}.{self.proof}" if self.kind == "made" else ""

    @property
    def counts_as(self) -> Proof:
        """What it proves once it is vouched for."""
        return "fresh" if self.moment else "scanned" if self.kind == "lasting" else "any"


def new_number() -> str:
    """The number of a new card; none begins with a zero, as phone numbers do that are typed with 00 before their country."""
    digits = str(1 + secrets.randbelow(9)) + "".join(str(secrets.randbelow(10)) for _ in range(DIGITS - 2))
    return digits + _check_digit(digits)


def _check_digit(digits: str) -> str:
    weighed = (divmod(int(digit) * (2 - place % 2), 10) for place, digit in enumerate(reversed(digits)))
    return str(-sum(tens + ones for tens, ones in weighed) % 10)


def spaced(number: str) -> str:
    """A number as people read it: in groups of four."""
    return " ".join(number[place : place + 4] for place in range(0, len(number), 4))


def read_code(text: str) -> Code:
    """What a scanner or a person gave; a link is understood by what stands at its end.

    Raises RequestRefused for what is no code of ours, such as a number with a slip in it.
    """
    told = text.strip().rpartition("/")[2]
    found = _CODE.fullmatch(told)
    if found is not None:
        known = {name: value for name, value in found.groupdict().items() if value is not None}
        kind: Kind = "lasting" if "lasting" in known else "made" if "made" in known else "rotating"
        place = {"lasting": "1", "made": "2", "rotating": "3"}[kind]
        return Code(kind=kind, number=known[f"n{place}"], proof=known[f"p{place}"], at=int(known.get(f"t{place}", 0)))
    number = _BETWEEN.sub("", told)
    if not (number.isascii() and number.isdigit()) or len(number) != DIGITS:
        raise RequestRefused("no_code", f"this is no card's code: scan it again, or type the {DIGITS} digits below it")
    if _check_digit(number[:-1]) != number[-1]:
        raise RequestRefused("mistyped", f"{spaced(number)} is no card's number: one of its digits is mistyped")
    return Code(kind="typed", number=number)


def lasting_code(sealer: Sealer, merchant: str, number: str) -> str:
    """The code of a card that never changes."""
    return f"S{number}{_proof(sealer, merchant, number, 'lasting')}"


def made_code(sealer: Sealer, merchant: str, number: str, now: datetime) -> str:
    """A code for a screen, good once and for a short while."""
    at = int(now.timestamp())
    return f"Q{number}.{at}.{_proof(sealer, merchant, number, f'made:{at}')}"


def rotating_code(sealer: Sealer, merchant: str, number: str, before: str = "") -> RotatingCode:
    """What a wallet needs to show a code that rotates; `before`: what stands before each, such as the beginning of a link."""
    return RotatingCode(
        pattern=f"{before}R{number}.{{timestamp}}.{{password}}",
        key=_key(sealer, merchant, number).hex(),
        period=PERIOD,
        digits=PASSWORD,
    )


def check_code(sealer: Sealer, merchant: str, code: Code, at: datetime) -> None:
    """Vouch for a code as it was shown at a moment; whether it was shown before is for others to know.

    Raises RequestRefused: ``not_genuine`` for one that we did not make, ``stale`` for one of another moment.
    """
    match code.kind:
        case "typed":
            return
        case "rotating":
            ours = _password(_key(sealer, merchant, code.number), code.at)
        case "made":
            ours = _proof(sealer, merchant, code.number, f"made:{code.at}")
        case _:
            ours = _proof(sealer, merchant, code.number, "lasting")
    if not sealer.same(code.proof, ours):
        raise RequestRefused("not_genuine", "this code is not one of ours")
    if code.kind == "lasting":
        return
    age = at.timestamp() - code.at
    longest = GOOD if code.kind == "made" else timedelta(seconds=PERIOD)
    if not -DRIFT.total_seconds() <= age <= (longest + DRIFT).total_seconds():
        raise RequestRefused("stale", "this code is not of just now: let the card be opened again, and scan that")


def _password(key: bytes, at: int) -> str:
    return HOTP(key, PASSWORD, SHA1()).generate(at // PERIOD).decode()  # noqa: S303 - as RFC 6238 and wallets have it


def _key(sealer: Sealer, merchant: str, number: str) -> bytes:
    return bytes.fromhex(sealer.fingerprint(f"card code:{merchant}:{number}:rotating"))[:20]


def _proof(sealer: Sealer, merchant: str, number: str, what: str) -> str:
    digest = int(sealer.fingerprint(f"card code:{merchant}:{number}:{what}"), 16)
    return "".join(_LETTERS[digest >> 5 * place & 31] for place in range(_PROOF))
