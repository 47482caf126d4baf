"""Tiers of members, and what counts towards them, as rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BindParameter, Connection, bindparam, func, select, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.tiers import Tier
from stampcard.engine.progressing import ProgressKey
from stampcard.storage import saving
from stampcard.storage.loading import sources_of
from stampcard.storage.rows import micros, to_json
from stampcard.storage.tables import entry, progress, tier

#: After how long a tier that could not be looked at is looked at again.
PATIENCE = timedelta(days=1)
_TIER = msgspec.json.Decoder(Tier)
_M: BindParameter[str] = bindparam("merchant")
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_TIERS = select(tier.c.member, tier.c.program, tier.c.state).where(tier.c.merchant == _M, tier.c.member.in_(_IDS))
_NEXT = select(tier.c.member, tier.c.program, tier.c.next_at).where(tier.c.merchant == _M, tier.c.member.in_(_IDS))
_REST = (
    update(tier)
    .where(
        tier.c.merchant == bindparam("b_merchant"),
        tier.c.member == bindparam("b_member"),
        tier.c.program == bindparam("b_program"),
    )
    .values(next_at=bindparam("next_at"))
)
_PROGRESS = select(progress).where(progress.c.merchant == _M, progress.c.member.in_(_IDS))
_DUE = (
    select(tier.c.member)
    .where(tier.c.merchant == _M, tier.c.next_at <= bindparam("now"))
    .order_by(tier.c.next_at)
    .limit(bindparam("most"))
)


def load_tiers(connection: Connection, merchant: str, members: Collection[str]) -> dict[str, dict[str, Tier]]:
    """Member → program → tier."""
    found: dict[str, dict[str, Tier]] = {}
    if members:
        for row in connection.execute(_TIERS, {"merchant": merchant, "ids": sorted(members)}):
            found.setdefault(row.member, {})[row.program] = _TIER.decode(row.state)
    return found


def load_progress(connection: Connection, merchant: str, members: Collection[str]) -> dict[ProgressKey, int]:
    """All that counts towards tiers of these members."""
    if not members:
        return {}
    found = connection.execute(_PROGRESS, {"merchant": merchant, "ids": sorted(members)})
    return {ProgressKey(row.member, row.program, row.measure, date.fromisoformat(row.day)): row.amount for row in found}


def due_tiers(connection: Connection, merchant: str, now: datetime, limit: int) -> list[str]:
    """Members whose tier time alone may have changed, the longest due first."""
    parameters = {"merchant": merchant, "now": to_micros(now), "most": limit}
    return sorted(set(connection.execute(_DUE, parameters).scalars()))


def save_tiers(connection: Connection, merchant: str, tiers: Iterable[tuple[str, Tier]]) -> None:
    """Write tiers of members."""
    saving.upsert(connection, "tier", [_row(merchant, member, one) for member, one in tiers])


def _row(merchant: str, member: str, one: Tier) -> dict[str, Any]:
    return {
        "merchant": merchant,
        "member": member,
        "program": one.program,
        "name": one.name,
        "since": to_micros(one.since),
        "until": micros(one.until),
        "next_at": micros(one.next_at),
        "state": to_json(one),
    }


def save_progress(connection: Connection, merchant: str, figures: Mapping[ProgressKey, int]) -> None:
    """Write what counts."""
    rows = [
        {"merchant": merchant, **key._asdict(), "day": key.day.isoformat(), "amount": amount}
        for key, amount in figures.items()
    ]
    saving.upsert(connection, "progress", rows)


def rest_tiers(
    connection: Connection, merchant: str, members: Collection[str], programs: Collection[str], now: datetime
) -> None:
    """Let what could not be looked at wait, and for good where the program has no tiers any more."""
    # Found by key and written by key: asked for what is due, a database goes through all that is.
    found = connection.execute(_NEXT, {"merchant": merchant, "ids": sorted(members)})
    at, later = to_micros(now), to_micros(now + PATIENCE)
    rows = [
        {"b_merchant": merchant, "b_member": row.member, "b_program": row.program,
         "next_at": later if row.program in programs else None}
        for row in found
        if row.next_at is not None and row.next_at <= at
    ]  # fmt: skip
    if rows:
        connection.execute(_REST, rows)


def paid_at(connection: Connection, merchant: str, member: str, subject: str) -> datetime | None:
    """When points came to a member for a subject."""
    both = [member, *sources_of(connection, merchant, [member])]
    statement = select(func.min(entry.c.occurred_at)).where(
        entry.c.merchant == merchant, entry.c.member.in_(both), entry.c.subject == subject, entry.c.kind == "earn"
    )
    found = connection.execute(statement).scalar()
    return None if found is None else from_micros(found)


def count_tiers(connection: Connection, merchant: str) -> dict[tuple[str, str], int]:
    """(program, tier) → how many members have it."""
    statement = select(tier.c.program, tier.c.name, func.count()).where(tier.c.merchant == merchant, tier.c.name != "")
    found = connection.execute(statement.group_by(tier.c.program, tier.c.name))
    return {(program, name): int(count) for program, name, count in found}
