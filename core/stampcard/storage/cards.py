"""Cards: whose number is whose, and what of a card was shown already."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, delete, select

from stampcard.clock import from_micros, to_micros
from stampcard.storage import saving
from stampcard.storage.tables import card, card_moment


def numbers_of(connection: Connection, merchant: str, members: Collection[str]) -> dict[str, str]:
    """Member → the number of their card, the newest where a merge brought several."""
    statement = (
        select(card.c.member, card.c.number)
        .where(card.c.merchant == merchant, card.c.member.in_(sorted(members)))
        .order_by(card.c.made_at, card.c.number)
    )
    return {row.member: row.number for row in connection.execute(statement)}


def holder_of(connection: Connection, merchant: str, number: str) -> str | None:
    """The member who has the card of this number."""
    statement = select(card.c.member).where(card.c.merchant == merchant, card.c.number == number)
    return connection.execute(statement).scalar()


def add_card(connection: Connection, merchant: str, member: str, number: str, now: datetime) -> bool:
    """Write down a card; False where its number is another's already."""
    row = {"merchant": merchant, "number": number, "member": member, "made_at": to_micros(now)}
    return saving.insert_new(connection, "card", [row]) == 1


def drop_cards(connection: Connection, merchant: str, members: Collection[str]) -> None:
    """Let nothing be read of these members' cards any more."""
    connection.execute(delete(card).where(card.c.merchant == merchant, card.c.member.in_(sorted(members))))


def show_once(connection: Connection, merchant: str, number: str, moment: str, scan: str, now: datetime) -> bool:
    """Note that a code of its moment was shown; False where it was before, unless it was by this very scan."""
    row = {"merchant": merchant, "number": number, "moment": moment, "scan": scan, "shown_at": to_micros(now)}
    if saving.insert_new(connection, "card_moment", [row]):
        return True
    mine = (card_moment.c.merchant == merchant, card_moment.c.number == number, card_moment.c.moment == moment)
    return connection.execute(select(card_moment.c.scan).where(*mine)).scalar() == scan


def shown_at(connection: Connection, merchant: str, number: str, moment: str, scan: str) -> datetime | None:
    """When a code of its moment was shown by this very scan."""
    mine = (card_moment.c.number == number, card_moment.c.moment == moment, card_moment.c.scan == scan)
    statement = select(card_moment.c.shown_at).where(card_moment.c.merchant == merchant, *mine)
    at = connection.execute(statement).scalar()
    return None if at is None else from_micros(at)


def forget_moments(connection: Connection, merchant: str, before: datetime, limit: int) -> int:
    """Forget what was shown before a moment, up to `limit`; answers how many."""
    old = (
        select(card_moment.c.number, card_moment.c.moment)
        .where(card_moment.c.merchant == merchant, card_moment.c.shown_at < to_micros(before))
        .order_by(card_moment.c.shown_at)
        .limit(limit)
    )
    found = connection.execute(old).all()
    for row in found:
        mine = (card_moment.c.number == row.number, card_moment.c.moment == row.moment)
        connection.execute(delete(card_moment).where(card_moment.c.merchant == merchant, *mine))
    return len(found)
