"""Codes of ours that an order shows: each marks its redemption used, and ties its points to the order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from stampcard.domain.decisions import Reason
from stampcard.domain.orders import ZERO, OrderLine, OrderSnapshot
from stampcard.domain.rewards import Redemption, Voucher, code_key
from stampcard.domain.value import replace
from stampcard.engine.budgeting import discounted
from stampcard.engine.redeeming import used
from stampcard.engine.spending import Debit
from stampcard.engine.world import Draft, Order, World


def shown_by(world: World, order: Order) -> tuple[Redemption, ...]:
    """The redemptions whose codes the order shows, or showed before it was edited."""
    if not order.state.codes or not world.redemptions:
        return ()
    ours = {
        code_key(world.code_print(one.voucher.code)): one
        for one in world.redemptions.values()
        if one.voucher is not None
    }
    shown = dict.fromkeys(code_key(code) for code in order.state.codes)
    return tuple(ours[key] for key in shown if key in ours)


def spent_on(world: World, order: Order, shown: tuple[Redemption, ...]) -> World:
    """The world in which these rewards' points were spent on the order, so that its refunds can give them back."""
    debits = {debit.key: debit for of in world.debits.values() for debit in of}
    known = [debits[one.debit_key] for one in shown if one.debit_key in debits]
    fresh = {debit.key: replace(debit, subject=order.subject) for debit in known if not debit.subject}
    if not fresh:
        return world
    there = {debit.key: debit for debit in world.debits.get(order.subject, ())} | fresh
    others: Mapping[str, tuple[Debit, ...]] = {key: of for key, of in world.debits.items() if key not in fresh}
    return replace(world, debits={**others, order.subject: tuple(there.values())})


def recognise(draft: Draft, order: Order, shown: tuple[Redemption, ...], before: World) -> None:
    """Mark what the order shows as used there, and say what is odd about that."""
    keys = {debit.key for of in before.debits.values() for debit in of if debit.subject}
    draft.debits += [debit for debit in draft.world.debits.get(order.subject, ()) if debit.key not in keys]
    for one in shown:
        draft.redemption(discounted(draft, used(draft, one, order.subject), order))
        draft.reasons += [_reason(one, order), *_not_enforced(one, order.state.snapshot)]


def _reason(one: Redemption, order: Order) -> Reason:
    """What is said on the order: used as it should be, or by somebody else, or after it was over."""
    code, detail = "reward_used", one.gives
    if one.orders and order.subject not in one.orders and one.status == "used":
        code, detail = "code_used_again", f"{one.gives}: its code was used on {one.orders[0]} before"
    elif one.status in {"released", "revoked", "expired"} and order.subject not in one.orders:
        code = "code_not_valid"
        detail = f"{one.gives}: the redemption is {one.status}, the shop took its code all the same"
    elif one.member != order.member:
        code, detail = "code_of_another_member", f"{one.gives}: the code was given to another member"
    return Reason(rule=one.reward, outcome="kept", code=code, detail=detail, program=one.program)


def _not_enforced(one: Redemption, snapshot: OrderSnapshot | None) -> Iterator[Reason]:
    """What the reward asked of the order and nobody saw to, as far as the order itself can tell."""
    voucher = one.voucher
    if voucher is None or snapshot is None:
        return
    goods = sum((line.gross for line in snapshot.lines), ZERO)
    if _is_below(voucher.minimum, goods, voucher, snapshot):
        least = f"{voucher.minimum:f} {voucher.currency}"
        yield _said(one, code="code_below_minimum", why=f"it needs {least}, the order's goods come to {goods:f}")
    if voucher.ends_at is not None and snapshot.occurred_at >= voucher.ends_at:
        placed = snapshot.occurred_at.isoformat(timespec="seconds")
        why = f"it ended at {voucher.ends_at.isoformat(timespec='seconds')}, the order was placed at {placed}"
        yield _said(one, code="code_after_its_end", why=why)
    if snapshot.lines and all(_is_surely_other(voucher, line) for line in snapshot.lines):
        yield _said(one, code="code_on_other_products", why="nothing in the order is what it is for")


def _said(one: Redemption, code: str, why: str) -> Reason:
    return Reason(rule=one.reward, outcome="kept", code=code, detail=f"{one.gives}: {why}", program=one.program)


def _is_below(minimum: Decimal | None, goods: Decimal, voucher: Voucher, snapshot: OrderSnapshot) -> bool:
    """Whether the goods before any discount are too few: shops differ in what they take off before they look."""
    comparable = bool(snapshot.lines) and snapshot.currency == voucher.currency
    return minimum is not None and comparable and goods < minimum


def _is_surely_other(voucher: Voucher, line: OrderLine) -> bool:
    """Whether a line is not what the code is for; what the shop did not tell of the line may be."""
    if not (voucher.products or voucher.collections) or (voucher.collections and not line.collections):
        return False
    if voucher.products and not line.product:
        return False
    return line.product not in voucher.products and set(voucher.collections).isdisjoint(line.collections)
