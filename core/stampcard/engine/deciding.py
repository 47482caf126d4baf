"""One event, one decision: what it changes in orders, awards, wallets and members, with the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from stampcard.clock import to_micros
from stampcard.domain.awards import Award
from stampcard.domain.decisions import Reason
from stampcard.domain.events import CustomerSeen, CustomEvent, OrderSeen, Refetch, RefundSeen, SegmentChanged
from stampcard.domain.members import Member
from stampcard.domain.orders import OrderSnapshot, is_tied, merge, state_of
from stampcard.domain.perks import PerkChanged, PerkUsed
from stampcard.domain.plans import PlanChanged
from stampcard.domain.proofs import ProofChanged
from stampcard.domain.tiers import TierMoved
from stampcard.domain.value import replace
from stampcard.engine.awarding import PROGRAM_REFUSALS, award_order, cools_down, pay, warm, watch, withdraw
from stampcard.engine.counting import COOLDOWN
from stampcard.engine.describing import Past
from stampcard.engine.earning import explained, money_of, owed_at_once
from stampcard.engine.gauging import unit_of
from stampcard.engine.giving import give, is_reward, of_reward
from stampcard.engine.limiting import Wanted, allow, charge
from stampcard.engine.matching import Chosen, Occasion, barred, choose, closed_to
from stampcard.engine.pinning import NAMES, ZONE, seen_of, stopped_of
from stampcard.engine.recognising import recognise, shown_by, spent_on
from stampcard.engine.stacking import stacked
from stampcard.engine.versions import LiveProgram
from stampcard.engine.waiting import free, slide
from stampcard.engine.world import NO_FACTS, Decision, Draft, Facts, Order, World
from stampcard.errors import EventRefused
from stampcard.program.agreeing import ORDER
from stampcard.program.events import OF_PLANS, PERK_GAINED, PERK_LOST, PERK_USED, SEGMENT_ENTERED, SEGMENT_LEFT, SIGN_UP

#: How far ahead of our clock a source's clock may be.
AHEAD = timedelta(minutes=5)
UNCHANGED = Decision(changed=False)


def decide_order(
    world: World,
    event: OrderSeen | RefundSeen,
    source: str,
    customer: str | None,
    received_at: datetime,
    facts: Facts = NO_FACTS,
    *,
    again: bool = False,
    past: bool = False,
) -> Decision:
    """What an order or a refund changes; nothing where all of it is known, unless it is to be decided `again`.

    `customer` is the member of the incoming snapshot's customer, if it names one. An order of the `past` counts as heard of
    when it was placed, and its customer joins the programs that were there then, and no others. Raises EventRefused for an order from
    the future or with a negative total.
    """
    reference = event.reference if isinstance(event, OrderSeen) else event.order
    snapshot = event.snapshot if isinstance(event, OrderSeen) else None
    refunds = event.refunds if isinstance(event, OrderSeen) else (event.refund,)
    if snapshot is not None:
        _check(snapshot, world.now)
    if past:
        received_at = min(received_at, snapshot.occurred_at if snapshot is not None else refunds[0].occurred_at)
    known = world.orders.get((source, reference))
    order = known or Order(source=source, reference=reference, first_seen_at=received_at)
    state = merge(order.state, state_of(snapshot, refunds))
    first_seen_at = min(order.first_seen_at, received_at)
    tied = snapshot is not None and is_tied(order.state, snapshot, to_micros(received_at))
    refetch = Refetch(kind="order", reference=reference) if tied else None
    if (
        known is not None
        and state == known.state
        and first_seen_at == known.first_seen_at
        and not known.undecided
        and not again
    ):
        return UNCHANGED if refetch is None else replace(UNCHANGED, refetch=refetch)
    member = customer if snapshot is not None and state.snapshot == snapshot else order.member
    order = replace(order, state=state, member=member, first_seen_at=first_seen_at)
    shown = shown_by(world, order)
    draft = Draft(spent_on(world, order, shown))
    recognise(draft, order, shown, world)
    if member is not None:
        placed = order.state.snapshot
        at = placed.occurred_at if placed is not None else received_at
        enrol(draft, world.members[member], at, paid=placed is not None and placed.paid, past=past)
    order = award_order(draft, event, order, facts)
    return draft.decision(order, refetch)


def _check(snapshot: OrderSnapshot, now: datetime) -> None:
    if snapshot.occurred_at > now + AHEAD:
        raise EventRefused("from_the_future", f"the order says it was placed at {snapshot.occurred_at.isoformat()}")
    if snapshot.total < 0 or any(line.gross < 0 for line in snapshot.lines):
        raise EventRefused("negative_total", f"the order's total is {snapshot.total}")


def enrol(
    draft: Draft,
    member: Member,
    occurred_at: datetime,
    *,
    paid: bool = False,
    asked: bool = False,
    past: bool = False,
    brought: bool = False,
) -> Member:
    """The member taking part in every program that is open to them; whoever is new to one has signed up for it.

    `paid`: because of an order that was; `asked`: because somebody said so. Some programs take nobody without. `past`: only
    programs that were there then. `brought`: they came with others from elsewhere, which pays nothing.
    """
    person = draft.member or member
    for current in draft.world.programs.current(draft.world.now):
        if current.name in person.programs:
            continue
        if f"program:{current.name}" in draft.world.programs.stopped:
            continue
        how = current.program.enrolment.how
        if how == "segment" or (how == "request" and not asked) or (how == "first purchase" and not (paid or asked)):
            continue
        live = draft.world.programs.valid_at(current.name, occurred_at)
        if past and live is None:
            continue
        joined_at = occurred_at if live is not None else draft.world.now
        live = live or current
        if closed_to(live, joined_at, member.id, member.names) and closed_to(
            current, draft.world.now, member.id, member.names
        ):
            continue
        person = admit(draft, live, person, joined_at, brought=brought)
    return person


def admit(draft: Draft, live: LiveProgram, member: Member, at: datetime, *, brought: bool = False) -> Member:
    """A member who takes part in one more program, with what signing up pays, unless they were `brought` from elsewhere."""
    states = (
        {**member.states, live.name: "unconfirmed"} if live.program.enrolment.confirm is not None else member.states
    )
    person = replace(
        member, programs=member.programs | {live.name}, states=states, joined={**member.joined, live.name: at}
    )
    draft.member = person
    if not brought:
        pay_at_once(draft, live, SIGN_UP, SIGN_UP, person, at, {})
    return person


def pay_at_once(
    draft: Draft,
    live: LiveProgram,
    on: str,
    subject: str,
    member: Member,
    at: datetime,
    data: Mapping[str, Any],
    facts: Facts = NO_FACTS,
) -> None:
    """Pay what the rules on an event that is no order say; the caller makes sure that it counts once."""
    conditions = live.conditions.get(on)
    if conditions is None:
        return
    refusal = barred(live, member, at)
    if refusal:
        draft.reasons.append(
            Reason(
                rule=live.name,
                outcome="not_matched",
                code=refusal,
                detail=PROGRAM_REFUSALS.get(refusal, ""),
                program=live.name,
            )
        )
        return
    past = draft.world.pasts.get(member.id, Past())
    seen = seen_of(member, live, conditions.reads, at, past, facts.known)
    occasion = Occasion(
        at=at,
        member=member.id,
        variables={**seen, "event.data": dict(data), "now": at},
        names=seen.get(NAMES, ()),
        stopped=stopped_of(draft.world.programs, live.name),
        zone=seen.get(ZONE, ""),
        lacking=facts.lacking,
    )
    if f"program:{live.name}" in occasion.stopped:
        draft.reasons.append(Reason(rule=live.name, outcome="not_matched", code="stopped", program=live.name))
        return
    chosen, refused = choose(live, on, occasion)
    draft.reasons += [matched.reason for matched in refused if matched.reason is not None]
    if chosen:
        _pay_chosen(draft, live, chosen, subject, member, at, data, facts)


def _pay_chosen(
    draft: Draft,
    live: LiveProgram,
    chosen: list[Chosen],
    subject: str,
    member: Member,
    at: datetime,
    data: Mapping[str, Any],
    facts: Facts,
) -> None:
    draft.moments[live.name, subject] = at
    counting, out = stacked(chosen, lambda one: owed_at_once(one.award, one.offer.terms, data))
    draft.reasons += [
        Reason(rule=one.offer.rule.id, outcome="not_matched", code=code, program=live.name) for one, code in out
    ]
    day, wanted = at.astimezone(live.program.zone).date(), []
    for one, desired in counting:
        rule = one.offer.rule
        award = Award(subject=subject, member=member.id, program=live.name, rule=rule.id, wallet=rule.wallet)
        award = of_reward(award, one.award)
        if cools_down(draft, live, one.offer, award, at):
            limited = replace(award, desired=desired, allowed=0, cooling=True)
            draft.award(limited)
            draft.reasons.append(explained(one.offer, award, limited, "", COOLDOWN))
        else:
            wanted.append(Wanted(offer=one.offer, award=award, desired=desired, money=money_of(data)))
    answers = allow(live.name, wanted, draft.counters, day, member.id)
    most = [allowed for allowed, _ in answers]
    charged = charge(live.name, wanted, most, most, draft.counters, day, member.id)
    for want, (allowed, said), (due, charges) in zip(wanted, answers, charged, strict=True):
        award = want.award
        if want.offer.bounds or want.offer.rule.cooldown is not None:
            watch(draft, live, want.offer, day)
            award = replace(award, desired=want.desired, allowed=allowed, charges=charges)
        if is_reward(award):
            after, reason = give(draft, live, award, due, at, said, facts)
        else:
            after = pay(draft, award, due, live, want.offer, at)
            reason = explained(want.offer, want.award, after, "", said)
        warm(draft, live, want.offer, after, at)
        draft.reasons.append(reason)
    if live.slides and any(reason.granted for reason in draft.reasons):
        slide(draft, live, member.id, "earn", at)


def decide_customer(
    world: World, event: CustomerSeen, member: Member, seen_at: datetime | None, *, brought: bool = False
) -> Decision:
    """What a customer record changes; `seen_at` is the source's time of the record we know, older ones tell nothing."""
    draft = Draft(world)
    if seen_at is None or event.occurred_at >= seen_at:
        attributes = {**member.attributes, **{k: v for k, v in event.attributes.items() if v is not None}}
        gone = {k for k, v in event.attributes.items() if v is None}
        attributes = {k: v for k, v in attributes.items() if k not in gone}
        if attributes != member.attributes:
            member = replace(member, attributes=attributes)
            draft.member = member
    enrol(draft, member, event.occurred_at, brought=brought)
    if draft.member is None:
        return UNCHANGED
    return draft.decision()


def decide_custom(
    world: World, event: CustomEvent, member: Member, source: str = "", facts: Facts = NO_FACTS
) -> Decision:
    """What a reported event pays, frees and resets; the caller makes sure that its key counts once."""
    if event.occurred_at > world.now + AHEAD:
        raise EventRefused("from_the_future", f"the event says it happened at {event.occurred_at.isoformat()}")
    draft = Draft(world)
    member = enrol(draft, member, event.occurred_at)
    for current in world.programs.current(world.now):
        live = world.programs.valid_at(current.name, event.occurred_at)
        if live is None or live.program.event_fields(event.name) is None:
            continue
        if world.now - event.occurred_at > live.program.accept_late:
            draft.reasons.append(Reason(rule=live.name, outcome="not_matched", code="late", program=live.name))
            continue
        subject = f"event:{event.name}:{event.key}"
        pay_at_once(draft, live, event.name, subject, member, event.occurred_at, event.data, facts)
        order = event.data.get(ORDER)
        if isinstance(order, str):
            free(draft, live, member.id, f"order:{source}:{order}", event.name, event.occurred_at)
        if live.slides:
            slide(draft, live, member.id, event.name, event.occurred_at)
    return draft.decision()


def decide_tier_moved(world: World, on: str, moved: TierMoved, member: Member) -> Decision:
    """What rules pay for what happened to a member's tier, once for each time that it happens."""
    draft = Draft(world)
    live = world.programs.valid_at(moved.program, world.now)
    if live is None:
        return UNCHANGED
    unit = unit_of(live.program)
    data = {
        "tier": moved.tier,
        "before": moved.before,
        "why": moved.why,
        "missing": moved.missing / unit,
        "next": moved.next,
        "next_missing": moved.next_missing / unit,
    }
    known = live.program.event_fields(on) or {}
    subject = tier_subject(on, moved, member.id)
    # Paid now, however late a timer is: the limits of today are those that are known.
    pay_at_once(draft, live, on, subject, member, world.now, {name: data[name] for name in known})
    return draft.decision()


def decide_segment_changed(world: World, changed: SegmentChanged, member: Member, number: int) -> Decision:
    """What rules pay for coming into a segment or leaving it; `number` makes each time its own."""
    draft = Draft(world)
    live = world.programs.valid_at(changed.program, world.now)
    if live is None:
        return UNCHANGED
    on = SEGMENT_ENTERED if changed.entered else SEGMENT_LEFT
    pay_at_once(draft, live, on, f"{on}:{number}", member, changed.occurred_at, {"segment": changed.segment})
    return draft.decision()


def tier_subject(on: str, moved: TierMoved, member: str) -> str:
    """What awards for something that happened to a tier are keyed by: nobody else's have it, and no other time."""
    end = f":{moved.until.isoformat()}" if moved.way == "ending" and moved.until is not None else ""
    return f"{on}:{moved.program}:{member}:{moved.number}{end}"


def decide_perk(world: World, happened: PerkChanged | PerkUsed, member: Member, number: str) -> Decision:
    """What rules pay for getting, losing or using a perk; `number` makes each time its own."""
    draft = Draft(world)
    live = world.programs.valid_at(happened.program, world.now)
    if live is None:
        return UNCHANGED
    if isinstance(happened, PerkChanged):
        on, data = PERK_GAINED if happened.gained else PERK_LOST, {"perk": happened.perk, "why": happened.why}
        pay_at_once(draft, live, on, f"{on}:{number}", member, world.now, data)
    elif not happened.cancelled:
        left = {"left": happened.left} if happened.left is not None else {}
        pay_at_once(
            draft, live, PERK_USED, use_subject(happened, member.id), member, world.now, {"perk": happened.perk, **left}
        )
    return draft.decision()


def decide_plan(world: World, changed: PlanChanged, member: Member, number: str) -> Decision:
    """What rules pay for beginning, renewing or losing a plan; `number` makes each time its own."""
    draft = Draft(world)
    live = world.programs.valid_at(changed.program, world.now)
    if live is None:
        return UNCHANGED
    on = f"plan_{changed.way}"
    known = {"plan": changed.plan, "trial": changed.trial, "why": changed.why}
    data = {name: known[name] for name in OF_PLANS[on]}
    pay_at_once(draft, live, on, plan_subject(number), member, world.now, data)
    return draft.decision()


def decide_proof(world: World, changed: ProofChanged, member: Member, number: int) -> Decision:
    """What rules pay for what happened to a verification; `number` makes each time its own."""
    draft = Draft(world)
    live = world.programs.valid_at(changed.program, world.now)
    if live is None:
        return UNCHANGED
    on = f"proof_{changed.way}"
    pay_at_once(draft, live, on, f"{on}:{number}", member, world.now, {"proof": changed.proof})
    return draft.decision()


def plan_subject(number: str) -> str:
    """What awards for something that happened to a plan are keyed by."""
    return f"plan:{number}"


def use_subject(used: PerkUsed, member: str) -> str:
    """What awards for using a perk are keyed by."""
    return f"{PERK_USED}:{used.program}:{member}:{used.perk}:{used.key}"


def decide_tier_undone(world: World, awards: Iterable[Award], at: datetime) -> Decision:
    """Take back what was paid for reaching a tier, because what it took was refunded."""
    return _undone(world, awards, at, code="tier_refunded")


def decide_use_undone(world: World, awards: Iterable[Award], at: datetime) -> Decision:
    """Take back what was paid for using a perk."""
    return _undone(world, awards, at, code="use_cancelled")


def decide_plan_undone(world: World, awards: Iterable[Award], at: datetime) -> Decision:
    """Take back what was paid for beginning or renewing a plan."""
    return _undone(world, awards, at, code="plan_refunded")


def _undone(world: World, awards: Iterable[Award], at: datetime, *, code: str) -> Decision:
    draft = Draft(world)
    for award in awards:
        live = world.programs.valid_at(award.program, at)
        if live is not None and award.rule in live.offers:
            draft.moments[award.program, award.subject] = at
            withdraw(draft, live, award, at, code=code)
    return draft.decision()


def decide_day(
    world: World, program: str, on: str, member: Member, at: datetime, year: int, facts: Facts = NO_FACTS
) -> Decision:
    """What a birthday or an anniversary pays, once a year."""
    draft = Draft(world)
    live = world.programs.valid_at(program, at)
    if live is None:
        return UNCHANGED
    pay_at_once(draft, live, on, f"{on}:{year}", member, at, {}, facts)
    return draft.decision()
