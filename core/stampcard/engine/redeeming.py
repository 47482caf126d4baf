"""The life of a redemption behind its hold: issue, use, release, expire, revoke; each step once, each with its points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from stampcard.domain.commands import Command
from stampcard.domain.ledger import Account
from stampcard.domain.rewards import (
    ACTIONS,
    CHOICE,
    ISSUE,
    RESTORE,
    WITHDRAW,
    Redemption,
    RedemptionStatus,
)
from stampcard.domain.value import replace
from stampcard.engine.budgeting import counted, is_of_discount
from stampcard.engine.counting import CounterKey
from stampcard.engine.posting import About, post
from stampcard.engine.spending import give_back
from stampcard.engine.world import Decision, Draft, World
from stampcard.errors import Conflict
from stampcard.program.rewards import MANUAL, OWN, POOL

Handling = Literal["done", "shipped", "refused"]


def about_of(draft: Draft, redemption: Redemption) -> About:
    """What its entries say of themselves."""
    return About(occurred_at=draft.world.now, now=draft.world.now, subject=redemption.debit_key, note=redemption.reward)


def send(draft: Draft, kind: str, redemption: Redemption) -> None:
    """Ask whoever makes it real to issue, withdraw or restore it."""
    voucher = redemption.voucher
    if voucher is None:
        return
    count = sum(command.kind == kind for _, command in draft.commands)
    key = (
        redemption.id if kind == ISSUE else f"{redemption.id}:{ACTIONS[kind]}:{draft.world.now.timestamp():.6f}:{count}"
    )
    command = Command(
        kind=kind,
        key=key,
        member=redemption.member,
        reference=voucher.reference,
        data=msgspec.to_builtins(voucher, builtin_types=()),
    )
    draft.commands.append((redemption.by, command))


def issued(draft: Draft, redemption: Redemption, result: Mapping[str, Any]) -> Redemption:
    """Held points become spent; the holder can use it from now on."""
    spend_held(draft, redemption)
    voucher, code = redemption.voucher, result.get("code")
    if voucher is not None and isinstance(code, str) and code:
        voucher = replace(voucher, code=code)
    return replace(
        redemption, status="issued", issued_at=draft.world.now, due_at=redemption.valid_until, voucher=voucher
    )


def spend_held(draft: Draft, redemption: Redemption) -> None:
    """Let the points that it holds be spent."""
    if not redemption.price:
        return
    wallet = draft.wallet(redemption.member, redemption.wallet)
    amounts: dict[Account, int] = {"held": -redemption.price, "redeemed": redemption.price}
    draft.keep(*post(wallet, "redeem", (), amounts, about_of(draft, redemption)))


def ended(draft: Draft, redemption: Redemption, status: RedemptionStatus, reason: str = "") -> Redemption:
    """A redemption to which nothing happens any more, but for what refunds of its order do."""
    over = replace(redemption, status=status, ended_at=draft.world.now, due_at=None, reason=reason or redemption.reason)
    return counted(draft, over)


def _given_back(draft: Draft, redemption: Redemption) -> Redemption:
    """The redemption after its points went back into their lots and its limits to the periods that were charged.

    What was picked from a choice gives the choice back.
    """
    choice = draft.world.redemptions.get(redemption.subject.removeprefix(CHOICE))
    if redemption.subject.startswith(CHOICE) and choice is not None and choice.status == "used":
        draft.redemption(replace(choice, status="issued", ended_at=None, due_at=choice.valid_until))
    # What orders took off by it is counted on, also of those that are told of late.
    kept = tuple(charge for charge in redemption.charges if is_of_discount(redemption, charge))
    for charge in (one for one in redemption.charges if one not in kept):
        draft.counters.move(CounterKey(redemption.program, charge.scope, charge.period, charge.member), -charge.amount)
    redemption = replace(redemption, charges=kept)
    debit = next((one for of in draft.world.debits.values() for one in of if one.key == redemption.debit_key), None)
    live = draft.world.programs.of_wallet(redemption.wallet, draft.world.now) if redemption.wallet else None
    if debit is None or live is None or not debit.left:
        return redemption
    terms = live.program.wallets[debit.wallet]
    renewal = draft.given(live, debit.member, debit.wallet)
    wallet, held = draft.wallet(debit.member, debit.wallet), redemption.status == "held"
    wallet, debit, entry = give_back(
        wallet, debit, debit.left, terms.returned_to_dead_lot, renewal, about_of(draft, redemption), held=held
    )
    draft.keep(wallet, entry)
    draft.debits.append(replace(debit, cancelled=True))
    return redemption


def decide_settled(
    world: World, redemption: Redemption, *, done: bool, result: Mapping[str, Any], why: str
) -> Decision:
    """What the vendor's answer to an issue changes; the engine alone moves a redemption on.

    A vendor that made it real although it is not wanted any more is asked to take it back.
    """
    draft = Draft(world)
    if done and redemption.status == "held":
        made = issued(draft, redemption, result)
        if redemption.withdrawn:
            send(draft, WITHDRAW, made)
        draft.redemption(made)
    elif done and redemption.status in {"released", "revoked"}:
        send(draft, WITHDRAW, redemption)
        draft.redemption(redemption)
    elif not done and redemption.status == "held":
        draft.redemption(ended(draft, _given_back(draft, redemption), "released", why))
    return draft.decision()


def decide_release(world: World, redemption: Redemption, reason: str) -> Decision:
    """Give up a redemption that was not issued; raises Conflict for one that was."""
    if redemption.status != "held":
        raise Conflict(f"already_{redemption.status}", f"the redemption is {redemption.status} already")
    draft = Draft(world)
    draft.redemption(ended(draft, _given_back(draft, redemption), "released", reason))
    return draft.decision()


def decide_revoke(world: World, redemption: Redemption, reason: str, *, keep_points: bool = False) -> Decision:
    """Take back a redemption that is not over, its points with it unless they are kept; raises Conflict for another."""
    if not redemption.is_open:
        raise Conflict(f"already_{redemption.status}", f"the redemption is {redemption.status} already")
    draft = Draft(world)
    draft.redemption(revoke(draft, redemption, reason, keep_points=keep_points))
    return draft.decision()


def revoke(draft: Draft, redemption: Redemption, reason: str, *, keep_points: bool = False) -> Redemption:
    """A redemption that is taken back; what the shop made of it is withdrawn."""
    issued = redemption.status == "issued"
    if keep_points and not issued:
        spend_held(draft, redemption)
    if not keep_points:
        redemption = _given_back(draft, redemption)
    if issued and _is_at_shop(redemption):
        send(draft, WITHDRAW, redemption)
    return ended(draft, redemption, "revoked", reason)


def decide_handled(world: World, redemption: Redemption, how: Handling, note: str) -> Decision:
    """What people did about a reward that is handed out by hand; raises Conflict for one that is over or another's."""
    if redemption.by != MANUAL:
        raise Conflict("not_manual", f"this is not handed out by hand, but by {redemption.by or 'ourselves'}")
    if not redemption.is_open or (how == "shipped" and redemption.status != "held"):
        raise Conflict(f"already_{redemption.status}", f"the redemption is {redemption.status} already")
    draft = Draft(world)
    if how == "refused":
        draft.redemption(revoke(draft, redemption, note))
    else:
        made = issued(draft, redemption, {}) if redemption.status == "held" else redemption
        made = replace(made, reason=note or made.reason)
        # What is on its way is nobody's any more: it does not lapse.
        draft.redemption(ended(draft, made, "used") if how == "done" else replace(made, due_at=None))
    return draft.decision()


def decide_use(world: World, redemption: Redemption, where: str) -> Decision:
    """Mark an issued reward used, at a till or by an order (`where`); raises Conflict for one that cannot be."""
    if where in redemption.orders:
        return replace(Draft(world).decision(), changed=False)
    _check_usable(redemption)
    draft = Draft(world)
    draft.redemption(used(draft, redemption, where))
    return draft.decision()


def _check_usable(redemption: Redemption) -> None:
    if redemption.status != "issued" or redemption.withdrawn:
        status = "withdrawn" if redemption.withdrawn else redemption.status
        raise Conflict(f"already_{status}", f"the redemption is {status}: it cannot be used")


def decide_taken_in(world: World, redemption: Redemption, where: str) -> Decision:
    """Mark a reward used at a counter, of which the shop that made its code knows nothing; raises Conflict as `decide_use`."""
    if where in redemption.orders:
        return replace(Draft(world).decision(), changed=False)
    _check_usable(redemption)
    draft = Draft(world)
    one = used(draft, redemption, where)
    if one.status == "used" and _is_at_shop(one):
        send(draft, WITHDRAW, one)
    draft.redemption(one)
    return draft.decision()


def _is_at_shop(redemption: Redemption) -> bool:
    return redemption.by not in {"", OWN, POOL, MANUAL}


def decide_unused(world: World, redemption: Redemption, where: str) -> Decision:
    """Let a reward be as before it was used there, because that was a mistake; raises Conflict where it was not used there,
    or is nobody's any more.
    """
    if where not in redemption.orders or redemption.status not in {"used", "issued"}:
        raise Conflict("not_used_there", f"the redemption is {redemption.status}: that it was used cannot be undone")
    draft = Draft(world)
    one = _unused(draft, redemption, where)
    if redemption.status == "used" and one.status == "issued" and _is_at_shop(one):
        send(draft, RESTORE, one)
    draft.redemption(one)
    return draft.decision()


def _unused(draft: Draft, redemption: Redemption, where: str) -> Redemption:
    left = tuple(order for order in redemption.orders if order != where)
    uses = redemption.voucher.uses if redemption.voucher is not None else 1
    if len(left) >= uses:
        return replace(redemption, orders=left)
    return counted(
        draft, replace(redemption, status="issued", ended_at=None, due_at=redemption.valid_until, orders=left)
    )


def decide_taken_back(world: World, redemption: Redemption, where: str, reason: str) -> Decision:
    """Take back a reward that was handed out there by mistake, its points with it; raises Conflict where it was not."""
    if redemption.status not in {"used", "issued"} or redemption.orders not in {(where,), ()}:
        raise Conflict(f"already_{redemption.status}", f"the redemption is {redemption.status} already")
    if redemption.kind == "points":
        raise Conflict("paid_out", "these points are in another wallet by now: adjust both by hand")
    draft = Draft(world)
    draft.redemption(revoke(draft, _unused(draft, redemption, where), reason))
    return draft.decision()


def used(draft: Draft, redemption: Redemption, where: str) -> Redemption:
    """The redemption once it was used there; the same place counts once.

    One that was not known to be issued yet surely is; one that was given up stays so, because its points went back.
    """
    if where in redemption.orders:
        return redemption
    if redemption.status == "held":
        redemption = issued(draft, redemption, {})
    redemption = counted(draft, replace(redemption, orders=(*redemption.orders, where)))
    if redemption.status in {"released", "revoked"} or (redemption.status == "expired" and redemption.returns):
        return redemption
    uses = redemption.voucher.uses if redemption.voucher is not None else 1
    return ended(draft, redemption, "used") if len(redemption.orders) >= uses else redemption


def decide_overdue(world: World, redemption: Redemption) -> Decision:
    """What time does to a redemption: a hold that ran out is released, what was not used in time expires."""
    draft = Draft(world)
    if redemption.due_at is None or redemption.due_at > world.now or not redemption.is_open:
        return replace(draft.decision(), changed=False)
    if redemption.status == "held":
        reason = "it was not issued in time"
        draft.redemption(ended(draft, _given_back(draft, redemption), "released", reason))
    else:
        redemption = _given_back(draft, redemption) if redemption.returns and not redemption.orders else redemption
        if redemption.voucher is not None and redemption.voucher.batch:  # its vendor does not know its end
            send(draft, WITHDRAW, redemption)
        draft.redemption(ended(draft, redemption, "expired"))
    return draft.decision()


def decide_withdrawn(world: World, redemption: Redemption, *, back: bool) -> Decision:
    """Switch an unused code off at the shop, or on again (`back`), because its reward was stopped or started.

    One that the shop has not made yet is switched off as soon as it has.
    """
    draft = Draft(world)
    if redemption.status not in {"held", "issued"} or redemption.withdrawn is not back:
        return replace(draft.decision(), changed=False)
    if redemption.status == "issued" and _is_at_shop(redemption):
        send(draft, RESTORE if back else WITHDRAW, redemption)
    draft.redemption(replace(redemption, withdrawn=not back))
    return draft.decision()
