"""Segments in the unit of work: whoever changes is judged again, and rules may pay for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from stampcard.domain.events import SegmentChanged
from stampcard.domain.value import replace
from stampcard.engine.counting import CounterKey, keys_for
from stampcard.engine.deciding import UNCHANGED, decide_segment_changed
from stampcard.engine.describing import Past
from stampcard.engine.enrolling import decide_join, decide_leave
from stampcard.engine.matching import closed_to
from stampcard.engine.segmenting import Judged, judge
from stampcard.engine.versions import LiveProgram
from stampcard.engine.world import Decision
from stampcard.program.events import SEGMENT_ENTERED, SEGMENT_LEFT
from stampcard.storage import segmenting
from stampcard.storage.segmenting import Place

if TYPE_CHECKING:
    from stampcard.applying.unit import Unit

#: What one member's segments may pay for in one transaction before it ends: two that chase each other would not.
_MOST = 100


@dataclass(slots=True)
class Crossings:
    """Who came into a segment and who left one in this transaction, in order."""

    happened: list[tuple[str, SegmentChanged]] = field(default_factory=list)
    #: How often each member crossed.
    times: Counter[str] = field(default_factory=Counter)

    def copied(self) -> Crossings:
        """The same, to go back to."""
        return Crossings(list(self.happened), Counter(self.times))

    def forget(self, members: Collection[str]) -> None:
        """Let nothing of these be written."""
        self.happened = [(member, one) for member, one in self.happened if member not in members]

    def places(self) -> tuple[set[Place], set[Place]]:
        """Who is in at the end, and who is not."""
        last = {(member, one.program, one.segment): one.entered for member, one in self.happened}
        return {place for place, inside in last.items() if inside}, {
            place for place, inside in last.items() if not inside
        }


class Segmenting:
    """The segments of the members of one unit of work."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    @cached_property
    def live(self) -> tuple[LiveProgram, ...]:
        """The programs of which any version has segments, as they are now."""
        programs = self._unit.setting.programs
        having = {name for name, of in programs.versions.items() if any(live.program.segments for live in of)}
        return tuple(live for live in programs.current(self._unit.now) if live.name in having)

    @cached_property
    def reads(self) -> frozenset[str]:
        """What the conditions of segments read."""
        return frozenset[str]().union(*(live.segment_conditions.reads for live in self.live))

    def load(self) -> None:
        """Load which segments the unit's members are in."""
        unit = self._unit
        if not self.live:
            return
        known = segmenting.load_segments(unit.connection, unit.setting.merchant, unit.members)
        inside, outside = unit.crossings.places()
        for member, program, segment in inside:  # what changed before this lock is not stored yet
            known.setdefault(member, {}).setdefault(program, set()).add(segment)
        for member, program, segment in outside:
            known.get(member, {}).get(program, set()).discard(segment)
        for member in known.keys() & unit.members.keys():
            segments = {program: frozenset(of) for program, of in known[member].items()}
            unit.members[member] = replace(unit.members[member], segments=segments)

    def keys(self) -> set[CounterKey]:
        """Counters of the rules that pay for coming and going."""
        unit = self._unit
        return {
            key
            for live in self.live
            for on in (SEGMENT_ENTERED, SEGMENT_LEFT)
            for member in unit.members
            for key in keys_for(live, on, unit.now, member)
        }

    def touched(self, decision: Decision, former: str | None) -> set[str]:
        """Whose segments a decision may have changed; `former`: who had its order before."""
        found = {former} if former is not None else set[str]()
        found |= {award.member for award in decision.awards} | {wallet.member for wallet in decision.wallets}
        found |= {one.member for one in decision.redemptions}
        if decision.member is not None:
            found.add(decision.member.id)
        if decision.order is not None and decision.order.member is not None:
            found.add(decision.order.member)
        return found & self._unit.members.keys()

    def assess(self, member: str) -> None:
        """Judge a member again, one step after the other: what rules pay for one may change the next."""
        for live in self.live:
            crossing = self._crossing(live, member)
            while crossing is not None:
                self.cross(member, live.name, crossing.segment, entered=crossing.inside)
                crossing = self._crossing(live, member)

    def _crossing(self, live: LiveProgram, member: str) -> Judged | None:
        """The first segment in which the member is not as it should be; none once they have crossed too often."""
        unit, person = self._unit, self._unit.members[member]
        gate = live.program.enrolment.segment
        outside = live.name not in person.programs
        if (outside and gate is None) or not person.is_there or unit.crossings.times[member] >= _MOST:
            return None
        known = person.segments.get(live.name, frozenset())
        judged = judge(live, person, unit.pasts.get(member, Past()), unit.now, known)
        if outside:
            # Who takes no part yet is in no segment but that which makes a member.
            return next((one for one in judged if one.segment == gate and one.inside != (gate in known)), None)
        gone = [Judged(name, inside=False) for name in sorted(known - live.program.segments.keys())]
        return next((one for one in (*judged, *gone) if one.inside != (one.segment in known)), None)

    def cross(self, member: str, program: str, segment: str, *, entered: bool) -> None:
        """Let a member into a segment or out of it, and let rules pay for it."""
        unit, person = self._unit, self._unit.members[member]
        known = person.segments.get(program, frozenset())
        if entered == (segment in known):
            return
        unit.keep_before(member)
        now = known | {segment} if entered else known - {segment}
        unit.members[member] = replace(person, segments={**person.segments, program: now})
        changed = SegmentChanged(program=program, segment=segment, entered=entered, occurred_at=unit.now)
        unit.crossings.happened.append((member, changed))
        unit.crossings.times[member] += 1
        self._pass_gate(member, program, segment, entered=entered)
        decision = UNCHANGED
        if unit.pays:
            number = unit.setting.numbering.next(unit.now)
            decision = decide_segment_changed(unit.world, changed, unit.members[member], number)
        unit.record_own(changed, member, decision.reasons)
        unit.absorb(decision)
        if any(live.ladder is not None and live.ladder.tiers.by == "segment" for live in unit.tiering.live):
            unit.tiering.assess(member)

    def _pass_gate(self, member: str, program: str, segment: str, *, entered: bool) -> None:
        """Let whoever comes into the segment of a program's members join, and whoever leaves it leave as the program says."""
        unit, person = self._unit, self._unit.members[member]
        live = next((live for live in self.live if live.name == program), None)
        if live is None or live.program.enrolment.segment != segment:
            return
        leaving = live.program.enrolment.leaving
        if entered and (program not in person.programs or person.states.get(program) in {"frozen", "closed"}):
            if not closed_to(live, unit.now, member, person.names):
                unit.absorb(decide_join(unit.world, live, person))
        elif not entered and leaving != "keep":
            unit.absorb(decide_leave(unit.world, live, person, "frozen" if leaving == "freeze" else "closed"))
