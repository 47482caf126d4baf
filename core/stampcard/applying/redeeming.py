"""Redemptions in the unit of work: asked for, settled by vendors, seen on orders, ended by people and by time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, bindparam, or_, select, update

from stampcard.applying.locking import lock_member, present
from stampcard.applying.rewarding import print_of
from stampcard.applying.setting import Setting, check_revision
from stampcard.applying.unit import Sourced, Unit
from stampcard.clock import to_micros
from stampcard.domain.decisions import Change
from stampcard.domain.events import CommandSettled, OrderSeen
from stampcard.domain.rewards import ISSUE, Minted, Redemption
from stampcard.domain.value import Value, replace
from stampcard.engine.deciding import UNCHANGED
from stampcard.engine.redeeming import (
    Handling,
    decide_handled,
    decide_overdue,
    decide_release,
    decide_revoke,
    decide_settled,
    decide_taken_back,
    decide_taken_in,
    decide_unused,
    decide_use,
    decide_withdrawn,
)
from stampcard.engine.rewarding import Asking, Standing, keys_of, standing
from stampcard.engine.settling import settle
from stampcard.engine.taking import decide_redeem, find_reward
from stampcard.engine.versions import Catalogued, LiveProgram
from stampcard.engine.world import Decision
from stampcard.errors import NotFound, RequestRefused
from stampcard.program.rewards import MANUAL
from stampcard.storage import loading
from stampcard.storage.tables import outbox, redemption

#: How long a hold waits on for a vendor's answer that is still out, before it is looked at again.
LATER = timedelta(hours=1)
_DUE = (
    select(redemption.c.id, redemption.c.member)
    .where(redemption.c.merchant == bindparam("merchant"), redemption.c.due_at <= bindparam("now"))
    .order_by(redemption.c.due_at)
    .limit(bindparam("most"))
)


class Asked(Value, frozen=True):
    """The redemptions that a batch of events may touch, and whose they are."""

    ids: tuple[str, ...] = ()
    prints: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    owners: frozenset[str] = frozenset()
    is_needed: bool = False


_NOTHING = Asked()


def asked_rewards(unit: Unit, events: Iterable[Sourced], orders: Sequence[tuple[str, str]]) -> Asked:
    """What vendors' answers and codes on orders are about; where rules give rewards, what orders gave before."""
    ids: list[str] = []
    prints: list[str] = []
    for sourced in events:
        match sourced.event:
            case CommandSettled(key=key):
                ids.append(key.partition(":")[0])
            case OrderSeen(snapshot=snapshot):
                prints += (print_of(unit.setting, code) for code in snapshot.codes)
    gives = unit.setting.programs.gives
    if unit.setting.programs.discounts:  # what they took off is counted anew with every refund
        prints += sorted(loading.load_codes(unit.connection, unit.setting.merchant, list(orders)))
    if not (ids or prints or gives):
        return _NOTHING
    subjects = tuple(f"order:{source}:{reference}" for source, reference in orders) if gives else ()
    found = unit.rewarding.find(ids=ids, prints=prints, subjects=subjects)
    owners = frozenset(one.member for one in found.values())
    return Asked(ids=tuple(ids), prints=tuple(prints), subjects=subjects, owners=owners, is_needed=bool(found) or gives)


def settle_command(unit: Unit, event: CommandSettled) -> Decision:
    """Move a redemption on by what a vendor answered; what became of a withdrawal changes nothing here."""
    known = unit.redemptions.get(event.key)
    if event.kind != ISSUE or known is None:
        return UNCHANGED
    return decide_settled(unit.world, known, done=event.done, result=event.result, why=event.why)


def redeem(unit: Unit, member: str, reward: str, program: str, asking: Asking) -> Redemption:
    """Let a member take a reward; raises RequestRefused with what stands against it."""
    lock_member(unit, member, attributes=True, recall=True)
    live, of = find_reward(unit.world, reward, program)
    unit.know_rewards()
    minted = prepared(unit, live, of, member)
    decision = decide_redeem(unit.world, live, of, unit.members[member], minted, asking)
    unit.absorb(decision)
    return decision.redemptions[0]


def hand_out(unit: Unit, member: str, reward: str, program: str, asking: Asking, where: str) -> Redemption:
    """Let a member take a reward that is handed out at once, at `where`; raises RequestRefused as `redeem` does."""
    one = redeem(unit, member, reward, program, asking)
    if one.kind == "choice":
        raise RequestRefused("picked_on_its_page", f"{reward} is picked on its own page, not at the counter")
    if one.by == MANUAL:
        return _carry_out(unit, decide_handled(unit.world, one, "done", ""), one)
    return _carry_out(unit, decide_use(unit.world, one, where), one) if one.status == "issued" else one


def prepared(unit: Unit, live: LiveProgram, of: Catalogued, member: str) -> Minted:
    """Lock the counters of a reward that somebody wants, and make its code; raises RequestRefused where there is none."""
    for gift in of.reward.gifts:
        if gift.kind == "custom" and unit.setting.hooks.reward_kind(gift.name) is None:
            raise RequestRefused("unknown_kind", f"{of.name}: no plugin knows the kind of reward {gift.name!r}")
    unit.count(set(keys_of(live, of, member, unit.now)))
    minted = unit.rewarding.mint(live.name, of.name, of.reward.source, of.reward.prefix)
    if minted is None:
        raise RequestRefused("sold_out", f"{of.name}: the codes that were uploaded for it have run out")
    return minted


def standings(unit: Unit, member: str, asking: Asking) -> list[Standing]:
    """Every reward of the programs that are valid now as it stands for a member; nothing is locked or written."""
    offered = [(live, of) for live in unit.setting.programs.current(unit.now) for of in live.rewards.values()]
    return standings_of(unit, member, offered, asking)


def standings_of(
    unit: Unit, member: str, offered: Sequence[tuple[LiveProgram, Catalogued]], asking: Asking
) -> list[Standing]:
    """Some rewards as they stand for a member; raises NotFound for one who is not there."""
    unit.look(member)
    present(unit, member)
    unit.count({key for live, of in offered for key in keys_of(live, of, member, unit.now)}, lock=False)
    for key, wallet in unit.wallets.items():
        unit.wallets[key] = settle(wallet, unit.now)[0]
    return [standing(unit.world, live, of, unit.members[member], asking) for live, of in offered]


def standings_of_all(unit: Unit, members: Collection[str], live: LiveProgram) -> dict[str, list[Standing]]:
    """Member → every reward of one program as it stands for them; nothing is locked or written, those not there are left out."""
    unit.look(*members)
    people = {id_: one for id_, one in unit.members.items() if one.is_there}
    unit.count(
        {key for of in live.rewards.values() for id_ in people for key in keys_of(live, of, id_, unit.now)}, lock=False
    )
    for key, wallet in unit.wallets.items():
        unit.wallets[key] = settle(wallet, unit.now)[0]
    return {
        id_: [standing(unit.world, live, of, one, Asking()) for of in live.rewards.values()]
        for id_, one in people.items()
    }


def _locked(unit: Unit, id_: str) -> Redemption:
    """A redemption whose member is locked; raises NotFound."""
    known = unit.rewarding.find(ids=[id_]).get(id_)
    if known is None:
        raise NotFound("redemption", id_)
    unit.lock([known.member], attributes=False)
    unit.know_rewards(ids=[id_])
    unit.count(())
    return unit.redemptions[id_]


def _carry_out(unit: Unit, decision: Decision, known: Redemption) -> Redemption:
    unit.absorb(decision)
    return unit.redemptions.get(known.id, known)


def release(unit: Unit, id_: str, reason: str) -> Redemption:
    """Give up a redemption that was not issued; a vendor that has not been asked yet is not asked any more."""
    known = _locked(unit, id_)
    decision = decide_release(unit.world, known, reason)
    _take_out(unit, known)
    return _carry_out(unit, decision, known)


def revoke(unit: Unit, id_: str, reason: str, *, keep_points: bool) -> Redemption:
    """Take back a redemption that is not over."""
    known = _locked(unit, id_)
    decision = decide_revoke(unit.world, known, reason, keep_points=keep_points)
    _take_out(unit, known)
    return _carry_out(unit, decision, known)


def use(unit: Unit, id_: str, where: str) -> Redemption:
    """Mark a reward used."""
    known = _locked(unit, id_)
    return _carry_out(unit, decide_use(unit.world, known, where), known)


def take_in(unit: Unit, id_: str, where: str) -> Redemption:
    """Mark a reward used at a counter; a code that it has at a shop is good no more. Raises Conflict, RequestRefused."""
    known = _locked(unit, id_)
    if known.kind == "choice":
        raise RequestRefused("picked_on_its_page", f"{known.reward} is picked on its own page, not at the counter")
    return _carry_out(unit, decide_taken_in(unit.world, known, where), known)


def unuse(unit: Unit, id_: str, where: str) -> Redemption:
    """Let a reward be as before it was used there by mistake."""
    known = _locked(unit, id_)
    return _carry_out(unit, decide_unused(unit.world, known, where), known)


def take_back(unit: Unit, id_: str, where: str, reason: str) -> Redemption:
    """Take back a reward that was handed out there by mistake, its points with it."""
    known = _locked(unit, id_)
    return _carry_out(unit, decide_taken_back(unit.world, known, where, reason), known)


def handle(unit: Unit, id_: str, how: Handling, note: str) -> Redemption:
    """Write down what people did about a reward that is handed out by hand."""
    known = _locked(unit, id_)
    return _carry_out(unit, decide_handled(unit.world, known, how, note), known)


def _take_out(unit: Unit, known: Redemption) -> bool:
    """Let a command that has not left stay; whether nothing of it can have an effect any more."""
    mine = (outbox.c.merchant == unit.setting.merchant, outbox.c.connection == known.by, outbox.c.key == known.id)
    unit.connection.execute(
        update(outbox)
        .where(*mine, outbox.c.kind == ISSUE, outbox.c.status == "ready")
        .values(status="dropped", error="the redemption was given up")
    )
    status = unit.connection.execute(select(outbox.c.status).where(*mine)).scalar()
    return status in {None, "dropped", "dead"}


def end_overdue(connection: Connection, setting: Setting, now: datetime, limit: int) -> tuple[int, list[Change]]:
    """End up to `limit` redemptions whose time is over; answers how many there were and what changed.

    A hold whose vendor's answer is still out waits on: in truth it may have succeeded.
    """
    check_revision(connection, setting)
    due = connection.execute(_DUE, {"merchant": setting.merchant, "now": to_micros(now), "most": limit}).all()
    if not due:
        return 0, []
    unit = Unit(connection, setting, now)
    unit.lock(sorted({row.member for row in due}), attributes=False)
    unit.know_rewards(ids=[row.id for row in due])
    unit.count(())
    for known in [unit.redemptions[row.id] for row in due if row.id in unit.redemptions]:
        if known.status == "held" and known.due_at is not None and known.due_at <= now and not _take_out(unit, known):
            unit.absorb(Decision(redemptions=(replace(known, due_at=now + LATER),)))
        else:
            unit.absorb(decide_overdue(unit.world, known))
    return len(due), unit.save()


def withdraw_codes(
    connection: Connection,
    setting: Setting,
    now: datetime,
    program: str,
    reward: str,
    after: str,
    limit: int,
    *,
    back: bool,
) -> tuple[int, str, list[Change]]:
    """Switch the next unused codes of a reward off at the shop, or on again; answers how many, and the place to go on from."""
    check_revision(connection, setting)
    found = connection.execute(
        select(redemption.c.id, redemption.c.member)
        .where(
            redemption.c.merchant == setting.merchant,
            redemption.c.program == program,
            redemption.c.reward == reward,
            or_(redemption.c.status == "issued", and_(redemption.c.status == "held", redemption.c.by != MANUAL)),
            redemption.c.id > after,
        )
        .order_by(redemption.c.id)
        .limit(limit)
    ).all()
    if not found:
        return 0, after, []
    unit = Unit(connection, setting, now)
    unit.lock(sorted({row.member for row in found}), attributes=False)
    unit.know_rewards(ids=[row.id for row in found])
    for known in [unit.redemptions[row.id] for row in found if row.id in unit.redemptions]:
        unit.absorb(decide_withdrawn(unit.world, known, back=back))
    return len(found), found[-1].id, unit.save()
