"""One day that brings a reminder to very many members: how many are written down in a second, and memory."""

from __future__ import annotations

import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import samples
from applying import Recording, _copied
from measuring import Scale
from processes import running
from reporting import Figure

from stampcard.applying.reminding import remind
from stampcard.applying.setting import Setting
from stampcard.clock import to_micros
from stampcard.domain.value import Value
from stampcard.engine.announcing import Way
from stampcard.engine.versions import LiveProgram, assembled, compiled
from stampcard.inbox.timing import Step, _keeping_place
from stampcard.program.reading import read_program
from stampcard.sealing import new_key_text
from stampcard.storage.database import Database
from stampcard.storage.jobs import begin_job
from stampcard.storage.rows import seal_object

#: In so many parts memory is looked at; what a database keeps in it is full after the first.
PARTS = 5
#: Members that one transaction writes beforehand.
AT_ONCE = 10_000
LAST_DAY, NAME = date(2026, 12, 31), "expiring"
#: The points die at the midnight behind their last day, in Berlin.
DIES = datetime(2026, 12, 31, 23, tzinfo=UTC)
NOW = datetime(2026, 12, 28, 9, 30, tzinfo=UTC)
JOB = f"remind:main:{NAME}:{NOW.date()}"
PROGRAM = """
program: main
name: Bean Club
currency: EUR
timezone: Europe/Berlin
wallets: {points: {expire: 12 months}}
rules: [{id: buy, on: purchase, award: 1 per 1 EUR}]
messages:
  expiring: {on: 3 days before points_expire, use: points_expiring, purpose: transactional}
"""
_DUE = """
SELECT wallet, expires_at, member FROM lot
WHERE merchant = 'main' AND wallet = 'points' AND remaining > 0 AND active = 1 AND expires_at = ? AND member > ?
ORDER BY wallet, expires_at, member LIMIT 500
"""


class Part(Value, frozen=True):
    """How many are written down in all, how long the last part took (s), and the most memory so far (MB)."""

    done: int
    took: float
    memory: float


def measure(scale: Scale) -> Iterator[Figure]:
    """All of them once, in a process of its own; the same rows by hand into a copy."""
    key = new_key_text()
    with samples.database() as database, tempfile.TemporaryDirectory(prefix="stampcard-bench-") as folder:
        _fill(database, scale.members, key)
        assert database.path is not None
        again, floor = (_copied(database.path, Path(folder) / f"{name}.db") for name in ("again", "floor"))
        with running(work, database.url, key) as child:
            seen = [child.ask(scale.members * part // PARTS) for part in range(1, PARTS + 1)]
        assert seen[-1].done == scale.members, f"{seen[-1].done} of {scale.members} were reminded"
        took, early, late = sum(one.took for one in seen), seen[0].memory, seen[-1].memory
        bare = _by_hand(f"sqlite:///{again}", floor, key, scale.members)
    course = ", ".join(f"{one.done:,}: {one.memory:.0f} MB" for one in seen)
    also = f"{scale.members:,} members in {took:.0f} s; memory after so many of them: {course}"
    yield Figure(name="reminders", rounds=((scale.members / took, bare),), also=also)
    yield Figure(name="reminders-memory", rounds=((late, early),))


def work(pipe: Pipe, url: str, key: str) -> None:
    """A process that goes on until so many are written down, as the timer does, each time that it is told how many."""
    with closing(Database(url)) as database:
        database.write_now(lambda connection: begin_job(connection, "main", JOB, 0, NOW))
        written, done = _written(database, _setting(key)), 0
        pipe.send("ready")
        with suppress(EOFError):
            while True:
                wanted, started = pipe.recv(), time.perf_counter()
                while done < wanted:
                    done = next(written)
                pipe.send(Part(done=done, took=time.perf_counter() - started, memory=_memory()))


def _written(database: Database, setting: Setting) -> Iterator[int]:
    """Step after step; how many are done by then."""
    (live,) = setting.programs.current(NOW)
    place, done, count = "", 0, 1
    while count:
        step = _step(live, place, done)
        count, place, _ = database.write_now(lambda connection: step(connection, setting, NOW))  # noqa: B023 - runs at once
        done += count
        if count:
            yield done


def _step(live: LiveProgram, place: str, done: int) -> Step:
    return _keeping_place(partial(remind, live=live, name=NAME, day=NOW.date()), place, JOB, done)


def _by_hand(url: str, floor: Path, key: str, members: int) -> float:
    """The floor: find who is due and write the same rows, a second; recorded batch by batch, so that memory is enough."""
    spent, after = 0.0, ""
    with closing(Database(url)) as database, closing(sqlite3.connect(floor, isolation_level=None)) as bare:
        database.write_now(lambda connection: begin_job(connection, "main", JOB, 0, NOW))
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536"):
            bare.execute(f"PRAGMA {pragma}")
        with Recording() as recording:
            recording.batches.append([])
            for _ in _written(database, _setting(key)):
                started = time.perf_counter()
                bare.execute("BEGIN IMMEDIATE")
                found = bare.execute(_DUE, (to_micros(DIES), after)).fetchall()
                for text, rows in recording.batches[-1]:
                    bare.executemany(text, rows)
                bare.execute("COMMIT")
                spent += time.perf_counter() - started
                after = found[-1][2]
                recording.batches[-1].clear()
        (written,) = bare.execute("SELECT count(*) FROM message").fetchone()
    assert written == members, f"{written} of {members} were written by hand"
    return members / spent


def _setting(key: str) -> Setting:
    """An engine with the program, and a connection that mails."""
    live = compiled(read_program(PROGRAM, "bench"), 1, datetime(2020, 1, 1, tzinfo=UTC))
    way = Way(connection="mail", channel="email", form="mail", needs="email")
    return replace(samples.setting(key), programs=assembled([live], 0), ways={"email": (way,)})


def _fill(database: Database, members: int, key: str) -> None:
    """Members with an address, whose points of last year die all at once, and this year's later."""
    sealer, bought = samples.setting(key).sealer, DIES - timedelta(days=365)
    later = DIES + timedelta(days=300)
    with closing(database.engine.raw_connection()) as connection:
        run, many = connection.cursor().execute, connection.cursor().executemany
        for start in range(0, members, AT_ONCE):
            people = [f"m_{number:024d}" for number in range(start, min(start + AT_ONCE, members))]
            run("BEGIN")
            many(
                "INSERT INTO member (merchant, id, joined_at, attributes_sealed) VALUES ('main', ?, 0, ?)",
                [(who, seal_object(sealer, {"email": f"{who}@example.com"}, f"member:main:{who}")) for who in people],
            )
            many(
                "INSERT INTO membership (merchant, member, program, joined_at) VALUES ('main', ?, 'main', 0)",
                [(who,) for who in people],
            )
            many(
                "INSERT INTO balance (merchant, member, wallet, active, issued, entries, opened, booked_to, next_change_at)"
                " VALUES ('main', ?, 'points', 100, -100, 2, 2, ?, ?)",
                [(who, to_micros(NOW), to_micros(DIES)) for who in people],
            )
            many(
                "INSERT INTO lot (merchant, member, wallet, number, amount, remaining, active, available_from, expires_at,"
                " occurred_at, subject) VALUES ('main', ?, 'points', ?, 50, 50, 1, ?, ?, ?, 'order:shop:' || ? || ?)",
                [
                    (who, number, to_micros(bought), to_micros(end), to_micros(bought), who, number)
                    for who in people
                    for number, end in ((1, DIES), (2, later))
                ],
            )
            run("COMMIT")


def _memory() -> float:
    """The most that this process has used so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
