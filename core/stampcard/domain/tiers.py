"""The tier that a member has in a program, and how it came and goes."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from stampcard.domain.value import Value

Direction = Literal["joined", "up", "down", "kept", "ending"]


class Tier(Value, frozen=True):
    """A member's tier in one program; `name` is empty for none.

    `until`: from when on it is looked at again, nothing for no end. `counts_from`: the moment from which on a window since
    the last change counts. `reached_in`: the first day of what counted when it was reached, and the day behind the last;
    a refund that leaves less than `least` there takes the tier, too. `before` and `before_until`: what the member had until
    then and falls back to. `grace_of`: the end that it had before the grace. `coming`: what begins at `coming_at`.
    `by_hand`: somebody gave it. `number`: how often it has changed. `told_until`: the end that the member was told of. `next_at`: when time alone may change
    something.
    """

    program: str
    name: str
    since: datetime
    until: datetime | None = None
    counts_from: datetime | None = None
    reached_in: tuple[date, date] | None = None
    least: int = 0
    before: str = ""
    before_until: datetime | None = None
    grace_of: datetime | None = None
    coming: str = ""
    coming_at: datetime | None = None
    by_hand: bool = False
    number: int = 0
    told_until: datetime | None = None
    next_at: datetime | None = None


class TierMoved(Value, frozen=True, tag="tier_moved"):
    """What happened to a member's tier.

    `number`: the tier's, which one member has once in a program. `way`: joined (the first, which everybody has), up, down, kept (prolonged at its end, or by what was reached again),
    ending (a notice). `why`: reached, ended, refund, hand, program. `missing`: what is needed to keep it, in what the
    program counts, for a notice; `next` and `next_missing` the same for the tier above.
    """

    program: str
    way: Direction
    tier: str
    before: str
    occurred_at: datetime
    why: str = ""
    number: int = 0
    until: datetime | None = None
    missing: int = 0
    next: str = ""
    next_missing: int = 0
