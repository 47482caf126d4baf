"""Becoming a member, confirming it, leaving and coming back."""

from __future__ import annotations

from datetime import datetime

from stampcard.domain.ledger import Account
from stampcard.domain.members import MEMBERSHIP_STATES, Member, MembershipState
from stampcard.domain.value import replace
from stampcard.domain.wallets import Lot, Wallet
from stampcard.engine.dating import expiry_of, lifetime
from stampcard.engine.deciding import admit
from stampcard.engine.matching import closed_to
from stampcard.engine.posting import About, redate
from stampcard.engine.settling import activate, end_all
from stampcard.engine.versions import LiveProgram
from stampcard.engine.waiting import expire_of
from stampcard.engine.world import Decision, Draft, World
from stampcard.errors import Conflict, RequestRefused
from stampcard.program.enrolment import CONFIRMED
from stampcard.program.lifetimes import ForDays, Pending, UntilDay

#: Accounts on which there is something once points could be used.
_USABLE: tuple[Account, ...] = ("active", "held", "redeemed")


def decide_join(world: World, live: LiveProgram, member: Member) -> Decision:
    """Let a member take part, or take part again; raises RequestRefused where the program is not open, Conflict for who does."""
    refusal = closed_to(live, world.now, member.id, member.names)
    if refusal:
        raise RequestRefused(refusal, f"nobody can join {live.name!r} now: it is {refusal.replace('_', ' ')}")
    state = member.states.get(live.name, "active")
    if live.name in member.programs and state in {"active", "unconfirmed"}:
        raise Conflict("takes_part", f"the member takes part in {live.name!r} already")
    draft = Draft(world)
    if live.name in member.programs:
        asked = live.program.enrolment.confirm is not None and not _has_confirmed(draft, live, member)
        draft.member = moved(member, live, "unconfirmed" if asked else "active")
    else:
        admit(draft, live, member, world.now)
    return draft.decision()


def decide_confirm(world: World, live: LiveProgram, member: Member) -> Decision:
    """A member confirms that they want to take part: their points need not wait for that any more. Raises Conflict."""
    if live.name not in member.programs or member.states.get(live.name) != "unconfirmed":
        raise Conflict("nothing_to_confirm", f"there is nothing to be confirmed in {live.name!r}")
    draft = Draft(world)
    draft.member = moved(member, live, "active")
    _release(draft, live, member)
    return draft.decision()


def decide_release(world: World, live: LiveProgram, member: Member) -> Decision:
    """Points of a member who has confirmed need not wait for that any more."""
    draft = Draft(world)
    _release(draft, live, member)
    return draft.decision()


def _has_confirmed(draft: Draft, live: LiveProgram, member: Member) -> bool:
    """Whether a frozen member had confirmed before, as far as their points tell; whoever left says so again."""
    wallets = [
        draft.wallet(member.id, name) for name in live.program.wallets if (member.id, name) in draft.world.wallets
    ]
    if member.states.get(live.name) != "frozen" or any(_unconfirmed(wallet) for wallet in wallets):
        return False
    return any(wallet.sums.get(account) for wallet in wallets for account in _USABLE)


def _unconfirmed(wallet: Wallet) -> list[Lot]:
    return [lot for lot in wallet.lots.values() if lot.waits_for == CONFIRMED and lot.remaining]


def _release(draft: Draft, live: LiveProgram, member: Member) -> None:
    world = draft.world
    for name in live.program.wallets:
        if (member.id, name) not in world.wallets:
            continue
        wallet = draft.wallet(member.id, name)
        waiting = _unconfirmed(wallet)
        tier = draft.tier(live, member.id)
        dated = [_dated(live, name, lot, tier, world.now) for lot in waiting]
        later = [lot for lot in dated if lot.available_from > world.now]
        ready = [lot for lot in dated if lot.available_from <= world.now]
        if later:
            wallet = redate(wallet, later)
            draft.keep(wallet)
        if ready:
            draft.keep(*activate(wallet, ready, About(occurred_at=world.now, now=world.now)))


def _dated(live: LiveProgram, wallet: str, lot: Lot, tier: str, now: datetime) -> Lot:
    """A lot as its rule would have it had nothing had to be confirmed; it is not usable before now."""
    expire = expire_of(live, wallet, lot, tier)
    known = lifetime(expire, _pending_of(live, wallet, lot), live.program.zone, lot.occurred_at)
    start = max(known.available_from, now)
    day = start.astimezone(live.program.zone).date()
    return replace(lot, available_from=start, expires_at=expiry_of(expire, live.program.zone, day), waits_for="")


def _pending_of(live: LiveProgram, wallet: str, lot: Lot) -> Pending | None:
    """How long a rule lets its points wait for time; what else they waited for may have come meanwhile."""
    for of in live.verdicts.values():
        for true, _ in of:
            if true.offer.rule.id == lot.rule:
                return true.offer.pending if isinstance(true.offer.pending, ForDays | UntilDay) else None
    pending = live.program.wallets[wallet].pending
    return pending if isinstance(pending, ForDays | UntilDay) else None


def decide_leave(world: World, live: LiveProgram, member: Member, state: MembershipState) -> Decision:
    """A member stops taking part: frozen, until they come back, or closed or left, and then their points expire.

    Nothing changes for who is that far away already.
    """
    draft, now = Draft(world), member.states.get(live.name, "active")
    if live.name not in member.programs or MEMBERSHIP_STATES.index(now) >= MEMBERSHIP_STATES.index(state):
        return draft.decision()
    draft.member = moved(member, live, state)
    for name in live.program.wallets if state != "frozen" else ():
        if (member.id, name) in world.wallets:
            wallet = draft.wallet(member.id, name)
            if any(lot.remaining for lot in wallet.lots.values()):
                draft.keep(*end_all(wallet, About(occurred_at=world.now, now=world.now, note="membership closed")))
    return draft.decision()


def moved(member: Member, live: LiveProgram, state: MembershipState) -> Member:
    """The member with another state in a program."""
    others = {name: known for name, known in member.states.items() if name != live.name}
    return replace(member, states=others if state == "active" else {**others, live.name: state})
