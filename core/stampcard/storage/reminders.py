"""Members whose days come: the next ones behind a place, by the index of the date that it is about."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, exists, func, select, tuple_

from stampcard.clock import from_micros, to_micros
from stampcard.engine.dating import midnight
from stampcard.engine.versions import LiveProgram
from stampcard.storage.tables import lot, member, membership, order_state, perk, plan, redemption, tier

_DAY = timedelta(days=1)


class Due(NamedTuple):
    """Somebody whose day it is; `place`: behind which to go on, `what` and `at`: what it is about, and when that is."""

    place: str
    member: str
    what: str
    at: datetime | None = None


class Look(NamedTuple):
    """Where to look: a program, the days of the dates that are looked for (both inclusive), and behind which place."""

    merchant: str
    live: LiveProgram
    first: date
    last: date
    now: datetime
    after: str
    limit: int

    @property
    def begin(self) -> int:
        """The first moment."""
        return to_micros(midnight(self.first, self.live.program.zone))

    @property
    def end(self) -> int:
        """The moment behind the last."""
        return to_micros(midnight(self.last + _DAY, self.live.program.zone))

    @property
    def behind(self) -> tuple[Any, ...] | None:
        """The place as the columns that it is made of."""
        return tuple(msgspec.json.decode(self.after)) if self.after else None


def place_of(*parts: Any) -> str:
    """A place."""
    return msgspec.json.encode(parts).decode()


def expiring_points(connection: Connection, look: Look) -> list[Due]:
    """Wallets with points that can be spent until one of these days and no longer; `what` is the wallet."""
    # They die at the midnight behind their last day.
    key = (lot.c.wallet, lot.c.expires_at, lot.c.member)
    statement = (
        select(*key)
        .where(
            lot.c.merchant == look.merchant,
            lot.c.wallet.in_(sorted(look.live.program.wallets)),
            lot.c.remaining > 0,
            lot.c.active == 1,
            lot.c.expires_at > max(look.begin, to_micros(look.now)),
            lot.c.expires_at <= look.end,
        )
        .group_by(*key)
        .order_by(*key)
        .limit(look.limit)
    )
    if look.behind is not None:
        statement = statement.where(tuple_(*key) > look.behind)
    return [
        Due(place_of(row.wallet, row.expires_at, row.member), row.member, row.wallet, from_micros(row.expires_at))
        for row in connection.execute(statement)
    ]


def expiring_rewards(connection: Connection, look: Look) -> list[Due]:
    """Issued rewards that are valid until one of these days; `what` is the redemption."""
    key = (redemption.c.due_at, redemption.c.id)
    statement = (
        select(*key, redemption.c.member)
        .where(
            redemption.c.merchant == look.merchant,
            redemption.c.program == look.live.name,
            redemption.c.status == "issued",
            redemption.c.due_at > max(look.begin, to_micros(look.now)),
            redemption.c.due_at <= look.end,
        )
        .order_by(*key)
        .limit(look.limit)
    )
    if look.behind is not None:
        statement = statement.where(tuple_(*key) > look.behind)
    return [
        Due(place_of(row.due_at, row.id), row.member, row.id, from_micros(row.due_at))
        for row in connection.execute(statement)
    ]


def issued_rewards(connection: Connection, look: Look) -> list[Due]:
    """Rewards that were issued on one of these days and are still unused; `what` is the redemption."""
    key = (redemption.c.created_at, redemption.c.id)
    statement = (
        select(*key, redemption.c.member, redemption.c.issued_at)
        .where(
            redemption.c.merchant == look.merchant,
            redemption.c.program == look.live.name,
            redemption.c.status == "issued",
            redemption.c.created_at >= look.begin,
            redemption.c.created_at < look.end,
        )
        .order_by(*key)
        .limit(look.limit)
    )
    if look.behind is not None:
        statement = statement.where(tuple_(*key) > look.behind)
    return [
        Due(place_of(row.created_at, row.id), row.member, row.id, from_micros(row.issued_at or row.created_at))
        for row in connection.execute(statement)
    ]


def ending_tiers(connection: Connection, look: Look) -> list[Due]:
    """Tiers that end on one of these days; `what` is the tier."""
    statement = (
        select(tier.c.member, tier.c.name, tier.c.until)
        .where(
            tier.c.merchant == look.merchant,
            tier.c.program == look.live.name,
            tier.c.name != "",
            tier.c.until > max(look.begin, to_micros(look.now)),
            tier.c.until <= look.end,
        )
        .order_by(tier.c.member)
        .limit(look.limit)
    )
    if look.behind is not None:
        statement = statement.where(tier.c.member > look.behind[0])
    return [
        Due(place_of(row.member), row.member, row.name, from_micros(row.until)) for row in connection.execute(statement)
    ]


def ending_things(table: Any) -> Callable[[Connection, Look], list[Due]]:
    """Plans or perks that end on one of these days; `what` is the name."""
    had = table.c.active if table is plan else table.c.has

    def find(connection: Connection, look: Look) -> list[Due]:
        key = (table.c.next_at, table.c.member, table.c.name)
        statement = (
            select(*key)
            .where(
                table.c.merchant == look.merchant,
                table.c.program == look.live.name,
                had == 1,
                table.c.next_at > max(look.begin, to_micros(look.now)),
                table.c.next_at <= look.end,
            )
            .order_by(*key)
            .limit(look.limit)
        )
        if look.behind is not None:
            statement = statement.where(tuple_(*key) > look.behind)
        return [
            Due(place_of(row.next_at, row.member, row.name), row.member, row.name, from_micros(row.next_at))
            for row in connection.execute(statement)
        ]

    return find


ending_plans, ending_perks = ending_things(plan), ending_things(perk)


def joined(connection: Connection, look: Look) -> list[Due]:
    """Members who joined on one of these days."""
    statement = (
        select(membership.c.member, membership.c.joined_at)
        .where(
            membership.c.merchant == look.merchant,
            membership.c.program == look.live.name,
            membership.c.joined_at >= look.begin,
            membership.c.joined_at < look.end,
        )
        .order_by(membership.c.member)
        .limit(look.limit)
    )
    if look.behind is not None:
        statement = statement.where(membership.c.member > look.behind[0])
    return [
        Due(place_of(row.member), row.member, "", from_micros(row.joined_at)) for row in connection.execute(statement)
    ]


def everybody(connection: Connection, look: Look) -> list[Due]:
    """All members of the program."""
    statement = (
        select(membership.c.member)
        .where(membership.c.merchant == look.merchant, membership.c.program == look.live.name)
        .order_by(membership.c.member)
        .limit(look.limit)
    )
    if look.behind is not None:
        statement = statement.where(membership.c.member > look.behind[0])
    return [Due(place_of(row.member), row.member, "") for row in connection.execute(statement)]


def customers(connection: Connection, look: Look) -> list[Due]:
    """Everybody who takes no part in the program, and never did."""
    takes_part = exists().where(
        membership.c.merchant == look.merchant,
        membership.c.program == look.live.name,
        membership.c.member == member.c.id,
    )
    statement = (
        select(member.c.id)
        .where(
            member.c.merchant == look.merchant,
            member.c.id > (look.behind[0] if look.behind is not None else ""),
            member.c.erased_at.is_(None),
            ~takes_part,
        )
        .order_by(member.c.id)
        .limit(look.limit)
    )
    return [Due(place_of(id_), id_, "") for id_ in connection.execute(statement).scalars()]


def purchases(connection: Connection, look: Look) -> list[Due]:
    """Orders of members that were placed on one of these days; `what` is the order."""
    key = (order_state.c.source, order_state.c.reference)
    statement = (
        select(*key, order_state.c.member, order_state.c.occurred_at)
        .where(
            order_state.c.merchant == look.merchant,
            order_state.c.member.is_not(None),
            order_state.c.currency != "",
            order_state.c.spend > 0,
            order_state.c.occurred_at >= look.begin,
            order_state.c.occurred_at < look.end,
        )
        .order_by(*key)
        .limit(look.limit)
    )
    if look.behind is not None:
        statement = statement.where(tuple_(*key) > look.behind)
    return [
        Due(
            place_of(row.source, row.reference),
            row.member,
            f"{row.source}:{row.reference}",
            from_micros(row.occurred_at),
        )
        for row in connection.execute(statement)
    ]


def last_purchases(connection: Connection, merchant: str, members: Collection[str]) -> dict[str, datetime]:
    """Member → when their last order was placed."""
    if not members:
        return {}
    statement = (
        select(order_state.c.member, func.max(order_state.c.occurred_at).label("at"))
        .where(
            order_state.c.merchant == merchant,
            order_state.c.member.in_(sorted(members)),
            order_state.c.currency != "",
        )
        .group_by(order_state.c.member)
    )
    return {row.member: from_micros(row.at) for row in connection.execute(statement)}


#: What is looked for, by the day that a message is about.
FINDERS: Mapping[str, Callable[[Connection, Look], Sequence[Due]]] = {
    "points_expire": expiring_points,
    "reward_expires": expiring_rewards,
    "reward_issued": issued_rewards,
    "tier_ends": ending_tiers,
    "plan_ends": ending_plans,
    "perk_ends": ending_perks,
    "program_ends": everybody,
    "sign_up": joined,
    "purchase": purchases,
    "last_purchase": purchases,
}
