"""The unit of work without an event: wallets and tiers whose time has come."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from stampcard.applying.setting import Setting, check_revision
from stampcard.applying.unit import Unit
from stampcard.clock import to_micros
from stampcard.domain.decisions import Change
from stampcard.engine.requesting import decide_settle
from stampcard.storage.entitling import due_perks, rest_perks
from stampcard.storage.proving import due_proofs, rest_proofs
from stampcard.storage.subscribing import due_plans, rest_plans
from stampcard.storage.tables import balance
from stampcard.storage.tiering import due_tiers, rest_tiers

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


def move_tiers(connection: Connection, setting: Setting, now: datetime, limit: int) -> tuple[int, list[Change]]:
    """Let time pass for up to `limit` members whose tier is due; answers how many there were and what changed.

    What is due in their wallets on the same midnight is booked first: points that expire may be what a tier follows.
    """
    check_revision(connection, setting)
    members = due_tiers(connection, setting.merchant, now, limit)
    if not members:
        return 0, []
    unit = Unit(connection, setting, now)
    unit.lock(members, attributes=False)
    due = [wallet for wallet in unit.wallets.values() if wallet.next_change_at and wallet.next_change_at <= now]
    if due:
        unit.absorb(decide_settle(unit.world, due))
    changes = unit.save()
    rest_tiers(connection, setting.merchant, members, [live.name for live in unit.tiering.live], now)
    return len(members), changes


def settle_members(connection: Connection, setting: Setting, now: datetime, members: Collection[str]) -> list[Change]:
    """Let time pass for these members before something else happens to them; what changed is told and paid as ever."""
    if not members:
        return []
    unit = Unit(connection, setting, now)
    unit.lock(members, attributes=False)
    due = [wallet for wallet in unit.wallets.values() if wallet.next_change_at and wallet.next_change_at <= now]
    unit.absorb(decide_settle(unit.world, due))
    return unit.save()


def end_lasting(connection: Connection, setting: Setting, now: datetime, limit: int) -> tuple[int, list[Change]]:
    """Let time pass for up to `limit` members one of whose perks, plans or proofs is due; answers how many and what changed."""
    check_revision(connection, setting)
    of = (due_proofs, due_plans, due_perks)
    members = sorted({member for due in of for member in due(connection, setting.merchant, now, limit)})[:limit]
    if not members:
        return 0, []
    unit = Unit(connection, setting, now)
    unit.lock(members, attributes=False)
    changes = unit.save()
    rest_perks(connection, setting.merchant, members, now)
    rest_plans(connection, setting.merchant, members, now)
    rest_proofs(connection, setting.merchant, members, now)
    return len(members), changes
