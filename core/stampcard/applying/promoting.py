"""Tiers as they are asked about, and as people give them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from stampcard.applying.locking import lock_member
from stampcard.applying.unit import Unit
from stampcard.domain.tiers import Tier
from stampcard.engine.gauging import tier_name
from stampcard.engine.tiering import Outlook
from stampcard.errors import NotFound, RequestRefused
from stampcard.program.faults import fault_of_name
from stampcard.storage import loading


def outlooks(unit: Unit, members: Collection[str]) -> dict[str, list[Outlook]]:
    """Member → how each of their tiers stands now and what is missing; nothing is locked or written."""
    merchant, sealer = unit.setting.merchant, unit.setting.sealer
    if not unit.tiering.live:
        return {}
    if not unit.members.keys() >= set(members):
        unit.members = loading.load_members(unit.connection, merchant, members, sealer, attributes=False, lock=False)
        if any(live.program.tiers is not None and live.program.tiers.by == "balance" for live in unit.tiering.live):
            unit.wallets = loading.load_wallets(unit.connection, merchant, list(unit.members))
        unit.tiering.load()
        unit.tiering.fold()
    return {member: unit.tiering.outlooks(member) for member in members if member in unit.members}


def give_tier(unit: Unit, member: str, program: str, name: str, until: datetime | None) -> Tier:
    """Give a member a tier by hand, or take it (no name).

    Raises NotFound for a program without tiers or one that the member does not take part in, RequestRefused for a tier
    that the program has not, an end that is past, or less than what the member has reached by what counts.
    """
    lock_member(unit, member)
    live = next((live for live in unit.tiering.live if live.name == program), None)
    if live is None or live.ladder is None:
        raise NotFound("program with tiers", program)
    person = unit.members[member]
    if program not in person.programs:
        raise RequestRefused("not_a_member", f"the member does not take part in {program}")
    fault = fault_of_name("tier", name, [rung.name for rung in live.ladder.rungs]) if name else ""
    if fault:
        raise RequestRefused("unknown_tier", fault)
    if until is not None and until <= unit.now:
        raise RequestRefused("in_the_past", f"{until:%Y-%m-%d %H:%M}Z is past: a tier is given until a later time")
    before = live.ladder.place(tier_name(person, program))
    unit.tiering.give(live.ladder, person, name, until)
    given = unit.members[member].tiers[program]
    place = live.ladder.place(given.name)
    if place > live.ladder.place(name) and (name or place >= before):
        why = f"{given.name} is reached by what counts, which is not taken by hand; a hold keeps a member from earning"
        raise RequestRefused("tier_reached", why)
    return given
