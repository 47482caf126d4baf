"""What percentages take off orders, counted by limits of money: promised when given, known when seen, given back with refunds.

A limit of money counts of a reward that is a percentage, in ten-thousandths of the program's currency: what the orders that
show its code took off by it and kept, and, as long as it can be used, its `at most` for each use that is left. Both follow
from the redemption and the state of its orders alone, so the order in which they arrive changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_UP, Decimal

from stampcard.domain.awards import Charge
from stampcard.domain.orders import ZERO, OrderLine
from stampcard.domain.rewards import Redemption, RewardKind, Voucher, code_key
from stampcard.domain.value import replace
from stampcard.engine.capping import gone_of
from stampcard.engine.counting import FINE, CounterKey
from stampcard.engine.describing import rate_of
from stampcard.engine.discounting import places_of
from stampcard.engine.limiting import most_of
from stampcard.engine.versions import LiveProgram
from stampcard.engine.world import Draft, Order, World

#: The kind whose discount nobody knows before it is used.
PERCENTAGE: RewardKind = "percent_off"
_MONEY = ":money/"


def is_of_discount(one: Redemption, charge: Charge) -> bool:
    """Whether a limit of money counts what a redemption takes off."""
    return one.kind == PERCENTAGE and _MONEY in charge.scope


def counted(draft: Draft, one: Redemption) -> Redemption:
    """The redemption with limits of money charged for what it took off by now, and for what it may still take off."""
    unknown = one.is_open and one.voucher is None  # whose it was is forgotten: what was promised stays so
    if one.kind != PERCENTAGE or unknown or not any(is_of_discount(one, charge) for charge in one.charges):
        return one
    amount = sum(one.discounts.values()) + _promised(one)
    charges = tuple(
        _moved(draft, one, charge, amount) if is_of_discount(one, charge) else charge for charge in one.charges
    )
    return replace(one, charges=charges)


def discounted(draft: Draft, one: Redemption, order: Order) -> Redemption:
    """The redemption with what an order that shows its code, or showed it once, keeps of its discount by now."""
    if one.kind != PERCENTAGE or one.voucher is None or not any(is_of_discount(one, of) for of in one.charges):
        return one
    kept = _kept(draft.world, one, one.voucher, order)
    if one.discounts.get(order.subject) == kept:
        return one
    return counted(draft, replace(one, discounts={**one.discounts, order.subject: kept}))


def promise_of(voucher: Voucher) -> int:
    """The most that one use takes off, in ten-thousandths; 0 where nobody said."""
    return int((voucher.at_most or ZERO) * FINE)


def _promised(one: Redemption) -> int:
    """What uses may still take off: those that are left, and those at a till, of which nobody tells how much it was."""
    if one.voucher is None:
        return 0
    untold = sum(where not in one.discounts for where in one.orders)
    left = max(0, one.voucher.uses - len(one.orders)) if one.is_open else 0
    return (untold + left) * promise_of(one.voucher)


def _moved(draft: Draft, one: Redemption, charge: Charge, amount: int) -> Charge:
    key = CounterKey(one.program, charge.scope, charge.period, charge.member)
    draft.counters.move(key, amount - charge.amount)
    live = next((live for live in draft.world.programs.current(draft.world.now) if live.name == one.program), None)
    of = live.rewards.get(one.reward) if live is not None else None
    bound = next((bound for bound in of.bounds if bound.scope == charge.scope), None) if of is not None else None
    if bound is not None and bound.limit.in_all:
        draft.budgets[key] = most_of(bound, 0)
    return replace(charge, amount=amount)


def _kept(world: World, one: Redemption, voucher: Voucher, order: Order) -> int:
    """What an order keeps of the discount; nothing of one that is not paid, or that shows the code no more.

    Of each line that the code is for: what was taken off it, but not more than the percentage of its price, as other
    discounts may have been on it, too. The sum is not more than the `at most`, and refunds leave their part of it.
    """
    snapshot, live = order.state.snapshot, world.programs.numbered(one.program, one.version)
    if snapshot is None or live is None or not snapshot.paid or snapshot.cancelled or voucher.percent is None:
        return 0
    rate = rate_of(live.program, snapshot.currency, snapshot.occurred_at)
    if rate is None or code_key(world.code_print(voucher.code)) not in map(code_key, snapshot.codes):
        return 0
    lines = _lines(voucher, snapshot.lines)
    cent = Decimal(1).scaleb(-places_of(snapshot.currency))
    off = [min(line.discount, (line.gross * voucher.percent / 100).quantize(cent, ROUND_UP)) for line in lines]
    whole = sum(off, ZERO) * rate
    if whole <= 0:
        return 0
    gone = gone_of(order.state, lines, ignore_restock=_ignores(live))
    kept = sum((taken * max(ZERO, 1 - share) for taken, share in zip(off, gone, strict=True)), ZERO) * rate
    capped = min(whole, voucher.at_most) if voucher.at_most is not None else whole
    return int(capped * kept / whole * FINE)


def _ignores(live: LiveProgram) -> bool:
    """Whether what comes back without money gives nothing back."""
    return all(wallet.refunds.restock_without_money == "ignore" for wallet in live.program.wallets.values())


def _lines(voucher: Voucher, lines: Iterable[OrderLine]) -> list[OrderLine]:
    """The lines that a code is for; where the shop tells no collections, all that it took anything off."""
    goods = [line for line in lines if not line.gift_card]
    if not (voucher.products or voucher.collections):
        return goods
    told = any(line.collections for line in goods) or not voucher.collections
    return [
        line
        for line in goods
        if line.product in voucher.products
        or not set(line.collections).isdisjoint(voucher.collections)
        or (not told and line.discount)
    ]
