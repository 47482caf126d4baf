"""Perks: what members are entitled to without points, and how they use it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from stampcard.domain.value import Value

Hand = Literal["", "given", "taken"]


class Entitlement(Value, frozen=True, omit_defaults=True):
    """A perk as it stands for one member; `name` is the perk's.

    `met_since`: since when whoever has it by the program fulfils what it takes, None for those who do not. `met_until`: when
    that ends, None for no end. `hand`: what somebody said, up to `hand_until`, and `reason`: why. `has`: whether the
    member had it when it was last looked at, `since` when. `tag`: what was to be pushed then. `barred`: the
    member took no part in the program then, or it was over.
    """

    program: str
    name: str
    met_since: datetime | None = None
    met_until: datetime | None = None
    hand: Hand = ""
    hand_until: datetime | None = None
    reason: str = ""
    has: bool = False
    since: datetime | None = None
    tag: str = ""
    barred: bool = False

    def has_at(self, now: datetime) -> bool:
        """Whether the member has it, when nothing but time has passed."""
        if self.barred:
            return False
        if self.hand and (self.hand_until is None or now < self.hand_until):
            return self.hand == "given"
        return self.met_since is not None and (self.met_until is None or now < self.met_until)

    @property
    def next_at(self) -> datetime | None:
        """When time alone may change it."""
        if self.barred:
            return None
        if self.hand:
            return self.hand_until
        return self.met_until if self.has else None

    @property
    def until(self) -> datetime | None:
        """The end of what the member has, None for no end."""
        return self.hand_until if self.hand == "given" else self.met_until


class PerkUse(Value, frozen=True, omit_defaults=True):
    """One time that a member used a perk; `key` is the caller's name for it, the same for every attempt.

    `source`: who said so. `cancelled_at`: it counts no more.
    """

    program: str
    name: str
    key: str
    used_at: datetime
    source: str = ""
    note: str = ""
    cancelled_at: datetime | None = None


class PerkChanged(Value, frozen=True, tag="perk_changed", omit_defaults=True):
    """A member got a perk, or has it no more. `why`: fulfilled, ended (its time), hand, program (it is not there any more),
    membership (the member takes no part, or does again).
    """

    program: str
    perk: str
    gained: bool
    occurred_at: datetime
    why: str = ""
    until: datetime | None = None


class PerkUsed(Value, frozen=True, tag="perk_used", omit_defaults=True):
    """A member used a perk, or a use was `cancelled`; `left`: how often it can still be used, None for no limit."""

    program: str
    perk: str
    key: str
    occurred_at: datetime
    left: int | None = None
    cancelled: bool = False
