"""Rewards that are taken by themselves as soon as there are points for them."""

from __future__ import annotations

from stampcard.domain.decisions import Reason
from stampcard.domain.value import replace
from stampcard.engine.rewarding import Refusal, Standing, standing, vetoed
from stampcard.engine.taking import begin
from stampcard.engine.versions import Catalogued, LiveProgram
from stampcard.engine.world import Draft


def automate(draft: Draft, member: str, wallet: str) -> None:
    """Take every automatic reward that the wallet has the points for, the dearest first, as often as a day allows.

    One that a plugin does not let the member have waits: it is asked about again whenever the wallet is looked at.
    """
    person = draft.member if draft.member and draft.member.id == member else draft.world.members.get(member)
    if person is None or not person.is_there or draft.world.mint is None:
        return
    for live in draft.world.programs.current(draft.world.now):
        for of in live.automatic.get(wallet, ()):
            while _take(draft, live, of, member):
                pass


def _take(draft: Draft, live: LiveProgram, of: Catalogued, member: str) -> bool:
    """Take one; False when it cannot be had any more."""
    person = draft.member if draft.member and draft.member.id == member else draft.world.members[member]
    known = draft.wallet(member, of.reward.wallet)
    world = replace(
        draft.world,
        wallets={**draft.world.wallets, (member, of.reward.wallet): known},
        counters={**draft.world.counters, **draft.counters.changed},
    )
    found = standing(world, live, of, person)
    if found.refusals or not found.price or draft.world.mint is None:
        return False
    against = vetoed(world, found, person)
    if against is not None:
        _wait(draft, found, against)
        return False
    minted = draft.world.mint(live.name, of.name, of.reward.source, of.reward.prefix)
    if minted is None:
        return False
    draft.redemption(begin(draft, found, person, minted, price=found.price))
    return True


def _wait(draft: Draft, found: Standing, against: Refusal) -> None:
    """Say once why a reward was not taken yet."""
    reason = Reason(
        rule=found.of.name, outcome="limited", code=against.code, detail=against.detail, program=found.live.name
    )
    if reason not in draft.reasons:
        draft.reasons.append(reason)
