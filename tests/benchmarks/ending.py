"""The end of a period for the tiers of very many members at once: what each takes, and memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import samples
from measuring import Scale
from reporting import Figure

from stampcard.applying.setting import Setting
from stampcard.applying.settling import move_tiers
from stampcard.clock import to_micros
from stampcard.domain.tiers import Holding, Tier
from stampcard.engine.versions import assembled, compiled
from stampcard.program.reading import read_program
from stampcard.storage.database import Database
from stampcard.storage.rows import to_json

#: Members that one transaction moves, and that one writes beforehand.
BATCH, AT_ONCE = 500, 50_000
END = datetime(2026, 12, 31, 23, tzinfo=UTC)
PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
tiers: {by: points, within: calendar year, levels: {green: 0, silver: 100, gold: 500}}
rules: [{id: buy, on: purchase, award: 1 per 1 EUR}]
"""


def measure(scale: Scale) -> Iterator[Figure]:
    """Few members, then many, in a database of their own; of three members one keeps the tier."""
    few, _ = _ended(scale.few_members)
    many, early = _ended(scale.members)
    also = f"{scale.members:,} members in {many * scale.members / 1e6:.0f} s, {scale.few_members:,} beside them"
    yield Figure(name="ending", rounds=((many, few),), also=also)
    yield Figure(name="ending-memory", rounds=((_memory(), early),))


def _ended(members: int) -> tuple[float, float]:
    """µs for each member, and MB once a tenth of them is done: what a database keeps in memory is full by then."""
    live = compiled(read_program(PROGRAM, "bench"), 1, datetime(2020, 1, 1, tzinfo=UTC))
    setting: Setting = replace(samples.setting(), programs=assembled([live], 0))
    with samples.database() as database:
        _fill(database, members)
        started, done, count, early = time.monotonic(), 0, 1, 0.0
        while count:
            count, _ = database.write_now(
                lambda connection: move_tiers(connection, setting, END + timedelta(minutes=1), BATCH)
            )
            done += count
            early = early or (_memory() if done >= members / 10 else 0.0)
        took = time.monotonic() - started
        assert done == members, f"{done} of {members} tiers were looked at"
    return took / members * 1e6, early


def _fill(database: Database, members: int) -> None:
    """Members who are silver until that midnight, with what counted last year and this one."""
    reached = Holding(
        name="silver",
        until=END,
        reached_in=(date(2025, 1, 1), date(2026, 1, 1)),
        least=100,
        measure="points:points",
    )
    since, due = datetime(2025, 3, 1, tzinfo=UTC), to_micros(END)
    tier = Tier(program="main", name="silver", since=since, until=END, holdings=(reached,), number=2, next_at=END)
    who, connection = "printf('m_%024d', i)", database.engine.raw_connection()
    run = connection.cursor().execute
    for start in range(0, members, AT_ONCE):
        last = min(start + AT_ONCE, members) - 1
        numbers = f"WITH RECURSIVE m(i) AS (SELECT {start} UNION ALL SELECT i + 1 FROM m WHERE i < {last}) "  # noqa: S608 - our own
        run("BEGIN")
        for table, values, state in (
            ("member (merchant, id, joined_at)", f"'main', {who}, 0", ()),
            ("membership (merchant, member, program, joined_at)", f"'main', {who}, 'main', 0", ()),
            (
                "tier (merchant, member, program, name, since, until, next_at, state)",
                f"'main', {who}, 'main', 'silver', {to_micros(since)}, {due}, {due}, ?",
                (to_json(tier),),
            ),
            ("progress", f"'main', {who}, 'main', 'points:points', '2025-03-01', 120", ()),
            ("progress", f"'main', {who}, 'main', 'points:points', '2026-05-01', i % 3 * 60", ()),
        ):
            run(f"{numbers}INSERT INTO {table} SELECT {values} FROM m", state)  # noqa: S608 - our own
        run("COMMIT")
    connection.close()


def _memory() -> float:
    """The most that this process has used so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
