"""What counts towards tiers at a moment: windows, amounts, what they reach and until when that is held. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from stampcard.domain.members import Member
from stampcard.domain.tiers import Tier
from stampcard.domain.value import Value
from stampcard.engine.dating import midnight
from stampcard.program.lifetimes import Dated, Rolling, UntilEnd
from stampcard.program.model import Program
from stampcard.program.periods import clamped
from stampcard.program.tiers import Calendar, Held, Standing, Tiers, Trailing, Until, YearFrom

_DAY = timedelta(days=1)
#: Money is counted in ten-thousandths.
FINE = 10_000
NOTHING: Mapping[date, int] = {}


class Rung(NamedTuple):
    """A tier with what it takes, in the smallest unit of what counts."""

    name: str
    least: int
    held: Held


class Ladder(Value, frozen=True):
    """The tiers of one program version, the lowest first."""

    program: str
    zone: ZoneInfo
    tiers: Tiers
    rungs: tuple[Rung, ...]
    #: How many of the smallest units make one of what counts.
    unit: int = 1

    def place(self, name: str) -> int:
        """Where a tier stands; -1 for none, and for one that is not there any more."""
        return next((place for place, rung in enumerate(self.rungs) if rung.name == name), -1)


class Counted(Value, frozen=True):
    """What is known of a member: what counts, by day of the program's zone, and the balance or what segments come to."""

    joined_at: datetime
    progress: Mapping[date, int] = NOTHING
    balance: int = 0


def ladder_of(program: Program) -> Ladder | None:
    """The tiers of a program, if it has any."""
    tiers = program.tiers
    if tiers is None:
        return None
    unit = unit_of(program)
    rungs = [
        Rung(name, int((level.least or 0) * unit) if level.segment is None else number, tiers.held_by(name))
        for number, (name, level) in enumerate(tiers.levels.items(), start=1)
    ]
    return Ladder(program=program.program, zone=program.zone, tiers=tiers, rungs=tuple(rungs), unit=unit)


def unit_of(program: Program) -> int:
    """How many of the smallest units make one of what the program's tiers count."""
    tiers = program.tiers
    if tiers is None or tiers.by in {"orders", "segment", "proof"}:
        return 1
    return FINE if tiers.by == "spend" else int(10 ** program.wallets[tiers.wallet].scale)


def measure_of(tiers: Tiers) -> str:
    """What is counted day by day; nothing for what is not."""
    if tiers.by == "points":
        return f"points:{tiers.wallet}"
    return tiers.by if tiers.by in {"spend", "orders"} else ""


def place_by_segments(tiers: Tiers, segments: Collection[str]) -> int:
    """What tiers by segment count of a member: the number of the highest tier whose segment they are in."""
    return max((n for n, one in enumerate(tiers.levels.values(), start=1) if one.segment in segments), default=0)


def tier_name(member: Member, program: str) -> str:
    """The tier that a member has in a program; empty for none."""
    known = member.tiers.get(program)
    return known.name if known is not None else ""


def window(ladder: Ladder, at: datetime, joined_at: datetime, since: datetime | None) -> tuple[date, date]:
    """The first day of what counts at a moment, and the day behind the last; `since`: the last change, if there was one."""
    day, within = at.astimezone(ladder.zone).date(), ladder.tiers.within
    match within:
        case Calendar() | YearFrom():
            return within.around(day)
        case Trailing():
            return within.first(day), day + _DAY
    if within.what == "membership year":
        joined = joined_at.astimezone(ladder.zone).date()
        years = day.year - joined.year
        years -= day < _years_after(joined, years)
        return _years_after(joined, years), _years_after(joined, years + 1)
    if within.what == "since change":
        # What led to a change has had its effect: it counts from the next day on.
        return (since.astimezone(ladder.zone).date() + _DAY if since is not None else date.min), day + _DAY
    return date.min, day + _DAY


def _years_after(day: date, years: int) -> date:
    return clamped(day.year + years, day.month, day.day)


class Gauge:
    """What counts for one member, seen from any moment up to now."""

    def __init__(self, ladder: Ladder, tier: Tier, counted: Counted, now: datetime) -> None:
        self.ladder, self.tier, self.counted, self.now = ladder, tier, counted, now

    def window(self, at: datetime) -> tuple[date, date]:
        """The first day of what counts at a moment, and the day behind the last."""
        return window(self.ladder, at, self.counted.joined_at, self.tier.counts_from)

    def amount(self, at: datetime) -> int:
        """What has counted by a moment in its window."""
        if self.ladder.tiers.by in {"balance", "segment"}:
            return self.counted.balance
        first, end = self.window(at)
        return self.between(first, min(end, self.day(at) + _DAY))

    def between(self, first: date, end: date) -> int:
        """What counted from one day up to another."""
        return sum(value for day, value in self.counted.progress.items() if first <= day < end)

    def reached(self, at: datetime) -> int:
        """The place of the highest tier that is reached at a moment; -1 for none."""
        if self.ladder.tiers.by == "proof":
            return -1
        return self.worth(self.amount(at))

    def worth(self, amount: int) -> int:
        """The place of the highest tier that so much reaches."""
        return max((place for place, rung in enumerate(self.ladder.rungs) if rung.least <= amount), default=-1)

    def days_of(self, moments: Collection[datetime]) -> list[datetime]:
        """The moments, the later days with something whose window has what counted then, and now."""
        found = {self.now} | {moment for moment in moments if moment < self.now}
        days = sorted(day for day in self.counted.progress if day <= self.day(self.now))
        for moment in moments:
            day = self.day(moment)
            later = (one for one in days if one > day and self.window(self.start(one))[0] <= day)
            found |= {self.start(one) for one in later}
        return sorted(found)

    def end_of(self, place: int, at: datetime) -> datetime | None:
        """Until when a tier that is reached at a moment is held."""
        rung = self.ladder.rungs[place]
        if rung.least == 0 and self.ladder.tiers.by != "proof":
            return None
        match rung.held:
            case Standing():
                return None
            case Until(following=following):
                end = self.window(at)[1]
                return self.start(self.window(self.start(end))[1] if following else end)
            case Rolling() | UntilEnd() | Dated() as held:
                return self.start(held.last_day(self.day(at)) + _DAY)

    def start(self, day: date) -> datetime:
        """The first moment of a day."""
        return midnight(day, self.ladder.zone)

    def day(self, at: datetime) -> date:
        """The day of a moment, in the program's zone."""
        return at.astimezone(self.ladder.zone).date()
