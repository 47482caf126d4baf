"""Limits that nothing ever reaches, because another stops before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

from stampcard.program.amounts import FixedAward
from stampcard.program.costing import awards_of
from stampcard.program.events import ANNIVERSARY, BIRTHDAY, SIGN_UP
from stampcard.program.limits import Limit, Per
from stampcard.program.model import Program
from stampcard.program.parsing import Path
from stampcard.program.remarks import Remark
from stampcard.program.rules import Rule

_LENGTHS: tuple[Per, ...] = ("day", "week", "month", "year", "ever")
#: How many of one period, at most, begin or go on within a longer one.
_WITHIN = {
    ("day", "week"): 7,
    ("day", "month"): 31,
    ("day", "year"): 366,
    ("week", "month"): 6,
    ("week", "year"): 54,
    ("month", "year"): 12,
}
#: What happens only so often by itself.
_BY_NATURE: dict[str, tuple[Per, str]] = {
    SIGN_UP: ("ever", "a member signs up once"),
    BIRTHDAY: ("year", "a birthday comes once a year"),
    ANNIVERSARY: ("year", "an anniversary comes once a year"),
}


def remarks_on_limits(program: Program) -> Iterator[Remark]:
    """Every limit that another makes needless."""
    for index, rule in enumerate(program.rules):
        yield from _needless(rule.limits, ("rules", index, "limits"), rule)
    for name, group in program.groups.items():
        yield from _needless(group.limits, ("groups", name, "limits"))
    for name, campaign in program.campaigns.items():
        yield from _needless(campaign.limits, ("campaigns", name, "limits"))


def _needless(limits: Sequence[Limit], place: Path, rule: Rule | None = None) -> Iterator[Remark]:
    points = _points(rule) if rule else None
    for index, limit in enumerate(limits):
        reason = next(
            (
                f"'{_told(other)}' comes first"
                for other in limits
                if other is not limit and _is_within(_through(other, limit, points), limit)
            ),
            "",
        ) or (_by_nature(limit, rule, points) if rule else "")
        if reason:
            yield Remark("limit_not_reached", (*place, index), f"'{_told(limit)}' is never reached: {reason}")


def _told(limit: Limit) -> str:
    return re.sub(r"^1 (time|point|member)s\b", r"1 \1", str(limit))


def _by_nature(limit: Limit, rule: Rule, points: Decimal | None) -> str:
    """Why the rule's event alone never reaches the limit."""
    if limit.per == "order":
        if limit.measure == "times":
            return "a rule pays once for an order"
        return f"the rule pays at most {points:f}" if limit.measure == "points" and _is_within(points, limit) else ""
    if rule.on not in _BY_NATURE:
        return ""
    per, words = _BY_NATURE[rule.on]
    once = Limit(most=Decimal(1), measure="times", per=per)
    return words if _is_within(_through(once, limit, points), limit) else ""


def _points(rule: Rule) -> Decimal | None:
    """The most that a rule pays each time, where that is a fixed number."""
    awards = [award.points for award in awards_of(rule) if isinstance(award, FixedAward)]
    return max(awards) if len(awards) == len(awards_of(rule)) else None


def _is_within(most: Decimal | None, limit: Limit) -> bool:
    return most is not None and most <= limit.most


def _through(bound: Limit, limit: Limit, points: Decimal | None) -> Decimal | None:
    """How much, of what `limit` measures and in its period, `bound` lets through at most; None: nobody knows."""
    if "members" in {bound.measure, limit.measure} or (limit.in_all and not bound.in_all):
        return None
    count = _periods(bound.per, limit.per)
    if count is None:
        return None
    if bound.measure == limit.measure:
        return bound.most * count
    if bound.measure == "times" and limit.measure == "points" and points is not None:
        return bound.most * count * points
    return None


def _periods(bound: Per, limit: Per) -> int | None:
    """How many periods of a bound lie, maybe in part, within one of a limit."""
    if bound == limit:
        return 1
    if "order" in {bound, limit}:
        return None
    if _LENGTHS.index(bound) < _LENGTHS.index(limit):
        return _WITHIN.get((bound, limit))
    # A week may lie in two months, or two years.
    return 2 if limit == "week" and bound != "ever" else 1
