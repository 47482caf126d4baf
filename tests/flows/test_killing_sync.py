"""A first look at a CRM that is killed on the way goes on where it stopped: nobody is missing, and nobody is there twice."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from stampcard.clock import SystemClock
from stampcard.storage.contacts import count_contacts
from stampcard.storage.database import Database
from stampcard.storage.sweeping import begin_sweep, load_sweep
from stampcard.testing.processes import install, starting
from stampcard.testing.waiting import eventually
from stampcard_hubspot.simulated_plan import CALM
from stampcard_hubspot.simulator import HubSpotSimulator

CONTACTS = 350
PROGRAM = """
program: club
currency: USD
timezone: America/Toronto
wallets: {points: {}}
rules:
  - {id: joining, on: sign_up, award: 50}
"""


@pytest.mark.parametrize(
    ("database_url", "point"),
    [
        ("sqlite", "while-keeping-contacts:2"),
        ("sqlite", "after-showing:2"),
        ("postgresql", "while-settling-contacts:2"),
    ],
    indirect=["database_url"],
)
async def test_nobody_is_missing_and_nobody_is_there_twice(
    database_url: str, tmp_path: Path, stampcard: Sequence[str], point: str
) -> None:
    portal = HubSpotSimulator(1, CALM)
    for number in range(CONTACTS):
        portal.add(email=f"c{number}@example.com")
    await portal.start()
    config = await asyncio.to_thread(install, tmp_path, portal, PROGRAM, plugin="hubspot", database=database_url)
    config.write_text(config.read_text(encoding="utf8") + "make_members = true\n", encoding="utf8")
    database = Database(database_url)
    try:
        database.write_now(lambda c: begin_sweep(c, "main", "shop", "sync", SystemClock().now()))
        async with starting(config, entry=stampcard, environment={"MORTAL": point, "MORTAL_HELD": "3"}) as server:
            assert await server.ended() == -signal.SIGKILL

        async def ended() -> bool:
            sweep = await database.read(lambda c: load_sweep(c, "main", "shop", "sync"))
            return sweep is not None and sweep.ended_at is not None

        async with starting(config, entry=stampcard, environment={"MORTAL_HELD": "3"}):
            await eventually("all contacts are looked through", ended, within=60)
        counted = await database.read(lambda c: count_contacts(c, "main", "shop"))
    finally:
        database.close()
        await portal.stop()
    found = portal.contacts()
    assert counted == {("linked", "", "here"): CONTACTS}
    assert len(found) == CONTACTS
    assert len({one.get("loyalty_member_id") for one in found} - {None, ""}) == CONTACTS
    assert {one.get("loyalty_points") for one in found} == {"0"}, "whoever is brought is paid nothing"
