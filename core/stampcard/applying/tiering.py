"""Tiers in the unit of work: what counts is moved with every decision, and the tier is looked at again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from stampcard.applying.guarding import guarded
from stampcard.applying.withdrawing import take_back
from stampcard.domain.awards import Award
from stampcard.domain.members import Member
from stampcard.domain.tiers import Holding, Tier, TierMoved
from stampcard.domain.value import replace
from stampcard.engine.counting import CounterKey, keys_for
from stampcard.engine.dating import midnight
from stampcard.engine.deciding import UNCHANGED, decide_tier_moved, decide_tier_undone, tier_subject
from stampcard.engine.gauging import Counted, Ladder, measure_of, place_by_segments
from stampcard.engine.importing import brought_tier
from stampcard.engine.progressing import Progress, ProgressKey, moved
from stampcard.engine.settling import settle
from stampcard.engine.tiering import Outlook, assess, given_by_hand, outlook, parted, taken_back, united
from stampcard.engine.versions import LiveProgram
from stampcard.engine.waiting import follow_tier
from stampcard.engine.world import AwardKey, Decision, Order
from stampcard.program.events import OF_TIERS, TIER_UP
from stampcard.storage import tiering

if TYPE_CHECKING:
    from stampcard.applying.unit import Unit

#: Which event a rule is on that pays for what happens to a tier.
EVENTS: Mapping[str, str] = {way: f"tier_{way}" for way in ("up", "down", "kept", "ending")}
#: Why a tier rises without a member having done anything for it: rules pay nothing then.
QUIET = frozenset({"program", "merge"})
#: A tier that pays points may raise a member further, but not for ever.
_MOST_MOVES = 200
Awards = Mapping[str, Mapping[AwardKey, Award]]
#: (member, program, measure)
Sum = tuple[str, str, str]


@dataclass(slots=True)
class Moves:
    """What happened to tiers in one transaction, and what counts by now.

    `progress`: by (member, program, measure), then by day; what is inside is replaced, never changed.
    """

    progress: dict[Sum, Mapping[date, int]] = field(default_factory=dict)
    touched: dict[ProgressKey, int] = field(default_factory=dict)
    tiers: dict[tuple[str, str], Tier] = field(default_factory=dict)
    happened: list[tuple[str, TierMoved]] = field(default_factory=list)
    times: Counter[str] = field(default_factory=Counter)

    def copied(self) -> Moves:
        """The same, to go back to."""
        return Moves(
            dict(self.progress), dict(self.touched), dict(self.tiers), list(self.happened), Counter(self.times)
        )

    def forget(self, members: Collection[str]) -> None:
        """Let nothing of these be written."""
        self.touched = {key: amount for key, amount in self.touched.items() if key.member not in members}
        self.tiers = {key: tier for key, tier in self.tiers.items() if key[0] not in members}

    def put(self, key: ProgressKey, amount: int) -> None:
        """Let so much count on a day."""
        of = (key.member, key.program, key.measure)
        self.progress[of] = {**self.progress.get(of, {}), key.day: amount}
        self.touched[key] = amount

    def of(self, key: ProgressKey) -> int:
        """What counts on a day."""
        return self.progress.get((key.member, key.program, key.measure), {}).get(key.day, 0)


class Tiering:
    """The tiers of the members of one unit of work."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    @cached_property
    def live(self) -> tuple[LiveProgram, ...]:
        """The programs that have tiers now."""
        return tuple(live for live in self._unit.setting.programs.current(self._unit.now) if live.ladder is not None)

    def load(self) -> None:
        """Load what is known of the unit's members."""
        unit = self._unit
        if not self.live:
            return
        merchant = unit.setting.merchant
        live = {live.name for live in self.live}
        known = tiering.load_tiers(unit.connection, merchant, unit.members)
        for (member, program), tier in unit.tiers.tiers.items():  # what changed before this lock is not stored yet
            known.setdefault(member, {})[program] = tier
        for member in known.keys() & unit.members.keys():
            tiers = {program: tier for program, tier in known[member].items() if program in live}
            unit.members[member] = replace(unit.members[member], tiers=tiers)
        if any(measure_of(live.program.tiers) for live in self.live if live.program.tiers is not None):
            unit.tiers.progress = {}
            for key, amount in tiering.load_progress(unit.connection, merchant, unit.members).items():
                days = unit.tiers.progress.setdefault((key.member, key.program, key.measure), {})
                days[key.day] = amount  # type: ignore[index]
            for key, amount in list(unit.tiers.touched.items()):
                unit.tiers.put(key, amount)

    def fold(self) -> None:
        """Let readers see tiers as they stand now, without anything being written."""
        unit = self._unit
        for live in self.live:
            for id_, person in list(unit.members.items()):
                if live.name in person.programs:
                    tier, _ = self._assessed(live, person, ())
                    unit.members[id_] = replace(person, tiers={**person.tiers, live.name: tier})

    def settle(self) -> None:
        """What time alone has changed comes before anything is decided."""
        unit = self._unit
        for id_, person in list(unit.members.items()):
            due = any(one.next_at is not None and one.next_at <= unit.now for one in person.tiers.values())
            if due and person.is_there:
                guarded(unit, id_, "tier_failed", self._settle)

    def _settle(self, member: str) -> None:
        self.assess(member)
        self._unit.judge_again(member)

    def recount(self, live: LiveProgram, progress: Progress, members: Collection[str], *, why: str = "program") -> None:
        """Put what was counted anew in the place of what was known, and give members what they have reached by it."""
        unit, measure = self._unit, measure_of(live.program.tiers) if live.program.tiers is not None else ""
        known = {
            ProgressKey(member, live.name, measure, day)
            for member in members
            for day in unit.tiers.progress.get((member, live.name, measure), {})
        }
        for key in {*known, *progress}:
            if unit.tiers.of(key) != progress.get(key, 0):
                unit.tiers.put(key, progress.get(key, 0))
        for member in members:
            self.assess(member, sorted(unit.tiers.progress.get((member, live.name, measure), {})), why=why)
            unit.judge_again(member)

    def keys(self) -> set[CounterKey]:
        """Counters of the rules that pay for what happens to tiers."""
        unit = self._unit
        return {
            key
            for live in self.live
            for on in OF_TIERS
            for member in unit.members
            for key in keys_for(live, on, unit.now, member)
        }

    def count(self, decision: Decision, order: Order | None, awards: Awards) -> dict[str, set[date]]:
        """Move what counts; `order` and `awards` as they were before. Answers whose days moved."""
        unit, days = self._unit, dict[str, set[date]]()
        subjects = {award.subject for award in decision.awards} | (
            {decision.order.subject} if decision.order else set()
        )
        after: dict[str, dict[AwardKey, Award]] = {subject: dict(awards.get(subject, {})) for subject in subjects}
        for award in decision.awards:
            after[award.subject][award.member, award.program, award.rule] = award
        for live in self.live:
            was = {subject: awards.get(subject, {}).values() for subject in after}
            now = {subject: of.values() for subject, of in after.items()}
            moments = {
                subject: at
                for (program, subject), at in decision.moments.items()
                if program == live.name and subject in after
            }
            for key, amount in moved(live, (order, decision.order), was, now, moments).items():
                unit.tiers.put(key, unit.tiers.of(key) + amount)
                days.setdefault(key.member, set()).add(key.day)
        return days

    def assess(self, member: str, days: Collection[date] = (), why: str = "") -> None:
        """Look at a member's tiers again, and let rules pay for what happened to them.

        `why`: what raised members if not what they did; rules pay nothing then.
        """
        unit = self._unit
        for live in self.live:
            person = unit.members[member]
            if live.name not in person.programs or not person.is_there:
                continue
            tier, happened = self._assessed(live, person, days)
            known = person.tiers.get(live.name)
            if tier == known or (known is None and not (tier.name or tier.next_at)):
                continue
            if why:
                happened = tuple(replace(one, why=why) if one.way == "up" else one for one in happened)
            self.have(member, tier, happened)

    def have(self, member: str, tier: Tier, happened: Collection[TierMoved]) -> None:
        """Give a member this tier, keep what happened as events, and let rules pay for it; segments are judged behind it."""
        unit, person = self._unit, self._unit.members[member]
        unit.keep_before(member)
        unit.members[member] = replace(person, tiers={**person.tiers, tier.program: tier})
        unit.tiers.tiers[member, tier.program] = tier
        for one in happened:
            unit.tiers.happened.append((member, one))
            event = EVENTS.get(one.way)
            decision = UNCHANGED
            quiet = not unit.pays or (one.way == "up" and one.why in QUIET)
            unit.tiers.times[member] += 1
            if event is not None and not quiet and unit.tiers.times[member] < _MOST_MOVES:
                decision = decide_tier_moved(unit.world, event, one, unit.members[member])
            unit.record_own(one, member, decision.reasons)
            unit.absorb(decision)
            if unit.setting.programs.follows:
                unit.absorb(follow_tier(unit.world, one, member))
            for number in one.undone:
                self._undo(member, replace(one, number=number))

    def give(self, ladder: Ladder, person: Member, name: str, until: datetime | None) -> None:
        """Give a member a tier, or take it; what counts may raise them again at once."""
        tier = person.tiers.get(ladder.program) or Tier(program=ladder.program, name="", since=self._unit.now)
        given, happened = given_by_hand(ladder, tier, name, until, self._counted(ladder, person), self._unit.now)
        self.have(person.id, given, happened)
        self.assess(person.id)
        self._unit.judge_again(person.id)

    def unite(self, live: LiveProgram, member: str, other: Tier) -> None:
        """Let a member have what another one, who is the same person, had reached."""
        self._move(united, live, member, other)

    def part(self, live: LiveProgram, member: str, other: Tier) -> None:
        """Take from a member what had come with another one."""
        self._move(parted, live, member, other)

    def _move(
        self, how: Callable[..., tuple[Tier, tuple[TierMoved, ...]]], live: LiveProgram, member: str, other: Tier
    ) -> None:
        unit, ladder = self._unit, live.ladder
        person = unit.members[member]
        if ladder is None:
            return
        tier = person.tiers.get(live.name) or Tier(program=live.name, name="", since=unit.now)
        self.have(member, *how(ladder, tier, other, self._counted(ladder, person), unit.now))

    def bring(self, live: LiveProgram, member: str, name: str, until: datetime | None) -> Holding:
        """Let a member have the tier that they had elsewhere; answers how long it is held."""
        assert live.ladder is not None
        unit, person = self._unit, self._unit.members[member]
        tier = person.tiers.get(live.name) or Tier(program=live.name, name="", since=unit.now)
        counted = self._counted(live.ladder, person)
        brought, happened, holding = brought_tier(live.ladder, tier, name, until, counted, unit.now)
        self.have(member, brought, happened)
        return holding

    def take_back(self, live: LiveProgram, member: str, name: str, until: datetime | None) -> None:
        """Let go of a tier that an import brought, as far as it is still held for that."""
        unit, person = self._unit, self._unit.members[member]
        tier = person.tiers.get(live.name)
        if live.ladder is None or tier is None:
            return
        left, happened = taken_back(live.ladder, tier, name, until, self._counted(live.ladder, person), unit.now)
        if left != tier:
            self.have(member, left, happened)
            self.assess(member)

    def outlooks(self, member: str) -> list[Outlook]:
        """How each tier of a member stands, and what is missing."""
        person, found = self._unit.members[member], []
        for live in self.live:
            if live.ladder is not None and live.name in person.programs:
                tier = person.tiers.get(live.name) or Tier(program=live.name, name="", since=self._unit.now)
                found.append(outlook(live.ladder, tier, self._counted(live.ladder, person), self._unit.now))
        return found

    def _undo(self, member: str, rise: TierMoved) -> None:
        """Take back what rules paid for a tier that a refund takes away."""
        take_back(self._unit, member, tier_subject(TIER_UP, rise, member), decide_tier_undone)

    def _assessed(
        self, live: LiveProgram, person: Member, days: Collection[date]
    ) -> tuple[Tier, tuple[TierMoved, ...]]:
        ladder = live.ladder
        assert ladder is not None
        tier = person.tiers.get(live.name) or Tier(program=live.name, name="", since=self._unit.now)
        moments = [midnight(day, ladder.zone) for day in days]
        return assess(ladder, tier, self._counted(ladder, person), self._unit.now, moments)

    def _counted(self, ladder: Ladder, person: Member) -> Counted:
        unit, measure = self._unit, measure_of(ladder.tiers)
        progress = unit.tiers.progress.get((person.id, ladder.program, measure), {})
        balance = 0
        if ladder.tiers.by == "balance":
            wallet = unit.wallets.get((person.id, ladder.tiers.wallet))
            balance = settle(wallet, unit.now)[0].sums.get("active", 0) if wallet is not None else 0
        elif ladder.tiers.by == "segment":
            balance = place_by_segments(ladder.tiers, person.segments.get(ladder.program, ()))
        return Counted(joined_at=person.joined_at, progress=progress, balance=balance)

    def touched(self, decision: Decision, days: Mapping[str, set[date]]) -> set[str]:
        """Whose tiers a decision may have changed."""
        found = set(days)
        followed = {
            live.program.tiers.wallet for live in self.live if live.program.tiers and live.program.tiers.by == "balance"
        }
        found |= {wallet.member for wallet in decision.wallets if wallet.name in followed}
        if decision.member is not None:
            found.add(decision.member.id)
        return found & self._unit.members.keys()
