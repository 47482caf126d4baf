"""What people and tills ask for: spends, their cancelling, adjustments by hand; and what time alone brings due."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from stampcard.domain.wallets import Wallet
from stampcard.engine.dating import Lifetime, lifetime
from stampcard.engine.posting import About
from stampcard.engine.refunding import credit
from stampcard.engine.spending import Debit, cancel_spend, draw, spend
from stampcard.engine.versions import LiveProgram
from stampcard.engine.waiting import slide
from stampcard.engine.world import Decision, Draft, World
from stampcard.errors import Conflict, NotFound, RequestRefused


def decide_spend(
    world: World, member: str, wallet: str, amount: int, key: str, note: str, subject: str = ""
) -> Decision:
    """Spend `amount` of the smallest unit, maybe on an order (`subject`); raises InsufficientPoints."""
    _positive(amount)
    live = _program_of(world, wallet)
    if not live.program.wallets[wallet].spendable:
        raise RequestRefused("not_spendable", f"points of the wallet {wallet!r} count for status and cannot be spent")
    _still_open(live, world.now)
    draft = Draft(world)
    about = About(occurred_at=world.now, now=world.now, subject=f"spend:{key}", note=note)
    after, debit, entry = spend(draft.wallet(member, wallet), key, amount, about, subject)
    draft.keep(after, entry)
    if live.slides:
        slide(draft, live, member, "spend", world.now)
    draft.debits.append(debit)
    return draft.decision()


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
        wallet, debit, terms.returned_to_dead_lot, _from_now(world, live, wallet), about
    )
    draft.keep(wallet, *([entry] if entry else []))
    draft.debits.append(debit)
    return draft.decision()


def decide_adjust(world: World, member: str, wallet: str, points: int, key: str, note: str) -> Decision:
    """Add points by hand (> 0), or take them (< 0; raises InsufficientPoints); a reason is compulsory."""
    if not points:
        raise RequestRefused("nothing_to_do", "an adjustment by 0 points changes nothing")
    if not note.strip():
        raise RequestRefused("reason_missing", "say why the points are adjusted: the member will see it")
    live = _program_of(world, wallet)
    draft = Draft(world)
    about = About(occurred_at=world.now, now=world.now, subject=f"adjustment:{key}", note=note)
    known = draft.wallet(member, wallet)
    if points > 0:
        after, entry = credit(known, points, _from_now(world, live, known), about, kind="adjust", source="adjusted")
    else:
        after, entry, _ = draw(known, -points, about, kind="adjust", target="adjusted")
    draft.keep(after, entry)
    return draft.decision()


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


def _from_now(world: World, live: LiveProgram, wallet: Wallet) -> Lifetime:
    """Dates of points that are given today and usable at once."""
    return lifetime(live.program.wallets[wallet.name].expire, None, live.program.zone, world.now, live.number)
