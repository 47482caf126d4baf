"""The life of a redemption: hold, issue, use, release, expire, revoke; each step once, each with its points."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec

from stampcard.domain.awards import Charge
from stampcard.domain.commands import Command
from stampcard.domain.ledger import Account
from stampcard.domain.members import Member
from stampcard.domain.rewards import (
    ACTIONS,
    CHOICE,
    ISSUE,
    RESTORE,
    WITHDRAW,
    Minted,
    Redemption,
    RedemptionStatus,
    Voucher,
)
from stampcard.domain.value import replace
from stampcard.engine.counting import CounterKey, key_of
from stampcard.engine.limiting import most_of
from stampcard.engine.posting import About, post
from stampcard.engine.refunding import credit
from stampcard.engine.rewarding import Asking, Refusal, Standing, standing, use_of, vetoed
from stampcard.engine.spending import Debit, draw, give_back
from stampcard.engine.versions import Catalogued, LiveProgram
from stampcard.engine.waiting import slide
from stampcard.engine.world import Decision, Draft, World
from stampcard.errors import Conflict, InsufficientPoints, NotFound, RequestRefused
from stampcard.program.rewards import MANUAL, OWN, POOL

Handling = Literal["done", "shipped", "refused"]


def find_reward(world: World, name: str, program: str = "") -> tuple[LiveProgram, Catalogued]:
    """A reward of the programs that are valid now; raises NotFound, and Conflict where several have one of that name."""
    current = world.programs.current(world.now)
    found = [(live, live.rewards[name]) for live in current if name in live.rewards and program in {"", live.name}]
    if not found:
        raise NotFound("reward", name)
    if len(found) > 1:
        there = ", ".join(live.name for live, _ in found)
        raise Conflict("several_programs", f"several programs have a reward {name!r}: say which: {there}")
    return found[0]


def decide_redeem(
    world: World, live: LiveProgram, of: Catalogued, member: Member, minted: Minted, asking: Asking
) -> Decision:
    """Let a member take a reward for points.

    Raises InsufficientPoints where only these are missing, RequestRefused with the first reason that stands against it.
    """
    draft = Draft(world)
    if of.reward.wallet:
        draft.wallet(member.id, of.reward.wallet)
    found = standing(_settled(world, draft, member.id, of.reward.wallet), live, of, member, asking)
    refuse(found.refusals, found)
    refuse_vetoed(world, found, member, asking)
    redemption = begin(draft, found, member, minted, price=found.price or 0)
    draft.redemption(redemption)
    if live.slides:
        slide(draft, live, member.id, "redeem", world.now)
        if redemption.price:
            slide(draft, live, member.id, "spend", world.now)
    return draft.decision()


def _settled(world: World, draft: Draft, member: str, wallet: str) -> World:
    if not wallet:
        return world
    return replace(world, wallets={**world.wallets, (member, wallet): draft.wallet(member, wallet)})


def refuse(refusals: tuple[Refusal, ...], found: Standing) -> None:
    """Raise what the first refusal says."""
    if not refusals:
        return
    first = refusals[0]
    if first.code == "insufficient_points" and found.price is not None:
        raise InsufficientPoints(found.price, found.price - found.missing)
    raise RequestRefused(first.code, f"{found.of.name}: {first.detail}")


def refuse_vetoed(world: World, found: Standing, member: Member, asking: Asking) -> None:
    """Raise what the first plugin says that does not let the member have it."""
    against = vetoed(world, found, member, asking.facts)
    if against is not None:
        raise RequestRefused(against.code, against.detail)


def begin(
    draft: Draft,
    found: Standing,
    member: Member,
    minted: Minted,
    *,
    price: int = 0,
    subject: str = "",
    rule: str = "",
    at: datetime | None = None,
    counted: frozenset[str] = frozenset(),
) -> Redemption:
    """A redemption at its beginning, its points held or spent and its limits charged; sends for it where needed.

    `at`: the moment whose day limits count it on, if not now. `counted`: scopes of limits that count it already.
    """
    now, of, live = draft.world.now, found.of, found.live
    valid_until = found.valid_until(now)
    redemption = Redemption(
        id=minted.id,
        member=member.id,
        program=live.name,
        version=live.number,
        reward=of.name,
        kind=found.gift.kind,
        gives=str(found.gift),
        by=minted.by or found.by,
        status="held",
        created_at=now,
        wallet=of.reward.wallet if price else "",
        price=price,
        worth=found.worth,
        due_at=None if found.by == MANUAL or of.reward.hold is None else now + of.reward.hold,
        valid_until=valid_until,
        voucher=voucher_of(found, minted, now, valid_until),
        subject=subject,
        rule=rule,
        charges=_charge(draft, found, member.id, at or now, counted),
        returns=of.reward.unused == "return",
    )
    if price:
        _draw(draft, redemption)
    if found.by in {OWN, POOL}:
        return _issued(draft, redemption, {})
    if found.gift.kind == "points":
        return _paid_out(draft, redemption, live, found)
    if found.by == "":
        return _issued(draft, redemption, {})
    if found.by != MANUAL:
        _send(draft, ISSUE, redemption)
    return redemption


def voucher_of(found: Standing, minted: Minted, now: datetime, valid_until: datetime | None) -> Voucher:
    """What is asked of whoever makes a reward real."""
    reward, gift = found.of.reward, found.gift
    only = reward.only
    return Voucher(
        key=minted.id,
        kind=gift.kind,
        title=reward.name or found.of.name,
        code=minted.code,
        reference=found.reference,
        currency=found.live.program.currency,
        starts_at=now,
        ends_at=valid_until,
        amount=None if gift.percent is not None else gift.money,
        percent=gift.percent,
        at_most=gift.money if gift.percent is not None else None,
        minimum=reward.minimum.amount if reward.minimum is not None else None,
        products=only.product if only is not None else (),
        collections=only.collection if only is not None else (),
        uses=reward.uses,
        stack=reward.stack,
        name=gift.name,
        batch=minted.batch,
    )


def _charge(draft: Draft, found: Standing, member: str, now: datetime, counted: frozenset[str]) -> tuple[Charge, ...]:
    live, charges = found.live, []
    terms = live.program.wallets.get(found.of.reward.wallet)
    day = now.astimezone(live.program.zone).date()
    for bound in found.of.bounds:
        amount = use_of(bound, found)
        if bound.limit.per == "order" or not amount or bound.scope in counted:
            continue
        key = key_of(live.name, bound, day, member)
        draft.counters.move(key, amount)
        if bound.limit.in_all:
            draft.budgets[key._replace(member="")] = most_of(bound, terms.scale if terms else 0)
        charges.append(Charge(scope=key.scope, period=key.period, member=key.member, amount=amount, reserved=amount))
    return tuple(charges)


def _draw(draft: Draft, redemption: Redemption) -> None:
    """Take the price out of the active lots and hold it."""
    about = _about(draft, redemption)
    wallet = draft.wallet(redemption.member, redemption.wallet)
    wallet, entry, draws = draw(wallet, redemption.price, about, kind="hold", target="held")
    draft.keep(wallet, entry)
    debit = Debit(
        key=redemption.debit_key,
        member=redemption.member,
        wallet=redemption.wallet,
        amount=redemption.price,
        draws=draws,
    )
    draft.debits.append(debit)


def _about(draft: Draft, redemption: Redemption) -> About:
    return About(occurred_at=draft.world.now, now=draft.world.now, subject=redemption.debit_key, note=redemption.reward)


def _send(draft: Draft, kind: str, redemption: Redemption) -> None:
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


def _issued(draft: Draft, redemption: Redemption, result: Mapping[str, Any]) -> Redemption:
    """Held points become spent; the holder can use it from now on."""
    _spend_held(draft, redemption)
    voucher, code = redemption.voucher, result.get("code")
    if voucher is not None and isinstance(code, str) and code:
        voucher = replace(voucher, code=code)
    return replace(
        redemption, status="issued", issued_at=draft.world.now, due_at=redemption.valid_until, voucher=voucher
    )


def _spend_held(draft: Draft, redemption: Redemption) -> None:
    if not redemption.price:
        return
    wallet = draft.wallet(redemption.member, redemption.wallet)
    amounts: dict[Account, int] = {"held": -redemption.price, "redeemed": redemption.price}
    draft.keep(*post(wallet, "redeem", (), amounts, _about(draft, redemption)))


def _paid_out(draft: Draft, redemption: Redemption, live: LiveProgram, found: Standing) -> Redemption:
    """Points into another wallet, at once."""
    _spend_held(draft, redemption)
    terms, name = live.program.wallets[found.gift.name], found.gift.name
    points = int((found.gift.points or Decimal(0)).scaleb(terms.scale))
    dates = draft.given(live, redemption.member, name)
    wallet = draft.wallet(redemption.member, name)
    draft.keep(*credit(wallet, points, dates, _about(draft, redemption), kind="adjust", source="adjusted"))
    return ended(draft, replace(redemption, issued_at=draft.world.now), "used")


def ended(draft: Draft, redemption: Redemption, status: RedemptionStatus, reason: str = "") -> Redemption:
    """A redemption to which nothing happens any more, but for what refunds of its order do."""
    return replace(redemption, status=status, ended_at=draft.world.now, due_at=None, reason=reason or redemption.reason)


def _given_back(draft: Draft, redemption: Redemption) -> Redemption:
    """The redemption after its points went back into their lots and its limits to the periods that were charged.

    What was picked from a choice gives the choice back.
    """
    choice = draft.world.redemptions.get(redemption.subject.removeprefix(CHOICE))
    if redemption.subject.startswith(CHOICE) and choice is not None and choice.status == "used":
        draft.redemption(replace(choice, status="issued", ended_at=None, due_at=choice.valid_until))
    for charge in redemption.charges:
        draft.counters.move(CounterKey(redemption.program, charge.scope, charge.period, charge.member), -charge.amount)
    redemption = replace(redemption, charges=())
    debit = next((one for of in draft.world.debits.values() for one in of if one.key == redemption.debit_key), None)
    live = draft.world.programs.of_wallet(redemption.wallet, draft.world.now) if redemption.wallet else None
    if debit is None or live is None or not debit.left:
        return redemption
    terms = live.program.wallets[debit.wallet]
    renewal = draft.given(live, debit.member, debit.wallet)
    wallet, held = draft.wallet(debit.member, debit.wallet), redemption.status == "held"
    wallet, debit, entry = give_back(
        wallet, debit, debit.left, terms.returned_to_dead_lot, renewal, _about(draft, redemption), held=held
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
        issued = _issued(draft, redemption, result)
        if redemption.withdrawn:
            _send(draft, WITHDRAW, issued)
        draft.redemption(issued)
    elif done and redemption.status in {"released", "revoked"}:
        _send(draft, WITHDRAW, redemption)
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
        _spend_held(draft, redemption)
    if not keep_points:
        redemption = _given_back(draft, redemption)
    if issued and redemption.by not in {"", OWN, POOL, MANUAL}:
        _send(draft, WITHDRAW, redemption)
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
        issued = _issued(draft, redemption, {}) if redemption.status == "held" else redemption
        issued = replace(issued, reason=note or issued.reason)
        # What is on its way is nobody's any more: it does not lapse.
        draft.redemption(ended(draft, issued, "used") if how == "done" else replace(issued, due_at=None))
    return draft.decision()


def decide_use(world: World, redemption: Redemption, where: str) -> Decision:
    """Mark an issued reward used, at a till or by an order (`where`); raises Conflict for one that cannot be."""
    if where in redemption.orders:
        return replace(Draft(world).decision(), changed=False)
    if redemption.status != "issued" or redemption.withdrawn:
        status = "withdrawn" if redemption.withdrawn else redemption.status
        raise Conflict(f"already_{status}", f"the redemption is {status}: it cannot be used")
    draft = Draft(world)
    draft.redemption(used(draft, redemption, where))
    return draft.decision()


def used(draft: Draft, redemption: Redemption, where: str) -> Redemption:
    """The redemption once it was used there; the same place counts once.

    One that was not known to be issued yet surely is; one that was given up stays so, because its points went back.
    """
    if where in redemption.orders:
        return redemption
    if redemption.status == "held":
        redemption = _issued(draft, redemption, {})
    redemption = replace(redemption, orders=(*redemption.orders, where))
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
            _send(draft, WITHDRAW, redemption)
        draft.redemption(ended(draft, redemption, "expired"))
    return draft.decision()


def decide_withdrawn(world: World, redemption: Redemption, *, back: bool) -> Decision:
    """Switch an unused code off at the shop, or on again (`back`), because its reward was stopped or started.

    One that the shop has not made yet is switched off as soon as it has.
    """
    draft = Draft(world)
    if redemption.status not in {"held", "issued"} or redemption.withdrawn is not back:
        return replace(draft.decision(), changed=False)
    if redemption.status == "issued" and redemption.by not in {"", OWN, POOL, MANUAL}:
        _send(draft, RESTORE if back else WITHDRAW, redemption)
    draft.redemption(replace(redemption, withdrawn=not back))
    return draft.decision()
