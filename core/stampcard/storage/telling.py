"""What the newest decision about an order says of each rule of the versions that it is pinned to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from stampcard.domain.decisions import Reason
from stampcard.domain.value import Value
from stampcard.engine.versions import LiveProgram, Offer, Programs
from stampcard.engine.wording import sentence
from stampcard.engine.world import Order
from stampcard.program.events import OF_ORDERS, REFUND
from stampcard.storage.explaining import Explanation


class RuleTold(Value, frozen=True):
    """What became of one rule for one order; `reason` is None for a rule that was not asked."""

    program: str
    version: int
    rule: str
    wallet: str
    scale: int
    reason: Reason | None
    words: str


def rules_of(known: Explanation, programs: Programs) -> tuple[RuleTold, ...]:
    """Every rule that the order could earn by, program by program, in the order in which the rules are asked."""
    return tuple(
        _told(live, offer, known.newest)
        for name, pin in sorted(known.order.pins.items())
        if (live := programs.numbered(name, pin.version)) is not None
        for offer in _offers(live)
    )


def _offers(live: LiveProgram) -> Iterator[Offer]:
    return (true.offer for on, of in live.verdicts.items() if on in OF_ORDERS for true, _ in of)


def _told(live: LiveProgram, offer: Offer, reasons: Sequence[Reason]) -> RuleTold:
    rule = offer.rule
    # Decisions of the time before reasons named their program name none.
    found = [one for one in reasons if one.rule == rule.id and one.program in {live.name, ""}]
    main = next((one for one in found if one.outcome != "changed"), next(iter(found), None))
    return RuleTold(
        program=live.name,
        version=live.number,
        rule=rule.id,
        wallet=rule.wallet,
        scale=offer.terms.scale,
        reason=main,
        words=" ".join(sentence(one, live) for one in found) or _unasked(offer),
    )


def _unasked(offer: Offer) -> str:
    why = "there is no refund" if offer.rule.on == REFUND else "the order was not decided since it is there"
    return f"Rule {offer.rule.id!r} was not asked: {why}."


def version_of(reason: Reason, order: Order | None, programs: Programs, at: datetime) -> LiveProgram | None:
    """The version that gave a reason: the one that the order is pinned to, else the one that was valid then."""
    if reason.program not in programs.versions:
        return None
    pin = None if order is None else order.pins.get(reason.program)
    pinned = programs.numbered(reason.program, pin.version) if pin else None
    return pinned or programs.valid_at(reason.program, at)
