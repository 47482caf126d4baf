"""What a capped percentage still counts for, and what an order uses of it; pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from stampcard.domain.bases import BaseUse
from stampcard.domain.orders import ZERO, OrderLine, OrderSnapshot, OrderState, exceeds, standing_refunds
from stampcard.engine.counting import FINE, period_of
from stampcard.engine.describing import rate_of
from stampcard.engine.measuring import money_share
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

    What was allowed once stays so while the order's goods are worth the same, whatever becomes of other orders.
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
    value = int(whole * rate * FINE)
    if known is not None and known.whole == value:
        allowed = known.allowed
    else:
        allowed = min(value, max(int(left * FINE), known.allowed if known is not None else 0))
    ignore = all(one.refunds.restock_without_money == "ignore" for one in live.program.wallets.values())
    share = Decimal(0) if snapshot.cancelled else _kept(state, lines, ignore_restock=ignore) / whole
    return BaseUse(
        program=live.name,
        reward=reward,
        subject=subject,
        at=snapshot.occurred_at,
        whole=value,
        allowed=allowed,
        kept=int(allowed * share),
    )


def _kept(state: OrderState, lines: Iterable[OrderLine], *, ignore_restock: bool) -> Decimal:
    """What refunds leave of the value of lines."""
    lines = list(lines)
    gone = gone_of(state, lines, ignore_restock=ignore_restock)
    return max(ZERO, sum((line.gross * (1 - share) for line, share in zip(lines, gone, strict=True)), ZERO))


def gone_of(state: OrderState, lines: Iterable[OrderLine], *, ignore_restock: bool) -> list[Decimal]:
    """Which share of each line refunds gave back: of its price, or of its units if it had none; of all for money alone."""
    snapshot = state.snapshot
    assert snapshot is not None
    gone, units = dict.fromkeys((line.reference for line in snapshot.lines), ZERO), dict[str, int]()
    share = ZERO
    for refund in standing_refunds(state):
        if exceeds(refund, snapshot):
            continue
        if not refund.lines:
            share += money_share(snapshot, refund)[1]
        elif refund.money or not ignore_restock:
            for part in refund.lines:
                gone[part.line] = gone.get(part.line, ZERO) + part.subtotal
                units[part.line] = units.get(part.line, 0) + part.quantity
    found = []
    for line in lines:
        net = line.gross - line.discount
        of = gone[line.reference] / net if net else Decimal(units.get(line.reference, 0)) / max(1, line.quantity)
        found.append(of + share)
    return found


def _lines(only: Filter | None, snapshot: OrderSnapshot) -> list[OrderLine]:
    """The goods that a discount was for; where the shop tells no collections, those that it took anything off."""
    goods = [line for line in snapshot.lines if not line.gift_card]
    if only is None:
        return goods
    is_told = not only.collection or any(line.collections for line in goods)
    return [line for line in goods if _fits(only, line) or (not is_told and line.discount)]


def _fits(only: Filter, line: OrderLine) -> bool:
    return line.product in only.product or not set(line.collections).isdisjoint(only.collection)
