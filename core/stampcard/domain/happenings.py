"""What happens to members here, which no source tells."""

from __future__ import annotations

from stampcard.domain.events import (
    ConsentChanged,
    DayCame,
    HoldChanged,
    MembershipChanged,
    MembersMerged,
    SegmentChanged,
)
from stampcard.domain.perks import PerkChanged, PerkUsed
from stampcard.domain.plans import PlanChanged
from stampcard.domain.proofs import ProofChanged
from stampcard.domain.tiers import TierMoved

Happened = (
    DayCame
    | HoldChanged
    | ConsentChanged
    | SegmentChanged
    | MembersMerged
    | MembershipChanged
    | TierMoved
    | PerkChanged
    | PerkUsed
    | PlanChanged
    | ProofChanged
)
