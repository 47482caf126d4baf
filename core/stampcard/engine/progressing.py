"""What counts towards tiers, by member and day: what an order or an award is worth there, and how that moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import NamedTuple

from stampcard.domain.awards import Award
from stampcard.engine.describing import Purchase, purchase_of, rate_of
from stampcard.engine.gauging import FINE, measure_of
from stampcard.engine.versions import LiveProgram
from stampcard.engine.world import Order


class ProgressKey(NamedTuple):
    """What a figure is of."""

    member: str
    program: str
    measure: str
    day: date


Progress = dict[ProgressKey, int]


def worth(live: LiveProgram, order: Order | None, awards: Iterable[Award]) -> Iterator[tuple[ProgressKey, int]]:
    """What an order counts in one program: the points that its awards stand at, or itself, on its own day."""
    tiers = live.program.tiers
    if tiers is None or order is None or order.state.snapshot is None or not measure_of(tiers):
        return
    day = _day(live, order.state.snapshot.occurred_at)
    if tiers.by == "points":
        yield from _points(live, awards, day)
        return
    pin, purchase = order.pins.get(live.name), purchase_of(order.state)
    if pin is None or not pin.version or purchase is None or order.member is None or not purchase.spend:
        return
    yield ProgressKey(order.member, live.name, measure_of(tiers), day), _amount(live, purchase)


def worth_at(live: LiveProgram, awards: Iterable[Award], at: datetime) -> Iterator[tuple[ProgressKey, int]]:
    """What awards count that no order gave."""
    tiers = live.program.tiers
    if tiers is not None and tiers.by == "points":
        yield from _points(live, awards, _day(live, at))


def moved(
    live: LiveProgram,
    orders: tuple[Order | None, Order | None],
    before: Mapping[str, Iterable[Award]],
    after: Mapping[str, Iterable[Award]],
    moments: Mapping[str, datetime],
) -> Progress:
    """What one decision moves; `orders`: its order as it was and is, `before` and `after`: awards by subject."""
    found: Progress = {}
    subject = next((order.subject for order in orders if order is not None), "")
    parts = [(-1, worth(live, orders[0], before.get(subject, ()))), (1, worth(live, orders[1], after.get(subject, ())))]
    for other, at in moments.items():
        parts += [(-1, worth_at(live, before.get(other, ()), at)), (1, worth_at(live, after.get(other, ()), at))]
    for sign, figures in parts:
        for key, amount in figures:
            found[key] = found.get(key, 0) + sign * amount
    return {key: amount for key, amount in found.items() if amount}


def _points(live: LiveProgram, awards: Iterable[Award], day: date) -> Iterator[tuple[ProgressKey, int]]:
    tiers = live.program.tiers
    for award in awards:
        if tiers is not None and award.program == live.name and award.wallet == tiers.wallet and award.due:
            yield ProgressKey(award.member, live.name, measure_of(tiers), day), award.due


def _amount(live: LiveProgram, purchase: Purchase) -> int:
    if live.program.tiers is not None and live.program.tiers.by == "orders":
        return 1
    rate = rate_of(live.program, purchase.currency, purchase.occurred_at)
    return 0 if rate is None else int(purchase.spend * rate * FINE)


def _day(live: LiveProgram, at: datetime) -> date:
    return at.astimezone(live.program.zone).date()
