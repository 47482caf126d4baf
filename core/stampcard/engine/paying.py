"""What points can pay of an order: at least, at most, and just so much."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, Decimal

from stampcard.domain.value import Value
from stampcard.errors import InsufficientPoints, RequestRefused
from stampcard.program.amounts import WHOLE
from stampcard.program.paying import PayTerms

#: Money is paid in hundredths.
_CENT = Decimal("0.01")


class Quote(Value, frozen=True):
    """What a payment would be, and the most that it could be; points in the wallet's smallest unit."""

    points: int
    money: Decimal
    most_points: int
    most_money: Decimal
    least_points: int


def quote(
    terms: PayTerms,
    scale: int,
    active: int,
    total: Decimal,
    paid: Decimal = Decimal(0),
    *,
    points: int | None,
    money: Decimal | None,
) -> Quote:
    """What so many points, or the points for so much money, pay of an order; without either, as much as is allowed.

    `paid`: what points paid of it before, which the share of the order counts too.

    A payment is always whole hundredths, and takes the fewest points for them. Raises InsufficientPoints, or
    RequestRefused for one that is below the minimum, above the share of the order, or nothing at all.
    """
    share = total if terms.share is None else (total * terms.share / WHOLE).quantize(_CENT, ROUND_DOWN)
    share = max(Decimal(0), share - paid)
    most_money = min(share, _money(terms, scale, active))
    least = int(terms.minimum.scaleb(scale))
    wanted = most_money if money is None and points is None else money
    if wanted is None:
        wanted = _money(terms, scale, points or 0)
    wanted, most_money = wanted.quantize(_CENT), most_money.quantize(_CENT)
    cost = _cost(terms, scale, wanted)
    found = Quote(
        points=cost,
        money=wanted,
        most_points=_cost(terms, scale, most_money),
        most_money=most_money,
        least_points=least,
    )
    _check(found, active, share, asked=money is not None or points is not None)
    return found


def _check(found: Quote, active: int, share: Decimal, *, asked: bool) -> None:
    if found.money > share:
        raise RequestRefused("above_share", f"points may still pay {share} of this order at most, not {found.money}")
    if found.points > active:
        raise InsufficientPoints(found.points, active)
    if found.points < found.least_points:
        if not asked and active < found.least_points:
            raise InsufficientPoints(found.least_points, active)
        raise RequestRefused("below_minimum", f"a payment has at least {found.least_points} points, not {found.points}")
    if found.money <= 0:
        raise RequestRefused("nothing_to_pay", "there is nothing that these points could pay")


def _money(terms: PayTerms, scale: int, points: int) -> Decimal:
    """What points are worth, in whole hundredths."""
    assert terms.rate is not None
    exact = Decimal(points).scaleb(-scale) * terms.rate.money / terms.rate.points
    return exact.quantize(_CENT, ROUND_DOWN)


def _cost(terms: PayTerms, scale: int, money: Decimal) -> int:
    """The fewest points that are worth so much."""
    assert terms.rate is not None
    exact = (money * terms.rate.points / terms.rate.money).scaleb(scale)
    return int(exact.to_integral_value(ROUND_CEILING))
