"""Consent in the unit of work: what a member says is added, and conditions see it at once."""

from __future__ import annotations

from stampcard.applying.locking import lock_member
from stampcard.applying.unit import Unit
from stampcard.domain.consents import Consent, given
from stampcard.domain.value import replace
from stampcard.engine.deciding import AHEAD
from stampcard.errors import RequestRefused
from stampcard.storage.consenting import load_consents, save_consent


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
