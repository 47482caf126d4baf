"""People as a CRM knows them: contacts, their fields, and which of our fields are which of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from stampcard.domain.value import Value

#: How a value is written as text, on either side: ``12.50``, ``2026-01-31``, ``2026-01-31T09:30:00Z``, ``true``; a country
#: by its English name there, where any name or code is understood. Empty is nothing.
FieldKind = Literal["text", "number", "date", "moment", "truth", "country"]
#: Whose value counts where both sides have one. `most_restrictive`: of consents, whoever says no.
FieldOwner = Literal["ours", "theirs", "newest", "most_restrictive"]

#: What a contact may say of whether its member is on hold, and why.
HOLD = "hold"
CONSENT = "consent."


class Figure(Value, frozen=True):
    """Something that is known here alone, and shown there: as which kind of field, with which label."""

    kind: FieldKind
    label: str
    unique: bool = False


#: What we can show of a member, by our name for it.
FIGURES: Mapping[str, Figure] = {
    "member_id": Figure(kind="text", label="Loyalty member id", unique=True),
    "status": Figure(kind="text", label="Loyalty status"),
    "joined_on": Figure(kind="date", label="Loyalty member since"),
    "points": Figure(kind="number", label="Loyalty points"),
    "points_pending": Figure(kind="number", label="Loyalty points pending"),
    "points_lifetime": Figure(kind="number", label="Loyalty points earned ever"),
    "points_expiring": Figure(kind="number", label="Loyalty points expiring next"),
    "points_expire_on": Figure(kind="date", label="Loyalty points expire on"),
    "tier": Figure(kind="text", label="Loyalty tier"),
    "tier_until": Figure(kind="date", label="Loyalty tier until"),
    "next_tier": Figure(kind="text", label="Loyalty next tier"),
    "next_reward": Figure(kind="text", label="Loyalty next reward"),
    "next_reward_missing": Figure(kind="number", label="Loyalty points missing for next reward"),
    "orders": Figure(kind="number", label="Loyalty orders"),
    "lifetime_value": Figure(kind="number", label="Loyalty lifetime value"),
    "last_order_on": Figure(kind="date", label="Loyalty last order"),
    "rewards": Figure(kind="number", label="Loyalty rewards redeemed"),
    "rewards_value": Figure(kind="number", label="Loyalty value of rewards redeemed"),
    "last_reward_on": Figure(kind="date", label="Loyalty last reward redeemed"),
}


class FieldPair(Value, frozen=True):
    """One of our fields and the one of theirs that shows the same.

    `opposite`: theirs says the contrary, as an opt-out does of a consent. `made`: theirs is there for us, and is made
    where it is missing.
    """

    ours: str
    theirs: str
    owner: FieldOwner
    kind: FieldKind = "text"
    opposite: bool = False
    made: bool = False
    label: str = ""
    unique: bool = False

    @property
    def is_figure(self) -> bool:
        """Whether it is known here alone."""
        return self.ours in FIGURES


class ContactPush(Value, frozen=True):
    """What is to be shown of a member at one CRM; sending it twice, late or never in between does no harm.

    `reference`: the contact; empty where none is known, so that one is to be made. `fields`: their name → text, of what is
    new there. `lists`: the name of a list → whether the contact is to be in it.
    """

    member: str
    reference: str
    version: int
    fields: Mapping[str, str] = {}
    lists: Mapping[str, bool] = {}


class Person(Value, frozen=True):
    """A member for whom a contact is looked for, by how they can be reached."""

    member: str
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
