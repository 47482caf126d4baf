"""What a program would have paid: one member's stored orders and events, decided anew in order of time.

Only what is due is worked out. Wallets are left out: spends and expiry change what can be taken back, never what is due.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from stampcard.domain.awards import Award
from stampcard.domain.decisions import Reason
from stampcard.domain.events import CustomEvent, OrderSeen, RefundSeen
from stampcard.domain.members import Member
from stampcard.domain.orders import Refund
from stampcard.domain.value import Value, replace
from stampcard.engine.counting import CounterKey
from stampcard.engine.deciding import decide_custom, decide_order, enrol
from stampcard.engine.describing import Past, Taken, purchase_of
from stampcard.engine.versions import LiveProgram, Programs
from stampcard.engine.world import Adjuster, AwardKey, Decision, Draft, Facts, FormulaWorker, Order, World
from stampcard.errors import EventRefused, PluginError
from stampcard.program.events import OF_ORDERS, SIGN_UP

ATTRIBUTES, FACTS = "member.attributes", "facts"
_JOINED, _PLACED, _REFUNDED, _REPORTED = range(4)


class Reported(Value, frozen=True):
    """A reported event as it is kept: which connection told it, and when we heard of it."""

    source: str
    event: CustomEvent
    applied_at: datetime


class Life(Value, frozen=True):
    """What is stored of one member; `member` has today's attributes, `joined_at` is when they joined the program, if so.

    `taken`: the rewards that they took, which stay what they were whatever the program would have paid.
    """

    member: Member
    joined_at: datetime | None = None
    orders: tuple[Order, ...] = ()
    events: tuple[Reported, ...] = ()
    taken: Mapping[str, Taken] = {}


class Paid(NamedTuple):
    """What a rule owes a member for one subject, in the smallest unit of its wallet."""

    subject: str
    rule: str
    wallet: str
    points: int


class Lived(Value, frozen=True):
    """What one program comes to in one life: awards, and the reasons of each subject's last decision.

    Of `steps` decisions `lacking` counts, by variable, those whose conditions read what nothing kept, `undecided` those
    with a condition that failed, `failed` those that were refused.
    """

    paid: tuple[Paid, ...] = ()
    reasons: Mapping[str, tuple[Reason, ...]] = {}
    steps: int = 0
    lacking: Mapping[str, int] = {}
    undecided: int = 0
    failed: int = 0


class _Step(NamedTuple):
    """One thing that happened, what it is about, and what of the member was seen then."""

    at: datetime
    rank: int
    subject: str
    now: datetime
    what: Order | Refund | Reported | None
    seen: Mapping[str, Any]


class Simulating:
    """Decides lives by one program; counters of all members together go on from one life to the next.

    What happened before `since` is decided, because limits and history count it, but not told.
    """

    def __init__(
        self,
        live: LiveProgram,
        stopped: frozenset[str] = frozenset(),
        *,
        since: datetime | None = None,
        adjust: Adjuster | None = None,
        work_out: FormulaWorker | None = None,
    ) -> None:
        self.live = live
        self.since = since
        self.programs = Programs(versions={live.name: (live,)}, stopped=stopped)
        self.together: dict[CounterKey, int] = {}
        self.hooks = (adjust, work_out)

    def lived(self, life: Life) -> Lived:
        """Everything that the program owes for one life."""
        living = _Living(self, life)
        for step in sorted(_steps(life), key=lambda step: step[:3]):
            living.take(step)
        self.together.update((key, value) for key, value in living.counters.items() if not key.member)
        return living.told()

    def reads(self, step: _Step) -> frozenset[str]:
        """What the conditions for such a step read."""
        if isinstance(step.what, Order):
            names: tuple[str, ...] = tuple(OF_ORDERS)
        else:
            names = (step.what.event.name,) if isinstance(step.what, Reported) else (SIGN_UP,)
        return frozenset[str]().union(*(self.live.conditions[on].reads for on in names if on in self.live.conditions))


class _Living:
    """One life while it is lived."""

    def __init__(self, simulating: Simulating, life: Life) -> None:
        self._of = simulating
        self._person = replace(life.member, programs=frozenset())
        self._orders: dict[tuple[str, str], Order] = {}
        self._awards: dict[str, dict[AwardKey, Award]] = {}
        self._past = Past(taken=life.taken)
        self._reasons: dict[str, tuple[Reason, ...]] = {}
        self._lacking: dict[str, int] = {}
        self._counts = {"steps": 0, "undecided": 0, "failed": 0}
        self._began: dict[str, datetime] = {}
        self.counters: dict[CounterKey, int] = {}

    def take(self, step: _Step) -> None:
        """Decide one step and keep what it changes."""
        if step.what is None and self._person.programs:
            return  # an earlier order or event has let the member join
        is_told = self._is_told(self._began.setdefault(step.subject, step.at))
        if is_told and not isinstance(step.what, Refund):
            self._counts["steps"] += 1
            for name in {ATTRIBUTES, FACTS} & self._of.reads(step) - step.seen.keys():
                self._lacking[name] = self._lacking.get(name, 0) + 1
        try:
            decision = self._decide(step)
        except (EventRefused, PluginError):
            self._counts["failed"] += is_told
            return
        self._counts["undecided"] += is_told and any(reason.outcome == "undecided" for reason in decision.reasons)
        self._absorb(step, decision)

    def _is_told(self, at: datetime) -> bool:
        return self._of.since is None or at >= self._of.since

    def _decide(self, step: _Step) -> Decision:
        person, facts = self._person, Facts(known=step.seen.get(FACTS, {}))
        if ATTRIBUTES in step.seen:
            person = replace(person, attributes=step.seen[ATTRIBUTES])
        world = self._world(step, person)
        match step.what:
            case Order(source=source, reference=reference) as order:
                assert order.state.snapshot is not None
                event = OrderSeen(reference=reference, snapshot=order.state.snapshot)
                return decide_order(world, event, source, person.id, order.first_seen_at, facts)
            case Refund() as refund:
                _, source, reference = step.subject.split(":", 2)
                return decide_order(world, RefundSeen(order=reference, refund=refund), source, None, step.now, facts)
            case Reported(event=reported, source=source):
                return decide_custom(world, reported, person, source, facts)
        draft = Draft(world)
        enrol(draft, person, step.at, asked=True)
        return draft.decision()

    def _world(self, step: _Step, person: Member) -> World:
        adjust, work_out = self._of.hooks
        return World(
            now=step.now,
            programs=self._of.programs,
            members={person.id: person},
            orders=self._orders,
            awards=self._awards,
            counters=ChainMap(self.counters, self._of.together),
            pasts={person.id: self._past},
            adjust=adjust,
            work_out=work_out,
        )

    def _absorb(self, step: _Step, decision: Decision) -> None:
        if decision.member is not None:
            joined = decision.member
            self._person = replace(self._person, programs=joined.programs, states=joined.states, joined=joined.joined)
        if decision.order is not None:
            self._orders[decision.order.key] = decision.order
            purchase = purchase_of(decision.order.state)
            if purchase is not None:
                purchases = {**self._past.purchases, decision.order.key: purchase}
                self._past = replace(self._past, purchases=purchases)
        for award in decision.awards:
            of, key = self._awards.setdefault(award.subject, {}), (award.member, award.program, award.rule)
            self._began.setdefault(award.subject, step.at)
            earned = award.due - (of[key].due if key in of else 0)
            of[key] = award
            if earned:
                self._past = replace(self._past, points=(*self._past.points, (step.at, award.wallet, earned)))
        self.counters.update(decision.counters)
        # An order also lets its member join, for which the reasons are the same decision's.
        self._reasons.update(dict.fromkeys((step.subject, *(of.subject for of in decision.awards)), decision.reasons))

    def told(self) -> Lived:
        """What the life came to."""
        told = {subject for subject, at in self._began.items() if self._is_told(at)}
        return Lived(
            paid=tuple(
                Paid(subject, award.rule, award.wallet, award.due)
                for subject, of in self._awards.items()
                if subject in told
                for award in of.values()
                if award.due
            ),
            reasons={subject: reasons for subject, reasons in self._reasons.items() if subject in told},
            lacking=self._lacking,
            **self._counts,
        )


def _steps(life: Life) -> Iterator[_Step]:
    """Everything that happened: joining, orders as placed or edited, their refunds, reported events."""
    if life.joined_at is not None:
        yield _Step(life.joined_at, _JOINED, SIGN_UP, life.joined_at, None, {})
    for order in life.orders:
        snapshot = order.state.snapshot
        if snapshot is None or not snapshot.paid:
            continue
        now = max(order.first_seen_at, snapshot.occurred_at)
        yield _Step(snapshot.occurred_at, _PLACED, order.subject, now, order, _seen(order))
        for _, refund in sorted(order.state.refunds.items()):
            at = max(refund.occurred_at, snapshot.occurred_at)
            yield _Step(at, _REFUNDED, order.subject, max(now, at), refund, {})
    for reported in life.events:
        event = reported.event
        subject = f"event:{event.name}:{event.key}"
        yield _Step(event.occurred_at, _REPORTED, subject, reported.applied_at, reported, {})


def _seen(order: Order) -> dict[str, Any]:
    """What was kept of the member and of facts when any program first decided the order."""
    found: dict[str, Any] = {}
    for pin in order.pins.values():
        found |= {name: pin.member[name] for name in (ATTRIBUTES, FACTS) if name in pin.member}
    return found
