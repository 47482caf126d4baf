"""Rewards that rules give: an award of one reward instead of points, issued at once and taken back like points."""

from __future__ import annotations

from datetime import datetime

from stampcard.domain.awards import Award
from stampcard.domain.decisions import Reason
from stampcard.domain.rewards import CHOICE, Redemption
from stampcard.domain.value import replace
from stampcard.engine.counting import COOLDOWN
from stampcard.engine.limiting import given_back
from stampcard.engine.redeeming import revoke
from stampcard.engine.rewarding import Asking, Refusal, binding, standing, vetoed
from stampcard.engine.taking import begin
from stampcard.engine.versions import LiveProgram
from stampcard.engine.world import NO_FACTS, Draft, Facts
from stampcard.program.amounts import Award as Form
from stampcard.program.amounts import RewardAward

#: Before the name of a reward where an award of points has its wallet.
REWARD = "reward:"
_TAKEN_BACK = "what it was given for was taken back"


def of_reward(award: Award, form: Form) -> Award:
    """The award with the reward that it gives in the place of its wallet; what it gave once it keeps."""
    if not isinstance(form, RewardAward) or award.revision:
        return award
    return replace(award, wallet=f"{REWARD}{form.reward}")


def is_reward(award: Award) -> bool:
    """Whether it gives a reward, not points."""
    return award.wallet.startswith(REWARD)


def give(
    draft: Draft,
    live: LiveProgram,
    award: Award,
    due: int,
    at: datetime,
    limit: str = "",
    facts: Facts = NO_FACTS,
) -> tuple[Award, Reason]:
    """Bring an award of a reward to what is due, one or none; answers it with what is said of it.

    More due: first a written-off one counts again, then a new one is issued. Less due: one that is unused is taken back,
    with what was picked where it is a choice; one that was used is written off. `limit`: what let no more be due. A reward that cannot be had uses no limit of
    the rule; so does one that a plugin does not let the member have, until it is asked again with the next news of the subject.
    """
    before, refusal = award, Refusal(code=_code_of(limit), detail=limit)
    if due > award.due:
        award, refusal = _raise(draft, live, award, at, facts)
        if refusal.code:
            award = replace(award, charges=given_back(award.program, award, draft.counters))
    elif due < award.due:
        award = _lower(draft, award)
    stored = draft.world.awards.get(award.subject, {}).get((award.member, award.program, award.rule))
    if award != stored and (award != before or award.charges or award.allowed is not None or stored is not None):
        draft.award(award)
    limited = bool(refusal.code)
    reason = Reason(
        rule=award.rule,
        outcome="limited" if limited else "paid",
        code=refusal.code or "matched",
        detail=refusal.detail or award.wallet.removeprefix(REWARD),
        due=award.due,
        granted=award.granted - before.granted,
        taken=award.taken - before.taken,
        written_off=award.written_off - before.written_off,
        desired=1 if limited else 0,
        program=award.program,
    )
    return award, reason


def _code_of(limit: str) -> str:
    return limit if limit in {"", COOLDOWN} else "limit"


def _raise(draft: Draft, live: LiveProgram, award: Award, at: datetime, facts: Facts) -> tuple[Award, Refusal]:
    nothing = Refusal(code="", detail="")
    if award.written_off:
        return replace(award, written_off=award.written_off - 1), nothing
    name = award.wallet.removeprefix(REWARD)
    of = live.rewards.get(name)
    if of is None:
        return award, Refusal(code="stopped", detail=f"there is no reward {name!r} any more")
    granted = replace(award, granted=award.granted + 1, revision=award.revision + 1)
    if draft.world.mint is None:
        return granted, nothing
    member = draft.member if draft.member and draft.member.id == award.member else draft.world.members[award.member]
    world = replace(draft.world, counters={**draft.world.counters, **draft.counters.changed})
    counted = frozenset(bound.scope for bound in live.offers[award.rule].bounds)
    found = standing(world, live, of, member, Asking(counted_at=at, counted=counted))
    against = next(iter(binding(found)), None) or vetoed(world, found, member, facts)
    if against is not None:
        return award, against
    minted = draft.world.mint(live.name, name, of.reward.source, of.reward.prefix)
    if minted is None:
        return award, Refusal(code="sold_out", detail="the codes that were uploaded for it have run out")
    draft.redemption(
        begin(draft, found, member, minted, subject=award.subject, rule=award.rule, at=at, counted=counted)
    )
    return granted, nothing


def _lower(draft: Draft, award: Award) -> Award:
    for given in _given(draft, award):
        picked = next((one for one in draft.world.redemptions.values() if one.subject == f"{CHOICE}{given.id}"), None)
        if picked is not None and _is_unused(picked) and given.status == "used":
            draft.redemption(revoke(draft, picked, _TAKEN_BACK))
            given = replace(given, status="issued", ended_at=None)  # noqa: PLW2901 - as it was before the picking
        if _is_unused(given):
            draft.redemption(revoke(draft, given, _TAKEN_BACK))
            return replace(award, taken=award.taken + 1, revision=award.revision + 1)
    return replace(award, written_off=award.written_off + 1)


def _is_unused(one: Redemption) -> bool:
    return one.is_open and not one.orders


def _given(draft: Draft, award: Award) -> list[Redemption]:
    """What the award gave, the newest first."""
    found = (
        one
        for one in draft.world.redemptions.values()
        if (one.subject, one.member, one.program, one.rule) == (award.subject, award.member, award.program, award.rule)
    )
    return sorted(found, key=lambda one: one.created_at, reverse=True)
