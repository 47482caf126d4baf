"""An order's explanation in sentences, for whoever answers the customer."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from stampcard.domain.awards import Award
from stampcard.domain.decisions import Reason
from stampcard.domain.orders import OrderSnapshot, exceeds, standing_refunds
from stampcard.engine.versions import Programs
from stampcard.storage.explaining import Explanation
from stampcard.storage.reading import scale_of


def sentences(known: Explanation, programs: Programs) -> list[str]:
    """What happened to the order, from its placing to its points."""
    return [
        *_placing(known),
        *_refunding(known),
        *_not_paying(known.newest),
        *(_awarding(award, programs) for award in known.awards),
    ]


def _placing(known: Explanation) -> Iterator[str]:
    order, snapshot = known.order, known.order.state.snapshot
    if snapshot is None:
        yield "Only refunds of this order are known yet, so nothing is awarded."
        return
    yield _standing(snapshot)
    yield f"It belongs to member {order.member}." if order.member else "It names no customer, so nothing is awarded."
    if not snapshot.paid and not order.pins:
        yield "It is not paid yet, so nothing is awarded."
    for program, pin in sorted(order.pins.items()):
        if pin.version:
            yield f"Version {pin.version} of program {program!r} decides it."
        else:
            yield f"Program {program!r} does not award it ({pin.refused})."


def _standing(snapshot: OrderSnapshot) -> str:
    state = "cancelled" if snapshot.cancelled else "paid" if snapshot.paid else "not paid"
    placed = f"{snapshot.occurred_at:%Y-%m-%d %H:%M} UTC"
    return f"Order {snapshot.number} of {snapshot.total:f} {snapshot.currency}, placed {placed}, is {state}."


def _refunding(known: Explanation) -> Iterator[str]:
    state = known.order.state
    if state.snapshot is None:
        return
    for refund in standing_refunds(state):
        counts = "does not count: it exceeds the order" if exceeds(refund, state.snapshot) else "counts"
        yield f"Refund {refund.reference} of {refund.money:f} {state.snapshot.currency} {counts}."


def _not_paying(reasons: tuple[Reason, ...]) -> Iterator[str]:
    for reason in reasons:
        if reason.rule and reason.outcome in {"not_matched", "undecided"}:
            why = reason.detail or reason.code
            verb = "could not be decided" if reason.outcome == "undecided" else "does not apply"
            yield f"Rule {reason.rule!r} {verb}: {why}."


def _awarding(award: Award, programs: Programs) -> str:
    scale = scale_of(programs, award.wallet)

    def points(amount: int) -> str:
        return f"{Decimal(amount).scaleb(-scale):f}"

    parts = [f"{points(award.granted)} granted"]
    if award.taken:
        parts.append(f"{points(award.taken)} taken back")
    if award.written_off:
        parts.append(f"{points(award.written_off)} written off")
    owed = f"Rule {award.rule!r} owes member {award.member} {points(award.due)} {award.wallet}"
    return f"{owed}: {', '.join(parts)}."
