"""Lists for people, a page at a time: each goes on behind the last row that was seen, so no page costs more than the first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, Table, and_, case, func, or_, select, tuple_

from stampcard.clock import from_micros, to_micros
from stampcard.domain.ledger import Entry
from stampcard.domain.wallets import Lot
from stampcard.storage import rows
from stampcard.storage.tables import entry, identity, inbox, lot, member, order_state, outbox, push

Rows = Sequence[Row[*tuple[Any, ...]]]

#: What is shown of a delivery; its body is another matter.
_DELIVERY = tuple(column for column in inbox.c if column.name != "body_sealed")


def members_after(connection: Connection, merchant: str, after: str, limit: int) -> list[str]:
    """Ids of members who were neither erased nor merged into others, by id."""
    statement = select(member.c.id).where(
        member.c.merchant == merchant,
        member.c.id > after,
        member.c.erased_at.is_(None),
        member.c.merged_into.is_(None),
    )
    return list(connection.execute(statement.order_by(member.c.id).limit(limit)).scalars())


class OnHold(NamedTuple):
    """A member on hold."""

    member: str
    since: datetime
    reason: str

    @property
    def place(self) -> tuple[int, str]:
        """Where it stands in the list."""
        return to_micros(self.since), self.member


def held_before(connection: Connection, merchant: str, before: tuple[int, str] | None, limit: int) -> list[OnHold]:
    """Members on hold, the newest first, behind a place."""
    statement = select(member.c.id, member.c.held_at, member.c.held_for).where(
        member.c.merchant == merchant, member.c.held_at.is_not(None)
    )
    if before is not None:
        statement = statement.where(tuple_(member.c.held_at, member.c.id) < tuple_(*before))
    statement = statement.order_by(member.c.held_at.desc(), member.c.id.desc()).limit(limit)
    return [OnHold(row.id, from_micros(row.held_at), row.held_for or "") for row in connection.execute(statement)]


def entries_before(
    connection: Connection, merchant: str, of: str, wallet: str | None, before: tuple[str, int] | None, limit: int
) -> list[Entry]:
    """A member's entries, wallet by wallet, newest first."""
    statement = select(entry).where(entry.c.merchant == merchant, entry.c.member == of)
    if wallet is not None:
        statement = statement.where(entry.c.wallet == wallet)
    if before is not None:
        same = and_(entry.c.wallet == before[0], entry.c.number < before[1])
        statement = statement.where(or_(entry.c.wallet > before[0], same))
    statement = statement.order_by(entry.c.wallet, entry.c.number.desc()).limit(limit)
    return [rows.entry_of(row) for row in connection.execute(statement)]


def lots_before(
    connection: Connection, merchant: str, of: str, wallet: str | None, before: tuple[str, int] | None, limit: int
) -> list[tuple[str, Lot]]:
    """A member's lots as booked, with their wallets, newest first in each."""
    statement = select(lot).where(lot.c.merchant == merchant, lot.c.member == of)
    if wallet is not None:
        statement = statement.where(lot.c.wallet == wallet)
    if before is not None:
        same = and_(lot.c.wallet == before[0], lot.c.number < before[1])
        statement = statement.where(or_(lot.c.wallet > before[0], same))
    statement = statement.order_by(lot.c.wallet, lot.c.number.desc()).limit(limit)
    return [(row.wallet, rows.lot_of(row)) for row in connection.execute(statement)]


def deliveries_before(
    connection: Connection, merchant: str, status: str | None, name: str | None, before: int | None, limit: int
) -> Rows:
    """Deliveries, newest first, without their bodies."""
    statement: Select[*tuple[Any, ...]] = select(*_DELIVERY, inbox.c.body_sealed.is_not(None).label("has_body"))
    statement = _narrowed(statement.where(inbox.c.merchant == merchant), inbox, status, name)
    if before is not None:
        statement = statement.where(inbox.c.id < before)
    return connection.execute(statement.order_by(inbox.c.id.desc()).limit(limit)).all()


def load_delivery(connection: Connection, merchant: str, id_: int) -> Row[Any] | None:
    """One delivery, with its sealed body."""
    statement = select(inbox, inbox.c.body_sealed.is_not(None).label("has_body"))
    return connection.execute(statement.where(inbox.c.merchant == merchant, inbox.c.id == id_)).one_or_none()


def quarantine_groups(connection: Connection, merchant: str) -> Rows:
    """What is set aside, counted by connection and code."""
    grouped = (inbox.c.connection, func.coalesce(inbox.c.code, "").label("code"))
    statement = (
        select(*grouped, func.count().label("number"), func.min(inbox.c.received_at), func.max(inbox.c.received_at))
        .where(inbox.c.merchant == merchant, inbox.c.status == "quarantined")
        .group_by(*grouped)
        .order_by(*grouped)
    )
    return connection.execute(statement).all()


def quarantine_sample(connection: Connection, merchant: str, name: str, code: str) -> Row[Any] | None:
    """The newest delivery of a connection that is set aside under a code."""
    statement = select(*_DELIVERY).where(
        inbox.c.merchant == merchant,
        inbox.c.status == "quarantined",
        inbox.c.connection == name,
        func.coalesce(inbox.c.code, "") == code,
    )
    return connection.execute(statement.order_by(inbox.c.id.desc()).limit(1)).first()


def count_quarantined(connection: Connection, merchant: str, name: str | None, code: str | None) -> tuple[int, int]:
    """How many deliveries are set aside with their body, and how many without, so that they cannot be applied."""
    bodiless = func.coalesce(func.sum(case((inbox.c.body_sealed.is_(None), 1), else_=0)), 0)
    statement = select(func.count() - bodiless, bodiless).where(inbox.c.merchant == merchant)
    statement = _narrowed(statement, inbox, "quarantined", name)
    if code is not None:
        statement = statement.where(inbox.c.code == code)
    whole, without = connection.execute(statement).one()
    return int(whole), int(without)


def latest_topics(connection: Connection, merchant: str, name: str, most: int = 5_000) -> frozenset[str]:
    """The topics of what a connection brought last."""
    latest = (
        select(inbox.c.topic)
        .where(inbox.c.merchant == merchant, inbox.c.connection == name)
        .order_by(inbox.c.id.desc())
        .limit(most)
        .subquery()
    )
    return frozenset(connection.execute(select(latest.c.topic).distinct()).scalars())


def last_received(connection: Connection, merchant: str, name: str) -> int | None:
    """When the newest delivery of a connection came in."""
    statement = select(inbox.c.received_at).where(inbox.c.merchant == merchant, inbox.c.connection == name)
    return connection.execute(statement.order_by(inbox.c.id.desc()).limit(1)).scalar()


def silent_for(connection: Connection, merchant: str, name: str, now: datetime, most: timedelta) -> timedelta | None:
    """How long no webhook of a connection came, if that is longer than `most`; None where none came of late, or `most` is 0."""
    latest = (
        select(inbox.c.received_at, inbox.c.read_at)
        .where(inbox.c.merchant == merchant, inbox.c.connection == name)
        .order_by(inbox.c.id.desc())
        .limit(5_000)
        .subquery()
    )
    last = connection.execute(select(func.max(latest.c.received_at)).where(latest.c.read_at == 0)).scalar()
    if last is None or not most:
        return None
    silent = now - from_micros(last)
    return silent if silent > most else None


def orders_after(
    connection: Connection, merchant: str, after: tuple[str, str] | None, limit: int, *, undecided: bool
) -> Rows:
    """Orders by source and reference; with `undecided` only those with a rule whose condition failed."""
    statement = select(
        order_state.c.source,
        order_state.c.reference,
        order_state.c.member,
        order_state.c.first_seen_at,
        order_state.c.updated_at,
        order_state.c.undecided,
    ).where(order_state.c.merchant == merchant)
    if undecided:
        statement = statement.where(order_state.c.undecided != "[]")
    if after is not None:
        statement = statement.where(tuple_(order_state.c.source, order_state.c.reference) > after)
    statement = statement.order_by(order_state.c.source, order_state.c.reference).limit(limit)
    return connection.execute(statement).all()


def pushes_after(
    connection: Connection,
    merchant: str,
    name: str | None,
    dead: bool | None,
    after: tuple[str, str, str] | None,
    limit: int,
) -> Rows:
    """Pushes that have not arrived, by connection, kind and member; `dead` ones were given up."""
    statement = select(push).where(push.c.merchant == merchant, push.c.wanted > push.c.sent)
    if name is not None:
        statement = statement.where(push.c.connection == name)
    if dead is not None:
        statement = statement.where(push.c.dead == int(dead))
    key = (push.c.connection, push.c.kind, push.c.member)
    if after is not None:
        statement = statement.where(tuple_(*key) > after)
    return connection.execute(statement.order_by(*key).limit(limit)).all()


def commands_before(
    connection: Connection, merchant: str, status: str | None, name: str | None, before: int | None, limit: int
) -> Rows:
    """Commands of the outbox, newest first, without what they say."""
    statement = _narrowed(select(outbox).where(outbox.c.merchant == merchant), outbox, status, name)
    if before is not None:
        statement = statement.where(outbox.c.id < before)
    return connection.execute(statement.order_by(outbox.c.id.desc()).limit(limit)).all()


def load_command(connection: Connection, merchant: str, id_: int) -> Row[Any] | None:
    """One command."""
    return connection.execute(select(outbox).where(outbox.c.merchant == merchant, outbox.c.id == id_)).one_or_none()


def references_after(connection: Connection, merchant: str, name: str, of: str | None, after: str, limit: int) -> Rows:
    """Who is known at a connection: references with members and the members' versions, by reference."""
    statement = (
        select(identity.c.reference, identity.c.member, member.c.version)
        .join(member, (member.c.merchant == identity.c.merchant) & (member.c.id == identity.c.member))
        .where(identity.c.merchant == merchant, identity.c.connection == name, identity.c.reference > after)
    )
    if of is not None:
        statement = statement.where(identity.c.member == of)
    return connection.execute(statement.order_by(identity.c.reference).limit(limit)).all()


def count_references(connection: Connection, merchant: str, name: str, of: str | None) -> int:
    """How many references `references_after` gives in all."""
    statement = select(func.count()).where(identity.c.merchant == merchant, identity.c.connection == name)
    if of is not None:
        statement = statement.where(identity.c.member == of)
    return connection.execute(statement).scalar() or 0


def count_members(connection: Connection, merchant: str) -> int:
    """How many members there are, also those who were erased."""
    return connection.execute(select(func.count()).where(member.c.merchant == merchant)).scalar() or 0


def _narrowed(
    statement: Select[*tuple[Any, ...]], table: Table, status: str | None, name: str | None
) -> Select[*tuple[Any, ...]]:
    if status is not None:
        statement = statement.where(table.c.status == status)
    return statement if name is None else statement.where(table.c.connection == name)
