"""Choices that members hold: the rewards that they are among, and the one that is picked."""

from __future__ import annotations

from collections.abc import Iterator

from stampcard.applying.locking import lock_member
from stampcard.applying.redeeming import prepared, standings_of
from stampcard.applying.unit import Unit
from stampcard.domain.rewards import CHOICE, Redemption
from stampcard.domain.value import replace
from stampcard.engine.choosing import check_choosable, decide_choose
from stampcard.engine.rewarding import Asking, Standing, binding, standing
from stampcard.engine.taking import find_reward
from stampcard.engine.versions import Catalogued, LiveProgram
from stampcard.errors import NotFound, RequestRefused
from stampcard.program.gifts import read_gift


def choices(unit: Unit, known: Redemption, asking: Asking) -> list[Standing]:
    """The rewards of a choice as they stand for its holder, without a price; nothing is locked or written."""
    check_choosable(known, unit.now)
    found = standings_of(unit, known.member, list(_offered(unit, known)), asking)
    return [replace(one, price=0, missing=0, refusals=binding(one)) for one in found]


def picked(unit: Unit, known: Redemption) -> Redemption | None:
    """What was picked from a choice that is used; what was given back before is not."""
    if known.status != "used":
        return None
    found = unit.rewarding.find(subjects=[f"{CHOICE}{known.id}"])
    return max(found.values(), key=lambda one: (one.created_at, one.is_open), default=None)


def choose(unit: Unit, id_: str, name: str, asking: Asking, member: str = "") -> Redemption:
    """Pick a reward of a choice; the same one again is what was picked. `member`: whose it must be.

    Raises NotFound, Conflict where the choice is over, RequestRefused for a reward that is not in it or cannot be had.
    """
    known = unit.rewarding.find(ids=[id_]).get(id_)
    if known is None or (member and known.member != member):
        raise NotFound("redemption", id_)
    lock_member(unit, known.member, attributes=True, recall=True)
    unit.know_rewards(ids=[id_])
    known = unit.redemptions[id_]
    before = picked(unit, known)
    if before is not None and before.reward == name:
        return before
    check_choosable(known, unit.now)
    if name not in _names(known):
        raise RequestRefused("not_among", f"{name!r} is not one of {', '.join(_names(known))}")
    live, of = find_reward(unit.world, name, known.program)
    minted = prepared(unit, live, of, known.member)
    found = standing(unit.world, live, of, unit.members[known.member], asking)
    decision = decide_choose(unit.world, known, found, unit.members[known.member], minted, asking)
    unit.absorb(decision)
    return decision.redemptions[0]


def _names(known: Redemption) -> tuple[str, ...]:
    """What it was a choice of when it was given."""
    return read_gift(known.gives).choices if known.kind == "choice" else ()


def _offered(unit: Unit, known: Redemption) -> Iterator[tuple[LiveProgram, Catalogued]]:
    """Those that the program still has."""
    for live in unit.setting.programs.current(unit.now):
        if live.name == known.program:
            yield from ((live, live.rewards[name]) for name in _names(known) if name in live.rewards)
