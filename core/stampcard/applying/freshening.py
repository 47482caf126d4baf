"""Whether a message still says something when it leaves, and what it says by then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from stampcard.applying.rewarding import print_of
from stampcard.applying.unit import Unit
from stampcard.domain.members import Member
from stampcard.domain.rewards import Redemption
from stampcard.domain.wallets import Lot
from stampcard.engine.announcing import wants
from stampcard.engine.dating import last_day_of
from stampcard.engine.describing import Past
from stampcard.engine.versions import LiveProgram
from stampcard.program.messages import MessageTerms
from stampcard.program.occasions import (
    LAST_PURCHASE,
    PERK_ENDS,
    PLAN_ENDS,
    POINTS_EXPIRE,
    PROGRAM_ENDS,
    PURCHASE,
    REWARD_EXPIRES,
    REWARD_IN_REACH,
    REWARD_ISSUED,
    TIER_ENDS,
)
from stampcard.storage.messages import StoredMessage
from stampcard.storage.reminders import last_purchases, still_counts

_Says = Mapping[str, Any]
_Check = Callable[[Unit, LiveProgram, StoredMessage], _Says | None]


def freshened(unit: Unit, live: LiveProgram, terms: MessageTerms, one: StoredMessage) -> _Says | None:
    """What the message says by now; None where it says nothing any more. The unit has looked at its member.

    Whom its occasion names may have been merged into that member.
    """
    if one.is_test or terms.is_asked:
        return one.says
    person = unit.members.get(one.member)
    if person is None:
        return None
    check = _CHECKS.get(terms.on.event) if terms.on.is_dated or terms.on.event in _UNDATED else None
    says = check(unit, live, one) if check is not None else one.says
    if says is not None and terms.on.is_dated:
        says = _counted(unit, live, says)
    if says is None:
        return None
    if terms.when is None and terms.who is None and not terms.campaign:
        return says
    asks = dict(one.asks)
    if isinstance(says.get("points"), int | Decimal):
        asks["points"] = float(says["points"])
    if isinstance(says.get("days"), int):
        asks["days"] = says["days"]
    past = unit.pasts.get(one.member, Past())
    # A switch lets it wait and does not drop it, so what is stopped is not asked for here.
    return says if wants(live, one.name, person, past, asks, unit.now) else None


def _counted(unit: Unit, live: LiveProgram, says: _Says) -> _Says | None:
    """With the days that are left by now; None where the last one is over."""
    last = says.get("expires_on")
    if not isinstance(last, date):
        return says
    days = (last - unit.now.astimezone(live.program.zone).date()).days
    return {**says, "days": days} if days >= 0 else None


def expiring(unit: Unit, live: LiveProgram, member: str, wallet: str, day: date) -> int | Decimal:
    """Points of a wallet whose last day that is, as they are now."""
    known = unit.wallets.get((member, wallet))
    zone, scale = live.program.zone, live.program.wallets[wallet].scale
    lots = known.lots.values() if known is not None else ()
    sum_ = sum(lot.remaining for lot in lots if lot.remaining and lot.active and _dies_after(lot, day, zone))
    return Decimal(sum_).scaleb(-scale) if scale else sum_


def _dies_after(lot: Lot, day: date, zone: ZoneInfo) -> bool:
    return lot.expires_at is not None and last_day_of(lot.expires_at, zone) == day


def _points(unit: Unit, live: LiveProgram, one: StoredMessage) -> _Says | None:
    wallet, day = str(one.says.get("wallet", "")), one.says.get("expires_on")
    if wallet not in live.program.wallets or not isinstance(day, date):
        return None
    points = expiring(unit, live, one.member, wallet, day)
    return {**one.says, "points": points} if points else None


def _reward(unit: Unit, live: LiveProgram, one: StoredMessage) -> _Says | None:
    id_ = one.occasion.split(":")[1] if ":" in one.occasion else ""
    known = unit.rewarding.find(ids=[id_]).get(id_)
    if known is None or known.status != "issued" or known.valid_until is None:
        return None
    return one.says if last_day_of(known.valid_until, live.program.zone) == one.says.get("expires_on") else None


def _tier(unit: Unit, live: LiveProgram, one: StoredMessage) -> _Says | None:
    tier = unit.members[one.member].tiers.get(live.name)
    if tier is None or tier.until is None or tier.name != one.asks.get("tier"):
        return None
    return one.says if last_day_of(tier.until, live.program.zone) == one.says.get("expires_on") else None


def plan_end(live: LiveProgram, person: Member, name: str, now: datetime) -> datetime | None:
    """When a plan that somebody has ends by itself."""
    known = person.plans.get(live.name, {}).get(name)
    return known.until if known is not None and known.active_at(now) else None


def perk_end(live: LiveProgram, person: Member, name: str, now: datetime) -> datetime | None:
    """When a perk that somebody has ends by itself: what was given by hand may go on by the program."""
    known = person.perks.get(live.name, {}).get(name)
    if known is None or not known.has_at(now) or known.next_at is None:
        return None
    return None if known.has_at(known.next_at) else known.next_at


def _ending(what: str, end_of: Callable[[LiveProgram, Member, str, datetime], datetime | None]) -> _Check:
    def check(unit: Unit, live: LiveProgram, one: StoredMessage) -> _Says | None:
        end = end_of(live, unit.members[one.member], str(one.asks.get(what, "")), unit.now)
        if end is None or last_day_of(end, live.program.zone) != one.says.get("expires_on"):
            return None
        return one.says

    return check


def _program(_unit: Unit, live: LiveProgram, one: StoredMessage) -> _Says | None:
    ending = live.program.ending
    if live.program.state != "ending" or ending is None or ending.last_redeem != one.says.get("expires_on"):
        return None
    return {**one.says, "last_earn": ending.last_earn}


def _purchase(unit: Unit, _live: LiveProgram, one: StoredMessage) -> _Says | None:
    match one.occasion.split(":", 3):
        case [event, _, source, reference] if event == PURCHASE:
            merchant = unit.setting.merchant
            return one.says if still_counts(unit.connection, merchant, one.member, source, reference) else None
    return None  # written down when the message was on something else


def _last_purchase(unit: Unit, live: LiveProgram, one: StoredMessage) -> _Says | None:
    last, told = last_purchases(unit.connection, unit.setting.merchant, [one.member]), one.says.get("last_on")
    newest = last.get(one.member)
    if newest is None or not isinstance(told, date):
        return None
    return one.says if newest.astimezone(live.program.zone).date() <= told else None


def _in_reach(unit: Unit, live: LiveProgram, one: StoredMessage) -> _Says | None:
    reward = live.program.rewards.get(str(one.asks.get("reward", "")))
    price = one.says.get("points")
    known = unit.wallets.get((one.member, reward.wallet)) if reward is not None else None
    if reward is None or known is None or not isinstance(price, int | Decimal):
        return None
    scale = live.program.wallets[reward.wallet].scale
    missing = max(Decimal(price) - Decimal(known.sums.get("active", 0)).scaleb(-scale), Decimal(0))
    within = live.program.messages[one.name].within
    return {**one.says, "missing": missing} if missing <= within else None


def _unused(unit: Unit, _live: LiveProgram, one: StoredMessage) -> _Says | None:
    """Of several rewards, those that can be used yet; what has no code cannot be told apart, and stays."""
    items = one.says.get("items")
    if isinstance(items, list):
        return _unused_of(unit, one.says, items)
    id_ = one.occasion.split(":")[1] if ":" in one.occasion else ""
    known = unit.rewarding.find(ids=[id_]).get(id_)
    return one.says if known is not None and _usable(known, unit.now) else None


def _unused_of(unit: Unit, says: _Says, items: Sequence[_Says]) -> _Says | None:
    codes = {code for item in items if (code := _code_of(item))}
    known = unit.rewarding.find(prints=sorted(print_of(unit.setting, code) for code in codes))
    usable = {one.voucher.code for one in known.values() if one.voucher is not None and _usable(one, unit.now)}
    left = [item for item in items if _code_of(item) not in codes - usable]
    return {**says, **left[-1], "items": left} if left else None


def _usable(one: Redemption, now: datetime) -> bool:
    return one.status == "issued" and (one.valid_until is None or now < one.valid_until)


def _code_of(item: _Says) -> str:
    reward = item.get("reward")
    return str(reward.get("code") or "") if isinstance(reward, Mapping) else ""


#: What is looked at again though no day brought it.
_UNDATED = frozenset({REWARD_IN_REACH, REWARD_ISSUED})
_CHECKS: Mapping[str, _Check] = {
    POINTS_EXPIRE: _points,
    REWARD_EXPIRES: _reward,
    REWARD_ISSUED: _unused,
    TIER_ENDS: _tier,
    PLAN_ENDS: _ending("plan", plan_end),
    PERK_ENDS: _ending("perk", perk_end),
    PROGRAM_ENDS: _program,
    PURCHASE: _purchase,
    LAST_PURCHASE: _last_purchase,
    REWARD_IN_REACH: _in_reach,
}
