"""What two members have by the same name, when they become one person, and when they are two again; pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from stampcard.domain.perks import Entitlement
from stampcard.domain.plans import Term
from stampcard.domain.proofs import Proof
from stampcard.domain.value import replace
from stampcard.engine.proving import passed
from stampcard.engine.subscribing import place_of

_HANDS = ("taken", "given", "")
_NEVER = datetime.max.replace(tzinfo=UTC)


def united_perk(mine: Entitlement, theirs: Entitlement) -> Entitlement:
    """A perk of both: what somebody said of either stands, and that it was taken before that it was given."""
    said = min(mine, theirs, key=lambda one: (_HANDS.index(one.hand), -(one.hand_until or _NEVER).timestamp()))
    met = mine if mine.met_since is not None else theirs
    return _said(replace(mine, met_since=met.met_since, met_until=met.met_until), said)


def parted_perk(now: Entitlement, mine: Entitlement, united: Entitlement) -> Entitlement:
    """A perk without what came with the other; what somebody said since stays."""
    same = (now.hand, now.hand_until, now.reason) == (united.hand, united.hand_until, united.reason)
    return _said(now, mine) if same else now


def _said(one: Entitlement, by: Entitlement) -> Entitlement:
    return replace(one, hand=by.hand, hand_until=by.hand_until, reason=by.reason)


def united_proof(mine: Proof, theirs: Proof, now: datetime) -> Proof:
    """A verification of both: that which counts longer, with the one request that stays open."""
    best = theirs if _worth(theirs, now) > _worth(mine, now) else mine
    request = mine.request or theirs.request
    return replace(best, request=request, status="asked" if request and best.since is None else best.status)


def _worth(one: Proof, now: datetime) -> datetime:
    return (one.until or _NEVER) if one.verified_at(now) else datetime.min.replace(tzinfo=UTC)


def parted_proof(now: Proof, mine: Proof, theirs: Proof, united: Proof, at: datetime) -> tuple[Proof, Proof]:
    """Mine and theirs again; what was decided since is theirs if it was their request, else mine."""
    aged, happened = passed(united, at)
    while happened is not None:
        aged, happened = passed(aged, at)
    if now in {united, aged}:
        return mine, theirs
    decided = united.request and now.request != united.request
    return (mine, now) if decided and united.request == theirs.request else (now, theirs)


def asking(one: Proof, request: str) -> Proof:
    """A verification whose open request is this one, or none."""
    if one.request == request:
        return one
    status = one.status
    if one.since is None:
        status = "asked" if request else ("refused" if status == "asked" else status)
    return replace(one, request=request, status=status)


def ended(terms: Collection[Term]) -> list[Term]:
    """The terms of a plan that somebody ended by hand, with that end: they say nothing of the other member's."""
    last = max((place_of(term) for term in terms if term.kind == "ended" and not term.over), default=None)
    return [term for term in terms if last is not None and place_of(term) <= last and not term.over]
