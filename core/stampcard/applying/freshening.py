"""Whether a message still says something when it leaves, and what it says by then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from stampcard.applying.unit import Unit
from stampcard.domain.wallets import Lot
from stampcard.engine.announcing import wants
from stampcard.engine.dating import last_day_of
from stampcard.engine.describing import Past
from stampcard.engine.versions import LiveProgram
from stampcard.program.messages import MessageTerms
from stampcard.program.occasions import (
    LAST_PURCHASE,
    POINTS_EXPIRE,
    REWARD_EXPIRES,
    REWARD_IN_REACH,
    REWARD_ISSUED,
    TIER_ENDS,
)
from stampcard.storage.messages import StoredMessage
from stampcard.storage.reminders import last_purchases

_Says = Mapping[str, Any]


def freshened(unit: Unit, live: LiveProgram, terms: MessageTerms, one: StoredMessage) -> _Says | None:
    """What the message says by now; None where it says nothing any more. The unit has looked at its member."""
    if one.is_test or terms.is_asked:
        return one.says
    check = _CHECKS.get(terms.on.event) if terms.on.is_dated or terms.on.event == REWARD_IN_REACH else None
    says = check(unit, live, one) if check is not None else one.says
    person = unit.members.get(one.member)
    if says is None or person is None:
        return None
    if terms.when is None and terms.who is None and not terms.campaign:
        return says
    asks = {
        **one.asks,
        **{name: float(says[name]) for name in ("points",) if isinstance(says.get(name), int | Decimal)},
    }
    past = unit.pasts.get(one.member, Past())
    # A switch lets it wait and does not drop it, so what is stopped is not asked for here.
    return says if wants(live, one.name, person, past, asks, unit.now) else None


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


def _purchase(unit: Unit, live: LiveProgram, one: StoredMessage) -> _Says | None:
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
    id_ = one.occasion.split(":")[1] if ":" in one.occasion else ""
    known = unit.rewarding.find(ids=[id_]).get(id_)
    return one.says if known is not None and known.status == "issued" else None


_CHECKS: Mapping[str, Callable[[Unit, LiveProgram, StoredMessage], _Says | None]] = {
    POINTS_EXPIRE: _points,
    REWARD_EXPIRES: _reward,
    REWARD_ISSUED: _unused,
    TIER_ENDS: _tier,
    LAST_PURCHASE: _purchase,
    REWARD_IN_REACH: _in_reach,
}
