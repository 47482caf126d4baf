"""Verifications in the unit of work: what time and decisions change, and what rules pay for it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from stampcard.applying.guarding import guarded
from stampcard.domain.proofs import Proof, ProofChanged, ProofRequest
from stampcard.domain.value import replace
from stampcard.engine.counting import CounterKey, keys_for
from stampcard.engine.deciding import decide_proof
from stampcard.engine.proving import passed
from stampcard.engine.versions import LiveProgram
from stampcard.program.events import OF_PROOFS
from stampcard.storage import proving

if TYPE_CHECKING:
    from stampcard.applying.unit import Unit


@dataclass(slots=True)
class Verdicts:
    """What became of verifications in one transaction."""

    proofs: dict[tuple[str, str, str], Proof] = field(default_factory=dict)
    requests: dict[str, ProofRequest] = field(default_factory=dict)
    happened: list[tuple[str, ProofChanged]] = field(default_factory=list)

    def copied(self) -> Verdicts:
        """The same, to go back to."""
        return Verdicts(dict(self.proofs), dict(self.requests), list(self.happened))

    def forget(self, members: Collection[str]) -> None:
        """Let nothing of these be written."""
        self.proofs = {key: one for key, one in self.proofs.items() if key[0] not in members}
        self.requests = {id_: one for id_, one in self.requests.items() if one.member not in members}
        self.happened = [(member, one) for member, one in self.happened if member not in members]


class Proving:
    """The verifications of the members of one unit of work."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    @cached_property
    def live(self) -> tuple[LiveProgram, ...]:
        """The programs that verify members now."""
        return tuple(live for live in self._unit.setting.programs.current(self._unit.now) if live.program.proofs)

    def load(self) -> None:
        """Load what the unit's members are verified as."""
        unit = self._unit
        if not self.live:
            return
        known = proving.load_proofs(unit.connection, unit.setting.merchant, unit.members)
        for (member, program, name), one in unit.verdicts.proofs.items():  # not stored yet
            known.setdefault(member, {}).setdefault(program, {})[name] = one
        for member in known.keys() & unit.members.keys():
            unit.members[member] = replace(unit.members[member], proofs=known[member])

    def settle(self) -> None:
        """What time alone has changed comes before anything is decided."""
        now = self._unit.now
        for id_, person in list(self._unit.members.items()):
            ends = (one.next_at for of in person.proofs.values() for one in of.values())
            if any(end is not None and end <= now for end in ends):
                guarded(self._unit, id_, "proof_failed", self._pass)

    def _pass(self, member: str) -> None:
        """Tell a member of what ends soon, and let end what has ended."""
        for of in self._unit.members[member].proofs.values():
            for known in of.values():
                one, happened = passed(known, self._unit.now)
                while happened is not None:
                    self.have(member, one, happened)
                    one, happened = passed(one, self._unit.now)

    def keys(self) -> set[CounterKey]:
        """Counters of the rules that pay for what happens to verifications."""
        unit = self._unit
        return {
            key
            for live in self.live
            for on in OF_PROOFS
            for member in unit.members
            for key in keys_for(live, on, unit.now, member)
        }

    def of(self, member: str, program: str, name: str) -> Proof:
        """How one stands."""
        known = self._unit.members[member].proofs.get(program, {})
        return known.get(name) or Proof(program=program, name=name)

    def have(self, member: str, one: Proof, happened: ProofChanged) -> None:
        """Let a verification stand as it is now; plans, segments and perks follow, and rules may pay for it."""
        unit, person = self._unit, self._unit.members[member]
        unit.keep_before(member)
        of = {**person.proofs.get(one.program, {}), one.name: one}
        unit.members[member] = replace(person, proofs={**person.proofs, one.program: of})
        unit.verdicts.proofs[member, one.program, one.name] = one
        unit.verdicts.happened.append((member, happened))
        number = unit.setting.numbering.next(unit.now)
        decision = decide_proof(unit.world, happened, unit.members[member], number)
        unit.record_own(happened, member, decision.reasons)
        unit.absorb(decision)
        unit.judge_again(member)
