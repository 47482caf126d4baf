"""Consent in the unit of work: what a member says is added, and conditions see it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stampcard.applying.locking import lock_member
from stampcard.applying.unit import Unit
from stampcard.domain.consents import Consent, ConsentState, current, given
from stampcard.domain.events import ConsentSeen
from stampcard.domain.messages import TRANSACTIONAL
from stampcard.domain.value import replace
from stampcard.engine.deciding import AHEAD
from stampcard.errors import RequestRefused
from stampcard.storage.consenting import load_consents, save_consent


def hear_consent(unit: Unit, member: str, event: ConsentSeen, source: str) -> None:
    """Keep what a source heard a member say, once; the member is locked."""
    setting, at = unit.setting, min(event.occurred_at, unit.now)
    said = Consent(
        channel=event.channel, purpose=event.purpose, state=event.state, at=at, recorded_at=unit.now, source=source
    )
    stored = load_consents(unit.connection, setting.merchant, [member], setting.sealer, evidence=False).get(member, ())
    known = [*stored, *(one for of, one in unit.touched.consents if of == member)]
    before = current(known).get(said.name)
    state = counts_as(unit, member, said, before.state if before is not None else None, confirmed=event.confirmed)
    said = replace(said, state=state)
    if any((one.name, one.state, one.at) == (said.name, said.state, said.at) for one in known):
        return
    unit.touched.consents.append((member, said))
    unit.set_consents(member, given([*known, said]), said)


def counts_as(unit: Unit, member: str, said: Consent, before: ConsentState | None, *, confirmed: bool) -> ConsentState:
    """What somebody's word counts as: a yes that a program of theirs wants confirmed is asked for first (double opt-in)."""
    if said.state != "given" or before == "given" or said.purpose == TRANSACTIONAL or confirmed or unit.silent:
        return said.state
    programs, current_ = unit.members[member].programs, unit.setting.programs.current(unit.now)
    wanting = [live for live in current_ if live.name in programs] or current_
    return "pending" if any(said.channel in live.program.sending.double_opt_in for live in wanting) else "given"


def waits(unit: Unit, member: str, name: str) -> bool:
    """Whether a yes of theirs, such as ``email.marketing``, is still to be confirmed."""
    channel, current_ = name.partition(".")[0], unit.setting.programs.current(unit.now)
    if not any(channel in live.program.sending.double_opt_in for live in current_):
        return False
    setting = unit.setting
    stored = load_consents(unit.connection, setting.merchant, [member], setting.sealer, evidence=False).get(member, ())
    known = current([*stored, *(one for of, one in unit.touched.consents if of == member)]).get(name)
    return known is not None and known.state == "pending"


def bring_consents(unit: Unit, said: Sequence[tuple[str, Consent]], stored: Mapping[str, Sequence[Consent]]) -> None:
    """Keep what members said elsewhere, beside what is `stored` of them; they are locked, and nobody is told or asked."""
    known = {member: [*stored.get(member, ())] for member, _ in said}
    for member, one in said:
        known[member].append(one)
        unit.touched.consents.append((member, one))
        unit.set_consents(member, given(known[member]), one)


def record_consent(unit: Unit, member: str, said: Consent, *, confirmed: bool = False) -> None:
    """Keep what a member said; `confirmed`: they were asked back already.

    Raises NotFound, or RequestRefused for a moment that is ahead.
    """
    lock_member(unit, member)
    if said.at > unit.now + AHEAD:
        raise RequestRefused("in_the_future", f"{said.at.isoformat()} is ahead: say when it was said")
    said = replace(said, at=min(said.at, unit.now))  # a clock that is ahead must not outrank what is said later
    setting = unit.setting
    stored = load_consents(unit.connection, setting.merchant, [member], setting.sealer, evidence=False)
    before = current(stored.get(member, ())).get(said.name)
    state = counts_as(unit, member, said, before.state if before is not None else None, confirmed=confirmed)
    said = replace(said, state=state)
    save_consent(unit.connection, setting.merchant, setting.sealer, setting.numbering.next(unit.now), member, said)
    known = load_consents(unit.connection, setting.merchant, [member], setting.sealer, evidence=False)
    unit.set_consents(member, given(known.get(member, ())), said)
