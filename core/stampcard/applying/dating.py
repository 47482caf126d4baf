"""The unit of work that gives points a date once a wallet's expiry was switched on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from sqlalchemy import Connection, func, select

from stampcard.applying.setting import Setting, check_revision
from stampcard.applying.unit import Unit
from stampcard.domain.decisions import Change
from stampcard.engine.gauging import tier_name
from stampcard.engine.versions import LiveProgram, Programs
from stampcard.engine.waiting import date_undated
from stampcard.engine.world import Decision
from stampcard.storage.tables import balance


def switched_on(programs: Programs, now: datetime) -> Iterator[tuple[LiveProgram, str]]:
    """Every version that is valid by now and whose wallet expires, where that of the version before did not."""
    for versions in programs.versions.values():
        for before, after in pairwise(versions):
            for name, terms in after.program.wallets.items():
                old = before.program.wallets.get(name)
                if old is not None and old.expire is None and terms.expire is not None and after.valid_from <= now:
                    yield after, name


def date_points(
    connection: Connection, setting: Setting, now: datetime, live: LiveProgram, wallet: str, after: str, limit: int
) -> tuple[int, str, list[Change]]:
    """Date the undated points of the next members behind `after`; answers how many, behind whom to go on, what changed."""
    check_revision(connection, setting)
    statement = select(balance.c.member).where(
        balance.c.merchant == setting.merchant, balance.c.wallet == wallet, balance.c.member > after
    )
    found = list(connection.execute(statement.order_by(balance.c.member).limit(limit)).scalars())
    if not found:
        return 0, after, []
    unit = Unit(connection, setting, now)
    unit.lock(found, attributes=False)
    for id_ in found:
        known = unit.wallets[id_, wallet]
        dated = date_undated(known, live, live.valid_from, tier_name(unit.members[id_], live.name))
        if dated is not known:
            unit.absorb(Decision(wallets=(dated,)))
    return len(found), found[-1], unit.save()


def count_wallets(connection: Connection, merchant: str, wallet: str) -> int:
    """How many members have such a wallet."""
    statement = select(func.count()).where(balance.c.merchant == merchant, balance.c.wallet == wallet)
    return connection.execute(statement).scalar() or 0
