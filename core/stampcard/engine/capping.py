"""What a capped percentage still counts for, and what an order uses of it; pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from stampcard.domain.bases import BaseUse
from stampcard.domain.orders import ZERO, OrderLine, OrderSnapshot, OrderState, exceeds, standing_refunds
from stampcard.engine.counting import FINE, period_of
from stampcard.engine.describing import rate_of
from stampcard.engine.versions import LiveProgram
from stampcard.program.rules import Filter


def base_left(
    live: LiveProgram, reward: str, uses: Iterable[BaseUse], at: datetime, without: str = ""
) -> Decimal | None:
    """For how much more a reward's percentage counts, in the program's currency; None where nothing caps it.

    `without`: an order that does not stand in its own way.
    """
    cap = live.program.rewards[reward].base_cap
    if cap is None:
        return None
    zone = live.program.zone
    period = period_of(cap.per, at.astimezone(zone).date())
    used = sum(
        use.kept
        for use in uses
        if (use.program, use.reward) == (live.name, reward)
        and use.subject != without
        and period_of(cap.per, use.at.astimezone(zone).date()) == period
    )
    return max(ZERO, cap.amount - Decimal(used) / FINE)


def base_of(
    live: LiveProgram, reward: str, subject: str, state: OrderState, known: BaseUse | None, uses: Iterable[BaseUse]
) -> BaseUse | None:
    """What an order uses of the cap of a reward whose code it shows; nothing of one that is not paid.

    What was allowed once stays allowed, so that the order in which one order's news come makes no difference.
    """
    snapshot = state.snapshot
    rate = rate_of(live.program, snapshot.currency, snapshot.occurred_at) if snapshot is not None else None
    if snapshot is None or not snapshot.paid or rate is None:
        return None
    lines = _lines(live.program.rewards[reward].only, snapshot)
    whole = sum((line.gross for line in lines), ZERO)
    left = base_left(live, reward, uses, snapshot.occurred_at, without=subject)
    if left is None or not whole:
        return None
    allowed = min(int(whole * rate * FINE), max(int(left * FINE), known.allowed if known is not None else 0))
    share = Decimal(0) if snapshot.cancelled else _kept(state, lines) / whole
    return BaseUse(
        program=live.name,
        reward=reward,
        subject=subject,
        at=snapshot.occurred_at,
        allowed=allowed,
        kept=int(allowed * share),
    )


def _kept(state: OrderState, lines: Iterable[OrderLine]) -> Decimal:
    """What refunds leave of the value of lines; a line goes back by the share of its price that does."""
    snapshot = state.snapshot
    assert snapshot is not None
    refunds = [one for one in standing_refunds(state) if not exceeds(one, snapshot)]
    back = {line.reference: ZERO for line in snapshot.lines}
    for part in (part for one in refunds for part in one.lines):
        back[part.line] = back.get(part.line, ZERO) + part.subtotal
    unnamed = not any(one.lines for one in refunds)
    money = sum((one.money for one in refunds), ZERO) if unnamed else ZERO
    share = min(Decimal(1), money / snapshot.total) if snapshot.total else ZERO
    kept = ZERO
    for line in lines:
        net = line.gross - line.discount
        gone = min(Decimal(1), back[line.reference] / net) if net else ZERO
        kept += line.gross * (1 - max(gone, share))
    return kept


def _lines(only: Filter | None, snapshot: OrderSnapshot) -> list[OrderLine]:
    """The goods that a discount was for; where the shop tells no collections, those that it took anything off."""
    goods = [line for line in snapshot.lines if not line.gift_card]
    if only is None:
        return goods
    is_told = not only.collection or any(line.collections for line in goods)
    return [line for line in goods if _fits(only, line) or (not is_told and line.discount)]


def _fits(only: Filter, line: OrderLine) -> bool:
    return line.product in only.product or not set(line.collections).isdisjoint(only.collection)
