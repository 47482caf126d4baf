"""What was decided about one event, with the reasons, and what changed for whom."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from stampcard.domain.perks import PerkChanged, PerkUsed
from stampcard.domain.plans import PlanChanged
from stampcard.domain.proofs import ProofChanged
from stampcard.domain.rewards import Redemption
from stampcard.domain.tiers import TierMoved
from stampcard.domain.value import Value
from stampcard.domain.wallets import Balance

Outcome = Literal["paid", "not_matched", "undecided", "refused", "changed", "kept", "limited"]


class Reason(Value, frozen=True, omit_defaults=True):
    """Why a rule did what it did: `code` for machines, `detail` for people; `due` in the smallest unit.

    `desired`: what the rule would have paid without its limits, where that is more. `program`: empty for what is said of
    the order itself.
    """

    rule: str
    outcome: Outcome
    code: str
    detail: str = ""
    due: int = 0
    granted: int = 0
    taken: int = 0
    written_off: int = 0
    desired: int = 0
    program: str = ""


class Alert(Value, frozen=True, tag="alert"):
    """What somebody should know.

    `budget`: `share` percent (80 or 100) of a budget is used; `scope` names the rule, group or campaign and the measure.
    `unusual_day`: a program paid `share` percent of what it pays on a usual day. `silent`: the connection `scope` told
    nothing for a day. `dead_letters`: `count` of what was to be sent to the connection `scope` was given up.
    """

    kind: Literal["budget", "unusual_day", "silent", "dead_letters"] = "budget"
    program: str = ""
    scope: str = ""
    period: str = ""
    share: int = 0
    count: int = 0


class Change(Value, frozen=True):
    """What one unit of work changed for one member: handed to observers after the commit.

    `redemptions`: those that changed, without their vouchers, which hold the codes. `tiers`: what happened to the member's
    tiers, `perks`, `plans` and `proofs` to these. `merged_into`: another member, who has all of this one's from now on.
    """

    member: str
    version: int
    occurred_at: datetime
    kinds: tuple[str, ...]
    balances: Mapping[str, Balance] = {}
    delta: Mapping[str, int] = {}
    redemptions: tuple[Redemption, ...] = ()
    tiers: tuple[TierMoved, ...] = ()
    merged_into: str | None = None
    perks: tuple[PerkChanged | PerkUsed, ...] = ()
    plans: tuple[PlanChanged, ...] = ()
    proofs: tuple[ProofChanged, ...] = ()
