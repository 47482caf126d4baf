from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

import msgspec

from stampcard.plugin import Change, Command, PerkChanged

#: The kind of the commands that tell.
KIND = "webhook"
#: What each kind of change is called outside; what is not here is told to nobody.
NAMES: Mapping[str, str] = {
    "earn": "points.earned",
    "activate": "points.activated",
    "expire": "points.expired",
    "claw_back": "points.taken_back",
    "restore": "points.restored",
    "spend": "points.spent",
    "cancel_spend": "points.returned",
    "adjust": "points.adjusted",
    "lapse": "points.cancelled",
    "hold": "points.held",
    "redeem": "points.redeemed",
    "release": "points.released",
    "join": "member.joined",
    "membership": "member.membership_changed",
    "merge": "member.merged",
    "unmerge": "member.parted",
    "consent": "member.consent_changed",
    "segment_entered": "segment.entered",
    "segment_left": "segment.left",
    "on_hold": "member.held",
    "hold_ended": "member.released",
}
REDEMPTION, TIER, PERK, PLAN, PROOF = "redemption", "tier", "perk", "plan", "proof"
#: What happens to perks.
PERKS = ("gained", "lost", "used", "returned")
#: And to plans.
PLANS = ("started", "renewed", "ended")
#: And to verifications.
PROOFS = ("asked", "approved", "refused", "ending", "expired", "revoked")
#: What happened to a tier, as it is called outside.
WAYS: Mapping[str, str] = {
    "joined": "tier.joined",
    "up": "tier.upgraded",
    "down": "tier.downgraded",
    "kept": "tier.prolonged",
    "ending": "tier.ending",
}
#: Everything that may be told.
EVENTS = (
    *NAMES.values(),
    *(f"{REDEMPTION}.{status}" for status in ("held", "issued", "used", "released", "expired", "revoked")),
    *WAYS.values(),
    *(f"{PERK}.{what}" for what in PERKS),
    *(f"{PLAN}.{way}" for way in PLANS),
    *(f"{PROOF}.{way}" for way in PROOFS),
)


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell of a change; `about` parts it from others of its name, `more` is what it alone tells."""

    name: str
    about: str = ""
    more: Mapping[str, Any] = {}


def notices(change: Change) -> Iterator[Notice]:
    """Everything that a change is told as, each by a webhook of its own."""
    for kind in change.kinds:
        if kind in NAMES:
            yield Notice(name=NAMES[kind])
    for one in change.redemptions:
        told = {
            "id": one.id,
            "program": one.program,
            "reward": one.reward,
            "kind": one.kind,
            "gives": one.gives,
            "status": one.status,
            "price": one.price,
            "wallet": one.wallet,
            "orders": one.orders,
        }
        yield Notice(name=f"{REDEMPTION}.{one.status}", about=one.id, more={REDEMPTION: told})
    for moved in change.tiers:
        told = {
            "program": moved.program,
            "tier": moved.tier,
            "before": moved.before,
            "why": moved.why,
            "until": moved.until,
            "missing": moved.missing,
            "next": moved.next,
            "next_missing": moved.next_missing,
        }
        yield Notice(name=WAYS[moved.way], about=f"{moved.program} {moved.number}", more={TIER: told})
    yield from _of_perks(change)
    for proof in change.proofs:
        told = {"program": proof.program, "proof": proof.proof, "until": proof.until}
        about = f"{proof.program} {proof.proof} {proof.occurred_at.isoformat()}"
        yield Notice(name=f"{PROOF}.{proof.way}", about=about, more={PROOF: told})
    for plan in change.plans:
        told = {"program": plan.program, "plan": plan.plan, "why": plan.why, "trial": plan.trial, "until": plan.until}
        yield Notice(name=f"{PLAN}.{plan.way}", about=f"{plan.program} {plan.plan} {plan.term}", more={PLAN: told})


def _of_perks(change: Change) -> Iterator[Notice]:
    """What happened to the member's perks."""
    for one in change.perks:
        told: dict[str, Any] = {"program": one.program, "perk": one.perk}
        if isinstance(one, PerkChanged):
            name, about = "gained" if one.gained else "lost", one.occurred_at.isoformat()
            told |= {"why": one.why, "until": one.until}
        else:
            name, about = "returned" if one.cancelled else "used", one.key
            told |= {"key": one.key, "left": one.left}
        yield Notice(name=f"{PERK}.{name}", about=f"{one.program} {one.perk} {about}", more={PERK: told})


def command(change: Change, notice: Notice) -> Command:
    """What is to be sent: nothing in it is personal but the member's own id."""
    told = {
        "type": notice.name,
        "timestamp": change.occurred_at.astimezone(UTC),
        "data": {
            "member": change.member,
            "version": change.version,
            "balances": change.balances,
            "change": change.delta,
            **({"merged_into": change.merged_into} if change.merged_into is not None else {}),
            **notice.more,
        },
    }
    return Command(
        kind=KIND, key=_key(change, notice), member=change.member, reference="", data=msgspec.to_builtins(told)
    )


def _key(change: Change, notice: Notice) -> str:
    """The webhook's id, which must hold no dot: a digest holds none, whatever it is made of."""
    # The moment, because versions are given out again when a backup is restored.
    parts = (change.member, str(change.version), change.occurred_at.isoformat(), notice.name, notice.about)
    return f"msg_{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:32]}"
