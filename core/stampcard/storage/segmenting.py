"""Which members are in which segments, as rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, func, select, tuple_

from stampcard.clock import to_micros
from stampcard.storage import saving
from stampcard.storage.tables import segment_member

_M: BindParameter[str] = bindparam("merchant")
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_OF = select(segment_member).where(segment_member.c.merchant == _M, segment_member.c.member.in_(_IDS))
#: (member, program, segment)
Place = tuple[str, str, str]


def load_segments(connection: Connection, merchant: str, members: Collection[str]) -> dict[str, dict[str, set[str]]]:
    """Member → program → the segments that the member is in."""
    found: dict[str, dict[str, set[str]]] = {}
    if members:
        for row in connection.execute(_OF, {"merchant": merchant, "ids": sorted(members)}):
            found.setdefault(row.member, {}).setdefault(row.program, set()).add(row.segment)
    return found


def save_segments(
    connection: Connection, merchant: str, entered: Iterable[Place], left: Collection[Place], now: datetime
) -> None:
    """Write who came and who went."""
    rows = [
        {"merchant": merchant, "member": member, "program": program, "segment": segment, "since": to_micros(now)}
        for member, program, segment in entered
    ]
    saving.insert_new(connection, "segment_member", rows)
    if left:
        place = tuple_(segment_member.c.member, segment_member.c.program, segment_member.c.segment)
        connection.execute(delete(segment_member).where(segment_member.c.merchant == merchant, place.in_(sorted(left))))


def count_segments(connection: Connection, merchant: str) -> dict[tuple[str, str], int]:
    """(program, segment) → how many members are in it."""
    of = select(segment_member.c.program, segment_member.c.segment, func.count())
    statement = of.where(segment_member.c.merchant == merchant)
    found = connection.execute(statement.group_by(segment_member.c.program, segment_member.c.segment))
    return {(program, segment): int(count) for program, segment, count in found}


def members_in(connection: Connection, merchant: str, program: str, segment: str, after: str, limit: int) -> list[str]:
    """The next members of a segment behind one."""
    statement = select(segment_member.c.member).where(
        segment_member.c.merchant == merchant,
        segment_member.c.program == program,
        segment_member.c.segment == segment,
        segment_member.c.member > after,
    )
    return list(connection.execute(statement.order_by(segment_member.c.member).limit(limit)).scalars())
