"""Messages as people look at them: lists, one with its steps, and addresses that get none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select

from stampcard.clock import from_micros, to_micros
from stampcard.domain.value import Value
from stampcard.sealing import Sealer
from stampcard.storage.rows import moment, open_object
from stampcard.storage.tables import message, suppression


class Sought(Value, frozen=True):
    """Which messages; what is empty does not matter."""

    program: str = ""
    name: str = ""
    channel: str = ""
    state: str = ""
    member: str = ""


def messages_before(
    connection: Connection, merchant: str, sought: Sought, before: int | None, limit: int
) -> Sequence[Row[Any]]:
    """Messages, the newest first, from one on."""
    statement = select(message).where(message.c.merchant == merchant)
    for name in ("program", "name", "channel", "state", "member"):
        wanted = getattr(sought, name)
        if wanted:
            statement = statement.where(message.c[name] == wanted)
    if before is not None:
        statement = statement.where(message.c.id < before)
    return connection.execute(statement.order_by(message.c.id.desc()).limit(limit)).all()


def one_message(connection: Connection, merchant: str, id_: int) -> Row[Any] | None:
    """One of them."""
    return connection.execute(select(message).where(message.c.merchant == merchant, message.c.id == id_)).one_or_none()


class Kept(Value, frozen=True):
    """A message that its member can fetch."""

    id: int
    name: str
    program: str
    title: str
    text: str
    link: str
    language: str
    at: datetime
    until: datetime | None
    read_at: datetime | None


def kept_messages(
    connection: Connection, merchant: str, sealer: Sealer, member: str, channel: str, now: datetime, limit: int
) -> list[Kept]:
    """What a member can fetch by a channel now, the newest first."""
    statement = select(message).where(*_there(merchant, member, channel, now))
    statement = statement.order_by(message.c.id.desc()).limit(limit)
    return [_kept(merchant, sealer, row) for row in connection.execute(statement)]


def count_unread(connection: Connection, merchant: str, member: str, channel: str, now: datetime) -> int:
    """How many of those that a member can fetch nobody has read."""
    there = _there(merchant, member, channel, now)
    statement = select(func.count()).select_from(message).where(*there, message.c.read_at.is_(None))
    return connection.execute(statement).scalar_one()


def _there(merchant: str, member: str, channel: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        message.c.merchant == merchant,
        message.c.member == member,
        message.c.channel == channel,
        message.c.state.in_(("delivered", "opened", "clicked")),
        message.c.dismissed_at.is_(None),
        message.c.keep_until > to_micros(now),
    )


def _kept(merchant: str, sealer: Sealer, row: Row[Any]) -> Kept:
    content = open_object(sealer, row.content_sealed, f"message:{merchant}:{row.id}")
    return Kept(
        id=row.id,
        name=row.name,
        program=row.program,
        title=str(content.get("subject", "")),
        text=str(content.get("text", "")),
        link=str(content.get("link", "")),
        language=row.language,
        at=from_micros(row.attempted_at or row.created_at),
        until=moment(row.keep_until),
        read_at=moment(row.read_at),
    )


class Suppression(Value, frozen=True):
    """An address that gets nothing by a channel; `address` is empty where only its fingerprint is known."""

    channel: str
    print: str
    address: str
    reason: str
    at: datetime
    source: str
    note: str


def suppressions_before(
    connection: Connection,
    merchant: str,
    sealer: Sealer,
    channel: str,
    before: tuple[int, str, str] | None,
    limit: int,
) -> list[Suppression]:
    """Addresses that get nothing, the latest first."""
    from sqlalchemy import tuple_

    key = (suppression.c.at, suppression.c.channel, suppression.c.print)
    statement = select(suppression).where(suppression.c.merchant == merchant)
    if channel:
        statement = statement.where(suppression.c.channel == channel)
    if before is not None:
        statement = statement.where(tuple_(*key) < before)
    found = connection.execute(statement.order_by(*(one.desc() for one in key)).limit(limit))
    return [suppression_of(merchant, sealer, row) for row in found]


def suppression_of(merchant: str, sealer: Sealer, row: Row[Any]) -> Suppression:
    """What a row says."""
    about = f"suppression:{merchant}:{row.channel}:{row.print}"
    return Suppression(
        channel=row.channel,
        print=row.print,
        address=str(open_object(sealer, row.address_sealed, about).get("address", "")),
        reason=row.reason,
        at=from_micros(row.at),
        source=row.source,
        note=row.note,
    )


def release(connection: Connection, merchant: str, channel: str, print_: str) -> bool:
    """Let an address get messages again; False where nothing held it."""
    gone = delete(suppression).where(
        suppression.c.merchant == merchant, suppression.c.channel == channel, suppression.c.print == print_
    )
    return connection.execute(gone).rowcount > 0
