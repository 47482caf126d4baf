"""How much members bought at capped discounts, as rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, select, tuple_

from stampcard.clock import from_micros, to_micros
from stampcard.domain.bases import BaseUse
from stampcard.storage import saving
from stampcard.storage.tables import base_use

_M: BindParameter[str] = bindparam("merchant")
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_OF = select(base_use).where(base_use.c.merchant == _M, base_use.c.member.in_(_IDS))
#: (member, program, reward, subject)
Place = tuple[str, str, str, str]


def load_bases(connection: Connection, merchant: str, members: Collection[str]) -> dict[Place, BaseUse]:
    """All that these members used of caps."""
    if not members:
        return {}
    return {
        (row.member, row.program, row.reward, row.subject): BaseUse(
            program=row.program,
            reward=row.reward,
            subject=row.subject,
            at=from_micros(row.at),
            whole=row.whole,
            allowed=row.allowed,
            kept=row.kept,
        )
        for row in connection.execute(_OF, {"merchant": merchant, "ids": sorted(members)})
    }


def save_bases(connection: Connection, merchant: str, bases: Mapping[Place, BaseUse | None]) -> None:
    """Write what was used; what is None is not there any more."""
    rows = [
        {
            "merchant": merchant,
            "member": place[0],
            "program": one.program,
            "reward": one.reward,
            "subject": one.subject,
            "at": to_micros(one.at),
            "whole": one.whole,
            "allowed": one.allowed,
            "kept": one.kept,
        }
        for place, one in bases.items()
        if one is not None
    ]
    saving.upsert(connection, "base_use", rows)
    gone = sorted(place for place, one in bases.items() if one is None)
    if gone:
        key = tuple_(base_use.c.member, base_use.c.program, base_use.c.reward, base_use.c.subject)
        connection.execute(delete(base_use).where(base_use.c.merchant == merchant, key.in_(gone)))
