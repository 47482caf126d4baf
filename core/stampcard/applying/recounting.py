"""The unit of work that counts anew what members have towards tiers, once a version has other tiers than the one before."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, datetime
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, func, select

from stampcard.applying.promoting import outlooks
from stampcard.applying.setting import Setting, check_revision
from stampcard.applying.unit import Unit
from stampcard.clock import from_micros
from stampcard.domain.awards import Award
from stampcard.domain.decisions import Change
from stampcard.domain.tiers import Tier
from stampcard.domain.wallets import Wallet
from stampcard.engine.dating import midnight
from stampcard.engine.gauging import Counted, measure_of, place_by_segments
from stampcard.engine.progressing import Progress, ProgressKey, worth, worth_at
from stampcard.engine.settling import settle
from stampcard.engine.tiering import assess
from stampcard.engine.versions import LiveProgram, Programs
from stampcard.storage import loading, rows
from stampcard.storage.tables import award, entry, membership, order_state

#: Subjects that one statement asks for.
CHUNK = 500
_M: BindParameter[str] = bindparam("merchant")
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_ORDERS = select(order_state).where(order_state.c.merchant == _M, order_state.c.member.in_(_IDS))
_AWARDS = select(award).where(
    award.c.merchant == _M, award.c.member.in_(_IDS), award.c.subject.in_(bindparam("subjects", expanding=True))
)
#: When points came that no order gave; what was taken back of them stands at the same moment.
_OTHERS = (
    select(entry.c.member, entry.c.subject, func.min(entry.c.occurred_at).label("at"))
    .where(
        entry.c.merchant == _M,
        entry.c.member.in_(_IDS),
        entry.c.wallet == bindparam("wallet"),
        entry.c.kind == "earn",
        entry.c.subject.not_like("order:%"),
    )
    .group_by(entry.c.member, entry.c.subject)
)


def changed_tiers(programs: Programs, now: datetime) -> Iterator[LiveProgram]:
    """Every version that is valid by now and whose tiers are not those of the version before."""
    for versions in programs.versions.values():
        for before, after in pairwise(versions):
            if after.ladder is not None and _counting(after) != _counting(before) and after.valid_from <= now:
                yield after


def _counting(live: LiveProgram) -> tuple[Any, ...]:
    """What decides how much counts on which day."""
    scales = {name: terms.scale for name, terms in live.program.wallets.items()}
    return live.program.tiers, live.program.timezone, live.program.rates, scales


def recount(
    connection: Connection, setting: Setting, now: datetime, live: LiveProgram, after: str, limit: int
) -> tuple[int, str, list[Change]]:
    """Count anew, and look at the tiers of, the next members behind `after`; see `celebrate` for the answer.

    What is reached by what counts already is had without what rules pay for reaching it.
    """
    check_revision(connection, setting)
    found = members_of(connection, setting.merchant, live.name, after, limit)
    if not found:
        return 0, after, []
    unit = Unit(connection, setting, now)
    unit.lock(found, attributes=False)
    unit.tiering.recount(live, counted_anew(connection, setting.merchant, live, found), found)
    return len(found), found[-1], unit.save()


def members_of(connection: Connection, merchant: str, program: str, after: str, limit: int) -> list[str]:
    """The next members of a program behind one."""
    statement = (
        select(membership.c.member)
        .where(membership.c.merchant == merchant, membership.c.program == program, membership.c.member > after)
        .order_by(membership.c.member)
        .limit(limit)
    )
    return list(connection.execute(statement).scalars())


def count_members(connection: Connection, merchant: str, program: str) -> int:
    """How many members a program has."""
    statement = select(func.count()).where(membership.c.merchant == merchant, membership.c.program == program)
    return connection.execute(statement).scalar() or 0


def counted_anew(connection: Connection, merchant: str, live: LiveProgram, members: Collection[str]) -> Progress:
    """What these members have towards a program's tiers, from their orders and awards alone."""
    tiers = live.program.tiers
    if tiers is None or not measure_of(tiers) or not members:
        return {}
    of = {"merchant": merchant, "ids": sorted(members)}
    orders = [rows.order_of(row, {}) for row in connection.execute(_ORDERS, of)]
    subjects = [order.subject for order in orders]
    others: list[tuple[str, str, datetime]] = []
    if tiers.by == "points":
        into = loading.sources_of(connection, merchant, members)
        both = {**of, "ids": sorted({*members, *into}), "wallet": tiers.wallet}
        # Who was merged may have been paid for the same as the other: all that both have is one award.
        first: dict[tuple[str, str], datetime] = {}
        for row in connection.execute(_OTHERS, both):
            paid, at = (into.get(row.member, row.member), row.subject), from_micros(row.at)
            first[paid] = min(at, first.get(paid, at))
        others = [(member, subject, at) for (member, subject), at in sorted(first.items())]
        subjects += sorted({subject for _, subject, _ in others})
    awards = _awards(connection, of, subjects)
    progress: Progress = {}
    figures: list[tuple[ProgressKey, int]] = []
    for order in orders:
        figures += worth(live, order, awards.get(order.subject, ()))
    for member, subject, at in others:
        figures += worth_at(live, (one for one in awards.get(subject, ()) if one.member == member), at)
    for key, amount in figures:
        progress[key] = progress.get(key, 0) + amount
    return {key: amount for key, amount in progress.items() if amount}


def _awards(connection: Connection, of: dict[str, Any], subjects: list[str]) -> dict[str, list[Award]]:
    found: dict[str, list[Award]] = {}
    for start in range(0, len(subjects), CHUNK):
        part = {**of, "subjects": subjects[start : start + CHUNK]}
        for row in connection.execute(_AWARDS, part):
            one = rows.award_of(row)
            found.setdefault(one.subject, []).append(one)
    return found


class Moving(NamedTuple):
    """A member whom other tiers would move."""

    member: str
    before: str
    after: str


def suppose(
    connection: Connection, setting: Setting, now: datetime, live: LiveProgram, after: str, limit: int
) -> tuple[int, str, list[Moving]]:
    """Who of the next members would move if the program were this one; nothing is written."""
    found = members_of(connection, setting.merchant, live.name, after, limit)
    if not found or live.ladder is None:
        return 0, after, []
    unit = Unit(connection, setting, now)
    known = outlooks(unit, found)
    wallets: dict[tuple[str, str], Wallet] = {}
    if live.ladder.tiers.by == "balance":
        wallets = loading.load_wallets(connection, setting.merchant, found)
    progress = counted_anew(connection, setting.merchant, live, found)
    days: dict[str, dict[date, int]] = {}
    for key, amount in progress.items():
        days.setdefault(key.member, {})[key.day] = amount
    moving = []
    for member in found:
        person = unit.members.get(member)
        if person is None or not person.is_there:
            continue
        had = next((one.tier for one in known.get(member, ()) if one.tier.program == live.name), None)
        tier = had or Tier(program=live.name, name="", since=now)
        wallet = wallets.get((member, live.ladder.tiers.wallet))
        balance = settle(wallet, now)[0].sums.get("active", 0) if wallet is not None else 0
        if live.ladder.tiers.by == "segment":
            balance = place_by_segments(live.ladder.tiers, person.segments.get(live.name, ()))
        counted = Counted(joined_at=person.joined_at, progress=days.get(member, {}), balance=balance)
        moments = [midnight(day, live.ladder.zone) for day in counted.progress]
        new, _ = assess(live.ladder, tier, counted, now, moments)
        if new.name != tier.name:
            moving.append(Moving(member, tier.name, new.name))
    return len(found), found[-1], moving
