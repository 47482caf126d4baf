# ruff: noqa: T201 - a script that people run
"""A long trial: all contacts of a large CRM looked through by a real server that is killed on the way, in memory that stays flat.

    python tests/benchmarks/acquainting.py [CONTACTS]

Each contact becomes a member and shows it in the end. Ends with 1 where one is missing or there twice, or where a call shows
fewer than 80. What `make test` runs of it is small: tests/flows/test_killing_sync.py.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from remembering import resident

from stampcard.clock import SystemClock
from stampcard.storage.database import Database
from stampcard.storage.sweeping import Sweep, begin_sweep, load_sweep
from stampcard.testing.processes import Server, install, starting
from stampcard_hubspot.simulated_plan import CALM
from stampcard_hubspot.simulator import HubSpotSimulator

CONTACTS = 100_000
#: Seconds between two looks at the server, and of its life before it is killed.
LOOK, LIFE = 1.0, 45.0
KILLS = 3
LEAST = 80
PROGRAM = """
program: club
currency: USD
timezone: America/Toronto
wallets: {points: {}}
rules:
  - {id: joining, on: sign_up, award: 50}
  - {id: buy, on: purchase, award: 1 per 1 USD}
rewards:
  mug: {gives: merchandise, price: 200}
"""


class Watch:
    """Looks at how far it is, and at the server's memory (MB)."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.course: list[tuple[int, float]] = []

    def sweep(self) -> Sweep:
        found = self.database.read_now(lambda connection: load_sweep(connection, "main", "shop", "sync"))
        assert found is not None
        return found

    def look(self, server: Server) -> Sweep:
        found = self.sweep()
        self.course.append((found.done + found.progress.shown, resident(server.pid)))
        return found


async def _run(folder: Path, contacts: int) -> bool:
    portal, url = HubSpotSimulator(1, CALM), f"sqlite:///{folder / 'stampcard.db'}"
    for number in range(contacts):
        portal.add(email=f"c{number}@example.com", firstname=f"Name {number}", phone=f"+1416{number:07d}")
    await portal.start()
    config = await asyncio.to_thread(install, folder, portal, PROGRAM, plugin="hubspot", database=url)
    config.write_text(config.read_text(encoding="utf8") + "make_members = true\n", encoding="utf8")
    watch = Watch(Database(url))
    try:
        watch.database.write_now(lambda c: begin_sweep(c, "main", "shop", "sync", SystemClock().now()))
        began = time.monotonic()
        for life in range(KILLS + 1):
            await _live(config, watch, LIFE if life < KILLS else None)
        print(f"{contacts / (time.monotonic() - began):.0f} contacts a second, {KILLS} kills among them")
        return _check(portal, watch, contacts)
    finally:
        watch.database.close()
        await portal.stop()


async def _live(config: Path, watch: Watch, seconds: float | None) -> None:
    """One life of a server: to its end, or until it is killed."""
    async with starting(config) as server:
        began = time.monotonic()
        while seconds is None or time.monotonic() - began < seconds:
            if watch.look(server).ended_at is not None:
                break
            await asyncio.sleep(LOOK)
        server.kill()


def _check(portal: HubSpotSimulator, watch: Watch, contacts: int) -> bool:
    found = portal.contacts()
    ids = {one.get("loyalty_member_id") for one in found} - {None, ""}
    shown = sum(one.get("loyalty_points") == "0" for one in found)
    written = [call.inputs for call in portal.calls if call.path.endswith("batch/update")]
    each = sum(written) / max(1, len(written))
    print(f"{len(found)} contacts, {len(ids)} of them different members, {shown} show their points")
    print(f"{len(written)} calls wrote {each:.1f} contacts each; {len(portal.calls)} calls in all")
    course = watch.course[:: max(1, len(watch.course) // 16)]
    print("memory of the server after so many steps:", ", ".join(f"{done}: {now:.0f} MB" for done, now in course))
    return (len(found), len(ids), shown) == (contacts, contacts, contacts) and each >= LEAST


def main() -> None:
    """Run the trial."""
    contacts = int(sys.argv[1]) if len(sys.argv) > 1 else CONTACTS
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if asyncio.run(_run(Path(folder), contacts)) else 1)


if __name__ == "__main__":
    main()
