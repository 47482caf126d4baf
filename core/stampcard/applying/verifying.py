"""Verifications as members ask for them, and as people and plugins decide them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from difflib import get_close_matches

from stampcard.applying.locking import lock_member, present
from stampcard.applying.unit import Unit
from stampcard.domain.proofs import Proof, ProofChanged, ProofRequest
from stampcard.domain.value import Value, replace
from stampcard.engine.proving import approved, asked, evidence_fault, passed, refused, revoked
from stampcard.engine.versions import LiveProgram
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.storage.numbering import new_request_id
from stampcard.storage.proving import find_request


class ProofStanding(Value, frozen=True):
    """A verification for one member now."""

    live: LiveProgram
    one: Proof


def proof_standings(unit: Unit, member: str) -> list[ProofStanding]:
    """Every verification of the member's programs; nothing is locked or written. Raises NotFound."""
    unit.look(member)
    person = present(unit, member)
    return [
        ProofStanding(live=live, one=_by_now(unit.proving.of(member, live.name, name), unit.now))
        for live in unit.proving.live
        if live.name in person.programs
        for name in live.program.proofs
    ]


def _by_now(one: Proof, now: datetime) -> Proof:
    """A verification with what time has changed, told or not."""
    one, happened = passed(one, now)
    while happened is not None:
        one, happened = passed(one, now)
    return one


def named_proof(current: Collection[LiveProgram], program: str, proof: str) -> LiveProgram:
    """The program of a proof, also where only one has it and none is named; raises NotFound or Conflict."""
    found = [live for live in current if proof in live.program.proofs and program in {"", live.name}]
    if not found:
        known = [name for live in current if program in {"", live.name} for name in live.program.proofs]
        raise NotFound("proof", proof, "".join(get_close_matches(proof, known, n=1)))
    if len(found) > 1:
        there = ", ".join(live.name for live in found)
        raise Conflict("several_programs", f"several programs have a proof {proof!r}: say which: {there}")
    return found[0]


def _locked(unit: Unit, member: str, program: str, proof: str) -> LiveProgram:
    live = named_proof(unit.setting.programs.current(unit.now), program, proof)
    lock_member(unit, member, attributes=True)
    unit.count(())
    if live.name not in unit.members[member].programs:
        raise RequestRefused("not_a_member", f"the member does not take part in {live.name}")
    return live


def ask(
    unit: Unit, member: str, program: str, proof: str, evidence: Mapping[str, str], *, by_member: bool
) -> ProofStanding:
    """Ask to be verified; a plugin that knows decides at once, else people do.

    Raises NotFound, Conflict where a request is open, RequestRefused for evidence that is not what is asked for.
    """
    live = _locked(unit, member, program, proof)
    if by_member and not live.program.proofs[proof].ask:
        raise RequestRefused("not_to_be_asked", f"nobody asks for {proof}: the shop says who is")
    fault = evidence_fault(live, proof, evidence)
    if fault:
        raise RequestRefused("evidence", fault)
    known = unit.proving.of(member, live.name, proof)
    if known.request:
        raise Conflict("asked_already", f"a request for {proof} is open since before: {known.request}")
    request = ProofRequest(
        id=new_request_id(), member=member, program=live.name, name=proof, status="open", asked_at=unit.now,
        evidence=dict(evidence),
    )  # fmt: skip
    unit.verdicts.requests[request.id] = request
    unit.proving.have(member, asked(known, request.id), _happened(unit, request, "asked"))
    said, plugin, note = unit.setting.hooks.verify_eligibility(proof, live.name, evidence, unit.members[member])
    if said is not None and said.until is not None and said.until <= unit.now:
        note, said = f"the plugin {plugin} named an end that is past: {said.until:%Y-%m-%d %H:%M}Z", None
    if said is None:
        unit.verdicts.requests[request.id] = replace(request, note=note)
    elif said.approved:
        _approve(unit, live, request, plugin, said.until)
    else:
        _refuse(unit, request, plugin, said.reason)
    return ProofStanding(live=live, one=unit.proving.of(member, live.name, proof))


def decide(
    unit: Unit, id_: str, by: str, *, approve: bool, until: datetime | None = None, reason: str = ""
) -> ProofStanding:
    """Approve or refuse a request; saying the same again changes nothing. What the program verifies no more is refused.

    Raises NotFound, Conflict for one that is decided otherwise, RequestRefused without a reason to refuse.
    """
    found = find_request(unit.connection, unit.setting.merchant, unit.setting.sealer, id_)
    if found is None:
        raise NotFound("request", id_)
    live = next((live for live in unit.setting.programs.current(unit.now) if live.name == found.program), None)
    if live is None:
        raise NotFound("program that is valid now", found.program)
    if approve:
        _locked(unit, found.member, found.program, found.name)
    else:
        lock_member(unit, found.member, attributes=True)
        unit.count(())
    # Somebody else may have decided it before the member was locked.
    request = find_request(unit.connection, unit.setting.merchant, unit.setting.sealer, id_) or found
    wanted = "approved" if approve else "refused"
    if request.status not in {"open", wanted}:
        raise Conflict("decided", f"the request was {request.status} already")
    if request.status == "open":
        if until is not None and until <= unit.now:
            raise RequestRefused("in_the_past", f"{until:%Y-%m-%d %H:%M}Z is past: name a later end")
        if not approve and not reason.strip():
            raise RequestRefused("reason_missing", "say why it is refused: the member is told")
        if approve:
            _approve(unit, live, request, by, until)
        else:
            _refuse(unit, request, by, reason)
    return ProofStanding(live=live, one=unit.proving.of(request.member, live.name, request.name))


def _approve(unit: Unit, live: LiveProgram, request: ProofRequest, by: str, until: datetime | None) -> None:
    known = unit.proving.of(request.member, request.program, request.name)
    one = replace(approved(live, known, unit.now, until), request=_still_open(known, request))
    decided = replace(request, status="approved", decided_at=unit.now, by=by)
    unit.verdicts.requests[request.id] = decided
    unit.proving.have(request.member, one, replace(_happened(unit, request, "approved"), until=one.until))


def _refuse(unit: Unit, request: ProofRequest, by: str, reason: str) -> None:
    known = unit.proving.of(request.member, request.program, request.name)
    decided = replace(request, status="refused", decided_at=unit.now, by=by, reason=reason)
    unit.verdicts.requests[request.id] = decided
    one = replace(refused(known, reason), request=_still_open(known, request))
    unit.proving.have(request.member, one, _happened(unit, request, "refused"))


def _still_open(known: Proof, decided: ProofRequest) -> str:
    """The request that is open beside one that is decided."""
    return "" if known.request == decided.id else known.request


def _happened(unit: Unit, request: ProofRequest, way: str) -> ProofChanged:
    return ProofChanged(program=request.program, proof=request.name, way=way, occurred_at=unit.now)  # type: ignore[arg-type]


def verify(unit: Unit, member: str, program: str, proof: str, until: datetime | None) -> ProofStanding:
    """Verify a member who did not ask, or whose request is open; raises NotFound, RequestRefused."""
    if until is not None and until <= unit.now:
        raise RequestRefused("in_the_past", f"{until:%Y-%m-%d %H:%M}Z is past: name a later end")
    live = _locked(unit, member, program, proof)
    known = unit.proving.of(member, live.name, proof)
    if known.request:
        raise Conflict("asked_already", f"a request for {proof} is open: approve it: {known.request}")
    one = approved(live, known, unit.now, until)
    happened = ProofChanged(program=live.name, proof=proof, way="approved", occurred_at=unit.now, until=one.until)
    unit.proving.have(member, one, happened)
    return ProofStanding(live=live, one=unit.proving.of(member, live.name, proof))


def revoke(unit: Unit, member: str, program: str, proof: str, reason: str) -> ProofStanding:
    """Let a member be verified no more; raises NotFound, RequestRefused for one who is not, or without a reason."""
    if not reason.strip():
        raise RequestRefused("reason_missing", "say why it is revoked: the member is told")
    live = _locked(unit, member, program, proof)
    known = unit.proving.of(member, live.name, proof)
    if not known.verified_at(unit.now):
        raise RequestRefused("not_verified", f"the member is not verified as {proof}")
    happened = ProofChanged(program=live.name, proof=proof, way="revoked", occurred_at=unit.now)
    unit.proving.have(member, revoked(known, reason), happened)
    return ProofStanding(live=live, one=unit.proving.of(member, live.name, proof))
