"""Picking a reward of a choice: the choice is used, what was picked begins and costs nothing more."""

from __future__ import annotations

from datetime import datetime

from stampcard.domain.members import Member
from stampcard.domain.rewards import CHOICE, Minted, Redemption
from stampcard.engine.redeeming import ended
from stampcard.engine.rewarding import PLAIN, Asking, Standing, binding
from stampcard.engine.taking import begin, refuse, refuse_vetoed
from stampcard.engine.world import Decision, Draft, World
from stampcard.errors import Conflict, RequestRefused


def decide_choose(
    world: World, known: Redemption, found: Standing, member: Member, minted: Minted, asking: Asking = PLAIN
) -> Decision:
    """Pick one reward of a choice: the choice is used, the reward begins and costs nothing more.

    Raises RequestRefused with what stands against the reward or a plugin has against the member, Conflict where nothing can be picked any more.
    """
    check_choosable(known, world.now)
    refuse(binding(found), found)
    refuse_vetoed(world, found, member, asking)
    draft = Draft(world)
    draft.redemption(begin(draft, found, member, minted, subject=f"{CHOICE}{known.id}"))
    draft.redemption(ended(draft, known, "used"))
    return draft.decision()


def check_choosable(known: Redemption, now: datetime) -> None:
    """Raises RequestRefused for what is no choice, Conflict for one that is over."""
    if known.kind != "choice":
        raise RequestRefused("no_choice", f"{known.reward} gives {known.gives}: there is nothing to choose")
    over = known.status == "issued" and known.valid_until is not None and known.valid_until <= now
    status = "withdrawn" if known.withdrawn else "expired" if over else known.status
    if status != "issued":
        raise Conflict(f"already_{status}", f"the choice is {status}: nothing can be picked from it")
