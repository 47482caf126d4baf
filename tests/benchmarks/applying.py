"""Applying real orders under 20 rules, beside hand-written SQL that reads the same bodies and writes the same rows."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import samples
from sqlalchemy import Connection, make_url

from stampcard.applying.deliveries import apply_deliveries
from stampcard.inbox.preparing import prepare
from stampcard.storage import migrating, saving
from stampcard.storage.database import Database
from stampcard.storage.inboxing import claim, take_in

BATCH = 200
Statement = tuple[str, list[Any]]


class Recording:
    """Every statement that a unit of work ran for many rows, batch by batch, as the driver got it."""

    def __init__(self) -> None:
        self.batches: list[list[Statement]] = []
        self._real = saving.execute_many

    def __enter__(self) -> Recording:
        def recorded(connection: Connection, statement: Any, rows: Sequence[Any]) -> int:
            text, arranged = saving._text(statement, connection.dialect, tuple(rows[0]))
            if self.batches:
                self.batches[-1].append((text, [arranged(row) for row in rows]))
            return self._real(connection, statement, rows)

        saving.execute_many = recorded
        return self

    def __exit__(self, *_: object) -> None:
        saving.execute_many = self._real


def fill(database: Database, setting: Any, bodies: Sequence[tuple[str, bytes]]) -> None:
    """Put the bodies into the inbox."""
    deliveries = samples.deliveries(bodies, datetime.now(UTC))
    for start in range(0, len(deliveries), 500):
        part = deliveries[start : start + 500]
        database.write_now(lambda connection: take_in(connection, "main", part, setting.sealer, setting.numbering))  # noqa: B023


def drain(database: Database, setting: Any, *, size: int = BATCH, owner: str = "me", recording: Recording | None = None) -> float:
    """Apply all that is ready; the rate in deliveries a second."""
    connections, applied, started = samples.connections(), 0, time.perf_counter()
    read = database.read_now if database.is_sqlite else database.write_now
    while True:
        now = datetime.now(UTC)
        rows = read(lambda connection: claim(connection, "main", owner, now, size))  # noqa: B023
        if not rows:
            return applied / (time.perf_counter() - started)
        batch = prepare(rows, connections, {}, setting.sealer)
        if recording is not None:
            recording.batches.append([])
        database.write_now(lambda connection: apply_deliveries(connection, setting, batch, now, owner))  # noqa: B023
        applied += len(rows)


def replay_sqlite(path: Path, batches: Sequence[Sequence[Statement]], count: int) -> float:
    """The floor on SQLite: read the bodies, write the same rows, by hand."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536"):
        connection.execute(f"PRAGMA {pragma}")
    started = time.perf_counter()
    for batch in batches:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("SELECT id, body_sealed FROM inbox WHERE status = 'ready' ORDER BY id LIMIT 200").fetchall()
        for text, rows in batch:
            connection.executemany(text, rows)
        connection.execute("COMMIT")
    rate = count / (time.perf_counter() - started)
    connection.close()
    return rate


def replay_postgresql(url: str, batches: Sequence[Sequence[Statement]], count: int) -> float:
    """The floor on PostgreSQL."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        started = time.perf_counter()
        for batch in batches:
            cursor.execute("SELECT id, body_sealed FROM inbox WHERE status = 'ready' ORDER BY id LIMIT 200").fetchall()
            for text, rows in batch:
                cursor.executemany(text.encode(), rows)
            connection.commit()
        return count / (time.perf_counter() - started)


def round_sqlite(bodies: Sequence[tuple[str, bytes]], size: int = BATCH) -> tuple[float, float]:
    """(ours, floor) of one round."""
    setting = samples.setting()
    with samples.database() as database, tempfile.TemporaryDirectory() as folder:
        fill(database, setting, bodies)
        assert database.path is not None
        copy = Path(folder) / "floor.db"
        with sqlite3.connect(database.path) as source, sqlite3.connect(copy) as target:
            source.backup(target)
        ours = drain(database, setting, size=size)
        # Recorded in a second pass over a copy, so that recording costs our own figure nothing.
        again = Path(folder) / "again.db"
        with sqlite3.connect(copy) as source, sqlite3.connect(again) as target:
            source.backup(target)
        second = Database(f"sqlite:///{again}")
        with Recording() as recording:
            drain(second, setting, size=size, recording=recording)
        second.close()
        return ours, replay_sqlite(copy, recording.batches, len(bodies))


def address(url: str) -> str:
    """The URL without SQLAlchemy's driver."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def round_postgresql(bodies: Sequence[tuple[str, bytes]], urls: Sequence[str]) -> tuple[float, float]:
    """(ours, floor) of one round; `urls` are two empty databases."""
    setting = samples.setting()
    with Recording() as recording:
        for url in urls:
            database = Database(url)
            migrating.upgrade(database)
            fill(database, setting, bodies)
            database.close()
        database = Database(urls[0])
        ours = drain(database, setting, recording=recording)
        database.close()
        return ours, replay_postgresql(address(urls[1]), recording.batches, len(bodies))
