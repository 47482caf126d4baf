"""Members whose days come: the next ones behind a place, by the index of the date that it is about."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, exists, func, select, text, tuple_

from stampcard.clock import from_micros, to_micros
from stampcard.engine.dating import midnight
from stampcard.engine.versions import LiveProgram
from stampcard.storage.tables import lot, member, membership, order_state, perk, plan, redemption, tier

_DAY = timedelta(days=1)
#: As their indexes have it, word for word: they are of such rows alone.
_LIVING, _PAID = text("remaining > 0"), text("currency <> ''")


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


def _ahead(look: Look) -> int:
    """The first moment of ends that are looked for: they are at the midnight behind their last day, and still to come."""
    return max(look.begin, to_micros(look.now)) + 1


def _in_order(
    connection: Connection, look: Look, statement: Select[Any], key: Sequence[ColumnElement[Any]], first: int, last: int
) -> Sequence[Row[Any]]:
    """The rows behind the place whose moment, first in the key, is one of these; one index brings them in that order."""
    # One bound, as SQLite seeks by one only. No text is less than an empty one.
    floor = (first, *("" for _ in key[1:]))
    if look.behind is not None and look.behind > floor:
        statement = statement.where(tuple_(*key) > look.behind)
    else:
        statement = statement.where(key[0] >= first)
    return connection.execute(statement.where(key[0] <= last).order_by(*key).limit(look.limit)).all()


def expiring_points(connection: Connection, look: Look) -> list[Due]:
    """Wallets with points that can be spent until one of these days and no longer; `what` is the wallet."""
    key = (lot.c.expires_at, lot.c.member)
    wallet, *place = look.behind or ("",)
    found: list[Due] = []
    for name in sorted(look.live.program.wallets):
        if name < wallet or len(found) >= look.limit:
            continue
        statement = select(*key).where(
            lot.c.merchant == look.merchant, lot.c.wallet == name, _LIVING, lot.c.active == 1
        )
        part = look._replace(after=place_of(*place) if name == wallet and place else "", limit=look.limit - len(found))
        rows = _in_order(connection, part, statement.group_by(*key), key, _ahead(look), look.end)
        found += [
            Due(place_of(name, row.expires_at, row.member), row.member, name, from_micros(row.expires_at))
            for row in rows
        ]
    return found


def expiring_rewards(connection: Connection, look: Look) -> list[Due]:
    """Issued rewards that are valid until one of these days; `what` is the redemption."""
    key = (redemption.c.due_at, redemption.c.id)
    statement = select(*key, redemption.c.member).where(
        redemption.c.merchant == look.merchant,
        redemption.c.program == look.live.name,
        redemption.c.status == "issued",
    )
    return [
        Due(place_of(row.due_at, row.id), row.member, row.id, from_micros(row.due_at))
        for row in _in_order(connection, look, statement, key, _ahead(look), look.end)
    ]


def issued_rewards(connection: Connection, look: Look) -> list[Due]:
    """Rewards that were issued on one of these days and are still unused; `what` is the redemption."""
    key = (redemption.c.created_at, redemption.c.id)
    statement = select(*key, redemption.c.member, redemption.c.issued_at).where(
        redemption.c.merchant == look.merchant,
        redemption.c.program == look.live.name,
        redemption.c.status == "issued",
    )
    return [
        Due(place_of(row.created_at, row.id), row.member, row.id, from_micros(row.issued_at or row.created_at))
        for row in _in_order(connection, look, statement, key, look.begin, look.end - 1)
    ]


def ending_tiers(connection: Connection, look: Look) -> list[Due]:
    """Tiers that end on one of these days; `what` is the tier."""
    key = (tier.c.until, tier.c.member)
    statement = select(*key, tier.c.name).where(
        tier.c.merchant == look.merchant, tier.c.program == look.live.name, tier.c.name != ""
    )
    return [
        Due(place_of(row.until, row.member), row.member, row.name, from_micros(row.until))
        for row in _in_order(connection, look, statement, key, _ahead(look), look.end)
    ]


def ending_things(table: Any) -> Callable[[Connection, Look], list[Due]]:
    """Plans or perks that end on one of these days; `what` is the name."""
    had = table.c.active if table is plan else table.c.has

    def find(connection: Connection, look: Look) -> list[Due]:
        key = (table.c.next_at, table.c.member, table.c.name)
        statement = select(*key).where(table.c.merchant == look.merchant, table.c.program == look.live.name, had == 1)
        return [
            Due(place_of(row.next_at, row.member, row.name), row.member, row.name, from_micros(row.next_at))
            for row in _in_order(connection, look, statement, key, _ahead(look), look.end)
        ]

    return find


ending_plans, ending_perks = ending_things(plan), ending_things(perk)


def joined(connection: Connection, look: Look) -> list[Due]:
    """Members who joined on one of these days."""
    key = (membership.c.joined_at, membership.c.member)
    statement = select(*key).where(membership.c.merchant == look.merchant, membership.c.program == look.live.name)
    return [
        Due(place_of(row.joined_at, row.member), row.member, "", from_micros(row.joined_at))
        for row in _in_order(connection, look, statement, key, look.begin, look.end - 1)
    ]


def everybody(connection: Connection, look: Look) -> list[Due]:
    """All members of the program, the first who joined first: by member they lie among those of all programs."""
    key = (membership.c.joined_at, membership.c.member)
    statement = select(*key).where(membership.c.merchant == look.merchant, membership.c.program == look.live.name)
    if look.behind is not None:
        statement = statement.where(tuple_(*key) > look.behind)
    rows = connection.execute(statement.order_by(*key).limit(look.limit))
    return [Due(place_of(row.joined_at, row.member), row.member, "") for row in rows]


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
    key = (order_state.c.occurred_at, order_state.c.source, order_state.c.reference)
    statement = select(*key, order_state.c.member).where(
        order_state.c.merchant == look.merchant,
        order_state.c.member.is_not(None),
        _PAID,
        order_state.c.spend > 0,
    )
    return [
        Due(
            place_of(row.occurred_at, row.source, row.reference),
            row.member,
            f"{row.source}:{row.reference}",
            from_micros(row.occurred_at),
        )
        for row in _in_order(connection, look, statement, key, look.begin, look.end - 1)
    ]


def still_counts(connection: Connection, merchant: str, member: str, source: str, reference: str) -> bool:
    """Whether an order is that member's, and anything of it was kept."""
    found = select(order_state.c.reference).where(
        order_state.c.merchant == merchant,
        order_state.c.source == source,
        order_state.c.reference == reference,
        order_state.c.member == member,
        order_state.c.spend > 0,
    )
    return connection.execute(found).first() is not None


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
            order_state.c.spend > 0,
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
