"""Perks as they are asked about, used, and given or taken by people."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from difflib import get_close_matches

from stampcard.applying.locking import lock_member, present
from stampcard.applying.unit import Unit
from stampcard.applying.withdrawing import take_back
from stampcard.domain.perks import Hand, PerkUse, PerkUsed
from stampcard.domain.value import replace
from stampcard.engine.deciding import decide_use_undone, use_subject
from stampcard.engine.describing import Past
from stampcard.engine.entitling import PerkStanding, barred, entitled, meet, stand, used
from stampcard.engine.versions import LiveProgram
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.storage.entitling import load_uses
from stampcard.storage.loading import sources_of
from stampcard.storage.merging import key_of_other


def perk_standings(unit: Unit, member: str) -> list[PerkStanding]:
    """Every perk of the member's programs as it stands now; nothing is locked or written. Raises NotFound."""
    unit.look(member)
    person = present(unit, member)
    uses = load_uses(unit.connection, unit.setting.merchant, member) if unit.entitling.live else []
    return [
        standing
        for live in unit.entitling.live
        if live.name in person.programs
        for standing in _standings(unit, live, member, uses)
    ]


def _standings(unit: Unit, live: LiveProgram, member: str, uses: Collection[PerkUse]) -> list[PerkStanding]:
    person, stopped = unit.members[member], unit.setting.programs.stopped
    is_barred = bool(barred(live, person, unit.now))
    known, found = person.perks.get(live.name, {}), meet(live, person, unit.pasts.get(member, Past()), unit.now)
    return [
        stand(
            live,
            person,
            entitled(live, known.get(one.perk), one, unit.now, is_barred=is_barred)[0],
            [use for use in uses if (use.program, use.name) == (live.name, one.perk)],
            unit.now,
            stopped,
            one.error,
        )
        for one in found
    ]


def named_perk(current: Collection[LiveProgram], program: str, perk: str) -> LiveProgram:
    """The program of a perk, also where only one has it and none is named; raises NotFound or Conflict."""
    found = [live for live in current if perk in live.program.perks and program in {"", live.name}]
    if not found:
        known = [name for live in current if program in {"", live.name} for name in live.program.perks]
        raise NotFound("perk", perk, "".join(get_close_matches(perk, known, n=1)))
    if len(found) > 1:
        there = ", ".join(live.name for live in found)
        raise Conflict("several_programs", f"several programs have a perk {perk!r}: say which: {there}")
    return found[0]


def _locked(unit: Unit, member: str, program: str, perk: str) -> LiveProgram:
    """The perk's program, with the member locked and looked at as of now."""
    live = named_perk(unit.setting.programs.current(unit.now), program, perk)
    lock_member(unit, member, attributes=True)
    unit.count(())
    if live.name not in unit.members[member].programs:
        raise RequestRefused("not_a_member", f"the member does not take part in {live.name}")
    unit.judge_again(member)
    return live


def use_perk(unit: Unit, member: str, program: str, perk: str, key: str, source: str, note: str) -> PerkStanding:
    """Count one use, once for each key; answers how the perk stands then.

    Raises NotFound, Conflict for a key whose use was cancelled, RequestRefused with why it cannot be used.
    """
    live = _locked(unit, member, program, perk)
    uses = load_uses(unit.connection, unit.setting.merchant, member, live.name, perk)
    standing = _one(unit, live, member, perk, uses)
    known = next((one for one in uses if one.key == key), None)
    if known is not None:
        if known.cancelled_at is not None:
            raise Conflict("use_cancelled", f"the use {key!r} was cancelled: a new one needs another key")
        return standing
    if standing.code:
        raise RequestRefused(standing.code, standing.detail)
    one = used(standing, key, unit.now, source, note)
    after = _one(unit, live, member, perk, [*uses, one])
    unit.entitling.use(member, one)
    happened = PerkUsed(program=live.name, perk=perk, key=key, occurred_at=unit.now, left=after.left)
    unit.entitling.tell(member, happened, key)
    return after


def cancel_use(unit: Unit, member: str, program: str, perk: str, key: str) -> PerkStanding:
    """Let a use count no more, with what rules paid for it; one that is cancelled already stays so. Raises NotFound."""
    live = _locked(unit, member, program, perk)
    uses = load_uses(unit.connection, unit.setting.merchant, member, live.name, perk)
    known = next((one for one in uses if one.key == key), None)
    if known is None:
        raise NotFound("use", key)
    if known.cancelled_at is None:
        gone = replace(known, cancelled_at=unit.now)
        uses = [gone if one is known else one for one in uses]
        unit.entitling.use(member, gone)
        left = _one(unit, live, member, perk, uses).left
        happened = PerkUsed(program=live.name, perk=perk, key=key, occurred_at=unit.now, left=left, cancelled=True)
        unit.entitling.tell(member, happened, key)
        _take_back(unit, happened, member, uses)
        unit.judge_again(member)  # what was refunded may have been kept for this use
    return _one(unit, live, member, perk, uses)


def _take_back(unit: Unit, happened: PerkUsed, member: str, uses: Collection[PerkUse]) -> None:
    """Take back what rules paid for a use, whoever of those who are one person by now it was."""
    keys = {one.key for one in uses}
    for other in (member, *sources_of(unit.connection, unit.setting.merchant, [member])):
        suffix = key_of_other("", other)
        if happened.key.endswith(suffix):
            own = replace(happened, key=happened.key.removesuffix(suffix))
            take_back(unit, member, use_subject(own, other), decide_use_undone)
        elif key_of_other(happened.key, other) not in keys:
            take_back(unit, member, use_subject(happened, other), decide_use_undone)


def give_perk(
    unit: Unit, member: str, program: str, perk: str, hand: Hand, until: datetime | None, reason: str
) -> PerkStanding:
    """Give a perk by hand or take it, up to a moment or for good, or (nothing) leave it to the program again.

    Raises NotFound, RequestRefused without a reason and for an end that is past.
    """
    if hand and not reason.strip():
        raise RequestRefused("reason_missing", f"say why the perk is {hand}")
    if until is not None and until <= unit.now:
        raise RequestRefused("in_the_past", f"{until:%Y-%m-%d %H:%M}Z is past: name a later end")
    live = _locked(unit, member, program, perk)
    unit.entitling.give(live, member, perk, hand, until, reason)
    uses = load_uses(unit.connection, unit.setting.merchant, member, live.name, perk)
    return _one(unit, live, member, perk, uses)


def _one(unit: Unit, live: LiveProgram, member: str, perk: str, uses: Collection[PerkUse]) -> PerkStanding:
    return next(one for one in _standings(unit, live, member, uses) if one.name == perk)
