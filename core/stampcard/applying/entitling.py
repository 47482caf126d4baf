"""Perks in the unit of work: whoever changes is looked at again, and rules may pay for what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from stampcard.applying.guarding import guarded
from stampcard.domain.perks import Entitlement, Hand, PerkChanged, PerkUse, PerkUsed
from stampcard.domain.value import replace
from stampcard.engine.counting import CounterKey, keys_for
from stampcard.engine.deciding import UNCHANGED, decide_perk
from stampcard.engine.describing import Past
from stampcard.engine.entitling import Met, barred, by_hand, entitled, meet
from stampcard.engine.versions import LiveProgram
from stampcard.program.events import OF_PERKS
from stampcard.storage import entitling

if TYPE_CHECKING:
    from stampcard.applying.unit import Unit

#: What one member's perks may pay for in one transaction before it ends: two that chase each other would not.
_MOST = 100


@dataclass(slots=True)
class Grants:
    """What became of perks in one transaction: as they are now, what happened in order, and uses that changed.

    `marked`: members whose marks at the shop changed. `times`: how often each member's perks came and went.
    """

    perks: dict[tuple[str, str, str], Entitlement] = field(default_factory=dict)
    happened: list[tuple[str, PerkChanged | PerkUsed]] = field(default_factory=list)
    uses: dict[tuple[str, str, str, str], PerkUse] = field(default_factory=dict)
    marked: set[str] = field(default_factory=set)
    times: Counter[str] = field(default_factory=Counter)

    def copied(self) -> Grants:
        """The same, to go back to."""
        return Grants(dict(self.perks), list(self.happened), dict(self.uses), set(self.marked), Counter(self.times))

    def forget(self, members: Collection[str]) -> None:
        """Let nothing of these be written."""
        self.perks = {key: one for key, one in self.perks.items() if key[0] not in members}
        self.happened = [(member, one) for member, one in self.happened if member not in members]
        self.uses = {key: one for key, one in self.uses.items() if key[0] not in members}
        self.marked -= set(members)


class Entitling:
    """The perks of the members of one unit of work."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    @cached_property
    def live(self) -> tuple[LiveProgram, ...]:
        """The programs of which any version has perks, as they are now."""
        programs = self._unit.setting.programs
        having = {name for name, of in programs.versions.items() if any(live.program.perks for live in of)}
        return tuple(live for live in programs.current(self._unit.now) if live.name in having)

    @cached_property
    def reads(self) -> frozenset[str]:
        """What the conditions of perks read."""
        return frozenset[str]().union(*(live.perk_conditions.reads for live in self.live))

    def load(self) -> None:
        """Load which perks the unit's members have."""
        unit = self._unit
        if not self.live:
            return
        known = entitling.load_perks(unit.connection, unit.setting.merchant, unit.members)
        for (
            member,
            program,
            name,
        ), one in unit.grants.perks.items():  # what changed before this lock is not stored yet
            known.setdefault(member, {}).setdefault(program, {})[name] = one
        for member in known.keys() & unit.members.keys():
            unit.members[member] = replace(unit.members[member], perks=known[member])

    def settle(self) -> None:
        """What time alone has changed comes before anything is decided."""
        now = self._unit.now
        for id_, person in list(self._unit.members.items()):
            ends = (one.next_at for of in person.perks.values() for one in of.values())
            if any(end is not None and end <= now for end in ends):
                guarded(self._unit, id_, "perk_failed", self.assess)

    def keys(self) -> set[CounterKey]:
        """Counters of the rules that pay for what happens to perks."""
        unit = self._unit
        return {
            key
            for live in self.live
            for on in OF_PERKS
            for member in unit.members
            for key in keys_for(live, on, unit.now, member)
        }

    def assess(self, member: str) -> None:
        """Look at a member's perks again, one step after the other: what rules pay for one may change the next."""
        for live in self.live:
            moved = self._moved(live, member)
            while moved is not None:
                self._have(member, *moved)
                moved = self._moved(live, member)

    def _moved(self, live: LiveProgram, member: str) -> tuple[Entitlement, str] | None:
        """The first perk that is not as it should be; none once they came and went too often."""
        unit, person = self._unit, self._unit.members[member]
        if live.name not in person.programs or not person.is_there or unit.grants.times[member] >= _MOST:
            return None
        known = person.perks.get(live.name, {})
        met = meet(live, person, unit.pasts.get(member, Past()), unit.now)
        is_barred = bool(barred(live, person, unit.now))
        gone = [Met(name, met=False) for name in sorted(known.keys() - live.program.perks.keys())]
        for one in (*met, *gone):
            before = known.get(one.perk) or Entitlement(program=live.name, name=one.perk)
            after, why = entitled(live, before, one, unit.now, is_barred=is_barred)
            # Whoever never had a perk is not told of as somebody who does not take part.
            if after != before and (one.perk in known or after.has or after.met_since is not None):
                return after, why
        return None

    def give(self, live: LiveProgram, member: str, name: str, hand: Hand, until: datetime | None, reason: str) -> None:
        """Give a member a perk by hand, take it, or (nothing) leave it to the program again."""
        unit, person = self._unit, self._unit.members[member]
        before = person.perks.get(live.name, {}).get(name) or Entitlement(program=live.name, name=name)
        met = next(one for one in meet(live, person, unit.pasts.get(member, Past()), unit.now) if one.perk == name)
        is_barred = bool(barred(live, person, unit.now))
        after, why = entitled(live, by_hand(before, hand, until, reason), met, unit.now, is_barred=is_barred)
        self._have(member, after, "hand" if why else "")
        unit.judge_again(member)

    def _have(self, member: str, one: Entitlement, why: str) -> None:
        """Let a member's perk stand as it is now; `why`: it came or went, and rules may pay for it."""
        unit, person = self._unit, self._unit.members[member]
        unit.keep_before(member)
        of = {**person.perks.get(one.program, {}), one.name: one}
        before = person.perks.get(one.program, {}).get(one.name)
        unit.members[member] = replace(person, perks={**person.perks, one.program: of})
        unit.grants.perks[member, one.program, one.name] = one
        unit.grants.times[member] += 1
        if one.tag != (before.tag if before is not None else ""):
            unit.grants.marked.add(member)
        if why:
            until = one.until if one.has else None
            happened = PerkChanged(
                program=one.program, perk=one.name, gained=one.has, occurred_at=unit.now, why=why, until=until
            )
            self.tell(member, happened, str(unit.setting.numbering.next(unit.now)))

    def tell(self, member: str, happened: PerkChanged | PerkUsed, number: str) -> None:
        """Keep what happened to a perk, and let rules pay for it; `number` makes each time its own."""
        unit = self._unit
        unit.grants.happened.append((member, happened))
        decision = decide_perk(unit.world, happened, unit.members[member], number) if unit.pays else UNCHANGED
        unit.record_own(happened, member, decision.reasons)
        unit.absorb(decision)

    def use(self, member: str, use: PerkUse) -> None:
        """Keep a use as it is now."""
        self._unit.keep_before(member)
        self._unit.grants.uses[member, use.program, use.name, use.key] = use
