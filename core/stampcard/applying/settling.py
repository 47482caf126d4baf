"""The unit of work without an event: wallets whose time has come."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from stampcard.applying.setting import Setting, check_revision
from stampcard.applying.unit import Unit
from stampcard.clock import to_micros
from stampcard.domain.decisions import Change
from stampcard.engine.requesting import decide_settle
from stampcard.storage.tables import balance

_DUE = (
    select(balance.c.member)
    .where(balance.c.merchant == bindparam("merchant"), balance.c.next_change_at <= bindparam("now"))
    .order_by(balance.c.next_change_at)
    .limit(bindparam("most"))
)


def settle_due(connection: Connection, setting: Setting, now: datetime, limit: int) -> tuple[int, list[Change]]:
    """Book up to `limit` due wallets; answers how many there were and what changed."""
    check_revision(connection, setting)
    parameters = {"merchant": setting.merchant, "now": to_micros(now), "most": limit}
    members = sorted(set(connection.execute(_DUE, parameters).scalars()))
    if not members:
        return 0, []
    unit = Unit(connection, setting, now)
    unit.lock(members, attributes=False)
    due = [wallet for wallet in unit.wallets.values() if wallet.next_change_at and wallet.next_change_at <= now]
    unit.absorb(decide_settle(unit.world, due))
    return len(due), unit.save()
