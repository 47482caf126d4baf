"""Taking back what rules paid for something that does not stand any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stampcard.engine.deciding import Undone, decide_undone
from stampcard.storage import loading, tiering

if TYPE_CHECKING:
    from stampcard.applying.unit import Unit


def take_back(unit: Unit, member: str, subject: str, code: Undone) -> None:
    """Take back the awards of a subject; `code` says why."""
    stored = loading.load_awards(unit.connection, unit.setting.merchant, [subject]).get(subject, {})
    mine = {**stored, **unit.awards.get(subject, {})}
    if not mine:
        return
    unit.awards[subject] = mine
    if unit.setting.programs.gives:
        unit.know_rewards(subjects=[subject])
    unit.count(())
    at = next((one.occurred_at for one in unit.entries if one.subject == subject), None)
    at = at or tiering.paid_at(unit.connection, unit.setting.merchant, member, subject) or unit.now
    unit.absorb(decide_undone(unit.world, mine.values(), at, code))
