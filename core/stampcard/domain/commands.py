"""What leaves: state to be brought up to date, and things to be done once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stampcard.domain.value import Value
from stampcard.domain.wallets import Balance

#: The connection of what we tell ourselves, and of members whom no storefront named.
OWN = "stampcard"


#: The kinds of state that is pushed: figures, marks at the shop, members as a CRM's contacts, who is in an audience, and
#: cards in phones.
BALANCE, TAGS, CONTACT, AUDIENCE, PASS = "balance", "tags", "contact", "audience", "pass"
STATES = (BALANCE, TAGS, CONTACT, AUDIENCE, PASS)
#: Commands of ours at a CRM: to put a contact away that we made, and to forget one for good.
REMOVE_CONTACT, ERASE_CONTACT = "contact_remove", "contact_erase"
#: A command of ours at a phone's wallet: to let a pass show nothing of anybody any more.
END_PASS = "pass_end"  # noqa: S105 - a pass, no password


class BalancePush(Value, frozen=True):
    """A member's newest figures for one connection; sending it twice, late or never in between does no harm."""

    member: str
    reference: str
    version: int
    balances: Mapping[str, Balance]


class TagPush(Value, frozen=True):
    """What a member is to be marked with at one connection, and which marks of ours are to be gone; no others are touched.

    Sending it twice, late or never in between does no harm.
    """

    member: str
    reference: str
    version: int
    tags: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()


class Command(Value, frozen=True):
    """A thing to be done once at one connection; `key` is the same for every attempt.

    `data` may hold personal data: it is stored sealed and deleted when the member is erased.
    """

    kind: str
    key: str
    member: str
    reference: str
    data: Mapping[str, Any] = {}
