"""The tier that a member has in a program, and how it came and goes."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from stampcard.domain.value import Value

Direction = Literal["joined", "up", "down", "kept", "ending"]


class Holding(Value, frozen=True, omit_defaults=True):
    """One reason to have a tier: what was reached once, or what somebody gave.

    `until`: its end, nothing for none. `reached_in`: the first day of what counted, and the day behind the last; a refund
    that leaves less than `least` of `measure` there ends it. `counted_from`: from when on a window since the last change had
    counted until then.
    """

    name: str
    until: datetime | None = None
    reached_in: tuple[date, date] | None = None
    least: int = 0
    measure: str = ""
    by_hand: bool = False
    counted_from: datetime | None = None


class Tier(Value, frozen=True, omit_defaults=True):
    """A member's tier in one program; `name` is empty for none.

    `until`: from when on it is looked at again, nothing for no end. `holdings`: every reason to have a tier that has not
    ended, of which the highest counts; the others are what the member falls back to. `counts_from`: the moment from which on
    a window since the last change counts. `grace_of`: the end that it had before the grace. `coming`: what begins at
    `coming_at`. `by_hand`: somebody gave it. `number`: how often it has changed. `ups`: the rises, by tier and number, that
    still hold. `told_until`: the end that the member was told of. `next_at`: when time alone may change something.
    """

    program: str
    name: str
    since: datetime
    until: datetime | None = None
    holdings: tuple[Holding, ...] = ()
    counts_from: datetime | None = None
    grace_of: datetime | None = None
    coming: str = ""
    coming_at: datetime | None = None
    by_hand: bool = False
    number: int = 0
    ups: tuple[tuple[str, int], ...] = ()
    told_until: datetime | None = None
    next_at: datetime | None = None


class TierMoved(Value, frozen=True, tag="tier_moved", omit_defaults=True):
    """What happened to a member's tier.

    `number`: the tier's, which one member has once in a program. `way`: joined (the first, which everybody has), up, down,
    kept (prolonged at its end, or by what was reached again), ending (a notice). `why`: reached, ended, refund, hand,
    program. `undone`: the numbers of rises that a refund took away. `missing`: what is needed to keep it, in what the program
    counts, for a notice; `next` and `next_missing` the same for the tier above.
    """

    program: str
    way: Direction
    tier: str
    before: str
    occurred_at: datetime
    why: str = ""
    number: int = 0
    until: datetime | None = None
    undone: tuple[int, ...] = ()
    missing: int = 0
    next: str = ""
    next_missing: int = 0
