"""Paid memberships in the unit of work: what orders and events say of them, and what rules pay for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from stampcard.applying.guarding import guarded
from stampcard.applying.withdrawing import take_back
from stampcard.domain.events import CustomEvent
from stampcard.domain.plans import PlanChanged, Subscription, Term
from stampcard.domain.value import replace
from stampcard.engine.counting import CounterKey, keys_for
from stampcard.engine.deciding import UNCHANGED, decide_plan, decide_plan_undone, plan_subject
from stampcard.engine.subscribing import counting, fold, place_of, products_for, renewing, term_of_event, terms_of
from stampcard.engine.versions import LiveProgram
from stampcard.engine.world import Order
from stampcard.errors import RequestRefused
from stampcard.program.events import OF_PLANS
from stampcard.storage import subscribing
from stampcard.storage.entitling import load_uses
from stampcard.storage.subscribing import Place

if TYPE_CHECKING:
    from stampcard.applying.unit import Unit

#: What happens to one member's plans in one transaction before it ends.
_MOST = 100


@dataclass(slots=True)
class Terms:
    """The terms of the members of one transaction, `touched` those to be written, and what happened to plans."""

    known: dict[Place, Term] = field(default_factory=dict)
    touched: dict[Place, Term | None] = field(default_factory=dict)
    plans: dict[tuple[str, str, str], Subscription] = field(default_factory=dict)
    happened: list[tuple[str, PlanChanged]] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)
    times: Counter[str] = field(default_factory=Counter)

    def copied(self) -> Terms:
        """The same, to go back to."""
        return Terms(
            dict(self.known), dict(self.touched), dict(self.plans), list(self.happened), set(self.moved),
            Counter(self.times),
        )  # fmt: skip

    def forget(self, members: Collection[str]) -> None:
        """Let nothing of these be written."""
        self.touched = {place: term for place, term in self.touched.items() if place[0] not in members}
        self.plans = {key: one for key, one in self.plans.items() if key[0] not in members}
        self.happened = [(member, one) for member, one in self.happened if member not in members]

    def put(self, place: Place, term: Term | None) -> None:
        """Let a term stand as it is now; None: it is not there any more."""
        if term is None:
            self.known.pop(place, None)
        else:
            self.known[place] = term
        self.touched[place] = term


class Subscribing:
    """The paid memberships of the members of one unit of work."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    @cached_property
    def live(self) -> tuple[LiveProgram, ...]:
        """The programs of which any version has plans, as they are now."""
        programs = self._unit.setting.programs
        having = {name for name, of in programs.versions.items() if any(live.program.plans for live in of)}
        return tuple(live for live in programs.current(self._unit.now) if live.name in having)

    def load(self) -> None:
        """Load what the unit's members bought, and what it came to."""
        unit = self._unit
        if not self.live:
            return
        merchant = unit.setting.merchant
        known = subscribing.load_plans(unit.connection, merchant, unit.members)
        for (member, program, name), one in unit.terms.plans.items():  # what changed before this lock is not stored yet
            known.setdefault(member, {}).setdefault(program, {})[name] = one
        for member in known.keys() & unit.members.keys():
            plans = {program: _in_order(self.live, program, of) for program, of in known[member].items()}
            unit.members[member] = replace(unit.members[member], plans=plans)
        unit.terms.known = subscribing.load_terms(unit.connection, merchant, unit.members)
        for place, term in list(unit.terms.touched.items()):
            unit.terms.put(place, term)

    def settle(self) -> None:
        """What time alone has changed comes before anything is decided."""
        now = self._unit.now
        for id_, person in list(self._unit.members.items()):
            if any(one.active != one.active_at(now) for of in person.plans.values() for one in of.values()):
                guarded(self._unit, id_, "plan_failed", self._unit.judge_again)

    def keys(self) -> set[CounterKey]:
        """Counters of the rules that pay for what happens to plans."""
        unit = self._unit
        return {
            key
            for live in self.live
            for on in OF_PLANS
            for member in unit.members
            for key in keys_for(live, on, unit.now, member)
        }

    def take(self, order: Order) -> None:
        """Let the terms be what an order says now, of its member and of nobody else."""
        terms = self._unit.terms
        wanted = {
            (str(order.member), term.program, term.plan, term.key): term
            for live in self.live
            for term in terms_of(self._unit.setting.programs, live.name, order)
        }
        stale = {place for place in terms.known if place[3] == order.subject} - wanted.keys()
        for place in sorted(stale):
            gone = terms.known[place]
            terms.put(place, None)  # first, so that nobody is told of it again
            terms.moved.add(place[0])
            self._undo(place[0], gone)
        for place, term in wanted.items():
            known = terms.known.get(place)
            now = term if known is None else replace(term, told=known.told, over=known.over)
            if now != known:
                terms.put(place, now)
                terms.moved.add(place[0])

    def check(self, event: CustomEvent) -> None:
        """Raise RequestRefused for an event of which nobody knows which plan it is about."""
        for live in self.live:
            if products := products_for(live, event):
                detail = (
                    f"several plans of {live.name} hear {event.name}: name its product, one of {', '.join(products)}"
                )
                raise RequestRefused("product_missing", detail)

    def hear(self, event: CustomEvent, member: str) -> None:
        """Let an event begin or renew what it does."""
        for live in self.live:
            term = term_of_event(live, event, self._unit.now)
            if term is not None:
                self.add(member, term)

    def add(self, member: str, term: Term) -> None:
        """One term more."""
        self._unit.terms.put((member, term.program, term.plan, term.key), term)
        self._unit.terms.moved.add(member)

    def of(self, member: str, program: str, plan: str) -> list[Term]:
        """A member's terms of a plan, in order of time."""
        known = self._unit.terms.known
        found = [term for place, term in known.items() if place[:3] == (member, program, plan)]
        return sorted(found, key=place_of)

    def assess(self, member: str) -> None:
        """Let a member's plans be what the terms come to, and let rules pay for what happened."""
        unit = self._unit
        unit.terms.moved.discard(member)
        for live in self.live:
            person = unit.members[member]
            if live.name not in person.programs or not person.is_there:
                continue
            for name in dict.fromkeys((*live.program.plans, *person.plans.get(live.name, {}))):
                self._assess(live, member, name)

    def _assess(self, live: LiveProgram, member: str, name: str) -> None:
        unit = self._unit
        before = unit.members[member].plans.get(live.name, {}).get(name) or Subscription(program=live.name, plan=name)
        after = self.folded(live, member, name)
        if after != before:
            self._have(member, live, after)
        gone = [
            place
            for place, term in unit.terms.known.items()
            if place[:3] == (member, live.name, name)
            and term.told
            and not term.over
            and not self._counts(live, place, term)
        ]
        for place in gone:
            term = unit.terms.known[place]
            unit.terms.put(place, replace(term, told=""))
            self._undo(member, term)
        if before.active and not after.active:
            ended = PlanChanged(program=live.name, plan=name, way="ended", occurred_at=unit.now)
            self._tell(member, replace(ended, why=self._why(live, member, before)), "")
        elif after.active:
            self._tell_terms(live, member, before, after)

    def _tell_terms(self, live: LiveProgram, member: str, before: Subscription, after: Subscription) -> None:
        """Tell of each term that counts and was not told of."""
        unit, name = self._unit, after.plan
        was, told = before.active, False
        terms = self.of(member, live.name, name)
        renewals = renewing(live, name, terms, self._uses(live, member, name, terms))
        for key in [term.key for term in self.of(member, live.name, name)]:
            place = (member, live.name, name, key)
            term = unit.terms.known[place]  # what rules paid for one may have told of the next
            if term.told or term.over or term.kind == "ended" or not self._counts(live, place, term):
                continue
            number = str(unit.setting.numbering.next(unit.now))
            unit.terms.put(place, replace(term, told=number))
            changed = PlanChanged(
                program=live.name, plan=name, way="renewed" if was or told or key in renewals else "started",
                occurred_at=unit.now, trial=term.kind == "trial", term=term.key, until=after.until,
            )  # fmt: skip
            told = True
            self._tell(member, changed, number)
        if not (was or told):
            again = PlanChanged(
                program=live.name, plan=name, way="started", occurred_at=unit.now, trial=after.trial, until=after.until
            )
            # Nothing began where it goes on without a gap, although it had seemed to be over.
            self._tell(member, again, str(unit.setting.numbering.next(unit.now)), paid=after.since != before.since)

    def folded(self, live: LiveProgram, member: str, name: str) -> Subscription:
        """What a member's terms of a plan come to now; nothing where the program has no such plan any more."""
        if name not in live.program.plans:
            return Subscription(program=live.name, plan=name)
        terms = self.of(member, live.name, name)
        return fold(live, name, terms, self._uses(live, member, name, terms), self._unit.now)

    def _uses(self, live: LiveProgram, member: str, name: str, terms: Collection[Term]) -> tuple[datetime, ...]:
        """When the perks of a plan were used, where a refund asks for it."""
        unit = self._unit
        if not any(term.returned and term.refund == "unless used" for term in terms):
            return ()
        perks = {perk for perk, of in live.program.perks.items() if name in of.plans}
        uses = {
            (use.name, use.key): use
            for use in load_uses(unit.connection, unit.setting.merchant, member)
            if use.program == live.name
        }
        uses |= {key[2:]: use for key, use in unit.grants.uses.items() if key[:2] == (member, live.name)}
        return tuple(use.used_at for use in uses.values() if use.name in perks and use.cancelled_at is None)

    def _counts(self, live: LiveProgram, place: Place, term: Term) -> bool:
        return bool(counting(term, self._uses(live, place[0], place[2], [term])))

    def _why(self, live: LiveProgram, member: str, before: Subscription) -> str:
        if before.plan not in live.program.plans:
            return "program"
        if before.until is not None and before.until <= self._unit.now:
            return "lapsed"
        terms = self.of(member, live.name, before.plan)
        return "hand" if any(term.kind == "ended" and term.at == self._unit.now for term in terms) else "refund"

    def _have(self, member: str, live: LiveProgram, one: Subscription) -> None:
        unit, person = self._unit, self._unit.members[member]
        unit.keep_before(member)
        of = _in_order((live,), live.name, {**person.plans.get(live.name, {}), one.plan: one})
        unit.members[member] = replace(person, plans={**person.plans, live.name: of})
        unit.terms.plans[member, live.name, one.plan] = one

    def _undo(self, member: str, term: Term) -> None:
        """Take back what rules paid for a term."""
        if term.told:
            take_back(self._unit, member, plan_subject(term.told), decide_plan_undone)

    def _tell(self, member: str, changed: PlanChanged, number: str, *, paid: bool = True) -> None:
        unit = self._unit
        unit.terms.happened.append((member, changed))
        unit.terms.times[member] += 1
        if unit.terms.times[member] < _MOST:
            number = number or str(unit.setting.numbering.next(unit.now))
            pays = paid and unit.pays
            decision = decide_plan(unit.world, changed, unit.members[member], number) if pays else UNCHANGED
            unit.record_own(changed, member, decision.reasons)
            unit.absorb(decision)


def _in_order(
    live: Collection[LiveProgram], program: str, plans: Mapping[str, Subscription]
) -> dict[str, Subscription]:
    """Plans as the program lists them: of several that are had, the first is the member's."""
    listed = [name for one in live if one.name == program for name in one.program.plans]
    return {name: plans[name] for name in dict.fromkeys((*listed, *plans)) if name in plans}
