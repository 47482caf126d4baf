"""What limits leave of what rules want to pay for one subject.

Two steps, so that the order in which one order's deliveries arrive does not matter: first what each rule may pay for
the order as placed, then what is due after refunds, which gives back what it does not use.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from stampcard.domain.awards import Award, Charge
from stampcard.domain.value import Value
from stampcard.engine.counting import FINE, CounterKey, Counters, key_of
from stampcard.engine.versions import Bound, Offer

_PER_ORDER = "order"


class Wanted(Value, frozen=True):
    """What a rule would pay before refunds, for how much money, and its award so far."""

    offer: Offer
    award: Award
    desired: int
    money: Decimal


class _Ledger:
    """What one limit has left for one subject, before refunds."""

    def __init__(self, key: CounterKey, bound: Bound, most: int, counters: Counters, awards: Sequence[Award]) -> None:
        own = [c for award in awards for c in award.charges if (c.scope, c.period, c.member) == key[1:]]
        others = 0 if bound.limit.per == _PER_ORDER else counters[key] - sum(charge.amount for charge in own)
        self._others = max(0, others)
        if bound.limit.measure == "members":
            new = not self._others
            distinct = counters[key._replace(member="")] - (1 if counters[key] > 0 and new else 0)
            self.left = max(most - distinct if new else 1, 1 if own else 0)
            self.lasting = not new
        else:
            # What was given back by refunds may have gone to others, yet what was allowed once stays allowed.
            self.left = max(most - self._others, sum(charge.reserved for charge in own))
            self.lasting = False


def most_of(bound: Bound, scale: int) -> int:
    """A limit in the unit of its counter."""
    limit = bound.limit
    if limit.measure == "points":
        return int(limit.most.scaleb(scale))
    return int(limit.most * FINE) if limit.measure == "money" else int(limit.most)


def allow(program: str, wanted: Sequence[Wanted], counters: Counters, day: date, member: str) -> list[tuple[int, str]]:
    """For each, in order, what its limits allow before refunds, and the limit that said no to more."""
    ledgers: dict[CounterKey, _Ledger] = {}
    awards = [one.award for one in wanted]
    answers: list[tuple[int, str]] = []
    for one in wanted:
        allowed, said = one.desired, ""
        places: list[tuple[Bound, _Ledger]] = []
        for bound in one.offer.bounds:
            key = key_of(program, bound, day, member)
            if key not in ledgers:
                ledgers[key] = _Ledger(key, bound, most_of(bound, one.offer.terms.scale), counters, awards)
            places.append((bound, ledgers[key]))
            fits = _fitting(bound, ledgers[key].left, one)
            if fits < one.desired and bound.limit.over == "reject":
                fits = 0
            if fits < allowed:
                allowed, said = fits, f"{bound.scope.rpartition(':')[0]}: {bound.limit}"
        for bound, ledger in places:
            if not ledger.lasting:
                ledger.left -= _use(bound, allowed, one.desired, one.money)
                ledger.lasting = bound.limit.measure == "members" and allowed > 0
        answers.append((allowed, said))
    return answers


def _fitting(bound: Bound, left: int, one: Wanted) -> int:
    match bound.limit.measure:
        case "points":
            return min(one.desired, max(0, left))
        case "money":
            money = int(one.money * FINE)
            return one.desired if money <= left else one.desired * max(0, left) // money
    return one.desired if left >= 1 else 0


def _use(bound: Bound, points: int, desired: int, money: Decimal) -> int:
    """What an award of these points uses, in the counter's unit."""
    match bound.limit.measure:
        case "points":
            return points
        case "money":
            return int(money * FINE) * points // desired if desired else 0
    return 1 if points else 0


def charge(
    program: str,
    wanted: Sequence[Wanted],
    allowed: Sequence[int],
    dues: Sequence[int],
    counters: Counters,
    day: date,
    member: str,
) -> list[tuple[int, tuple[Charge, ...]]]:
    """For each, in order, what is due once what others took meanwhile is respected, and its charges; moves the counters.

    What the subject had used is given back first, so that its own awards never stand in each other's way.
    """
    for one in wanted:
        given_back(program, one.award, counters)
    return [
        _charged(program, one, most, due, counters, day, member)
        for one, most, due in zip(wanted, allowed, dues, strict=True)
    ]


def _charged(
    program: str, one: Wanted, allowed: int, due: int, counters: Counters, day: date, member: str
) -> tuple[int, tuple[Charge, ...]]:
    places = [
        (bound, key_of(program, bound, day, member)) for bound in one.offer.bounds if bound.limit.per != _PER_ORDER
    ]
    for bound, key in places:
        due = min(due, _available(bound, key, counters, one, due))
    charges = []
    for bound, key in places:
        amount = _use(bound, due, one.desired, one.money)
        reserved = _use(bound, allowed, one.desired, one.money)
        counters.move(key, amount)
        if amount or reserved:
            charges.append(
                Charge(scope=key.scope, period=key.period, member=key.member, amount=amount, reserved=reserved)
            )
    return due, tuple(charges)


def _available(bound: Bound, key: CounterKey, counters: Counters, one: Wanted, due: int) -> int:
    """What of `due` fits into what is really left now."""
    most = most_of(bound, one.offer.terms.scale)
    if bound.limit.measure == "members":
        return due if counters[key] > 0 or counters[key._replace(member="")] < most else 0
    left, use = max(0, most - counters[key]), _use(bound, due, one.desired, one.money)
    if use <= left:
        return due
    return left if bound.limit.measure == "points" else due * left // use


def given_back(program: str, award: Award, counters: Counters) -> tuple[Charge, ...]:
    """The charges of an award that stands at nothing now, all given back to the periods that were charged."""
    for charge in award.charges:
        counters.move(CounterKey(program, charge.scope, charge.period, charge.member), -charge.amount)
    return ()
