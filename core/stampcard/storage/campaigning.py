"""How campaigns stand: what is used of their budgets, and how their variants do beside the control group."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, select

from stampcard.clock import to_micros
from stampcard.domain.value import Value
from stampcard.engine.counting import FINE, key_of
from stampcard.engine.dating import midnight
from stampcard.engine.limiting import most_of
from stampcard.engine.matching import fits, group_of
from stampcard.engine.versions import Bound, LiveProgram, Programs
from stampcard.program.campaigns import Campaign
from stampcard.program.windows import Days
from stampcard.storage.loading import load_counters
from stampcard.storage.tables import award, membership, order_state

CHUNK = 5_000
#: Members whom no variant has.
REST = "others"


class Budget(Value, frozen=True):
    """One limit over all members: what is used of it in the present period; points in whole points."""

    limit: str
    used: Decimal
    most: Decimal

    @property
    def share(self) -> int:
        """Percent that is used."""
        return int(self.used * 100 / self.most)


class Standing(Value, frozen=True):
    """How a campaign stands: on which days it is open, and what is used of its budgets."""

    program: str
    name: str
    state: Literal["running", "over", "stopped"]
    open: str
    budgets: tuple[Budget, ...]


class Group(Value, frozen=True):
    """How one group of a campaign's members did while it was open; `spend` after refunds, in the program's money."""

    name: str
    members: int = 0
    orders: int = 0
    spend: Decimal = Decimal(0)
    points: int = 0

    @property
    def spend_each(self) -> Decimal:
        """For each member."""
        return self.spend / self.members if self.members else Decimal(0)


def standings(connection: Connection, merchant: str, programs: Programs, now: datetime) -> list[Standing]:
    """Every campaign of the programs that are valid."""
    found = []
    for live in programs.current(now):
        today = now.astimezone(live.program.zone).date()
        for name, campaign in live.program.campaigns.items():
            stopped = not campaign.enabled or f"campaign:{live.name}/{name}" in programs.stopped
            found.append(
                Standing(
                    program=live.name,
                    name=name,
                    state="stopped" if stopped else "over" if is_over(campaign, today) else "running",
                    open=", ".join(map(str, campaign.during.dates)) if campaign.during else "always",
                    budgets=tuple(budgets(connection, merchant, live, name, now)),
                )
            )
    return found


def budgets(connection: Connection, merchant: str, live: LiveProgram, name: str, now: datetime) -> list[Budget]:
    """The budgets of a campaign with what is used of them."""
    bounds = {bound.scope: (bound, scale) for bound, scale in _bounds(live, name)}
    day = now.astimezone(live.program.zone).date()
    keys = {scope: key_of(live.name, bound, day, "") for scope, (bound, _) in bounds.items()}
    counters = load_counters(connection, merchant, keys.values())
    found = []
    for scope, (bound, scale) in bounds.items():
        unit = Decimal(most_of(bound, scale)) / bound.limit.most
        found.append(
            Budget(limit=str(bound.limit), used=Decimal(counters.get(keys[scope], 0)) / unit, most=bound.limit.most)
        )
    return found


def _bounds(live: LiveProgram, name: str) -> list[tuple[Bound, int]]:
    return [
        (bound, true.offer.terms.scale)
        for of in live.verdicts.values()
        for true, _ in of
        if true.offer.rule.campaign == name
        for bound in true.offer.bounds
        if bound.scope.startswith(f"campaign:{name}:") and bound.limit.in_all and bound.limit.per != "order"
    ]


def span_of(live: LiveProgram, campaign: Campaign, now: datetime) -> tuple[datetime, datetime]:
    """From when until when a campaign is looked at: its dates, where it has such, else since the program's version."""
    dates = [days for days in (campaign.during.dates if campaign.during else ()) if isinstance(days, Days)]
    zone = live.program.zone
    firsts = [days.first for days in dates if days.first]
    lasts = [days.last for days in dates if days.last]
    since = midnight(min(firsts), zone) if dates and len(firsts) == len(dates) else live.valid_from
    until = midnight(max(lasts) + timedelta(days=1), zone) if dates and len(lasts) == len(dates) else now
    return since, min(until, now)


def compare(
    connection: Connection,
    merchant: str,
    live: LiveProgram,
    name: str,
    since: datetime,
    until: datetime,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Group]:
    """Each group of the program's members that the campaign is for; variants in their order, the control group last."""
    campaign = live.program.campaigns[name]
    salt = f"campaign:{live.name}/{name}"
    order = [*campaign.variants, REST, *(["control"] if campaign.control is not None else [])]
    figures: dict[str, list[Any]] = {group: [0, 0, Decimal(0), 0] for group in order}
    after, seen = "", 0
    while chunk := _members(connection, merchant, live.name, after):
        after, seen = chunk[-1], seen + len(chunk)
        bought = {row.member: row for row in _bought(connection, merchant, live, chunk, since, until)}
        paid = _paid(connection, merchant, live, name, chunk)
        for member in chunk:
            if campaign.who is not None and not fits(campaign.who, salt, member, ()):
                continue
            figure = figures[group_of(campaign, salt, member) or REST]
            figure[0] += 1
            if (row := bought.get(member)) is not None:
                figure[1] += row.orders
                figure[2] += Decimal(int(row.spend)) / FINE
            figure[3] += paid.get(member, 0)
        progress(seen)
    return [
        Group(name=group, members=members, orders=orders, spend=spend, points=points)
        for group, (members, orders, spend, points) in figures.items()
        if members or group != REST
    ]


def _members(connection: Connection, merchant: str, program: str, after: str) -> Sequence[str]:
    statement = select(membership.c.member).where(
        membership.c.merchant == merchant, membership.c.program == program, membership.c.member > after
    )
    return list(connection.execute(statement.order_by(membership.c.member).limit(CHUNK)).scalars())


def _bought(
    connection: Connection, merchant: str, live: LiveProgram, chunk: Sequence[str], since: datetime, until: datetime
) -> Sequence[Row[Any]]:
    statement = (
        select(order_state.c.member, func.count().label("orders"), func.sum(order_state.c.spend).label("spend"))
        .where(
            order_state.c.merchant == merchant,
            order_state.c.member >= chunk[0],
            order_state.c.member <= chunk[-1],
            order_state.c.occurred_at >= to_micros(since),
            order_state.c.occurred_at < to_micros(until),
            order_state.c.currency == live.program.currency,
        )
        .group_by(order_state.c.member)
    )
    return connection.execute(statement).all()


def _paid(
    connection: Connection, merchant: str, live: LiveProgram, name: str, chunk: Collection[str]
) -> dict[str, int]:
    rules = [rule.id for rule in live.program.rules if rule.campaign == name]
    statement = (
        select(award.c.member, func.sum(award.c.granted - award.c.taken - award.c.written_off))
        .where(
            award.c.merchant == merchant,
            award.c.member.in_(list(chunk)),
            award.c.program == live.name,
            award.c.rule.in_(rules),
        )
        .group_by(award.c.member)
    )
    return {member: int(points) for member, points in connection.execute(statement)} if rules else {}


def is_over(campaign: Campaign, today: date) -> bool:
    """Whether all of a campaign's dates lie in the past."""
    dates = campaign.during.dates if campaign.during else ()
    return bool(dates) and all(isinstance(days, Days) and days.last is not None and days.last < today for days in dates)
