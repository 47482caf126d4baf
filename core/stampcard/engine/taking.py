"""Taking a reward: asking for it, what stands against it, and its redemption at the beginning."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from stampcard.domain.awards import Charge
from stampcard.domain.members import Member
from stampcard.domain.rewards import ISSUE, Minted, Redemption, Voucher
from stampcard.domain.value import replace
from stampcard.engine.counting import key_of
from stampcard.engine.limiting import most_of
from stampcard.engine.redeeming import about_of, ended, issued, send, spend_held
from stampcard.engine.refunding import credit
from stampcard.engine.rewarding import Asking, Refusal, Standing, is_untold, standing, use_of, vetoed
from stampcard.engine.spending import Debit, draw
from stampcard.engine.versions import Catalogued, LiveProgram
from stampcard.engine.waiting import slide
from stampcard.engine.world import Decision, Draft, World
from stampcard.errors import Conflict, InsufficientPoints, NotFound, RequestRefused
from stampcard.program.rewards import MANUAL, OWN, POOL


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
        return issued(draft, redemption, {})
    if found.gift.kind == "points":
        return _paid_out(draft, redemption, live, found)
    if found.by == "":
        return issued(draft, redemption, {})
    if found.by != MANUAL:
        send(draft, ISSUE, redemption)
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
        known = bool(amount) or is_untold(bound, found)  # what it comes to is counted when it is seen
        if bound.limit.per == "order" or not known or bound.scope in counted:
            continue
        key = key_of(live.name, bound, day, member)
        draft.counters.move(key, amount)
        if bound.limit.in_all:
            draft.budgets[key._replace(member="")] = most_of(bound, terms.scale if terms else 0)
        charges.append(Charge(scope=key.scope, period=key.period, member=key.member, amount=amount, reserved=amount))
    return tuple(charges)


def _draw(draft: Draft, redemption: Redemption) -> None:
    """Take the price out of the active lots and hold it."""
    about = about_of(draft, redemption)
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


def _paid_out(draft: Draft, redemption: Redemption, live: LiveProgram, found: Standing) -> Redemption:
    """Points into another wallet, at once."""
    spend_held(draft, redemption)
    terms, name = live.program.wallets[found.gift.name], found.gift.name
    points = int((found.gift.points or Decimal(0)).scaleb(terms.scale))
    dates = draft.given(live, redemption.member, name)
    wallet = draft.wallet(redemption.member, name)
    draft.keep(*credit(wallet, points, dates, about_of(draft, redemption), kind="adjust", source="adjusted"))
    return ended(draft, replace(redemption, issued_at=draft.world.now), "used")
