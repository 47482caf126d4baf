"""Bringing every award of an order to what its state justifies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import msgspec

from stampcard.clock import to_micros
from stampcard.domain.awards import Award
from stampcard.domain.decisions import Reason
from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.domain.orders import OrderSnapshot, Refund, exceeds, standing_refunds
from stampcard.domain.value import Value, replace
from stampcard.engine.counting import COOLDOWN, FINE, cooldown_key, key_of
from stampcard.engine.describing import order_variables, rate_of
from stampcard.engine.earning import explained, owed_for_order, rounded
from stampcard.engine.giving import give, is_reward, of_reward
from stampcard.engine.limiting import Wanted, allow, charge, given_back, most_of
from stampcard.engine.matching import Chosen, Occasion, choose
from stampcard.engine.measuring import Measuring
from stampcard.engine.pinning import NAMES, ZONE, pinned, unseen
from stampcard.engine.posting import About
from stampcard.engine.refunding import bring_to
from stampcard.engine.returning import return_spent
from stampcard.engine.stacking import paid, stacked
from stampcard.engine.versions import LiveProgram, Matched, Offer
from stampcard.engine.waiting import free, slide
from stampcard.engine.world import Draft, Facts, Order, Pin
from stampcard.program.agreeing import FULFILLED
from stampcard.program.amounts import FixedAward, Formula
from stampcard.program.events import PURCHASE, REFUND

PROGRAM_REFUSALS = {
    "late": "the order was placed longer ago than accept_late allows when we first heard of it",
    "before_program": "the order was placed before the program began",
    "draft": "the program is a draft, so nobody takes part",
    "ended": "the program had ended when the order was placed",
    "not_in_audience": "the program is not open to this member yet",
    "on_hold": "the member is on hold",
    "not_enrolled": "the member did not take part in the program then",
    "membership_frozen": "the member's part in the program is frozen",
    "membership_closed": "the member has left the program",
}
_ONE = Decimal(1)
_MICROSECOND = timedelta(microseconds=1)


class Deciding(Value, frozen=True):
    """One program's decision about one order."""

    draft: Draft
    event: OrderSeen | RefundSeen
    order: Order
    subject: str
    snapshot: OrderSnapshot
    owner: str
    live: LiveProgram
    measuring: Measuring
    facts: Facts

    def award_of(self, offer: Offer) -> Award:
        """The rule's award as it stands."""
        key = (self.owner, self.live.name, offer.rule.id)
        standing = self.draft.world.awards.get(self.subject)
        return (standing.get(key) if standing else None) or Award(
            subject=self.subject,
            member=self.owner,
            program=self.live.name,
            rule=offer.rule.id,
            wallet=offer.rule.wallet,
        )


def award_order(draft: Draft, event: OrderSeen | RefundSeen, order: Order, facts: Facts) -> Order:
    """Bring every award of the order to what its state justifies; answers the order as it is kept."""
    order = unseen(order)
    snapshot, owner = order.state.snapshot, order.member
    standing = draft.world.awards.get(order.subject, {})
    if snapshot is None or owner is None:
        code = "order_unknown" if snapshot is None else "no_customer"
        draft.reasons.append(Reason(rule="", outcome="not_matched", code=code))
        for key in sorted(standing):
            _withdraw(draft, order, standing[key])
        return order
    order = pinned(draft, order, snapshot, owner, facts)
    snapshot = _paid_with_points(draft, order, snapshot)
    refunds = _countable(draft, order, snapshot) if order.state.refunds else []
    undecided: list[str] = []
    paying: list[tuple[Deciding, list[Chosen]]] = []
    for name, pin in sorted(order.pins.items()):
        live = draft.world.programs.numbered(name, pin.version)
        if live is None:
            detail = PROGRAM_REFUSALS.get(pin.refused, pin.refused)
            draft.reasons.append(
                Reason(rule=name, outcome="not_matched", code=pin.refused, detail=detail, program=name)
            )
            continue
        rate = rate_of(live.program, snapshot.currency, snapshot.occurred_at)
        chosen, refused = _choose(live, pin, snapshot, rate, refunds)
        draft.reasons += [matched.reason for matched in refused if matched.reason is not None]
        undecided += [f"{name}/{matched.offer.rule.id}" for matched in refused if matched.undecided]
        paying.append((_deciding(draft, event, order, live, Measuring(snapshot, refunds, rate or _ONE), facts), chosen))
    kept = {(owner, deciding.live.name, one.offer.rule.id) for deciding, chosen in paying for one in chosen}
    for key in sorted(standing.keys() - kept):
        _withdraw(draft, order, standing[key])
    for deciding, chosen in paying:
        _bring_all(deciding, chosen)
    return replace(order, undecided=tuple(undecided)) if tuple(undecided) != order.undecided else order


def _paid_with_points(draft: Draft, order: Order, snapshot: OrderSnapshot) -> OrderSnapshot:
    """The order as it was paid: its source may not know what a till took in points."""
    debits = draft.world.debits.get(order.subject, ())
    paid = sum((Decimal(debit.money) / FINE for debit in debits if not debit.cancelled), Decimal(0))
    return replace(snapshot, paid_with_points=paid) if paid > snapshot.paid_with_points else snapshot


def _bring_all(deciding: Deciding, chosen: Sequence[Chosen]) -> None:
    """Everything that one program does about the order."""
    draft = deciding.draft
    if chosen:
        _pay_all(deciding, chosen)
    _free_waiting(deciding)
    if deciding.subject in draft.world.debits:
        return_spent(draft, deciding.live, deciding.subject, deciding.measuring, deciding.snapshot.occurred_at)
    if deciding.live.slides and any(reason.granted for reason in draft.reasons):
        slide(draft, deciding.live, deciding.owner, "earn", deciding.snapshot.occurred_at)


def _deciding(
    draft: Draft, event: OrderSeen | RefundSeen, order: Order, live: LiveProgram, measuring: Measuring, facts: Facts
) -> Deciding:
    assert order.member is not None
    return Deciding(
        draft=draft,
        event=event,
        order=order,
        subject=order.subject,
        snapshot=measuring.snapshot,
        owner=order.member,
        live=live,
        measuring=measuring,
        facts=facts,
    )


def _choose(
    live: LiveProgram, pin: Pin, snapshot: OrderSnapshot, rate: Decimal | None, refunds: Sequence[Refund]
) -> tuple[list[Chosen], list[Matched]]:
    """The rules that pay for the order, those on refunds too once there are any."""
    code, detail = "", ""
    if not snapshot.paid:
        code = "not_paid"
    elif rate is None:
        code = "currency"
        detail = f"the order is in {snapshot.currency}, the program in {live.program.currency}, and it names no rate"
    elif f"program:{live.name}" in pin.stopped:
        code, detail = "stopped", f"program {live.name}"
    if code:
        offers = [true.offer for true, _ in live.verdicts.get(PURCHASE, ())]
        reasons = (
            Reason(rule=o.rule.id, outcome="not_matched", code=code, detail=detail, program=live.name) for o in offers
        )
        return [], [Matched(offer=o, reason=reason) for o, reason in zip(offers, reasons, strict=True)]
    chosen, refused = choose(live, PURCHASE, _occasion(live, PURCHASE, pin, snapshot, rate))
    if refunds and REFUND in live.conditions:
        more, no = choose(live, REFUND, _occasion(live, REFUND, pin, snapshot, rate))
        return chosen + more, refused + no
    return chosen, refused


def _occasion(live: LiveProgram, on: str, pin: Pin, snapshot: OrderSnapshot, rate: Decimal | None) -> Occasion:
    conditions = live.conditions.get(on)
    variables = (
        {} if conditions is None else order_variables(snapshot, conditions.reads, None if rate == _ONE else rate)
    )
    variables.update(pin.member)
    variables["now"] = snapshot.occurred_at
    return Occasion(
        at=snapshot.occurred_at,
        member=pin.owner,
        variables=variables,
        names=pin.member.get(NAMES, ()),
        stopped=pin.stopped,
        zone=pin.member.get(ZONE, ""),
        offset=pin.offset,
        lacking=pin.lacking,
    )


def _pay_all(deciding: Deciding, chosen: Sequence[Chosen]) -> None:
    """Stack, limit, scale by what was kept, and post."""
    measuring = deciding.measuring
    awards = {one.offer.rule.id: of_reward(_adjusted(deciding, one.offer), one.award) for one in chosen}
    formulas = {one.offer.rule.id: _formula(deciding, one) for one in chosen if isinstance(one.award, Formula)}

    def plain(one: Chosen, *, refunded: bool) -> int:
        rule, terms = one.offer.rule, one.offer.terms
        if rule.on == REFUND:
            points = one.award.points if isinstance(one.award, FixedAward) else Decimal(0)
            return rounded(points, terms) * len(measuring.refunds)
        ignore = terms.refunds.restock_without_money == "ignore"
        measured = measuring.of(one.offer.base, ignore_restock=ignore, refunded=refunded)
        return owed_for_order(one.award, terms, measured, awards[rule.id].adjustments, formulas.get(rule.id))

    if all(one.offer.plain for one in chosen):
        for one in chosen:
            _bring(deciding, one.offer, awards[one.offer.rule.id], plain(one, refunded=True))
        return
    # What refunds pay is apart from what the purchase pays: neither stops nor multiplies the other.
    counting: list[tuple[Chosen, int]] = []
    dues: dict[str, int] = {}
    for on in (PURCHASE, REFUND):
        of = [one for one in chosen if one.offer.rule.on == on]
        pairs, out = stacked(of, lambda one: plain(one, refunded=False))
        for one, code in out:
            deciding.draft.reasons.append(
                Reason(rule=one.offer.rule.id, outcome="not_matched", code=code, program=deciding.live.name)
            )
            _withdraw(deciding.draft, deciding.order, awards[one.offer.rule.id])
        kept = pairs if measuring.is_whole else paid([one for one, _ in pairs], lambda one: plain(one, refunded=True))
        counting += pairs
        dues |= {one.offer.rule.id: points for one, points in kept}
    _limit_and_bring(deciding, counting, awards, dues)


def _limit_and_bring(
    deciding: Deciding, counting: Sequence[tuple[Chosen, int]], awards: Mapping[str, Award], dues: Mapping[str, int]
) -> None:
    draft, live, at, owner = deciding.draft, deciding.live, deciding.snapshot.occurred_at, deciding.owner
    day = at.astimezone(live.program.zone).date()
    wanted: list[Wanted] = []
    for one, desired in counting:
        offer, award = one.offer, awards[one.offer.rule.id]
        if not offer.bounds and offer.rule.cooldown is None:
            _bring(deciding, offer, award, dues[offer.rule.id])
        elif cools_down(draft, live, offer, award, at):
            _bring(deciding, offer, replace(award, desired=desired, allowed=0, cooling=True), 0, COOLDOWN)
        else:
            wanted.append(Wanted(offer=offer, award=award, desired=desired, money=_money(deciding, offer)))
    answers = allow(live.name, wanted, draft.counters, day, owner)
    most = [allowed for allowed, _ in answers]
    wished = [
        _scaled(dues[want.offer.rule.id], want.desired, allowed) for want, allowed in zip(wanted, most, strict=True)
    ]
    charged = charge(live.name, wanted, most, wished, draft.counters, day, owner)
    for want, (allowed, said), (due, charges) in zip(wanted, answers, charged, strict=True):
        offer = want.offer
        watch(draft, live, offer, day)
        award = replace(want.award, desired=want.desired, allowed=allowed, charges=charges)
        warm(draft, live, offer, _bring(deciding, offer, award, due, said), at)


def _scaled(due: int, desired: int, allowed: int) -> int:
    """What is due after refunds of an award that limits allowed only in part."""
    return due * allowed // desired if allowed < desired else due


def watch(draft: Draft, live: LiveProgram, offer: Offer, day: date) -> None:
    """Remember the budgets that a rule counts against, so that reaching one is told."""
    for bound in offer.bounds:
        if bound.limit.in_all and bound.limit.per != "order":
            key = key_of(live.name, bound, day, "")
            draft.budgets[key] = most_of(bound, offer.terms.scale)


def cools_down(draft: Draft, live: LiveProgram, offer: Offer, award: Award, at: datetime) -> bool:
    """Whether a rule paid the member too short a time ago; what it decided once for a subject stays decided."""
    if offer.rule.cooldown is None or award.allowed is not None:
        return award.cooling
    last = draft.counters[cooldown_key(live.name, offer, award.member)]
    return bool(last) and abs(to_micros(at) - last) < offer.rule.cooldown // _MICROSECOND


def warm(draft: Draft, live: LiveProgram, offer: Offer, award: Award, at: datetime) -> None:
    """Remember when a rule with a cooldown paid."""
    if award.due and offer.rule.cooldown is not None:
        key = cooldown_key(live.name, offer, award.member)
        draft.counters.move(key, max(0, to_micros(at) - draft.counters[key]))


def _money(deciding: Deciding, offer: Offer) -> Decimal:
    ignore = offer.terms.refunds.restock_without_money == "ignore"
    return deciding.measuring.of(offer.base, ignore_restock=ignore, refunded=False).base


def _bring(deciding: Deciding, offer: Offer, award: Award, due: int, limit: str = "") -> Award:
    """Bring the award of a rule that pays to what is due, and say why."""
    if is_reward(award):
        after, reason = give(
            deciding.draft, deciding.live, award, due, deciding.snapshot.occurred_at, limit, deciding.facts
        )
        deciding.draft.reasons.append(reason)
        return after
    before = deciding.award_of(offer) if award.allowed is not None else award
    after = pay(deciding.draft, award, due, deciding.live, offer, deciding.snapshot.occurred_at)
    told = ""
    if offer.rule.on != REFUND:
        ignore = offer.terms.refunds.restock_without_money == "ignore"
        told = deciding.measuring.of(offer.base, ignore_restock=ignore).told
    deciding.draft.reasons.append(explained(offer, before, after, told, limit))
    return after


def pay(draft: Draft, award: Award, due: int, live: LiveProgram, offer: Offer, occurred_at: datetime) -> Award:
    """Bring one award to what is due, in its wallet."""
    wallet = draft.wallet(award.member, award.wallet)
    dates = draft.lifetime(live, offer, occurred_at, award.member)
    about = About(occurred_at=occurred_at, now=draft.world.now)
    wallet, after, entries = bring_to(wallet, award, due, offer.terms.refunds.policy, dates, about)
    if entries:
        draft.keep(wallet, *entries)
    if entries or after != award or after.basis or after.allowed is not None:
        draft.award(after)
    return after


def _withdraw(draft: Draft, order: Order, award: Award) -> None:
    """Claw back everything of an award that the order does not justify any more."""
    pin = order.pins.get(award.program)
    live = draft.world.programs.numbered(award.program, pin.version) if pin else None
    if live is not None:
        withdraw(draft, live, award, _placed_at(order), code="not_theirs_any_more")


def withdraw(draft: Draft, live: LiveProgram, award: Award, at: datetime, *, code: str) -> None:
    """Claw back everything of an award, by the terms of its wallet; `code` says why."""
    if not (award.due or award.charges):
        return
    award = replace(award, charges=given_back(award.program, award, draft.counters))
    if is_reward(award):
        draft.reasons.append(give(draft, live, award, 0, at)[1])
        return
    policy = live.program.wallets[award.wallet].refunds.policy
    about = About(occurred_at=at, now=draft.world.now)
    dates = draft.lifetime(live, live.offers[award.rule], at, award.member)
    wallet, after, entries = bring_to(draft.wallet(award.member, award.wallet), award, 0, policy, dates, about)
    draft.keep(wallet, *entries)
    draft.award(after)
    draft.reasons.append(
        Reason(
            rule=award.rule,
            outcome="changed",
            code=code,
            taken=after.taken - award.taken,
            written_off=after.written_off - award.written_off,
            program=award.program,
        )
    )


def _placed_at(order: Order) -> datetime:
    return order.state.snapshot.occurred_at if order.state.snapshot else order.first_seen_at


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


def _formula(deciding: Deciding, one: Chosen) -> Decimal:
    """Points that a plugin works out for the whole order."""
    work_out = deciding.draft.world.work_out
    if work_out is None or not isinstance(one.award, Formula):
        return Decimal(0)
    member = deciding.draft.world.members[deciding.owner]
    return work_out(one.award.name, deciding.event, member, _money(deciding, one.offer), deciding.facts.known)


def _adjusted(deciding: Deciding, offer: Offer) -> Award:
    """The award with what plugins add, asked once per content of the order as placed or edited."""
    award, adjust = deciding.award_of(offer), deciding.draft.world.adjust
    if adjust is None:
        return award
    snapshot = deciding.snapshot
    content = (snapshot.lines, snapshot.shipping, snapshot.currency, snapshot.tax_included)
    basis = hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:16]
    if basis == award.basis:
        return award
    person = deciding.draft.world.members[award.member]
    adjustments = tuple(adjust(deciding.event, person, award, deciding.facts.known))
    return replace(award, basis=basis, adjustments=adjustments)


def _free_waiting(deciding: Deciding) -> None:
    snapshot = deciding.snapshot
    if snapshot.fulfilled_at is not None and not snapshot.cancelled:
        free(deciding.draft, deciding.live, deciding.owner, deciding.subject, FULFILLED, snapshot.fulfilled_at)
