"""One event, one decision: what it changes in orders, awards, wallets and members, with the reasons."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from stampcard.domain.awards import Award
from stampcard.domain.decisions import Reason
from stampcard.domain.events import CustomerSeen, CustomEvent, OrderSeen, Refetch, RefundSeen
from stampcard.domain.members import Member
from stampcard.domain.orders import OrderSnapshot, Refund, exceeds, is_tied, merge, standing_refunds, state_of
from stampcard.domain.value import replace
from stampcard.engine.describing import member_variables, order_variables
from stampcard.engine.earning import explained, match, owed_at_once, owed_for_order
from stampcard.engine.measuring import Measuring
from stampcard.engine.posting import About
from stampcard.engine.refunding import bring_to
from stampcard.engine.versions import LiveProgram, Matched
from stampcard.engine.world import AwardKey, Decision, Draft, Order, Pin, World
from stampcard.errors import EventRefused
from stampcard.program.model import Rule

#: How far ahead of our clock a source's clock may be.
AHEAD = timedelta(minutes=5)
UNCHANGED = Decision(changed=False)
_PROGRAM_REFUSALS = {
    "late": "the order was placed longer ago than accept_late allows when we first heard of it",
    "before_program": "the order was placed before the program began",
}


def decide_order(
    world: World, event: OrderSeen | RefundSeen, source: str, customer: str | None, received_at: datetime
) -> Decision:
    """What an order or a refund changes.

    `customer` is the member of the incoming snapshot's customer, if it names one. Raises EventRefused for an order from
    the future or with a negative total.
    """
    reference = event.reference if isinstance(event, OrderSeen) else event.order
    snapshot = event.snapshot if isinstance(event, OrderSeen) else None
    refunds = event.refunds if isinstance(event, OrderSeen) else (event.refund,)
    if snapshot is not None:
        _check(snapshot, world.now)
    known = world.orders.get((source, reference))
    order = known or Order(source=source, reference=reference, first_seen_at=received_at)
    state = merge(order.state, state_of(snapshot, refunds))
    first_seen_at = min(order.first_seen_at, received_at)
    if known is not None and state == known.state and first_seen_at == known.first_seen_at and not known.undecided:
        return UNCHANGED
    tied = snapshot is not None and is_tied(order.state, snapshot)
    member = customer if snapshot is not None and state.snapshot == snapshot else order.member
    order = replace(order, state=state, member=member, first_seen_at=first_seen_at)
    draft = Draft(world)
    if member is not None:
        enrol(draft, world.members[member], order.state.snapshot.occurred_at if order.state.snapshot else received_at)
    order = _award(draft, event, order)
    return draft.decision(order, refetch=Refetch(kind="order", reference=reference) if tied else None)


def _check(snapshot: OrderSnapshot, now: datetime) -> None:
    if snapshot.occurred_at > now + AHEAD:
        raise EventRefused("from_the_future", f"the order says it was placed at {snapshot.occurred_at.isoformat()}")
    if snapshot.total < 0 or any(line.gross < 0 for line in snapshot.lines):
        raise EventRefused("negative_total", f"the order's total is {snapshot.total}")


def _award(draft: Draft, event: OrderSeen | RefundSeen, order: Order) -> Order:
    """Bring every award of the order to what its state justifies."""
    order = _unseen(order)
    snapshot, owner = order.state.snapshot, order.member
    standing = draft.world.awards.get(order.subject, {})
    due: dict[AwardKey, tuple[Matched, LiveProgram]] = {}
    if snapshot is None or owner is None:
        code = "order_unknown" if snapshot is None else "no_customer"
        draft.reasons.append(Reason(rule="", outcome="not_matched", code=code))
    else:
        order = _pinned(draft, order, snapshot, owner)
        due = _rules(draft, order, snapshot, owner, standing)
    for key in sorted(standing.keys() - due.keys()):
        _withdraw(draft, order, standing[key])
    if snapshot is not None and due:
        measuring = Measuring(snapshot, _countable(draft, order, snapshot))
        for key, (matched, live) in due.items():
            if matched.reason is None:
                _bring(draft, event, order, key, matched.rule, live, measuring)
            elif not matched.undecided:
                _settle_award(draft, order, standing[key], 0, live)
    undecided = tuple(f"{program}/{rule}" for (_, program, rule), (matched, _) in due.items() if matched.undecided)
    return replace(order, undecided=undecided) if undecided or order.undecided else order


def _rules(
    draft: Draft, order: Order, snapshot: OrderSnapshot, owner: str, standing: Mapping[AwardKey, Award]
) -> dict[AwardKey, tuple[Matched, LiveProgram]]:
    """The rules of the pinned versions that pay, are undecided or have paid; every other one leaves its reason."""
    found: dict[AwardKey, tuple[Matched, LiveProgram]] = {}
    for program, pin in sorted(order.pins.items()):
        live = draft.world.programs.numbered(program, pin.version)
        if live is None:
            detail = _PROGRAM_REFUSALS.get(pin.refused, pin.refused)
            draft.reasons.append(Reason(rule=program, outcome="not_matched", code=pin.refused, detail=detail))
            continue
        for matched in _matches(live, pin, snapshot):
            if matched.reason is not None:
                draft.reasons.append(matched.reason)
                if not standing and not matched.undecided:
                    continue
            key = (owner, program, matched.rule.id)
            if matched.reason is None or matched.undecided or key in standing:
                found[key] = (matched, live)
    return found


def _pinned(draft: Draft, order: Order, snapshot: OrderSnapshot, member: str) -> Order:
    """The order with a pin for every program, once it is paid by a member."""
    if not snapshot.paid:
        return order
    pins = dict(order.pins)
    for newest in draft.world.programs.newest():
        name = newest.program.program
        known = pins.get(name)
        if known is None or known.refused:
            pins[name] = _pin(draft, order, snapshot, member, name)
        elif known.owner != member:
            live = draft.world.programs.numbered(name, known.version) or newest
            pins[name] = replace(known, owner=member, member=_seen_of(draft, live, member))
    return replace(order, pins=pins)


def _unseen(order: Order) -> Order:
    """The order without what was seen of a former owner; an erasure looks for it only at who has the order now."""
    if all(pin.owner == order.member or not pin.member for pin in order.pins.values()):
        return order
    pins = {
        name: pin if pin.owner == order.member else replace(pin, owner="", member={})
        for name, pin in order.pins.items()
    }
    return replace(order, pins=pins)


def _pin(draft: Draft, order: Order, snapshot: OrderSnapshot, member: str, program: str) -> Pin:
    live = draft.world.programs.valid_at(program, snapshot.occurred_at)
    if live is None:
        return Pin(version=0, refused="before_program")
    if order.first_seen_at - snapshot.occurred_at > live.program.accept_late:
        return Pin(version=0, refused="late")
    return Pin(version=live.number, owner=member, member=_seen_of(draft, live, member))


def _seen_of(draft: Draft, live: LiveProgram, member: str) -> dict[str, Any]:
    """What the conditions for purchases read of a member."""
    conditions = live.conditions.get("purchase")
    if conditions is None:
        return {}
    person = draft.member if draft.member and draft.member.id == member else draft.world.members[member]
    return member_variables(person, conditions.reads)


def _matches(live: LiveProgram, pin: Pin, snapshot: OrderSnapshot) -> list[Matched]:
    conditions = live.conditions.get("purchase")
    if conditions is None:
        return []
    if not snapshot.paid:
        return [_refused(rule_of, "not_paid") for rule_of in conditions.rules]
    if snapshot.currency != live.program.currency:
        detail = f"the order is in {snapshot.currency}, the program in {live.program.currency}, and it names no rate"
        return [_refused(rule_of, "currency", detail) for rule_of in conditions.rules]
    variables = {**order_variables(snapshot, conditions.reads), **pin.member, "now": snapshot.occurred_at}
    return match(live, "purchase", variables)


def _refused(rule: Rule, code: str, detail: str = "") -> Matched:
    return Matched(rule=rule, reason=Reason(rule=rule.id, outcome="not_matched", code=code, detail=detail))


def _withdraw(draft: Draft, order: Order, award: Award) -> None:
    """Claw back everything of an award that the order does not justify any more: another customer, another rule set."""
    live = draft.world.programs.numbered(award.program, order.pins[award.program].version)
    if live is None or not award.due:
        return
    after = _settle_award(draft, order, award, 0, live)
    draft.reasons.append(
        Reason(
            rule=award.rule,
            outcome="changed",
            code="not_theirs_any_more",
            taken=after.taken - award.taken,
            written_off=after.written_off - award.written_off,
        )
    )


def _bring(
    draft: Draft,
    event: OrderSeen | RefundSeen,
    order: Order,
    key: AwardKey,
    rule: Rule,
    live: LiveProgram,
    measuring: Measuring,
) -> None:
    """Bring the award of a rule that matched to what the order justifies."""
    member, program, _ = key
    terms, snapshot = live.program.wallets[rule.wallet], measuring.snapshot
    award = draft.world.awards.get(order.subject, {}).get(key) or Award(
        subject=order.subject, member=member, program=program, rule=rule.id, wallet=rule.wallet
    )
    award = _adjusted(draft, event, award, snapshot)
    measured = measuring.of(rule.base, ignore_restock=terms.refunds.restock_without_money == "ignore")
    owed = owed_for_order(rule, terms, measured, award.adjustments, cancelled=snapshot.cancelled)
    after = _settle_award(draft, order, award, owed, live)
    draft.reasons.append(explained(rule, award, after, measured))


def _countable(draft: Draft, order: Order, snapshot: OrderSnapshot) -> list[Refund]:
    """The refunds that count; one above the order is kept aside, with its reason."""
    counted = []
    for refund in standing_refunds(order.state):
        if exceeds(refund, snapshot):
            detail = f"refund {refund.reference} of {refund.money} exceeds the order's {snapshot.total}"
            draft.reasons.append(Reason(rule="", outcome="refused", code="refund_above_order", detail=detail))
        else:
            counted.append(refund)
    return counted


def _adjusted(draft: Draft, event: OrderSeen | RefundSeen, award: Award, snapshot: OrderSnapshot) -> Award:
    """The award with what plugins add, asked once per content of the order as placed or edited."""
    if draft.world.adjust is None:
        return award
    content = (snapshot.lines, snapshot.shipping, snapshot.currency, snapshot.tax_included)
    basis = hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:16]
    if basis == award.basis:
        return award
    person = draft.world.members[award.member]
    return replace(award, basis=basis, adjustments=tuple(draft.world.adjust(event, person, award, {})))


def _settle_award(draft: Draft, order: Order, award: Award, due: int, live: LiveProgram) -> Award:
    """Bring one award to what is due, in its wallet."""
    snapshot = order.state.snapshot
    occurred_at = snapshot.occurred_at if snapshot else order.first_seen_at
    return _pay(draft, award, due, live, occurred_at)


def _pay(draft: Draft, award: Award, due: int, live: LiveProgram, occurred_at: datetime) -> Award:
    wallet = draft.wallet(award.member, award.wallet)
    dates = draft.lifetime(live, award.wallet, occurred_at)
    about = About(occurred_at=occurred_at, now=draft.world.now)
    policy = live.program.wallets[award.wallet].refunds.policy
    wallet, after, entries = bring_to(wallet, award, due, policy, dates, about)
    if entries:
        draft.keep(wallet, *entries)
    if after != award or award.basis:
        draft.award(after)
    return after


def enrol(draft: Draft, member: Member, occurred_at: datetime) -> Member:
    """The member taking part in every program; whoever is new to one has signed up for it."""
    draft_member = draft.member or member
    for newest in draft.world.programs.newest():
        name = newest.program.program
        if name in draft_member.programs:
            continue
        live = draft.world.programs.valid_at(name, occurred_at)
        joined_at = occurred_at if live is not None else draft.world.now
        live = live or newest
        draft_member = replace(draft_member, programs=draft_member.programs | {name})
        draft.member = draft_member
        _pay_at_once(draft, live, "sign_up", "sign_up", draft_member, joined_at, {})
    return draft_member


def _pay_at_once(
    draft: Draft,
    live: LiveProgram,
    on: str,
    subject: str,
    member: Member,
    occurred_at: datetime,
    variables: dict[str, Any],
) -> None:
    conditions = live.conditions.get(on)
    if conditions is None:
        return
    variables = {**variables, **member_variables(member, conditions.reads), "now": occurred_at}
    for matched in match(live, on, variables):
        rule = matched.rule
        if matched.reason is not None:
            draft.reasons.append(matched.reason)
            continue
        award = Award(subject=subject, member=member.id, program=live.program.program, rule=rule.id, wallet=rule.wallet)
        owed = owed_at_once(rule, live.program.wallets[rule.wallet])
        draft.reasons.append(explained(rule, award, _pay(draft, award, owed, live, occurred_at), None))


def decide_customer(world: World, event: CustomerSeen, member: Member, seen_at: datetime | None) -> Decision:
    """What a customer record changes; `seen_at` is the source's time of the record we know, older ones tell nothing."""
    draft = Draft(world)
    if seen_at is None or event.occurred_at >= seen_at:
        attributes = {**member.attributes, **{k: v for k, v in event.attributes.items() if v is not None}}
        gone = {k for k, v in event.attributes.items() if v is None}
        attributes = {k: v for k, v in attributes.items() if k not in gone}
        if attributes != member.attributes:
            member = replace(member, attributes=attributes)
            draft.member = member
    enrol(draft, member, event.occurred_at)
    if draft.member is None:
        return UNCHANGED
    return draft.decision()


def decide_custom(world: World, event: CustomEvent, member: Member) -> Decision:
    """What an event of the merchant's own pays; the caller makes sure that its key counts once."""
    if event.occurred_at > world.now + AHEAD:
        raise EventRefused("from_the_future", f"the event says it happened at {event.occurred_at.isoformat()}")
    draft = Draft(world)
    member = enrol(draft, member, event.occurred_at)
    for newest in world.programs.newest():
        live = world.programs.valid_at(newest.program.program, event.occurred_at)
        if live is None or event.name not in live.program.events:
            continue
        if world.now - event.occurred_at > live.program.accept_late:
            draft.reasons.append(Reason(rule=live.program.program, outcome="not_matched", code="late"))
            continue
        subject = f"event:{event.name}:{event.key}"
        _pay_at_once(draft, live, event.name, subject, member, event.occurred_at, {"event.data": dict(event.data)})
    return draft.decision()
