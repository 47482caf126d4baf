"""Consent in the unit of work: what a member says is added, and conditions see it at once."""

from __future__ import annotations

from stampcard.applying.locking import lock_member
from stampcard.applying.unit import Unit
from stampcard.domain.consents import Consent, given
from stampcard.domain.events import ConsentSeen
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
    if any((one.name, one.state, one.at) == (said.name, said.state, said.at) for one in known):
        return
    unit.touched.consents.append((member, said))
    unit.set_consents(member, given([*known, said]), said)


def record_consent(unit: Unit, member: str, said: Consent) -> None:
    """Keep what a member said; raises NotFound, or RequestRefused for a moment that is ahead."""
    lock_member(unit, member)
    if said.at > unit.now + AHEAD:
        raise RequestRefused("in_the_future", f"{said.at.isoformat()} is ahead: say when it was said")
    said = replace(said, at=min(said.at, unit.now))  # a clock that is ahead must not outrank what is said later
    setting = unit.setting
    save_consent(unit.connection, setting.merchant, setting.sealer, setting.numbering.next(unit.now), member, said)
    known = load_consents(unit.connection, setting.merchant, [member], setting.sealer, evidence=False)
    unit.set_consents(member, given(known.get(member, ())), said)
