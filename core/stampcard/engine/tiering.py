"""Which tier a member has: reached, kept, ended, fallen from; pure, from what counts day by day."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta

from stampcard.domain.tiers import Direction, Holding, Tier, TierMoved
from stampcard.domain.value import Value, replace
from stampcard.engine.gauging import Counted, Gauge, Ladder, measure_of
from stampcard.program.tiers import TIMELESS, Standing, Trailing, Until

_DAY, _TICK = timedelta(days=1), timedelta(microseconds=1)
NEVER = datetime.max.replace(tzinfo=UTC)
#: Reasons to have a tier that are kept; older ones have been outlived or outdone.
_MOST_HOLDINGS = 12


def assess(
    ladder: Ladder, tier: Tier, counted: Counted, now: datetime, moments: Collection[datetime] = ()
) -> tuple[Tier, tuple[TierMoved, ...]]:
    """The tier as it stands now, with what happened to it on the way; `moments`: when something counted that came now.

    Ends and beginnings that have passed come first, each as of its own moment; then what is reached at the moments, on the
    later days that they count on, and now; then what a refund takes away again.
    """
    walk = _Walk(ladder, tier, counted, now)
    walk.pass_time()
    if ladder.tiers.by != "proof":
        for moment in walk.days_of(moments):
            walk.rise(moment)
        walk.fall()
    walk.tell()
    return walk.finished(), tuple(walk.moved)


class _Walk(Gauge):
    """One assessment on its way through time."""

    def __init__(self, ladder: Ladder, tier: Tier, counted: Counted, now: datetime) -> None:
        super().__init__(ladder, tier, counted, now)
        self.moved: list[TierMoved] = []

    @property
    def place(self) -> int:
        """Where the tier of now stands."""
        return self.ladder.place(self.tier.name)

    def best(self, at: datetime) -> Holding | None:
        """The highest of what has not ended at a moment; of equals the one that lasts longest."""
        lasting = [one for one in self.tier.holdings if (one.until or NEVER) > at and self.ladder.place(one.name) >= 0]
        return max(lasting, key=lambda one: (self.ladder.place(one.name), one.until or NEVER), default=None)

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
            self._reach(place, at, "up", "reached", judged=at - _TICK)

    def _judged(self, at: datetime) -> datetime:
        """The moment that an end is judged by: the last of the old window, or the first of the new where that begins anew."""
        held = self.ladder.rungs[self.place].held if self.place >= 0 else None
        return at if isinstance(held, Until) and not held.following else at - _TICK

    def _end(self, at: datetime) -> None:
        judged, graced = self._judged(at), self.tier.grace_of
        place = self.reached(judged)
        if graced is not None:
            place = max(place, self.reached(self._judged(graced)))
        tiers, mine, other = self.ladder.tiers, self.place, self.best(at)
        if mine >= 0 and place >= mine:
            self._reach(place, at, "up" if place > mine else "kept", "reached", judged=judged)
        elif other is not None and self.ladder.place(other.name) >= mine >= 0:
            self._have(other, at, "kept", "reached")
        elif tiers.downgrade == "none" and mine >= 0:
            self._have(Holding(name=self.tier.name, by_hand=self.tier.by_hand), at, "kept", "program")
        elif tiers.grace is not None and graced is None and mine >= 0:
            end = self.start(tiers.grace.after(self.day(at)))
            self.tier = replace(self.tier, until=end, grace_of=at)
        else:
            self._drop(place, at, judged)

    def _drop(self, place: int, at: datetime, judged: datetime) -> None:
        """Down to what is reached or was reached before and still lasts; or one tier only."""
        if self.ladder.tiers.downgrade == "one level" and self.place - 1 > place:
            below = self.place - 1
            self._have(
                Holding(name=self.ladder.rungs[below].name, until=self._end_from(below, judged, at)),
                at,
                "down",
                "ended",
            )
            return
        other = self.best(at)
        if other is not None and self.ladder.place(other.name) > place:
            self._have(other, at, "down", "ended")
        else:
            self._reach(place, at, "down", "ended", judged=judged)

    def _end_from(self, place: int, judged: datetime, at: datetime) -> datetime | None:
        """The end of what is judged by one moment and begins at another: it lies behind the beginning."""
        until = self.end_of(place, judged) if place >= 0 else None
        return self.end_of(place, at) if until is not None and until <= at else until

    def _reach(
        self, place: int, at: datetime, way: Direction, why: str, *, judged: datetime, until: datetime | None = None
    ) -> None:
        """Have a tier by what counted in the window of a moment; no place for none."""
        if place < 0:
            self._have(None, at, way, why)
            return
        rung = self.ladder.rungs[place]
        anchored = rung.least > 0 and self.ladder.tiers.by not in TIMELESS
        self._have(
            Holding(
                name=rung.name,
                until=until or self._end_from(place, judged, at),
                reached_in=self.window(judged) if anchored else None,
                least=rung.least if anchored else 0,
                measure=measure_of(self.ladder.tiers),
                counted_from=self.tier.counts_from,
            ),
            at,
            way,
            why,
        )

    def _have(self, holding: Holding | None, at: datetime, way: Direction, why: str) -> None:
        """Have another tier, or the same for other reasons."""
        old, name = self.tier, holding.name if holding is not None else ""
        place, same = self.ladder.place(name), name == old.name
        kept = tuple(one for one in old.holdings if (one.until or NEVER) > at and one != holding)
        held = tuple(up for up in old.ups if self.ladder.place(up[0]) <= place)
        number = old.number + 1
        self.tier = Tier(
            program=old.program,
            name=name,
            since=old.since if same else at,
            until=holding.until if holding is not None else None,
            holdings=(*kept, holding)[-_MOST_HOLDINGS:] if holding is not None else kept,
            counts_from=old.counts_from if way == "joined" else at,
            by_hand=holding.by_hand if holding is not None else False,
            coming=old.coming if self.ladder.place(old.coming) > place else "",
            coming_at=old.coming_at if self.ladder.place(old.coming) > place else None,
            number=number,
            ups=(*held, (name, number)) if way == "up" else held,
        )
        undone = tuple(number for name, number in old.ups if (name, number) not in held) if why == "refund" else ()
        self._say(way, old.name, at, why, undone)

    def _say(self, way: Direction, before: str, at: datetime, why: str, undone: tuple[int, ...] = ()) -> None:
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
                undone=undone,
            )
        )

    def rise(self, moment: datetime) -> None:
        """What is reached at a moment: a higher tier, or the same one for longer."""
        place = self.reached(moment)
        if place >= 0 and not self.tier.name and self.ladder.rungs[0].least == 0:
            self._reach(0, self.now, "joined", "reached", judged=moment)
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
            self._reach(place, self.now, "kept", "reached", judged=moment, until=end)

    def _rise_to(self, place: int, moment: datetime) -> None:
        if self.ladder.tiers.upgrade == "at once":
            why = "program" if self.tier.name and self.place < 0 else "reached"
            self._reach(place, self.now, "up", why, judged=moment)
        elif self.ladder.place(self.tier.coming) < place:
            begins = self.start(self.window(moment)[1])
            if begins > self.now:
                self.tier = replace(self.tier, coming=self.ladder.rungs[place].name, coming_at=begins)
            else:
                self._reach(place, self.now, "up", "reached", judged=moment)

    def fall(self) -> None:
        """What is not reached any more: at once where a tier follows what counts, else only if a refund took it away."""
        if self.tier.coming_at is not None:
            coming = min(self.ladder.place(self.tier.coming), self.reached(self.tier.coming_at - _TICK))
            above = coming > self.place
            self.tier = replace(
                self.tier,
                coming=self.ladder.rungs[coming].name if above else "",
                coming_at=self.tier.coming_at if above else None,
            )
        mine = self.place
        if not self.tier.name:
            return
        if mine < 0:
            # The program has no such tier any more.
            self._reach(self.reached(self.now), self.now, "down", "program", judged=self.now)
        elif self._follows(mine) and not self.tier.by_hand:
            self._follow(mine)
        else:
            self._check()

    def _check(self) -> None:
        """Give up what refunds have taken away, and have the best of what is left."""
        broken = [one for one in self.tier.holdings if self._is_broken(one)]
        if not broken:
            return
        sound = tuple(one for one in self.tier.holdings if one not in broken)
        current = next((one for one in broken if one.name == self.tier.name and one.until == self.tier.until), None)
        old = self.tier.counts_from
        # What had counted towards what is given up counts again.
        counted_from = current.counted_from if current is not None else old
        self.tier = replace(self.tier, holdings=sound, counts_from=counted_from)
        best = self._left_of(broken, sound)
        if current is None and (best is None or self.ladder.place(best.name) <= self.place):
            return
        if best is not None and best.name == self.tier.name:
            self.tier = replace(
                self.tier,
                holdings=(*(one for one in sound if one != best), best),
                until=best.until,
                by_hand=best.by_hand,
                grace_of=None,
                counts_from=old if best in sound else self.now,
            )
            return
        self._have(best, self.now, "down", "refund")
        self.tier = replace(self.tier, counts_from=counted_from)

    def _is_broken(self, one: Holding) -> bool:
        counts = one.reached_in is not None and one.measure == measure_of(self.ladder.tiers)
        return counts and one.reached_in is not None and self.between(*one.reached_in) < one.least

    def _left_of(self, broken: Collection[Holding], sound: Collection[Holding]) -> Holding | None:
        """The best of what still lasts: other reasons, what is left of those that broke, what is reached now."""
        found = [one for one in sound if (one.until or NEVER) > self.now and self.ladder.place(one.name) >= 0]
        for one in broken:
            if one.reached_in is None:
                continue
            then = self.start(one.reached_in[1]) - _TICK
            place = self.worth(self.between(*one.reached_in))
            end = self.end_of(place, min(then, self.now)) if place >= 0 else None
            if place >= 0 and (end or NEVER) > self.now:
                found.append(self._anchored(place, one.reached_in, end))
        place = self.reached(self.now)
        if place >= 0:
            longest = max((one.until or NEVER for one in broken if self.ladder.place(one.name) == place), default=None)
            until = self.end_of(place, self.now)
            until = min(until, longest) if until is not None and longest is not None else until
            found.append(self._anchored(place, self.window(self.now), until))
        return max(found, key=lambda one: (self.ladder.place(one.name), one.until or NEVER), default=None)

    def _anchored(self, place: int, reached_in: tuple[date, date], until: datetime | None) -> Holding:
        rung = self.ladder.rungs[place]
        return Holding(
            name=rung.name,
            until=until,
            reached_in=reached_in if rung.least else None,
            least=rung.least,
            measure=measure_of(self.ladder.tiers),
            counted_from=self.tier.counts_from,
        )

    def _follows(self, place: int) -> bool:
        rung = self.ladder.rungs[place]
        return rung.least > 0 and isinstance(rung.held, Standing) and not rung.held.for_life

    def _follow(self, mine: int) -> None:
        place, tiers = self.reached(self.now), self.ladder.tiers
        if place >= mine or tiers.downgrade == "none" or self.tier.grace_of is not None:
            return
        if tiers.grace is not None:
            end = self.start(tiers.grace.after(self.day(self.now)) + _DAY)
            self.tier = replace(self.tier, until=end, grace_of=self.now)
            return
        kept = (one for one in self.tier.holdings if one.by_hand or not place < self.ladder.place(one.name) <= mine)
        self.tier = replace(self.tier, holdings=tuple(kept))
        self._drop(place, self.now, self.now)

    def tell(self) -> None:
        """Say in time that a tier ends, and what is missing to keep it."""
        at = self._notice_at()
        if at is None or at > self.now or self.tier.until is None:
            return
        mine, until = self.place, self.tier.until
        amount = self.amount(self._judged(until))
        missing = self.ladder.rungs[mine].least - amount
        if self.ladder.tiers.by == "segment" or (missing <= 0 and self.ladder.tiers.by != "proof"):
            return
        self.tier = replace(self.tier, told_until=until)
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
        return self.start(self.day(tier.until) - timedelta(days=notice.count))

    def finished(self) -> Tier:
        """The tier, with when time alone may change it next."""
        due = (self.tier.until, self.tier.coming_at, self._notice_at(), self._lapses_at())
        later = [at for at in due if at is not None and at > self.now]
        next_at = min(later, default=None)
        return self.tier if next_at == self.tier.next_at else replace(self.tier, next_at=next_at)

    def _lapses_at(self) -> datetime | None:
        """When a tier that follows what counts is not reached any more, if nothing else happens."""
        mine, within = self.place, self.ladder.tiers.within
        if mine < 0 or not self._follows(mine) or self.ladder.tiers.by in TIMELESS or self.tier.grace_of is not None:
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

    def take(self) -> None:
        """What somebody takes: down to what is left without it and what counts."""
        mine, old = self.place, self.tier
        kept = (one for one in old.holdings if (not one.by_hand if old.by_hand else self.ladder.place(one.name) < mine))
        self._give_up(tuple(kept), "hand")

    def take_back(self, name: str, until: datetime | None) -> None:
        """One reason to have a tier that somebody gave."""
        old = self.tier
        given = [one for one in old.holdings if one.by_hand and (one.name, one.until) == (name, until)]
        kept = tuple(one for one in old.holdings if one not in given[:1])
        if given and old.by_hand and (old.name, old.until) == (name, until):
            self._give_up(kept, "hand")
        else:
            self.tier = replace(old, holdings=kept)

    def _give_up(self, kept: tuple[Holding, ...], why: str) -> None:
        """Down to these reasons and what counts; at once, so that nobody rises to it again."""
        mine = self.place
        self.tier = replace(self.tier, holdings=kept)
        place = min(mine, self.reached(self.now)) if self.ladder.tiers.upgrade == "at once" else -1
        other = self.best(self.now)
        left = self.ladder.place(other.name) if other is not None else -1
        way: Direction = "down" if max(place, left) < mine else "kept"
        if left >= place:
            self._have(other, self.now, way, why)
        else:
            self._reach(place, self.now, way, why, judged=self.now)

    def unite(self, theirs: Collection[Holding]) -> None:
        """What another member, who is the same person, had brings every reason with it."""
        fresh = tuple(one for one in theirs if one not in self.tier.holdings)
        self.tier = replace(self.tier, holdings=(*self.tier.holdings, *fresh))
        best = self.best(self.now)
        if best is None or best not in fresh:
            return
        place = self.ladder.place(best.name)
        if (place, best.until or NEVER) > (self.place, self.tier.until or NEVER):
            self._have(best, self.now, "up" if place > self.place else "kept", "merge")

    def part(self, theirs: Collection[Holding]) -> None:
        """What had come with another member goes with them."""
        tier = self.tier
        kept = tuple(one for one in tier.holdings if one not in theirs)
        mine = any(one.name == tier.name and one.until == tier.until for one in kept)
        if tier.name and not mine and len(kept) < len(tier.holdings):
            self._give_up(kept, "merge")
        else:
            self.tier = replace(tier, holdings=kept)

    def give(self, name: str, until: datetime | None) -> None:
        """What somebody gives; of what lies above it nothing is left."""
        old, place = self.tier, self.ladder.place(name)
        holding = Holding(
            name=name,
            until=until if until is not None else self._end_from(place, self.now, self.now),
            by_hand=True,
            counted_from=old.counts_from,
        )
        way: Direction = "up" if place > self.ladder.place(old.name) else "kept" if name == old.name else "down"
        if way == "down":
            kept = tuple(one for one in old.holdings if self.ladder.place(one.name) <= place)
            self.tier = replace(old, holdings=kept)
        self._have(holding, self.now, way, "hand")


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
    """What a member has and what is missing; nothing is missing where people or segments say who has which."""
    walk = _Walk(ladder, tier, counted, now)
    if ladder.tiers.by in {"segment", "proof"}:
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
) -> tuple[Tier, tuple[TierMoved, ...]]:
    """The tier that somebody gives a member, or takes (no name); without `until` as long as the program holds it."""
    walk = _Walk(ladder, tier, counted, now)
    if name:
        walk.give(name, until)
    elif tier.name:
        walk.take()
    return walk.finished(), tuple(walk.moved)


def united(
    ladder: Ladder, tier: Tier, other: Tier, counted: Counted, now: datetime
) -> tuple[Tier, tuple[TierMoved, ...]]:
    """The tier of a member to whom another one was merged."""
    walk = _Walk(ladder, tier, counted, now)
    walk.unite(other.holdings)
    return walk.finished(), tuple(walk.moved)


def parted(
    ladder: Ladder, tier: Tier, other: Tier, counted: Counted, now: datetime
) -> tuple[Tier, tuple[TierMoved, ...]]:
    """The tier of a member from whom another one, with such a tier, was parted again."""
    walk = _Walk(ladder, tier, counted, now)
    walk.part(other.holdings)
    return walk.finished(), tuple(walk.moved)


def taken_back(
    ladder: Ladder, tier: Tier, name: str, until: datetime | None, counted: Counted, now: datetime
) -> tuple[Tier, tuple[TierMoved, ...]]:
    """The tier without what somebody gave once, by its name and end; whatever else holds it stays."""
    walk = _Walk(ladder, tier, counted, now)
    walk.take_back(name, until)
    return walk.finished(), tuple(walk.moved)
