from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stampcard.storage import checkpointing
from stampcard.storage.database import Database


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    """An SQLite database with one empty table."""
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    database.write_now(lambda c: c.exec_driver_sql("CREATE TABLE point (value INTEGER)"))
    yield database
    database.close()


def put(database: Database, value: int) -> None:
    database.write_now(lambda c: c.exec_driver_sql("INSERT INTO point VALUES (?)", (value,)))


def copied(database: Database) -> list[int]:
    """What the file itself has, without its log."""
    with closing(sqlite3.connect(f"file:{database.path}?immutable=1", uri=True)) as connection:
        try:
            return [value for (value,) in connection.execute("SELECT value FROM point ORDER BY value")]
        except sqlite3.DatabaseError:  # not even the table yet, or only some of the pages
            return []


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "checkpoint"]


def wait_for(database: Database, values: list[int]) -> None:
    for _ in range(1000):
        if copied(database) == values:
            return
        time.sleep(0.01)
    raise AssertionError(copied(database))


def test_what_was_committed_is_copied_into_the_file_while_it_stays_open(file: Database) -> None:
    put(file, 1)
    wait_for(file, [1])
    put(file, 2)
    wait_for(file, [1, 2])


def test_a_reader_of_an_older_state_stops_neither_commits_nor_the_end(file: Database) -> None:
    put(file, 1)
    wait_for(file, [1])
    with closing(sqlite3.connect(str(file.path), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM point").fetchone() == (1,)
        put(file, 2)
        file.close()
        assert reader.execute("SELECT count(*) FROM point").fetchone() == (1,)
    assert threads() == []


def test_nothing_runs_before_the_first_commit_or_after_the_end(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    database.read_now(lambda c: c.exec_driver_sql("SELECT 1"))
    assert threads() == []
    database.write_now(lambda c: c.exec_driver_sql("CREATE TABLE point (value INTEGER)"))
    assert len(threads()) == 1
    database.close()
    assert threads() == []


def test_a_copy_that_fails_is_made_the_next_time(file: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def once(connection: sqlite3.Connection) -> None:
        tries.append(connection)
        if len(tries) == 1:
            raise sqlite3.OperationalError("disk I/O error")
        copy(connection)

    copy = checkpointing.copy
    monkeypatch.setattr(checkpointing, "copy", once)
    put(file, 1)
    wait_for(file, [1])
