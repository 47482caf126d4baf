"""The unit of work of reminders: messages that a day brings, for the members whose day it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from stampcard.applying.announcing import of_redemption, write_down
from stampcard.applying.celebrating import celebrated, year_of_joining
from stampcard.applying.freshening import expiring, perk_end, plan_end
from stampcard.applying.setting import Setting, check_revision
from stampcard.applying.unit import Unit
from stampcard.domain.decisions import Change
from stampcard.domain.value import replace
from stampcard.engine.announcing import Happening, is_told, planned, wants
from stampcard.engine.dating import last_day_of, midnight
from stampcard.engine.describing import Past
from stampcard.engine.versions import LiveProgram
from stampcard.program.events import ANNIVERSARY, BIRTHDAY, SIGN_UP
from stampcard.program.messages import MessageTerms
from stampcard.program.occasions import (
    LAST_PURCHASE,
    PERK_ENDS,
    PLAN_ENDS,
    POINTS_EXPIRE,
    PROGRAM_ENDS,
    PURCHASE,
    REWARD_EXPIRES,
    REWARD_ISSUED,
    TIER_ENDS,
)
from stampcard.storage.reminders import FINDERS, Due, Look, last_purchases, place_of

#: Dates that lie ahead and may move: whoever comes into the span later is told as well.
SPANS = frozenset({POINTS_EXPIRE, REWARD_EXPIRES, TIER_ENDS, PLAN_ENDS, PERK_ENDS, PROGRAM_ENDS})
_DAY = timedelta(days=1)


def remind(
    connection: Connection,
    setting: Setting,
    now: datetime,
    live: LiveProgram,
    name: str,
    day: date,
    after: str,
    limit: int,
) -> tuple[int, str, list[Change]]:
    """Write down a message for the next members behind `after` whose day it is; answers as a step of a long job does."""
    check_revision(connection, setting)
    terms = live.program.messages[name]
    due = _due(connection, setting, now, live, terms, day, after, limit)
    if not due:
        return 0, after, []
    unit = Unit(connection, setting, now)
    unit.look(*sorted({one.member for one in due}))
    wanted = [
        one
        for happening, until in _happenings(unit, live, terms, due)
        if _is_for(unit, live, name, happening)
        for one in planned(live, name, happening, setting.ways, now, until)
    ]
    write_down(unit, wanted)
    return len(due), due[-1].place, []


def _is_for(unit: Unit, live: LiveProgram, name: str, of: Happening) -> bool:
    person = unit.members.get(of.member)
    if person is None or not is_told(live, person, live.program.messages[name], unit.now):
        return False
    past = unit.pasts.get(of.member, Past())
    return wants(live, name, person, past, of.asks, unit.now, unit.setting.programs.stopped)


def _due(
    connection: Connection,
    setting: Setting,
    now: datetime,
    live: LiveProgram,
    terms: MessageTerms,
    day: date,
    after: str,
    limit: int,
) -> Sequence[Due]:
    event, days = terms.on.event, terms.on.days
    if event in {BIRTHDAY, ANNIVERSARY}:
        about = day - timedelta(days=days)
        behind = Look(setting.merchant, live, day, day, now, after, limit).behind
        found = celebrated(connection, setting, live, event, about, behind[0] if behind else "", limit)
        return [
            Due(place_of(member), member, "", datetime.combine(about, datetime.min.time(), UTC)) for member in found
        ]
    if event == PROGRAM_ENDS:
        ending = live.program.ending
        if ending is None or not ending.last_redeem + timedelta(days=days) <= day <= ending.last_redeem:
            return []
        return FINDERS[event](connection, Look(setting.merchant, live, day, day, now, after, limit))
    about = day - timedelta(days=days)
    first = day if event in SPANS else about
    return FINDERS[event](connection, Look(setting.merchant, live, first, about, now, after, limit))


def _happenings(
    unit: Unit, live: LiveProgram, terms: MessageTerms, due: Sequence[Due]
) -> Iterator[tuple[Happening, datetime | None]]:
    """What each is told, and until when that is worth anything."""
    tell = _TELLERS[terms.on.event]
    for happening, until in tell(unit, live, due):
        days = abs(terms.on.days)
        last = happening.says.get("expires_on")
        if isinstance(last, date):
            days = (last - unit.now.astimezone(live.program.zone).date()).days
        counted = {"days": days}
        yield replace(happening, asks={**happening.asks, **counted}, says={**happening.says, **counted}), until


_Told = Iterator[tuple[Happening, datetime | None]]


def _points(unit: Unit, live: LiveProgram, due: Iterable[Due]) -> _Told:
    for one in due:
        assert one.at is not None
        day = last_day_of(one.at, live.program.zone)
        points = expiring(unit, live, one.member, one.what, day)
        if points:
            asks = {"points": float(points), "wallet": one.what}
            says = {"points": points, "wallet": one.what, "expires_on": day}
            yield _happening(live, POINTS_EXPIRE, one, f"{one.member}:{one.what}:{day}", asks, says), one.at


def _rewards(event: str) -> Callable[[Unit, LiveProgram, Iterable[Due]], _Told]:
    def tell(unit: Unit, live: LiveProgram, due: Iterable[Due]) -> _Told:
        known = unit.rewarding.find(ids=[one.what for one in due])
        for one in due:
            reward = known.get(one.what)
            if reward is None:
                continue
            of = of_redemption(live, reward, event)
            ends = reward.valid_until
            if event == REWARD_EXPIRES and ends is not None:
                day = last_day_of(ends, live.program.zone)
                of = replace(of, key=f"{event}:{reward.id}:{day}", says={**of.says, "expires_on": day})
            yield of, ends

    return tell


def _tiers(unit: Unit, live: LiveProgram, due: Iterable[Due]) -> _Told:
    unit.tiering.fold()
    levels = live.program.tiers.levels if live.program.tiers is not None else {}
    for one in due:
        assert one.at is not None
        day = last_day_of(one.at, live.program.zone)
        outlook = next((of for of in unit.tiering.outlooks(one.member) if of.tier.program == live.name), None)
        missing = outlook.missing if outlook is not None else 0
        title = getattr(levels.get(one.what), "name", "") or one.what
        says = {"tier": {"name": title, "until": day, "missing": missing}, "expires_on": day}
        key = f"{one.member}:{live.name}:{one.what}:{day}"
        yield _happening(live, TIER_ENDS, one, key, {"tier": one.what}, says), one.at


def _ending(event: str, what: str) -> Callable[[Unit, LiveProgram, Iterable[Due]], _Told]:
    end_of = plan_end if event == PLAN_ENDS else perk_end

    def tell(unit: Unit, live: LiveProgram, due: Iterable[Due]) -> _Told:
        section = getattr(live.program, f"{what}s")
        for one in due:
            assert one.at is not None
            person = unit.members.get(one.member)
            if person is None or end_of(live, person, one.what, unit.now) != one.at:
                continue
            day = last_day_of(one.at, live.program.zone)
            title = getattr(section.get(one.what), "name", "") or one.what
            key = f"{one.member}:{live.name}:{one.what}:{day}"
            yield (
                _happening(live, event, one, key, {what: one.what}, {what: {"name": title}, "expires_on": day}),
                one.at,
            )

    return tell


def _program(_unit: Unit, live: LiveProgram, due: Iterable[Due]) -> _Told:
    ending = live.program.ending
    assert ending is not None
    says = {"expires_on": ending.last_redeem, "last_earn": ending.last_earn, "last_redeem": ending.last_redeem}
    over = midnight(ending.last_redeem + _DAY, live.program.zone)
    for one in due:
        yield _happening(live, PROGRAM_ENDS, one, f"{one.member}:{live.name}:{ending.last_redeem}", {}, says), over


def _dated(event: str) -> Callable[[Unit, LiveProgram, Iterable[Due]], _Told]:
    def tell(unit: Unit, live: LiveProgram, due: Iterable[Due]) -> _Told:
        for one in due:
            assert one.at is not None
            person = unit.members.get(one.member)
            if event == ANNIVERSARY and person is not None and year_of_joining(live, person) >= one.at.year:
                continue  # the day of joining is no anniversary of it
            nth = one.at.year if event in {BIRTHDAY, ANNIVERSARY} else one.what or live.name
            yield _happening(live, event, one, f"{one.member}:{nth}", {}, {}), None

    return tell


def _last_purchase(unit: Unit, live: LiveProgram, due: Iterable[Due]) -> _Told:
    """Of several orders of the day one, and none where another came since."""
    last = last_purchases(unit.connection, unit.setting.merchant, {one.member for one in due})
    for one in due:
        assert one.at is not None
        day, newest = (moment.astimezone(live.program.zone).date() for moment in (one.at, last[one.member]))
        if newest == day:
            key = f"{one.member}:{live.name}:{day}"
            yield _happening(live, LAST_PURCHASE, one, key, {}, {"last_on": day}), None


def _happening(
    live: LiveProgram, event: str, one: Due, key: str, asks: Mapping[str, Any], says: Mapping[str, Any]
) -> Happening:
    return Happening(member=one.member, program=live.name, event=event, key=f"{event}:{key}", asks=asks, says=says)


_TELLERS: Mapping[str, Callable[[Unit, LiveProgram, Sequence[Due]], _Told]] = {
    POINTS_EXPIRE: _points,
    REWARD_EXPIRES: _rewards(REWARD_EXPIRES),
    REWARD_ISSUED: _rewards(REWARD_ISSUED),
    TIER_ENDS: _tiers,
    PLAN_ENDS: _ending(PLAN_ENDS, "plan"),
    PERK_ENDS: _ending(PERK_ENDS, "perk"),
    PROGRAM_ENDS: _program,
    SIGN_UP: _dated(SIGN_UP),
    PURCHASE: _dated(PURCHASE),
    BIRTHDAY: _dated(BIRTHDAY),
    ANNIVERSARY: _dated(ANNIVERSARY),
    LAST_PURCHASE: _last_purchase,
}


def reminder_days(terms: MessageTerms, live: LiveProgram, now: datetime) -> list[date]:
    """The days whose reminders are due by now, the oldest first: those that a downtime missed are caught up.

    What lies ahead is looked at as it is today; other dates once for each day, as far back as the message may be late.
    """
    local = now.astimezone(live.program.zone)
    today = local.date() if local.time() >= terms.at else local.date() - _DAY
    if terms.on.event in SPANS:
        return [today] if today == local.date() and today >= _begun(live) else []
    late = terms.late.days if terms.late is not None else 7
    days = [today - timedelta(days=back) for back in range(max(late, 0), -1, -1)]
    return [day for day in days if day >= _begun(live)]


def _begun(live: LiveProgram) -> date:
    return live.valid_from.astimezone(live.program.zone).date()
