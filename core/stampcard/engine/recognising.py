"""Codes of ours that an order shows: each marks its redemption used, and ties its points to the order."""

from __future__ import annotations

from collections.abc import Mapping

from stampcard.domain.decisions import Reason
from stampcard.domain.rewards import Redemption, code_key
from stampcard.domain.value import replace
from stampcard.engine.redeeming import used
from stampcard.engine.spending import Debit
from stampcard.engine.world import Draft, Order, World


def shown_by(world: World, order: Order) -> tuple[Redemption, ...]:
    """The redemptions whose codes the order's newest snapshot shows."""
    snapshot = order.state.snapshot
    if snapshot is None or not snapshot.codes or not world.redemptions:
        return ()
    ours = {code_key(one.voucher.code): one for one in world.redemptions.values() if one.voucher is not None}
    return tuple(ours[key] for code in snapshot.codes if (key := code_key(code)) in ours)


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
        draft.redemption(used(draft, one, order.subject))
        draft.reasons.append(_reason(one, order))


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
