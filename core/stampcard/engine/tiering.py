"""Which tier a member has: reached, kept, ended, fallen from; pure, from what counts day by day."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from stampcard.domain.members import Member
from stampcard.domain.tiers import Direction, Tier, TierMoved
from stampcard.domain.value import Value, replace
from stampcard.engine.dating import midnight
from stampcard.program.lifetimes import Dated, Rolling
from stampcard.program.model import Program
from stampcard.program.tiers import Calendar, Held, Standing, Tiers, Trailing, Until, YearFrom

_DAY, _TICK = timedelta(days=1), timedelta(microseconds=1)
#: Money is counted in ten-thousandths.
FINE = 10_000
NEVER = datetime.max.replace(tzinfo=UTC)
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
    """What is known of a member: what counts, by day of the program's zone, and the balance."""

    joined_at: datetime
    progress: Mapping[date, int] = NOTHING
    balance: int = 0


def ladder_of(program: Program) -> Ladder | None:
    """The tiers of a program, if it has any."""
    tiers = program.tiers
    if tiers is None:
        return None
    unit = unit_of(program)
    rungs = [Rung(name, int((level.least or 0) * unit), tiers.held_by(name)) for name, level in tiers.levels.items()]
    return Ladder(program=program.program, zone=program.zone, tiers=tiers, rungs=tuple(rungs), unit=unit)


def unit_of(program: Program) -> int:
    """How many of the smallest units make one of what the program's tiers count."""
    tiers = program.tiers
    if tiers is None or tiers.by in {"orders", "proof"}:
        return 1
    return FINE if tiers.by == "spend" else int(10 ** program.wallets[tiers.wallet].scale)


def measure_of(tiers: Tiers) -> str:
    """What is counted day by day; nothing for what is not."""
    if tiers.by == "points":
        return f"points:{tiers.wallet}"
    return tiers.by if tiers.by in {"spend", "orders"} else ""


def tier_name(member: Member, program: str) -> str:
    """The tier that a member has in a program; empty for none."""
    known = member.tiers.get(program)
    return known.name if known is not None else ""


def assess(
    ladder: Ladder, tier: Tier, counted: Counted, now: datetime, moments: Collection[datetime] = ()
) -> tuple[Tier, tuple[TierMoved, ...]]:
    """The tier as it stands now, with what happened to it on the way; `moments`: when something counted that came now.

    Ends and beginnings that have passed come first, each as of its own moment; then what is reached at the moments and
    now; then what a refund takes away again.
    """
    walk = _Walk(ladder, tier, counted, now)
    walk.pass_time()
    if ladder.tiers.by != "proof":
        for moment in sorted({*(one for one in moments if one < now), now}):
            walk.rise(moment)
        walk.fall()
    walk.tell()
    return walk.finished(), tuple(walk.moved)


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
        years = day.year - joined.year - ((day.month, day.day) < (joined.month, joined.day))
        return _years_after(joined, years), _years_after(joined, years + 1)
    if within.what == "since change":
        # What led to a change has had its effect: it counts from the next day on.
        return (since.astimezone(ladder.zone).date() + _DAY if since is not None else date.min), day + _DAY
    return date.min, day + _DAY


def _years_after(day: date, years: int) -> date:
    if (day.month, day.day) == (2, 29):
        day = day.replace(day=28) if years % 4 else day
    return day.replace(year=day.year + years)


class _Walk:
    """One assessment on its way through time."""

    def __init__(self, ladder: Ladder, tier: Tier, counted: Counted, now: datetime) -> None:
        self.ladder, self.tier, self.counted, self.now = ladder, tier, counted, now
        self.moved: list[TierMoved] = []

    # What counts

    def window(self, at: datetime) -> tuple[date, date]:
        """The first day of what counts at a moment, and the day behind the last."""
        return window(self.ladder, at, self.counted.joined_at, self.tier.counts_from)

    def amount(self, at: datetime) -> int:
        """What has counted by a moment in its window."""
        if self.ladder.tiers.by == "balance":
            return self.counted.balance
        first, end = self.window(at)
        return self.between(first, min(end, at.astimezone(self.ladder.zone).date() + _DAY))

    def between(self, first: date, end: date) -> int:
        """What counted from one day up to another."""
        return sum(value for day, value in self.counted.progress.items() if first <= day < end)

    def reached(self, at: datetime) -> int:
        """The place of the highest tier that is reached at a moment; -1 for none."""
        if self.ladder.tiers.by == "proof":
            return -1
        amount = self.amount(at)
        return max((place for place, rung in enumerate(self.ladder.rungs) if rung.least <= amount), default=-1)

    def end_of(self, place: int, at: datetime) -> datetime | None:
        """Until when a tier that is reached at a moment is held."""
        rung = self.ladder.rungs[place]
        if rung.least == 0 and self.ladder.tiers.by != "proof":
            return None
        day = at.astimezone(self.ladder.zone).date()
        match rung.held:
            case Standing():
                return None
            case Until(following=following):
                end = self.window(at)[1]
                return self.start(self.window(self.start(end))[1] if following else end)
            case Rolling() | Dated() as held:
                return self.start(held.last_day(day) + _DAY)

    def start(self, day: date) -> datetime:
        """The first moment of a day."""
        return midnight(day, self.ladder.zone)

    @property
    def place(self) -> int:
        """Where the tier of now stands."""
        return self.ladder.place(self.tier.name)

    # What happens

    def pass_time(self) -> None:
        """Whatever has ended or begun by now, in its order."""
        while True:
            due = [at for at in (self.tier.coming_at, self.tier.until) if at is not None and at <= self.now]
            if not due:
                return
            at = min(due)
            if self.tier.coming_at == at:
                self._begin(at)
            else:
                self._end(at)

    def _begin(self, at: datetime) -> None:
        """What was reached in the last period has its beginning, if it still is."""
        place = min(self.ladder.place(self.tier.coming), self.reached(at - _TICK))
        self.tier = replace(self.tier, coming="", coming_at=None)
        if place > self.place:
            self._take(place, at, "up", "reached", judged=at - _TICK)

    def _judged(self, at: datetime) -> datetime:
        """The moment that an end is judged by: the last of the old window, or the first of the new where that begins anew."""
        held = self.ladder.rungs[self.place].held if self.place >= 0 else None
        return at if isinstance(held, Until) and not held.following else at - _TICK

    def _end(self, at: datetime) -> None:
        judged = self._judged(at)
        place = self.reached(judged)
        graced = self.tier.grace_of
        if graced is not None:
            place = max(place, self.reached(self._judged(graced)))
        tiers, mine = self.ladder.tiers, self.place
        if mine >= 0 and place >= mine:
            self._take(place, at, "up" if place > mine else "kept", "reached", judged=judged)
            return
        if tiers.downgrade == "none" and mine >= 0:
            self.tier = replace(self.tier, until=None, grace_of=None)
            return
        if tiers.grace is not None and graced is None and mine >= 0:
            end = self.start(tiers.grace.after(at.astimezone(self.ladder.zone).date()))
            self.tier = replace(self.tier, until=end, grace_of=at)
            return
        self._drop(place, at, judged)

    def _drop(self, place: int, at: datetime, judged: datetime) -> None:
        """Down to what is reached, or one tier only."""
        if self.ladder.tiers.downgrade == "one level" and self.place - 1 > place:
            self._take(self.place - 1, at, "down", "ended", judged=judged, reached=False)
        else:
            self._take(place, at, "down", "ended", judged=judged)

    def _take(
        self,
        place: int,
        at: datetime,
        way: Direction,
        why: str,
        *,
        judged: datetime,
        reached: bool = True,
        until: datetime | None = None,
        keeps_before: bool = False,
    ) -> None:
        """Have another tier, or the same for longer; `judged`: by the window of which moment, `reached`: whether it had it."""
        old, rung = self.tier, self.ladder.rungs[place] if place >= 0 else None
        if until is None and place >= 0:
            until = self.end_of(place, judged)
            if until is not None and until <= at:
                until = self.end_of(place, at)
        same = rung is not None and rung.name == old.name
        counts = reached and rung is not None and rung.least > 0 and self.ladder.tiers.by != "balance"
        self.tier = Tier(
            program=old.program,
            name=rung.name if rung is not None else "",
            since=old.since if same else at,
            until=until,
            counts_from=at,
            reached_in=self.window(judged) if counts else None,
            least=rung.least if rung is not None and counts else 0,
            before=old.before if same else old.name if keeps_before else "",
            before_until=old.before_until if same else old.until if keeps_before else None,
            coming=old.coming,
            coming_at=old.coming_at,
            number=old.number + 1,
        )
        if self.ladder.place(self.tier.coming) <= place:
            self.tier = replace(self.tier, coming="", coming_at=None)
        self._say(way, old.name, at, why)

    def _say(self, way: Direction, before: str, at: datetime, why: str) -> None:
        tier = self.tier
        self.moved.append(
            TierMoved(
                program=tier.program,
                way=way,
                tier=tier.name,
                before=before,
                occurred_at=at,
                why=why,
                number=tier.number,
                until=tier.until,
            )
        )

    def rise(self, moment: datetime) -> None:
        """What is reached at a moment: a higher tier, or the same one for longer."""
        place = self.reached(moment)
        if place > 0 and not self.tier.name and self.ladder.rungs[0].least == 0:
            self._take(0, self.now, "joined", "reached", judged=moment)
        mine = self.place
        if place < 0 or place < mine:
            return
        end = self.end_of(place, moment)
        if end is not None and end <= self.now:
            return
        if place > mine:
            self._rise_to(place, moment)
        elif self.tier.grace_of is not None or (
            self.ladder.tiers.is_periodic and end is not None and self.tier.until is not None and end > self.tier.until
        ):
            self._take(place, self.now, "kept", "reached", judged=moment, until=end)

    def _rise_to(self, place: int, moment: datetime) -> None:
        lowest = self.ladder.rungs[place].least == 0
        if self.ladder.tiers.upgrade == "at once" or lowest:
            way: Direction = "joined" if lowest and not self.tier.name else "up"
            why = "program" if self.tier.name and self.place < 0 else "reached"
            self._take(place, self.now, way, why, judged=moment, keeps_before=True)
        elif self.ladder.place(self.tier.coming) < place:
            begins = self.start(self.window(moment)[1])
            if begins > self.now:
                self.tier = replace(self.tier, coming=self.ladder.rungs[place].name, coming_at=begins)
            else:
                self._take(place, self.now, "up", "reached", judged=moment, keeps_before=True)

    def fall(self) -> None:
        """What is not reached any more: at once where a tier follows what counts, else only if a refund took it away."""
        if self.tier.coming_at is not None:
            still = self.reached(self.tier.coming_at - _TICK) >= self.ladder.place(self.tier.coming)
            self.tier = self.tier if still else replace(self.tier, coming="", coming_at=None)
        mine = self.place
        if not self.tier.name or self.tier.by_hand:
            return
        if mine < 0:
            # The program has no such tier any more.
            self._take(self.reached(self.now), self.now, "down", "program", judged=self.now)
        elif self._follows(mine):
            self._follow(mine)
        elif self.tier.reached_in is not None and self.between(*self.tier.reached_in) < self.tier.least:
            self._fall_back(self.tier.reached_in)

    def _follows(self, place: int) -> bool:
        rung = self.ladder.rungs[place]
        return rung.least > 0 and isinstance(rung.held, Standing) and not rung.held.for_life

    def _follow(self, mine: int) -> None:
        place, tiers = self.reached(self.now), self.ladder.tiers
        if place >= mine or tiers.downgrade == "none" or self.tier.grace_of is not None:
            return
        if tiers.grace is not None:
            end = self.start(tiers.grace.after(self.now.astimezone(self.ladder.zone).date()) + _DAY)
            self.tier = replace(self.tier, until=end, grace_of=self.now)
        else:
            self._drop(place, self.now, self.now)

    def _fall_back(self, reached_in: tuple[date, date]) -> None:
        """To the best of what is left of what was reached then, what is reached now, and what the member had before."""
        tier, now = self.tier, self.now
        then, left = self.start(reached_in[1]) - _TICK, self.between(*reached_in)
        found = [place for place, rung in enumerate(self.ladder.rungs) if 0 < rung.least <= left]
        still = max((place for place in found if (self.end_of(place, then) or NEVER) > now), default=-1)
        before = self.ladder.place(tier.before) if (tier.before_until or NEVER) > now else -1
        best = max(still, before, self.reached(now))
        if best >= self.place:
            return
        if best == before and best > still:
            self._take(best, now, "down", "refund", judged=now, reached=False, until=tier.before_until)
        else:
            self._take(best, now, "down", "refund", judged=min(then, now) if best == still else now)

    def tell(self) -> None:
        """Say in time that a tier ends, and what is missing to keep it."""
        at = self._notice_at()
        if at is None or at > self.now or self.tier.until is None:
            return
        mine, until = self.place, self.tier.until
        self.tier = replace(self.tier, told_until=until)
        amount = self.amount(self._judged(until))
        missing = self.ladder.rungs[mine].least - amount
        if missing <= 0 and self.ladder.tiers.by != "proof":
            return
        above = self.ladder.rungs[mine + 1] if mine + 1 < len(self.ladder.rungs) else None
        self._say("ending", self.tier.name, self.now, "")
        self.moved[-1] = replace(
            self.moved[-1],
            missing=max(0, missing),
            next=above.name if above is not None else "",
            next_missing=max(0, above.least - amount) if above is not None else 0,
        )

    def _notice_at(self) -> datetime | None:
        """When the notice of the tier's end is due; nothing once it was given."""
        tier, notice = self.tier, self.ladder.tiers.notice
        if notice is None or tier.until is None or tier.told_until == tier.until or self.place < 0:
            return None
        tiers = self.ladder.tiers
        if tiers.downgrade == "none" or (self.ladder.rungs[self.place].least == 0 and tiers.by != "proof"):
            return None
        return self.start(tier.until.astimezone(self.ladder.zone).date() - timedelta(days=notice.count))

    def finished(self) -> Tier:
        """The tier, with when time alone may change it next."""
        due = (self.tier.until, self.tier.coming_at, self._notice_at(), self._lapses_at())
        later = [at for at in due if at is not None and at > self.now]
        next_at = min(later, default=None)
        return self.tier if next_at == self.tier.next_at else replace(self.tier, next_at=next_at)

    def _lapses_at(self) -> datetime | None:
        """When a tier that follows what counts is not reached any more, if nothing else happens."""
        mine, within = self.place, self.ladder.tiers.within
        if mine < 0 or not self._follows(mine) or self.ladder.tiers.by == "balance" or self.tier.grace_of is not None:
            return None
        first, end = self.window(self.now)
        if self.ladder.tiers.is_periodic:
            return self.start(end)
        if not isinstance(within, Trailing):
            return None
        amount, least = self.amount(self.now), self.ladder.rungs[mine].least
        for day in sorted(day for day in self.counted.progress if first <= day < end):
            amount -= self.counted.progress[day]
            if amount < least:
                return self.start(_leaves(within, day))
        return None


def _leaves(within: Trailing, day: date) -> date:
    """The first day whose window a day is not in any more."""
    found = within.period.after(day)
    while within.first(found) <= day:
        found += _DAY
    while within.first(found - _DAY) > day:
        found -= _DAY
    return found


class Outlook(Value, frozen=True):
    """A tier as it stands, and what is missing.

    `amount`: what counts now, `missing`: for the next tier, `to_keep`: to keep this one beyond its end; all in the
    smallest unit of what counts. `by`: the last moment at which it can still count.
    """

    ladder: Ladder
    tier: Tier
    amount: int
    next: str = ""
    missing: int = 0
    to_keep: int = 0
    by: datetime | None = None


def outlook(ladder: Ladder, tier: Tier, counted: Counted, now: datetime) -> Outlook:
    """What a member has and what is missing; nothing is missing where people say who has which."""
    walk = _Walk(ladder, tier, counted, now)
    if ladder.tiers.by == "proof":
        return Outlook(ladder=ladder, tier=tier, amount=0)
    amount, place = walk.amount(now), max(walk.place, ladder.place(tier.coming))
    above = ladder.rungs[place + 1] if place + 1 < len(ladder.rungs) else None
    to_keep = ladder.rungs[walk.place].least - amount if tier.until is not None and walk.place >= 0 else 0
    end = walk.window(now)[1] if ladder.tiers.is_periodic else None
    return Outlook(
        ladder=ladder,
        tier=tier,
        amount=amount,
        next=above.name if above is not None else "",
        missing=max(0, above.least - amount) if above is not None else 0,
        to_keep=max(0, to_keep),
        by=walk.start(end) if end is not None else None,
    )


def given_by_hand(
    ladder: Ladder, tier: Tier, name: str, until: datetime | None, counted: Counted, now: datetime
) -> tuple[Tier, TierMoved]:
    """The tier that somebody gives a member, or takes (no name); without `until` as long as the program holds it."""
    place, old = ladder.place(name), tier
    walk = _Walk(ladder, tier, counted, now)
    if until is None and place >= 0:
        until = walk.end_of(place, now)
    walk.tier = Tier(
        program=tier.program,
        name=name,
        since=tier.since if name == tier.name else now,
        until=until,
        counts_from=now,
        by_hand=bool(name),
        number=tier.number + 1,
    )
    way: Direction = "up" if place > ladder.place(old.name) else "kept" if name == old.name else "down"
    walk._say(way, old.name, now, "hand")  # noqa: SLF001 - the same module
    return walk.finished(), walk.moved[0]
