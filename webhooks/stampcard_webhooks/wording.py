"""An order's explanation in sentences, for whoever answers the customer."""

from __future__ import annotations

from collections.abc import Iterator

from stampcard.domain.awards import Award
from stampcard.domain.orders import OrderSnapshot, exceeds, standing_refunds
from stampcard.engine.versions import Programs
from stampcard.engine.wording import WORDS, charge_words, day_words, lot_words, points_words
from stampcard.storage.explaining import Explanation
from stampcard.storage.reading import scale_of
from stampcard.storage.telling import rules_of


def sentences(known: Explanation, programs: Programs) -> list[str]:
    """What happened to the order, from its placing to its points."""
    return [
        *_placing(known, programs),
        *_refunding(known),
        *_not_paying(known, programs),
        *(line for award in known.awards for line in _awarding(known, award, programs)),
        *_lots(known, programs),
    ]


def _placing(known: Explanation, programs: Programs) -> Iterator[str]:
    order, snapshot = known.order, known.order.state.snapshot
    if snapshot is None:
        yield "Only refunds of this order are known yet, so nothing is awarded."
        return
    yield _standing(snapshot)
    yield f"It belongs to member {order.member}." if order.member else "It names no customer, so nothing is awarded."
    if not snapshot.paid and not order.pins:
        yield "It is not paid yet, so nothing is awarded."
    for program, pin in sorted(order.pins.items()):
        live = programs.numbered(program, pin.version)
        since = f", valid since {day_words(live.valid_from.astimezone(live.program.zone).date())}," if live else ""
        if pin.version:
            yield f"Version {pin.version} of program {program!r}{since} decides it."
        else:
            yield f"Program {program!r} never awards it: {WORDS.get(pin.refused, pin.refused)}."
        for target in pin.stopped:
            yield f"Switched off when it was decided: {target}."
        for fact, why in sorted(pin.lacking.items()):
            yield f"The fact {fact!r} was not known when it was decided: {why}."


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


def _not_paying(known: Explanation, programs: Programs) -> Iterator[str]:
    """Of each rule that does not pay all that it could: why."""
    for told in rules_of(known, programs):
        if told.reason is None or told.reason.outcome != "paid":
            yield told.words


def _awarding(known: Explanation, award: Award, programs: Programs) -> Iterator[str]:
    scale = scale_of(programs, award.wallet)

    def points(amount: int) -> str:
        return points_words(amount, scale)

    parts = [f"{points(award.granted)} granted"]
    if award.taken:
        parts.append(f"{points(award.taken)} taken back")
    if award.written_off:
        parts.append(f"{points(award.written_off)} written off")
    owed = f"Rule {award.rule!r} owes member {award.member} {points(award.due)} {award.wallet}"
    yield f"{owed}: {', '.join(parts)}."
    pin = known.order.pins.get(award.program)
    live = programs.numbered(award.program, pin.version) if pin else None
    for charge in award.charges:
        yield f"It uses {charge_words(charge, live)}."


def _lots(known: Explanation, programs: Programs) -> Iterator[str]:
    for owned in known.lots:
        live = programs.of_wallet(owned.wallet)
        if live is not None:
            words = lot_words(owned.lot, scale_of(programs, owned.wallet), live.program.zone)
            yield f"Lot {owned.lot.number} of {owned.wallet!r}: {words}."
