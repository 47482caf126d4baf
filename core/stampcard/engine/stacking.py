"""How rules for one event go together: all of them, the best, or none after this one; and what multiplies the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from stampcard.engine.earning import rounded
from stampcard.engine.matching import Chosen
from stampcard.program.amounts import Multiplier, RewardAward

#: Points that a rule which multiplies nothing pays, in the smallest unit of its wallet.
Plain = Callable[[Chosen], int]


def stacked(chosen: Sequence[Chosen], plain: Plain) -> tuple[list[tuple[Chosen, int]], list[tuple[Chosen, str]]]:
    """The rules that count, in their order, each with what it pays; and those that do not, with the code why."""
    out: list[tuple[Chosen, str]] = []
    rest = list(chosen)
    for place, one in enumerate(chosen):
        if one.offer.rule.stack == "stop" and (isinstance(one.award, Multiplier) or plain(one) > 0):
            out += [(later, "stopped_by_rule") for later in chosen[place + 1 :]]
            rest = rest[: place + 1]
            break
    best = [one for one in rest if one.offer.rule.stack == "best"]
    if len(best) > 1:
        others = [one for one in rest if one.offer.rule.stack != "best"]
        for wallet in {one.offer.rule.wallet: None for one in best}:
            of = [one for one in best if one.offer.rule.wallet == wallet]
            worth = {id(one): dict_of(paid([*others, one], plain))[id(one)] for one in of}
            winner = max(of, key=lambda one: worth[id(one)])
            out += [(one, "not_the_best") for one in of if one is not winner]
    left = {id(one) for one, _ in out}
    return paid([one for one in rest if id(one) not in left], plain), out


def dict_of(pairs: Sequence[tuple[Chosen, int]]) -> dict[int, int]:
    """The points by the identity of what pays them."""
    return {id(one): points for one, points in pairs}


def paid(counting: Sequence[Chosen], plain: Plain) -> list[tuple[Chosen, int]]:
    """What each of these rules pays; multipliers multiply what the others pay into the same wallet, not each other."""
    if not any(isinstance(one.award, Multiplier) for one in counting):
        return [(one, plain(one)) for one in counting]
    points = {id(one): plain(one) for one in counting if not isinstance(one.award, Multiplier)}
    sums: dict[str, int] = {}
    for one in counting:
        if id(one) in points and not isinstance(one.award, RewardAward):
            sums[one.offer.rule.wallet] = sums.get(one.offer.rule.wallet, 0) + points[id(one)]
    for one in counting:
        if isinstance(one.award, Multiplier):
            more = (one.award.times - 1) * Decimal(sums.get(one.offer.rule.wallet, 0))
            points[id(one)] = rounded(more, one.offer.terms)
    return [(one, points[id(one)]) for one in counting]
