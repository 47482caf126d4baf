"""What the rules of one program version owe for a purchase, a sign-up or an event of the merchant's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Decimal
from fractions import Fraction
from typing import Any

from stampcard.domain.awards import Adjustment, Award
from stampcard.domain.decisions import Reason
from stampcard.engine.measuring import Measured, Part
from stampcard.engine.versions import LiveProgram, Matched
from stampcard.program.amounts import FixedAward
from stampcard.program.conditions import ConditionError
from stampcard.program.model import Rule, WalletTerms

_ROUNDING: Mapping[str, str] = {
    "down": ROUND_DOWN,
    "up": ROUND_UP,
    "half-up": ROUND_HALF_UP,
    "half-even": ROUND_HALF_EVEN,
}


def match(live: LiveProgram, on: str, variables: Mapping[str, Any]) -> list[Matched]:
    """Every rule for this kind of event, with whether its condition holds."""
    conditions = live.conditions.get(on)
    if conditions is None:
        return []
    return [
        true if verdict is True else not_true if verdict is False else _undecided(verdict, true.rule)
        for (true, not_true), verdict in zip(live.verdicts[on], conditions.evaluate(variables), strict=True)
    ]


def _undecided(error: ConditionError, rule: Rule) -> Matched:
    reason = Reason(rule=error.rule, outcome="undecided", code="condition_failed", detail=error.message)
    return Matched(rule=rule, reason=reason, undecided=True)


def owed_for_order(
    rule: Rule, terms: WalletTerms, measured: Measured, adjustments: Sequence[Adjustment], *, cancelled: bool
) -> int:
    """Points, in the wallet's smallest unit, that the order as it stands justifies.

    It is what the customer would have got for just what they kept: a function of the cumulative refunds, so the parts
    of several refunds always add up.
    """
    if cancelled or (measured.base > 0 and measured.kept == 0):
        return 0
    extra = sum((a.points for a in adjustments), Decimal(0))
    whole = Part(base=measured.base, refunded=measured.base - measured.kept)
    parts = measured.parts if terms.round_per == "line" and not isinstance(rule.award, FixedAward) else (whole,)
    points = sum(
        _rounded(_exact(rule, part, extra if i == 0 else Decimal(0), whole), terms) for i, part in enumerate(parts)
    )
    return max(0, points)


def _exact(rule: Rule, part: Part, extra: Decimal, whole: Part) -> Decimal:
    """Points before rounding; what a plugin added shrinks with the share of the order that is kept."""
    award = rule.award
    if isinstance(award, FixedAward):
        points = (award.points + extra) * part.kept / part.base if part.base else award.points + extra
    elif not extra:
        points = award.points * part.kept / award.per
    else:
        exact = Fraction(award.points) * Fraction(part.kept) / Fraction(award.per)
        share = Fraction(whole.kept) / Fraction(whole.base) if whole.base else Fraction(1)
        exact += Fraction(extra) * share
        points = Decimal(exact.numerator) / Decimal(exact.denominator)
    return points


def _rounded(points: Decimal, terms: WalletTerms) -> int:
    return int(points.scaleb(terms.scale).to_integral_value(rounding=_ROUNDING[terms.rounding]))


def owed_at_once(rule: Rule, terms: WalletTerms) -> int:
    """Points of a fixed award on a sign-up or custom event."""
    award = rule.award
    return _rounded(award.points, terms) if isinstance(award, FixedAward) else 0


def explained(rule: Rule, before: Award, after: Award, measured: Measured | None) -> Reason:
    """Why a rule that matched stands where it stands, and what was done now."""
    detail = f"base {measured.base.normalize():f}, kept {measured.kept.normalize():f}" if measured else ""
    return Reason(
        rule=rule.id,
        outcome="paid",
        code="matched",
        detail=detail,
        due=after.due,
        granted=after.granted - before.granted,
        taken=after.taken - before.taken,
        written_off=after.written_off - before.written_off,
    )
