"""Applying real orders under 20 rules, beside hand-written SQL that reads the same bodies and writes the same rows."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, Self

import psycopg
import samples
from measuring import Scale
from postgresql import Server
from processes import running
from reporting import Figure
from sqlalchemy import Connection, make_url

from stampcard.applying.deliveries import apply_deliveries
from stampcard.clock import SystemClock
from stampcard.inbox.preparing import prepare
from stampcard.sealing import new_key_text
from stampcard.storage import saving
from stampcard.storage.database import Database
from stampcard.storage.inboxing import claim, take_in

BATCH = 200
#: What one worker did: how many deliveries, from when to when by the machine's monotonic clock.
Spell = tuple[int, float, float]
#: As the driver gets it: parameters for each row in a list, or all rows' in one object.
Statement = tuple[str, Any]
Bodies = Sequence[tuple[str, bytes]]
_READY = "SELECT id, body_sealed FROM inbox WHERE status = 'ready' ORDER BY id LIMIT 200"


class Recording:
    """Every statement that a unit of work ran for many rows, batch by batch, as the driver got it."""

    def __init__(self) -> None:
        self.batches: list[list[Statement]] = []
        self._real = saving.execute_many

    def __enter__(self) -> Self:
        def recorded(connection: Connection, statement: Any, rows: Sequence[Any]) -> int:
            text, parameters = saving._text(statement, connection.dialect, tuple(rows[0]))
            if self.batches:
                self.batches[-1].append((text, parameters(rows)))
            return self._real(connection, statement, rows)

        saving.execute_many = recorded
        return self

    def __exit__(self, *_: object) -> None:
        saving.execute_many = self._real


def measure(scale: Scale, server: Server) -> Iterator[Figure]:
    """Both engines with one worker, then PostgreSQL with two, then batches of one."""
    bodies = samples.orders(scale.orders)
    few = bodies[: scale.single_orders]
    seen: dict[str, list[tuple[float, float]]] = {}
    for _ in range(scale.rounds):
        for kind, pairs in (("sqlite", _on_sqlite(bodies, few)), ("postgresql", _on_postgresql(bodies, few, server))):
            for name, pair in pairs.items():
                seen.setdefault(f"apply-{kind}{name}", []).append(pair)
    shared = Figure(name="apply-postgresql-two", rounds=tuple(seen.pop("apply-postgresql-two-shared")))
    size = sum(len(body) for _, body in bodies) / len(bodies)
    also = {
        "apply-sqlite": f"bodies of {size / 1000:.1f} kB",
        "apply-postgresql-two": f"orders of different customers; ×{shared.ratio:.2f} where batches share customers",
    }
    for name, rounds in seen.items():
        yield Figure(name=name, rounds=tuple(rounds), also=also.get(name, ""))


def _on_sqlite(bodies: Bodies, few: Bodies) -> dict[str, tuple[float, float]]:
    key = new_key_text()
    with filled_file(bodies, key) as path, tempfile.TemporaryDirectory() as folder:
        floor = _copied(path, Path(folder) / "floor.db")
        again = _copied(path, Path(folder) / "again.db")
        ours = drained(f"sqlite:///{path}", key)
        # Recorded in a second pass over a copy, so that recording costs our own figure nothing.
        raw = replayed_on_sqlite(floor, recorded(f"sqlite:///{again}", key), len(bodies))
    with filled_file(few, key) as path:
        single = drained(f"sqlite:///{path}", key, size=1)
    with filled_file(bodies, key) as path:
        ranked = drained(f"sqlite:///{path}", key, more=samples.RANKS)
    return {"": (ours, raw), "-batched": (ours, single), "-ranked": (ranked, ours)}


def _on_postgresql(bodies: Bodies, few: Bodies, server: Server) -> dict[str, tuple[float, float]]:
    key = new_key_text()
    full, short = server.new(), server.new()
    fill(full, bodies, key)
    fill(short, few, key)
    ours = drained_by(1, server.new(full), key)
    raw = replayed_on_postgresql(server.new(full), recorded(server.new(full), key), len(bodies))
    single = drained(short, key, size=1)
    return {
        "": (ours, raw),
        "-batched": (ours, single),
        "-two": _together(samples.of_strangers(bodies), server),
        "-two-shared": (drained_by(2, server.new(full), key), ours),
    }


def _together(bodies: Bodies, server: Server) -> tuple[float, float]:
    """Two processes and one."""
    key, full = new_key_text(), server.new()
    fill(full, bodies, key)
    return drained_by(2, server.new(full), key), drained_by(1, full, key)


@contextmanager
def filled_file(bodies: Bodies, key: str) -> Iterator[Path]:
    """An SQLite file whose inbox holds the bodies."""
    with samples.database() as database:
        assert database.path is not None
        fill(database.url, bodies, key)
        yield database.path


def fill(url: str, bodies: Bodies, key: str) -> None:
    """Put the bodies into the inbox."""
    setting = samples.setting(key)
    deliveries = samples.deliveries(bodies, SystemClock().now())
    with closing(Database(url)) as database:
        for start in range(0, len(deliveries), 500):
            part = deliveries[start : start + 500]
            database.write_now(lambda connection: take_in(connection, "main", part, setting.sealer, setting.numbering))  # noqa: B023 - runs before the next turn


def drained(url: str, key: str, *, size: int = BATCH, more: str = "") -> float:
    """Deliveries applied a second by one worker in this process, under the sample program and what it says beside."""
    setting = samples.setting(key, more)
    with closing(Database(url)) as database:
        return _rate([drain(database, setting, size=size)])


def recorded(url: str, key: str) -> list[list[Statement]]:
    """What applying everything writes."""
    setting = samples.setting(key)
    with closing(Database(url)) as database, Recording() as recording:
        drain(database, setting, recording=recording)
    return recording.batches


def drained_by(workers: int, url: str, key: str) -> float:
    """Deliveries applied a second by so many processes together."""
    with ExitStack() as stack:
        children = [stack.enter_context(running(work, url, key, f"worker {n}")) for n in range(workers)]
        for child in children:
            child.tell("go")
        return _rate([child.answer() for child in children])


def work(pipe: Pipe, url: str, key: str, owner: str) -> None:
    """A process that applies whatever is ready, once it is told to."""
    setting = samples.setting(key)
    with closing(Database(url)) as database:
        database.read_now(lambda connection: connection.exec_driver_sql("SELECT 1"))
        pipe.send("ready")
        pipe.recv()
        pipe.send(drain(database, setting, owner=owner))


def drain(
    database: Database, setting: Any, *, size: int = BATCH, owner: str = "me", recording: Recording | None = None
) -> Spell:
    """Apply all that is ready."""
    clock, connections, applied, started = SystemClock(), samples.connections(), 0, time.monotonic()
    read = database.read_now if database.is_sqlite else database.write_now
    while True:
        now = clock.now()
        rows = read(lambda connection: claim(connection, "main", owner, now, size))  # noqa: B023 - runs at once
        if not rows:
            return applied, started, time.monotonic()
        batch = prepare(rows, connections, {}, setting.sealer)
        if recording is not None:
            recording.batches.append([])
        database.write_now(lambda connection: apply_deliveries(connection, setting, batch, now, owner))  # noqa: B023 - too
        applied += len(rows)


def _rate(spells: Sequence[Spell]) -> float:
    first, last = min(start for _, start, _ in spells), max(end for _, _, end in spells)
    return sum(count for count, _, _ in spells) / (last - first)


def _copied(path: Path, target: Path) -> Path:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as destination:
        source.backup(destination)
    return target


def replayed_on_sqlite(path: Path, batches: Sequence[Sequence[Statement]], count: int) -> float:
    """The floor on SQLite: read the bodies, write the same rows, by hand."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536"):
            connection.execute(f"PRAGMA {pragma}")
        started = time.perf_counter()
        for batch in batches:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_READY).fetchall()
            for text, rows in batch:
                connection.executemany(text, rows)
            connection.execute("COMMIT")
        return count / (time.perf_counter() - started)


def replayed_on_postgresql(url: str, batches: Sequence[Sequence[Statement]], count: int) -> float:
    """The floor on PostgreSQL."""
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as connection, connection.cursor() as cursor:
        started = time.perf_counter()
        for batch in batches:
            cursor.execute(_READY.encode()).fetchall()
            for text, parameters in batch:
                run = cursor.executemany if isinstance(parameters, list) else cursor.execute
                run(text.encode(), parameters)
            connection.commit()
        return count / (time.perf_counter() - started)
