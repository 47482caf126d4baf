"""Audiences of people at an advertiser or in a mailing list, who are told by hashes of their addresses alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Literal, NamedTuple

from stampcard.domain.addresses import normal_email, normal_phone
from stampcard.domain.value import Value

#: What is hashed: an e-mail address trimmed and in lower case, and without the dots that Gmail ignores; a phone number in
#: E.164, and its digits alone.
HashKind = Literal["email", "email_undotted", "phone", "phone_digits"]
_UNDOTTED = frozenset({"gmail.com", "googlemail.com"})


class Place(NamedTuple):
    """One hash in one audience."""

    audience: str
    kind: HashKind
    hash: str


class AudiencePush(Value, frozen=True):
    """Which audiences a member's hashes are to be in from now on, and which they are to be out of; all by the vendor's ids.

    `hashes`: SHA-256 in lower-case hex, by what was hashed; never an address. Telling it twice does no harm.
    """

    member: str
    version: int
    hashes: Mapping[HashKind, str]
    joins: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()

    @property
    def joining(self) -> frozenset[Place]:
        """Where its hashes come in."""
        return frozenset(Place(of, kind, text) for of in self.joins for kind, text in self.hashes.items())

    @property
    def leaving(self) -> frozenset[Place]:
        """Where its hashes go out."""
        return frozenset(Place(of, kind, text) for of in self.leaves for kind, text in self.hashes.items())


def hashes_of(email: str, phone: str, kinds: Iterable[HashKind]) -> dict[HashKind, str]:
    """The hashes of these kinds of a person's addresses; what is no address has none."""
    texts: dict[HashKind, str] = {}
    if normal_email(email) is not None:
        texts["email"] = email.strip().lower()
        local, _, domain = texts["email"].rpartition("@")
        texts["email_undotted"] = f"{local.replace('.', '') if domain in _UNDOTTED else local}@{domain}"
    if number := normal_phone(phone):
        texts |= {"phone": number, "phone_digits": number.removeprefix("+")}
    return {kind: sha256(texts[kind].encode()).hexdigest() for kind in kinds if kind in texts}
