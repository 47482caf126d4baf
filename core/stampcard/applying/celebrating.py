"""The unit of work of a calendar day: birthdays, and anniversaries of joining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, Select, exists, select, union_all

from stampcard.applying.registering import birthday_print
from stampcard.applying.setting import Setting, check_revision
from stampcard.applying.unit import Unit
from stampcard.domain.decisions import Change
from stampcard.domain.events import DayCame
from stampcard.domain.members import Member
from stampcard.engine.counting import keys_for
from stampcard.engine.dating import midnight
from stampcard.engine.deciding import decide_day
from stampcard.engine.versions import LiveProgram
from stampcard.engine.world import Facts
from stampcard.program.events import ANNIVERSARY, BIRTHDAY
from stampcard.storage.tables import award, member, membership

#: Events that the calendar brings.
OF_THE_CALENDAR = (BIRTHDAY, ANNIVERSARY)


def celebrate(
    connection: Connection,
    setting: Setting,
    now: datetime,
    live: LiveProgram,
    on: str,
    day: date,
    after: str,
    facts: Mapping[str, Facts],
) -> tuple[int, str, list[Change]]:
    """Pay the next members behind `after` whose day it is; answers how many, behind whom to go on, and what changed.

    `facts`: what plugins said for those whose day it was a moment ago. Whoever it is the day of since then, and all behind
    them, are left for the next time.
    """
    check_revision(connection, setting)
    found = list(takewhile(facts.__contains__, celebrated(connection, setting, live, on, day, after, len(facts))))
    if not found:
        return 0, after, []
    at = midnight(day, live.program.zone)
    unit = Unit(connection, setting, now)
    unit.lock(found, attributes=True)
    unit.count({key for id_ in found for key in keys_for(live, on, at, id_)})
    paid = _paid(connection, setting, live, f"{on}:{day.year}", found)
    for id_ in found:
        person = unit.members.get(id_)
        # Who changes a birthday has it once a year all the same.
        if person is None or not person.is_there or id_ in paid:
            continue
        if on == ANNIVERSARY and year_of_joining(live, person) >= day.year:
            continue
        decision = decide_day(unit.world, live.name, on, person, at, day.year, facts[id_])
        unit.absorb(decision)
        if decision.reasons:
            unit.record_day(DayCame(name=on, occurred_at=at), id_, decision.reasons)
    return len(found), found[-1], unit.save()


def _paid(
    connection: Connection, setting: Setting, live: LiveProgram, subject: str, members: Sequence[str]
) -> set[str]:
    statement = select(award.c.member).where(
        award.c.merchant == setting.merchant,
        award.c.subject == subject,
        award.c.member.in_(members),
        award.c.program == live.name,
    )
    return set(connection.execute(statement).scalars())


def year_of_joining(live: LiveProgram, person: Member) -> int:
    """The year in which somebody joined a program, there: of that year's day there is no anniversary yet."""
    return person.joined.get(live.name, person.joined_at).astimezone(live.program.zone).year


def days_of(day: date) -> list[str]:
    """The days of the year that a day stands for: 28 February also for the 29th where there is none."""
    days = [f"{day:%m-%d}"]
    leap = day.year % 4 == 0 and (day.year % 100 != 0 or day.year % 400 == 0)
    return [*days, "02-29"] if days == ["02-28"] and not leap else days


def celebrated(
    connection: Connection, setting: Setting, live: LiveProgram, on: str, day: date, after: str, limit: int
) -> Sequence[str]:
    """The next members behind `after` whose day it is."""
    # Each day by itself: only of one do indexes have the members in order.
    found = [_of_day(setting, live, on, known, after).limit(limit).subquery() for known in days_of(day)]
    together = union_all(*(select(one.c.id) for one in found)).subquery()
    return list(connection.execute(select(together.c.id).order_by(together.c.id).limit(limit)).scalars())


def _of_day(setting: Setting, live: LiveProgram, on: str, day: str, after: str) -> Select[Any]:
    takes_part = (membership.c.merchant == setting.merchant, membership.c.program == live.name)
    if on == ANNIVERSARY:
        return (
            select(membership.c.member.label("id"))
            .where(*takes_part, membership.c.anniversary == day, membership.c.member > after)
            .order_by(membership.c.member)
        )
    # Of those whose birthday it is, who takes part: a join may go through all who do.
    return (
        select(member.c.id)
        .where(
            member.c.merchant == setting.merchant,
            member.c.birthday_print == birthday_print(setting.sealer, setting.merchant, day),
            member.c.id > after,
            exists().where(*takes_part, membership.c.member == member.c.id),
        )
        .order_by(member.c.id)
    )
