"""What one rule owes for a purchase, a sign-up or any other event, before limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Decimal
from fractions import Fraction
from typing import Any

from stampcard.domain.awards import Adjustment, Award
from stampcard.domain.decisions import Reason
from stampcard.engine.measuring import Measured, Part
from stampcard.engine.versions import Offer
from stampcard.program.amounts import Award as Form
from stampcard.program.amounts import FixedAward, ItemAward, RateAward, RewardAward
from stampcard.program.events import AMOUNT
from stampcard.program.wallets import WalletTerms

_ROUNDING: Mapping[str, str] = {
    "down": ROUND_DOWN,
    "up": ROUND_UP,
    "half-up": ROUND_HALF_UP,
    "half-even": ROUND_HALF_EVEN,
}
_NOTHING = Decimal(0)


def owed_for_order(
    form: Form,
    terms: WalletTerms,
    measured: Measured,
    adjustments: Sequence[Adjustment],
    formula: Decimal | None = None,
) -> int:
    """Points, in the wallet's smallest unit, that the order as it stands justifies.

    It is what the customer would have got for just what they kept: a function of the cumulative refunds, so the parts
    of several refunds always add up. `formula`: points for the whole order, where the form is a plugin's.
    """
    base, kept = measured.base, measured.kept
    if measured.cancelled or not measured.parts or (base > 0 and kept == 0):
        return 0
    if isinstance(form, RewardAward):
        return 1
    if isinstance(form, RateAward) and not adjustments and terms.round_per == "order":
        return rounded(form.points * kept / form.per, terms)
    extra = sum((a.points for a in adjustments), _NOTHING)
    if isinstance(form, ItemAward):
        return max(0, rounded(form.points * measured.items + _share(extra, measured), terms))
    if not isinstance(form, RateAward):
        points = form.points if isinstance(form, FixedAward) else formula or _NOTHING
        return max(0, rounded(_share(points + extra, measured), terms))
    whole = Part(base=base, refunded=base - kept)
    parts = measured.parts if terms.round_per == "line" else (whole,)
    return max(0, sum(rounded(_exact(form, part, extra * (not i), whole), terms) for i, part in enumerate(parts)))


def _share(points: Decimal, measured: Measured) -> Decimal:
    """Points for what was kept of an order: by money, or by items where all of it was free."""
    if measured.base:
        return points * measured.kept / measured.base
    return points * measured.items / measured.of_items if measured.of_items else points


def _exact(form: RateAward, part: Part, extra: Decimal, whole: Part) -> Decimal:
    """Points before rounding; what a plugin added shrinks with the share of the order that is kept."""
    if not extra:
        return form.points * part.kept / form.per
    exact = Fraction(form.points) * Fraction(part.kept) / Fraction(form.per)
    share = Fraction(whole.kept) / Fraction(whole.base) if whole.base else Fraction(1)
    exact += Fraction(extra) * share
    return Decimal(exact.numerator) / Decimal(exact.denominator)


def rounded(points: Decimal, terms: WalletTerms) -> int:
    """Whole points to the wallet's smallest unit."""
    if terms.scale:
        points = points.scaleb(terms.scale)
    return (
        int(points) if terms.rounding == "down" else int(points.to_integral_value(rounding=_ROUNDING[terms.rounding]))
    )


def owed_at_once(form: Form, terms: WalletTerms, data: Mapping[str, Any]) -> int:
    """Points of an award on an event that is no order; an award per amount earns on what the event says."""
    match form:
        case FixedAward(points=points):
            return rounded(points, terms)
        case RewardAward():
            return 1
        case RateAward(points=points, per=per):
            amount = data.get(AMOUNT)
            known = isinstance(amount, int | float) and not isinstance(amount, bool) and 0 < amount < 1e12  # noqa: PLR2004 - beyond it no amount is believed
            return rounded(points * Decimal(str(amount)) / per, terms) if known else 0
    return 0


def money_of(data: Mapping[str, Any]) -> Decimal:
    """The money that an event says it is about."""
    amount = data.get(AMOUNT)
    return Decimal(str(amount)) if isinstance(amount, int | float) and not isinstance(amount, bool) else _NOTHING


def explained(offer: Offer, before: Award, after: Award, told: str, limit: str = "") -> Reason:
    """Why a rule that matched stands where it stands, and what was done now."""
    limited = after.allowed is not None and after.allowed < after.desired
    return Reason(
        rule=offer.rule.id,
        outcome="limited" if limited else "paid",
        code=("cooldown" if limit == "cooldown" else "limit") if limited else "matched",
        detail=f"{told}; {limit}" if limit and told else limit or told,
        due=after.due,
        granted=after.granted - before.granted,
        taken=after.taken - before.taken,
        written_off=after.written_off - before.written_off,
        desired=after.desired if limited else 0,
        program=after.program,
    )
