"""Perks, plans and verifications that both of two members have by the same name, while they become one or two again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from stampcard.domain.perks import Entitlement
from stampcard.domain.proofs import Proof, ProofRequest
from stampcard.domain.value import replace
from stampcard.engine.uniting import asking, ended, parted_perk, parted_proof, united_perk, united_proof
from stampcard.storage.merging import Key, Record
from stampcard.storage.proving import find_request, open_requests

if TYPE_CHECKING:
    from stampcard.applying.unit import Unit

_PERK, _PROOF = msgspec.json.Decoder(Entitlement), msgspec.json.Decoder(Proof)


class Namesakes:
    """What two members have alike; both are locked."""

    def __init__(self, unit: Unit, source: str, target: str) -> None:
        self.unit, self.source, self.target = unit, source, target

    def unite_perks(self, put_aside: Iterable[Mapping[str, Any]]) -> list[tuple[Entitlement, Entitlement]]:
        """Each perk of both as the target had it, and as it is now."""
        found = []
        for row in put_aside:
            theirs = _PERK.decode(row["state"])
            mine = self._perk(theirs.program, theirs.name)
            one = united_perk(mine, theirs)
            self._keep_perk(self.target, one)
            found.append((mine, one))
        return found

    def part_perks(self, perks: Iterable[tuple[Entitlement, Entitlement]]) -> None:
        """Let the target have what was theirs."""
        for mine, united in perks:
            self._keep_perk(self.target, parted_perk(self._perk(mine.program, mine.name), mine, united))

    def _perk(self, program: str, name: str) -> Entitlement:
        known = self.unit.members[self.target].perks.get(program, {}).get(name)
        return known or Entitlement(program=program, name=name)

    def _keep_perk(self, member: str, one: Entitlement) -> None:
        unit, person = self.unit, self.unit.members[member]
        unit.keep_before(member)
        of = {**person.perks.get(one.program, {}), one.name: one}
        unit.members[member] = replace(person, perks={**person.perks, one.program: of})
        unit.grants.perks[member, one.program, one.name] = one

    def unite_proofs(
        self, put_aside: Iterable[Mapping[str, Any]]
    ) -> tuple[list[tuple[Proof, Proof, Proof]], list[str]]:
        """Each verification of both as the target and the source had it, and as it is now; and requests that are withdrawn."""
        found, withdrawn = [], []
        for row in put_aside:
            theirs = _PROOF.decode(row["state"])
            mine = self._proof(self.target, theirs.program, theirs.name)
            one = united_proof(mine, theirs, self.unit.now)
            self._keep_proof(self.target, one)
            found.append((mine, theirs, one))
            if mine.request and theirs.request:
                withdrawn.append(theirs.request)
                note = f"withdrawn by a merge: {mine.request} is open for the same"
                self._put_request(theirs.request, status="withdrawn", decided_at=self.unit.now, by="merge", note=note)
        return found, withdrawn

    def part_proofs(self, proofs: Iterable[tuple[Proof, Proof, Proof]], withdrawn: Collection[str]) -> None:
        """Let both be verified as what they were, or as what was decided since, and have the requests that are theirs."""
        for mine, theirs, united in proofs:
            now = self._proof(self.target, mine.program, mine.name)
            ours, back = parted_proof(now, mine, theirs, united, self.unit.now)
            self._keep_proof(self.target, ours)
            self._keep_proof(self.source, back)
        for id_ in withdrawn:
            self._put_request(id_, status="open", decided_at=None, by="", note="")
        for member in (self.target, self.source):
            self._ask_again(member)

    def _ask_again(self, member: str) -> None:
        """Let each verification name the request that is open for it."""
        unit = self.unit
        known = open_requests(unit.connection, unit.setting.merchant, member)
        asked = {(program, name): id_ for program, name, id_ in known}
        asked |= {
            (one.program, one.name): one.id
            for one in unit.verdicts.requests.values()
            if one.member == member and one.status == "open"
        }
        had = {(one.program, one.name) for of in unit.members[member].proofs.values() for one in of.values()}
        for program, name in sorted(had | asked.keys()):
            one = self._proof(member, program, name)
            right = asking(one, asked.get((program, name), ""))
            if right != one:
                self._keep_proof(member, right)

    def _proof(self, member: str, program: str, name: str) -> Proof:
        return self.unit.proving.of(member, program, name)

    def _keep_proof(self, member: str, one: Proof) -> None:
        unit, person = self.unit, self.unit.members[member]
        unit.keep_before(member)
        of = {**person.proofs.get(one.program, {}), one.name: one}
        unit.members[member] = replace(person, proofs={**person.proofs, one.program: of})
        unit.verdicts.proofs[member, one.program, one.name] = one

    def _put_request(self, id_: str, **changes: Any) -> None:
        unit = self.unit
        found: ProofRequest | None = find_request(unit.connection, unit.setting.merchant, unit.setting.sealer, id_)
        if found is not None:
            unit.verdicts.requests[id_] = replace(found, **changes)

    def unite_terms(self, theirs: Collection[Key]) -> list[Key]:
        """Let an end by hand stand for the terms of the member who had it alone; answers which count no more."""
        terms, gone = self.unit.terms, list[Key]()
        sides: dict[tuple[str, str], tuple[list[Any], list[Any]]] = {}
        for place, term in terms.known.items():
            if place[0] == self.target:
                sides.setdefault(place[1:3], ([], []))[place[1:] in theirs].append(term)
        for mine, others in sides.values():
            if mine and others:
                gone += [(term.program, term.plan, term.key) for term in (*ended(mine), *ended(others))]
        self._set_over(gone, over=True)
        return gone

    def part_terms(self, gone: Collection[Key]) -> None:
        """Let the terms of both count again."""
        self._set_over(gone, over=False)

    def _set_over(self, names: Collection[Key], *, over: bool) -> None:
        terms, wanted = self.unit.terms, set(map(tuple, names))
        for place, term in list(terms.known.items()):
            if place[0] in {self.source, self.target} and place[1:] in wanted:
                terms.put(place, replace(term, over=over))

    def restore(self, record: Record) -> None:
        """Undo all of it."""
        self.part_perks(record.perks)
        self.part_proofs(record.proofs, record.withdrawn)
        self.part_terms(record.over)
