"""Which members have which perks, and how they used them, as rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BindParameter, Connection, Row, bindparam, func, select, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.perks import Entitlement, PerkUse
from stampcard.engine.entitling import tags_of
from stampcard.storage import saving
from stampcard.storage.rows import micros, moment, to_json
from stampcard.storage.tables import perk, perk_use

#: After how long a perk that could not be looked at is looked at again.
PATIENCE = timedelta(days=1)
_ONE = msgspec.json.Decoder(Entitlement)
_M: BindParameter[str] = bindparam("merchant")
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_OF = select(perk.c.member, perk.c.program, perk.c.name, perk.c.state).where(
    perk.c.merchant == _M, perk.c.member.in_(_IDS)
)
_USES = select(perk_use).where(perk_use.c.merchant == _M, perk_use.c.member == bindparam("member"))
_DUE = (
    select(perk.c.member)
    .where(perk.c.merchant == _M, perk.c.next_at <= bindparam("now"))
    .order_by(perk.c.next_at)
    .limit(bindparam("most"))
)
#: Member → program → perk.
Known = dict[str, dict[str, dict[str, Entitlement]]]


def load_perks(connection: Connection, merchant: str, members: Collection[str]) -> Known:
    """All that is known of the members' perks."""
    found: Known = {}
    if members:
        for row in connection.execute(_OF, {"merchant": merchant, "ids": sorted(members)}):
            found.setdefault(row.member, {}).setdefault(row.program, {})[row.name] = _ONE.decode(row.state)
    return found


def load_tags(
    connection: Connection, merchant: str, members: Collection[str], now: datetime
) -> dict[str, frozenset[str]]:
    """Member → what they are to be marked with."""
    known = load_perks(connection, merchant, members)
    return {member: tags_of(known.get(member, {}), now) for member in members}


def save_perks(connection: Connection, merchant: str, perks: Mapping[tuple[str, str, str], Entitlement]) -> None:
    """Write perks by (member, program, name)."""
    rows = [
        {
            "merchant": merchant,
            "member": member,
            "program": program,
            "name": name,
            "has": int(one.has),
            "next_at": micros(one.next_at),
            "state": to_json(one),
        }
        for (member, program, name), one in perks.items()
    ]
    saving.upsert(connection, "perk", rows)


def due_perks(connection: Connection, merchant: str, now: datetime, limit: int) -> list[str]:
    """Members one of whose perks time alone may have changed, the longest due first."""
    parameters = {"merchant": merchant, "now": to_micros(now), "most": limit}
    return sorted(set(connection.execute(_DUE, parameters).scalars()))


def rest_perks(connection: Connection, merchant: str, members: Collection[str], now: datetime) -> None:
    """Let what could not be looked at wait."""
    statement = update(perk).where(
        perk.c.merchant == merchant, perk.c.member.in_(sorted(members)), perk.c.next_at <= to_micros(now)
    )
    connection.execute(statement.values(next_at=to_micros(now + PATIENCE)))


def load_uses(connection: Connection, merchant: str, member: str, program: str = "", name: str = "") -> list[PerkUse]:
    """A member's uses, of all perks or of one, the newest first."""
    statement = _USES.order_by(perk_use.c.used_at.desc(), perk_use.c.key)
    if name:
        statement = statement.where(perk_use.c.program == program, perk_use.c.name == name)
    return [_use(row) for row in connection.execute(statement, {"merchant": merchant, "member": member})]


def save_uses(connection: Connection, merchant: str, uses: Iterable[tuple[str, PerkUse]]) -> None:
    """Write uses of members."""
    rows = [
        {
            "merchant": merchant,
            "member": member,
            "program": one.program,
            "name": one.name,
            "key": one.key,
            "used_at": to_micros(one.used_at),
            "cancelled_at": micros(one.cancelled_at),
            "source": one.source,
            "note": one.note,
        }
        for member, one in uses
    ]
    saving.upsert(connection, "perk_use", rows)


def _use(row: Row[Any]) -> PerkUse:
    return PerkUse(
        program=row.program,
        name=row.name,
        key=row.key,
        used_at=from_micros(row.used_at),
        source=row.source,
        note=row.note,
        cancelled_at=moment(row.cancelled_at),
    )


def count_perks(connection: Connection, merchant: str) -> dict[tuple[str, str], int]:
    """(program, perk) → how many members have it."""
    of = select(perk.c.program, perk.c.name, func.count()).where(perk.c.merchant == merchant, perk.c.has == 1)
    return {
        (program, name): int(n) for program, name, n in connection.execute(of.group_by(perk.c.program, perk.c.name))
    }


def members_with(connection: Connection, merchant: str, program: str, name: str, after: str, limit: int) -> list[str]:
    """The next members who have a perk behind one."""
    statement = select(perk.c.member).where(
        perk.c.merchant == merchant,
        perk.c.program == program,
        perk.c.name == name,
        perk.c.has == 1,
        perk.c.member > after,
    )
    return list(connection.execute(statement.order_by(perk.c.member).limit(limit)).scalars())
