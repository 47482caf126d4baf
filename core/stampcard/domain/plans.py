"""Paid membership: the terms that a member bought, was given or tries, and what they come to."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from stampcard.domain.value import Value

TermKind = Literal["bought", "event", "trial", "hand", "ended"]
#: What a refund does to the term that was bought.
RefundPolicy = Literal["ends", "unless used", "keeps"]


class Returned(Value, frozen=True, array_like=True):
    """Units that were refunded, and when."""

    units: int
    at: datetime


class Term(Value, frozen=True, omit_defaults=True):
    """One time that a plan was bought, reported, tried or given; `key` names it, as ``order:<connection>:<reference>``.

    `lasts`: how long one unit lasts, as the program said it then, empty for good; `until`: instead of that, the end that
    somebody named. `bought`: units before refunds, of which some were `returned`; `refund`: what that does.
    `price` of one unit. ``ended``: somebody ended the membership at `at`. `told`: what rules that paid for it go by.
    `over`: it was ended by hand before its member was merged with another.
    """

    program: str
    plan: str
    key: str
    kind: TermKind
    at: datetime
    lasts: str = ""
    until: datetime | None = None
    bought: int = 1
    returned: tuple[Returned, ...] = ()
    refund: RefundPolicy = "ends"
    price: Decimal | None = None
    currency: str = ""
    note: str = ""
    told: str = ""
    over: bool = False

    @property
    def kept(self) -> int:
        """Units that were not refunded."""
        return max(0, self.bought - sum(one.units for one in self.returned))

    @property
    def refunded_at(self) -> datetime | None:
        """When the last of them were."""
        return max((one.at for one in self.returned), default=None)


class Subscription(Value, frozen=True, omit_defaults=True):
    """A plan as it stands for one member: since when without a gap, up to when it is paid, and up to when it is had.

    `until` is behind `paid_until` by the program's grace; None: no end. `price`: what is theirs to pay, of one unit.
    `trial`: nothing was paid yet. `active`: whether it was had when it was last looked at.
    """

    program: str
    plan: str
    since: datetime | None = None
    paid_until: datetime | None = None
    until: datetime | None = None
    price: Decimal | None = None
    currency: str = ""
    trial: bool = False
    by_hand: bool = False
    active: bool = False

    def active_at(self, at: datetime) -> bool:
        """Whether the member has it, when nothing but time has passed."""
        return self.since is not None and self.since <= at and (self.until is None or at < self.until)

    def next_at(self, now: datetime) -> datetime | None:
        """When time alone changes it."""
        if self.active:
            return self.until
        return self.since if self.since is not None and self.since > now else None


class PlanChanged(Value, frozen=True, tag="plan_changed", omit_defaults=True):
    """What happened to a member's plan. `why` it ended: lapsed, refund, hand, program; `term`: the key of what began it."""

    program: str
    plan: str
    way: Literal["started", "renewed", "ended"]
    occurred_at: datetime
    why: str = ""
    trial: bool = False
    term: str = ""
    until: datetime | None = None
