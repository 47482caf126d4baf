"""Several processes under one budget on PostgreSQL: all of it is given, and not a point more."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import func, select

from stampcard.storage.database import Database
from stampcard.storage.tables import award, counter, event
from stampcard.storage.verifying import verify

CROWD = Path(__file__).parent / "crowd.py"
PROCESSES, ORDERS = 4, 60


async def test_processes_that_pay_at_once_never_overshoot_a_budget(new_postgresql: Callable[[], str]) -> None:
    url = new_postgresql()
    crowd = await asyncio.create_subprocess_exec(
        sys.executable, "-P", str(CROWD), url, str(PROCESSES), str(ORDERS), stderr=asyncio.subprocess.PIPE
    )
    _, told = await crowd.communicate()
    assert crowd.returncode == 0, told.decode()

    with closing(Database(url)) as database:
        granted = select(award.c.rule, func.sum(award.c.granted)).group_by(award.c.rule)
        points = {rule: int(total) for rule, total in database.read_now(lambda c: c.execute(granted).all())}
        whole = select(counter.c.scope, counter.c.value).where(counter.c.member == "")
        counted = {scope: int(value) for scope, value in database.read_now(lambda c: c.execute(whole).all())}
        found = database.read_now(lambda connection: verify(connection, "main"))
        alerts = select(func.count()).select_from(event).where(event.c.kind == "alert")
        told_of = database.read_now(lambda c: c.execute(alerts).scalar())

    assert points == {"points": 995, "first": 70 * 3, "money": 1234}
    assert counted == {
        "campaign:points:points/ever/all": 995,
        "campaign:first:members/ever/all": 70,
        "campaign:money:money/day/all": 12_340_000,
    }
    assert (found.findings, found.total) == ((), 0)
    assert told_of == 6, "each budget tells once that it is nearly used, and once that it is used up"
