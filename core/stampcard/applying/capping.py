"""Caps of discounts in the unit of work: what orders that show a code use of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from stampcard.applying.rewarding import print_of
from stampcard.domain.bases import BaseUse
from stampcard.engine.capping import base_of
from stampcard.engine.versions import LiveProgram
from stampcard.engine.world import Order
from stampcard.storage import capping
from stampcard.storage.capping import Place

if TYPE_CHECKING:
    from stampcard.applying.unit import Unit


@dataclass(slots=True)
class Bases:
    """What members used of caps, and what of it is to be written."""

    known: dict[Place, BaseUse] = field(default_factory=dict)
    touched: dict[Place, BaseUse | None] = field(default_factory=dict)

    def copied(self) -> Bases:
        """The same, to go back to."""
        return Bases(dict(self.known), dict(self.touched))

    def forget(self, members: Collection[str]) -> None:
        """Let nothing of these be written."""
        self.touched = {place: one for place, one in self.touched.items() if place[0] not in members}

    def put(self, place: Place, one: BaseUse | None) -> None:
        """Let a use stand as it is now; None: it is not there any more."""
        if one is None:
            self.known.pop(place, None)
        else:
            self.known[place] = one
        self.touched[place] = one

    def of(self, member: str) -> tuple[BaseUse, ...]:
        """All that a member used."""
        return tuple(one for place, one in self.known.items() if place[0] == member)


class Capping:
    """The caps of the members of one unit of work."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    @cached_property
    def live(self) -> tuple[LiveProgram, ...]:
        """The programs that cap a discount now."""
        current = self._unit.setting.programs.current(self._unit.now)
        return tuple(
            live for live in current if any(reward.base_cap is not None for reward in live.program.rewards.values())
        )

    def load(self) -> None:
        """Load what the unit's members used."""
        unit = self._unit
        if not self.live:
            return
        unit.bases.known = capping.load_bases(unit.connection, unit.setting.merchant, unit.members)
        for place, one in list(unit.bases.touched.items()):  # what changed before this lock is not stored yet
            unit.bases.put(place, one)

    def take(self, order: Order) -> None:
        """Let an order use what it shows now of its own member's caps, and of nobody else's."""
        bases, member = self._unit.bases, order.member or ""
        wanted = {(live.name, reward): live for live, reward in self._shown(order, member)}
        stale = [place for place in bases.known if place[3] == order.subject and place[0] != member]
        for place in stale:
            bases.put(place, None)
        for (program, reward), live in wanted.items():
            place = (member, program, reward, order.subject)
            known = bases.known.get(place)
            now = base_of(live, reward, order.subject, order.state, known, bases.of(member))
            if now != known:
                bases.put(place, now)

    def _shown(self, order: Order, member: str) -> Iterable[tuple[LiveProgram, str]]:
        """Rewards of which the order counted before, or whose codes it shows."""
        snapshot = order.state.snapshot
        codes = snapshot.codes if snapshot is not None else ()
        shown = {
            (one.program, one.reward)
            for one in self._unit.redemptions.values()
            if one.voucher is not None
            and one.member == member
            and print_of(self._unit.setting, one.voucher.code) in codes
        }
        shown |= {place[1:3] for place in self._unit.bases.known if (place[0], place[3]) == (member, order.subject)}
        for live in self.live:
            for program, reward in sorted(shown):
                of = live.program.rewards.get(reward)
                if program == live.name and of is not None and of.base_cap is not None:
                    yield live, reward
