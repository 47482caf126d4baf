"""Taking back what rules paid for something that does not stand any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from stampcard.domain.awards import Award
from stampcard.engine.world import Decision, World
from stampcard.storage import loading, tiering

if TYPE_CHECKING:
    from stampcard.applying.unit import Unit

Undoing = Callable[[World, Iterable[Award], datetime], Decision]


def take_back(unit: Unit, member: str, subject: str, decide: Undoing) -> None:
    """Take back the awards of a subject, as `decide` says."""
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
    unit.absorb(decide(unit.world, mine.values(), at))
