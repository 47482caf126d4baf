"""What people and tills ask for: spends, their cancelling, adjustments by hand; and what time alone brings due."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from stampcard.domain.members import Member
from stampcard.domain.value import replace
from stampcard.domain.wallets import Lot, Wallet
from stampcard.engine.dating import expiry_of
from stampcard.engine.matching import not_redeeming
from stampcard.engine.posting import About, redate
from stampcard.engine.refunding import credit
from stampcard.engine.settling import activate, lapse
from stampcard.engine.spending import Debit, cancel_spend, draw, spend
from stampcard.engine.versions import LiveProgram
from stampcard.engine.waiting import expire_of, slide
from stampcard.engine.wording import WORDS
from stampcard.engine.world import Decision, Draft, World
from stampcard.errors import Conflict, NotFound, RequestRefused

PendingAction = Literal["activate", "cancel", "reschedule"]


def decide_spend(
    world: World, member: str, wallet: str, amount: int, key: str, note: str, subject: str = "", money: int = 0
) -> Decision:
    """Spend `amount` of the smallest unit, maybe on an order (`subject`), to pay so much of it; raises InsufficientPoints."""
    _positive(amount)
    live = _program_of(world, wallet)
    if not live.program.wallets[wallet].spendable:
        raise RequestRefused("not_spendable", f"points of the wallet {wallet!r} count for status and cannot be spent")
    _still_open(live, world.now)
    if world.members[member].held is not None:
        raise RequestRefused("on_hold", "the member is on hold")
    _takes_part(live, world.members[member])
    draft = Draft(world)
    about = About(occurred_at=world.now, now=world.now, subject=f"spend:{key}", note=note)
    after, debit, entry = spend(draft.wallet(member, wallet), key, amount, about, subject, money)
    draft.keep(after, entry)
    if live.slides:
        slide(draft, live, member, "spend", world.now)
    draft.debits.append(debit)
    return draft.decision()


def _takes_part(live: LiveProgram, member: Member) -> None:
    code = not_redeeming(live, member)
    if code:
        raise RequestRefused(code, WORDS[code])


def decide_cancel_spend(world: World, debit: Debit, note: str) -> Decision:
    """Put a spend's points back; raises Conflict if that was done before. The debit's lots must be loaded."""
    if debit.cancelled:
        raise Conflict("already_cancelled", f"the spend {debit.key!r} was cancelled before")
    live = _program_of(world, debit.wallet)
    draft = Draft(world)
    about = About(occurred_at=world.now, now=world.now, subject=f"spend:{debit.key}", note=note)
    terms = live.program.wallets[debit.wallet]
    wallet = draft.wallet(debit.member, debit.wallet)
    wallet, debit, entry = cancel_spend(
        wallet, debit, terms.returned_to_dead_lot, draft.given(live, debit.member, debit.wallet), about
    )
    draft.keep(wallet, *([entry] if entry else []))
    draft.debits.append(debit)
    return draft.decision()


def decide_adjust(
    world: World, member: str, wallet: str, points: int, key: str, note: str, until: datetime | None = None
) -> Decision:
    """Add points by hand (> 0), or take them (< 0; raises InsufficientPoints); a reason is compulsory.

    Points that are added wait until `until`, where it is given.
    """
    if not points:
        raise RequestRefused("nothing_to_do", "an adjustment by 0 points changes nothing")
    if not note.strip():
        raise RequestRefused("reason_missing", "say why the points are adjusted: the member will see it")
    live = _program_of(world, wallet)
    draft = Draft(world)
    about = About(occurred_at=world.now, now=world.now, subject=f"adjustment:{key}", note=note)
    known = draft.wallet(member, wallet)
    if points > 0:
        dates = draft.given(live, member, wallet)
        if until is not None and until > world.now:
            zone, expire = live.program.zone, live.program.wallets[wallet].expire_for(draft.tier(live, member))
            expires_at = expiry_of(expire, zone, until.astimezone(zone).date())
            dates = replace(dates, available_from=until, expires_at=expires_at)
        after, entry = credit(known, points, dates, about, kind="adjust", source="adjusted")
    else:
        after, entry, _ = draw(known, -points, about, kind="adjust", target="adjusted")
    draft.keep(after, entry)
    return draft.decision()


def decide_pending(
    world: World, wallet: Wallet, number: int, action: PendingAction, until: datetime | None, note: str
) -> Decision:
    """Do something to points that wait: let them be used, cancel them, or give their waiting another end (`until`).

    Raises NotFound for an unknown lot, Conflict for one that does not wait.
    """
    live = _program_of(world, wallet.name)
    draft = Draft(world)
    settled = draft.wallet(wallet.member, wallet.name)
    lot = settled.lots.get(number)
    if lot is None:
        raise NotFound("lot", str(number))
    if lot.active or not lot.remaining:
        raise Conflict("not_pending", f"the points of lot {number} do not wait")
    about = About(occurred_at=world.now, now=world.now, note=note)
    match action:
        case "activate":
            freed = replace(lot, available_from=world.now, expires_at=_expiry(draft, live, wallet, lot, world.now))
            draft.keep(*activate(settled, [freed], about))
        case "cancel":
            draft.keep(*lapse(settled, [lot], about))
        case "reschedule":
            if until is None or until <= world.now:
                raise RequestRefused("until_missing", "say until when the points shall wait: a moment that lies ahead")
            later = replace(lot, available_from=until)
            if not lot.waits_for:
                later = replace(later, expires_at=_expiry(draft, live, wallet, lot, until))
            draft.keep(redate(settled, [later]))
    return draft.decision()


def _expiry(draft: Draft, live: LiveProgram, wallet: Wallet, lot: Lot, usable: datetime) -> datetime | None:
    """When points die that become usable then: the expiry clock starts with that."""
    zone, expire = live.program.zone, expire_of(live, wallet.name, lot, draft.tier(live, wallet.member))
    return expiry_of(expire, zone, usable.astimezone(zone).date())


def decide_settle(world: World, wallets: Iterable[Wallet]) -> Decision:
    """Book what time alone brought due."""
    draft = Draft(world)
    for wallet in wallets:
        draft.wallet(wallet.member, wallet.name)
    return draft.decision()


def _still_open(live: LiveProgram, now: datetime) -> None:
    """Raise RequestRefused once a program that ends lets nobody spend any more."""
    program, ending = live.program, live.program.ending
    over = program.state == "ended" or (
        program.state == "ending" and ending is not None and now.astimezone(program.zone).date() > ending.last_redeem
    )
    if over:
        raise RequestRefused(
            "program_ended", f"the program {live.name!r} has ended: its points cannot be spent any more"
        )


def _positive(amount: int) -> None:
    if amount <= 0:
        raise RequestRefused("amount_not_positive", f"the amount must be above 0, not {amount}")


def _program_of(world: World, wallet: str) -> LiveProgram:
    live = world.programs.of_wallet(wallet, world.now)
    if live is None:
        raise NotFound("wallet", wallet)
    return live
