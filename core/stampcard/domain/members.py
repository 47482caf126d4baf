from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, get_args

from stampcard.domain.perks import Entitlement
from stampcard.domain.plans import Subscription
from stampcard.domain.proofs import Proof
from stampcard.domain.tiers import Tier
from stampcard.domain.value import Value

#: Attributes that a source may always tell of a customer; a program declares others.
BUILT_IN_ATTRIBUTES = ("email", "phone", "first_name", "last_name", "language", "country", "timezone")


#: Unconfirmed: the member has not said yet that they want it. Frozen: nothing is earned or redeemed. Closed: by leaving the
#: segment whose members take part. Left: by leaving the program. Each is further away than the one before.
MembershipState = Literal["active", "unconfirmed", "frozen", "closed", "left"]
MEMBERSHIP_STATES: tuple[MembershipState, ...] = get_args(MembershipState)


class Held(Value, frozen=True):
    """Why a member earns and redeems nothing for now, and since when."""

    since: datetime
    reason: str


class Member(Value, frozen=True):
    """A person who takes part; everything personal is in `attributes`.

    `version` rises once per unit of work in which anything that is pushed changed. `programs` are the memberships.
    `names`: how sources call them, as CONNECTION:REFERENCE, where a program names members. `tiers`: by program. `held`: where
    somebody put the member on hold. `consents`: what the member agrees to, as ``email.marketing``, where a program asks.
    `segments`, `perks`, `plans` and `proofs`: by program. `merged_into`: another member, who has all of this one's.
    `states`: of memberships that are not active. `joined`: since when the member takes part, by program.
    """

    id: str
    joined_at: datetime
    version: int = 0
    attributes: Mapping[str, Any] = {}
    programs: frozenset[str] = frozenset()
    erased_at: datetime | None = None
    names: frozenset[str] = frozenset()
    tiers: Mapping[str, Tier] = {}
    held: Held | None = None
    consents: frozenset[str] = frozenset()
    segments: Mapping[str, frozenset[str]] = {}
    perks: Mapping[str, Mapping[str, Entitlement]] = {}
    plans: Mapping[str, Mapping[str, Subscription]] = {}
    proofs: Mapping[str, Mapping[str, Proof]] = {}
    merged_into: str | None = None
    states: Mapping[str, MembershipState] = {}
    joined: Mapping[str, datetime] = {}

    @property
    def is_there(self) -> bool:
        """Whether this member can do anything: was neither erased nor merged into another."""
        return self.erased_at is None and self.merged_into is None


class Identity(Value, frozen=True):
    """How a source calls a member: its connection and its own reference."""

    connection: str
    reference: str
