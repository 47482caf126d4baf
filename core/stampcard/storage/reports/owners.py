"""Whose entries are whose: what was booked for members who were merged into others stands with who they were."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Table, func, or_, select

from stampcard.engine.reporting import Asked
from stampcard.storage.tables import entry, member


def were_merged(connection: Connection, merchant: str) -> bool:
    """Whether anybody is another by now; where nobody is, nothing has to be looked up."""
    found = select(member.c.id).where(member.c.merchant == merchant, member.c.merged_into.is_not(None)).limit(1)
    return connection.execute(found).first() is not None


def owner(asked: Asked) -> ColumnElement[str]:
    """The member whose an entry is by now."""
    if not asked.merged:
        return entry.c.member
    into = select(member.c.merged_into).where(member.c.merchant == asked.merchant, member.c.id == entry.c.member)
    return func.coalesce(into.correlate(entry).scalar_subquery(), entry.c.member)


def is_of(asked: Asked, other: Table) -> ColumnElement[bool]:
    """Whether an entry is of the member of another table's row, or of who was merged into them."""
    if not asked.merged:
        return entry.c.member == other.c.member
    same = select(member.c.id).where(
        member.c.merchant == asked.merchant,
        or_(member.c.id == other.c.member, member.c.merged_into == other.c.member),
    )
    return entry.c.member.in_(same.correlate(other))
