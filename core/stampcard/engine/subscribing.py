"""Paid membership, from the set of a member's terms alone: whatever order they come in, it comes to the same; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from stampcard.domain.events import CustomEvent
from stampcard.domain.orders import ZERO, OrderLine, OrderState, Refund, exceeds, standing_refunds
from stampcard.domain.plans import Returned, Subscription, Term
from stampcard.domain.value import replace
from stampcard.engine.dating import midnight
from stampcard.engine.discounting import places_of
from stampcard.engine.versions import LiveProgram, Programs
from stampcard.engine.world import Order
from stampcard.program.events import AMOUNT, RENEWED
from stampcard.program.periods import Period, read_period
from stampcard.program.plans import Plan

_DAY, _MICROSECOND = timedelta(days=1), timedelta(microseconds=1)
#: The field of an event that says which product it was about.
PRODUCT = "product"


def terms_of(programs: Programs, program: str, order: Order) -> Iterator[Term]:
    """The plans that an order buys, by the version that decides it for good."""
    pin, snapshot = order.pins.get(program), order.state.snapshot
    live = programs.numbered(program, pin.version) if pin is not None and pin.version else None
    if live is None or snapshot is None or not snapshot.paid or order.member is None:
        return
    for name, plan in live.program.plans.items():
        lines = [line for line in snapshot.lines if line.sku in plan.skus and line.quantity > 0]
        bought = sum(line.quantity for line in lines)
        if not bought:
            continue
        yield Term(
            program=program,
            plan=name,
            key=order.subject,
            kind="bought",
            at=snapshot.occurred_at,
            lasts=_lasts(plan),
            bought=bought,
            returned=_returned(order.state, lines),
            refund=plan.refund,
            price=_each(sum((line.gross - line.discount for line in lines), ZERO), bought, snapshot.currency),
            currency=snapshot.currency,
        )


def _each(money: Decimal, units: int, currency: str) -> Decimal:
    """The price of one unit, in money that there is."""
    exact = money / units
    return exact if units == 1 else exact.quantize(Decimal(1).scaleb(-places_of(currency)), ROUND_HALF_UP)


def _returned(state: OrderState, lines: Collection[OrderLine]) -> tuple[Returned, ...]:
    """How many units of these lines came back, and when."""
    snapshot = state.snapshot
    assert snapshot is not None
    whole, back, found = sum(line.quantity for line in lines), 0, list[Returned]()
    refunds = [one for one in standing_refunds(state) if not exceeds(one, snapshot)]
    refunds.sort(key=lambda one: (one.occurred_at, one.reference))
    for count, last in enumerate(refunds, start=1):
        sofar = refunds[:count]
        units = sum(min(line.quantity, _units(line, sofar)) for line in lines)
        if not units and snapshot.total and sum((one.money for one in sofar), ZERO) >= snapshot.total:
            units = whole
        if units > back:
            found.append(Returned(units=units - back, at=last.occurred_at))
            back = units
    if snapshot.cancelled and back < whole:
        found.append(Returned(units=whole - back, at=snapshot.cancelled_at or snapshot.stamp.at))
    return tuple(found)


def _units(line: OrderLine, refunds: Iterable[Refund]) -> int:
    """Units of a line that came back; one whose whole price came back did, whatever the count says."""
    parts = [part for one in refunds for part in one.lines if part.line == line.reference]
    money, net = sum((part.subtotal for part in parts), ZERO), line.gross - line.discount
    return line.quantity if net and money >= net else sum(part.quantity for part in parts)


def _lasts(plan: Plan) -> str:
    return "" if plan.lasts is None else str(plan.lasts)


def term_of_event(live: LiveProgram, event: CustomEvent, now: datetime) -> Term | None:
    """The plan that an event begins or renews, if any; without a product it is about the only plan that hears it."""
    if now - event.occurred_at > live.program.accept_late:
        return None
    product, amount, hearing = event.data.get(PRODUCT), event.data.get(AMOUNT), _hearing(live, event)
    is_clear = product is None and len(hearing) == 1
    name = next((name for name, plan in hearing.items() if is_clear or not plan.skus or product in plan.skus), None)
    if name is None:
        return None
    plan = hearing[name]
    said = plan.renewal if event.name == RENEWED else plan.price
    price = said.amount if said is not None else None
    return Term(
        program=live.name,
        plan=name,
        key=f"event:{event.name}:{event.key}",
        kind="event",
        at=event.occurred_at,
        lasts=_lasts(plan),
        price=Decimal(str(amount)) if isinstance(amount, int | float) else price,
        currency=live.program.currency,
    )


def products_for(live: LiveProgram, event: CustomEvent) -> tuple[str, ...]:
    """The products of which an event must name one, because several plans hear it; none for one that is clear."""
    hearing = _hearing(live, event)
    clear = event.data.get(PRODUCT) is not None or len(hearing) == 1 or any(not plan.skus for plan in hearing.values())
    return () if clear else tuple(sku for plan in hearing.values() for sku in plan.skus)


def _hearing(live: LiveProgram, event: CustomEvent) -> dict[str, Plan]:
    return {name: plan for name, plan in live.program.plans.items() if event.name in plan.on}


def trial_of(live: LiveProgram, plan: str, now: datetime) -> Term:
    """A try of a plan that has one."""
    trial = live.program.plans[plan].trial
    return Term(program=live.name, plan=plan, key="trial", kind="trial", at=now, lasts=str(trial))


def counting(term: Term, uses: Collection[datetime]) -> int:
    """How many units of a term count; `uses`: when the plan's perks were used."""
    if term.refund == "keeps":
        return term.bought
    asks = term.refund == "unless used"
    back = sum(one.units for one in term.returned if not (asks and any(term.at <= used <= one.at for used in uses)))
    return max(0, term.bought - back)


def place_of(term: Term) -> tuple[datetime, bool, str]:
    """Where a term stands among the others; an end comes behind what began at the same moment."""
    return term.at, term.kind == "ended", term.key


def fold(
    live: LiveProgram, plan: str, terms: Iterable[Term], uses: Collection[datetime], now: datetime
) -> Subscription:
    """What a member's terms of a plan come to."""
    run = Subscription(program=live.name, plan=plan)
    for run, _, _ in _runs(live, plan, terms, uses):  # noqa: B007 - the last is wanted
        pass
    return replace(run, active=run.active_at(now))


def renewing(live: LiveProgram, plan: str, terms: Iterable[Term], uses: Collection[datetime]) -> frozenset[str]:
    """The keys of the terms that went on from one before, without a gap."""
    return frozenset(term.key for _, term, goes_on in _runs(live, plan, terms, uses) if goes_on)


def _runs(
    live: LiveProgram, plan: str, terms: Iterable[Term], uses: Collection[datetime]
) -> Iterator[tuple[Subscription, Term, bool]]:
    """The membership behind each term, and whether the term went on from what was there."""
    said, zone = live.program.plans[plan], live.program.zone
    run, row = Subscription(program=live.name, plan=plan), None
    for term in sorted((term for term in terms if not term.over), key=place_of):
        goes_on = False
        if term.kind == "ended":
            run = replace(run, paid_until=term.at, until=term.at) if run.active_at(term.at) else run
        elif units := counting(term, uses):
            goes_on = run.active_at(term.at)
            run, row = _extended(run, row, term, units, said, zone)
        yield run, term, goes_on


class _Row(NamedTuple):
    """Equal terms without a gap; counted from their first day, so that a short month shortens no later one."""

    day: date
    lasts: str
    units: int

    @property
    def last_day(self) -> date:
        one = read_period(self.lasts)
        return Period(count=one.count * self.units, unit=one.unit).after(self.day)


def _extended(
    run: Subscription, row: _Row | None, term: Term, units: int, plan: Plan, zone: ZoneInfo
) -> tuple[Subscription, _Row | None]:
    """The membership with one term more: it goes on from the end, or begins anew where there is a gap."""
    goes_on = run.active_at(term.at)
    before = run if goes_on else Subscription(program=run.program, plan=run.plan)
    row = _row(row if goes_on else None, before, term, units, zone)
    paid_until: datetime | None
    if goes_on and run.paid_until is None:
        paid_until = None
    elif term.until is not None:
        paid_until = max(term.until, before.paid_until) if before.paid_until is not None else term.until
    else:
        paid_until = midnight(row.last_day + _DAY, zone) if row is not None else None
    first = plan.price_kept == "until lapse" and before.price is not None
    price, currency = (before.price, before.currency) if first else (term.price, term.currency)
    after = replace(
        before,
        since=before.since or term.at,
        paid_until=paid_until,
        until=_with_grace(paid_until, plan, zone),
        price=price if term.kind != "hand" else before.price,
        currency=currency if term.kind != "hand" else before.currency,
        trial=term.kind == "trial" or (before.trial and term.kind == "hand"),
        by_hand=term.kind == "hand",
    )
    return after, row


def _row(row: _Row | None, before: Subscription, term: Term, units: int, zone: ZoneInfo) -> _Row | None:
    """The terms that a term is counted with; none for what lasts for good, or up to an end that somebody named."""
    if not term.lasts or term.until is not None:
        return None
    if row is not None and row.lasts == term.lasts:
        return row._replace(units=row.units + units)
    start = term.at if before.paid_until is None else before.paid_until - _MICROSECOND
    return _Row(start.astimezone(zone).date(), term.lasts, units)


def _with_grace(paid_until: datetime | None, plan: Plan, zone: ZoneInfo) -> datetime | None:
    if paid_until is None or plan.grace is None:
        return paid_until
    return midnight(plan.grace.after(paid_until.astimezone(zone).date()), zone)


def renewal_price(live: LiveProgram, one: Subscription) -> tuple[Decimal | None, str]:
    """What the next renewal costs a member; after a trial it is the first purchase."""
    plan = live.program.plans[one.plan]
    if plan.price_kept == "until lapse" and one.price is not None:
        return one.price, one.currency
    said = plan.price if one.trial else plan.renewal
    return (said.amount, said.currency) if said is not None else (None, "")
