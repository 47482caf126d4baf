from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from stampcard.errors import ConfigurationError
from stampcard.storage import copying
from stampcard.storage.copying import copy_file, damage_of, last_backup, remember_backup
from stampcard.storage.database import Database
from stampcard.testing.building import NOON


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database of some hundred pages whose two tables always have as many rows."""
    path = tmp_path / "there.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript("CREATE TABLE a (t TEXT); CREATE TABLE b (t TEXT)")
        for table in "ab":
            connection.executemany(f"INSERT INTO {table} VALUES (?)", [("x" * 1000,)] * 500)  # noqa: S608 - two names
    return path


def counts(path: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(path)) as connection:
        found: tuple[int, int] = connection.execute(
            "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)"
        ).fetchone()
    return found


def test_the_copy_is_of_one_moment_although_others_commit_all_the_while(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_PAGES", 10)
    begun, told = threading.Event(), list[tuple[int, int]]()

    def write() -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            while not begun.wait(0):
                connection.executescript("BEGIN; INSERT INTO a VALUES ('y'); INSERT INTO b VALUES ('y'); COMMIT")

    def tell(done: int, total: int) -> None:
        told.append((done, total))
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.executescript("BEGIN; INSERT INTO a VALUES ('z'); INSERT INTO b VALUES ('z'); COMMIT")

    writer = threading.Thread(target=write)
    writer.start()
    size = copy_file(file, tmp_path / "copy.db", tell)
    begun.set()
    writer.join()

    copied, there = counts(tmp_path / "copy.db"), counts(file)
    assert copied[0] == copied[1] < there[0]
    assert [total for _, total in told] == [told[0][1]] * len(told)
    assert (len(told) > 10, told[-1][0] == told[-1][1]) == (True, True)
    assert ((tmp_path / "copy.db").stat().st_mode & 0o777, (tmp_path / "copy.db").stat().st_size) == (0o600, size)
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.db"]


def test_what_lay_in_the_way_gets_nothing_of_the_copy(file: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("")
    (tmp_path / "copy.db.part").symlink_to(tmp_path / "theirs")
    copy_file(file, tmp_path / "copy.db")
    assert (tmp_path / "theirs").read_bytes() == b""
    assert not (tmp_path / "copy.db").is_symlink()
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_over(file: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("mine")
    with pytest.raises(ConfigurationError, match="is there already"):
        copy_file(file, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "mine"


def test_a_damaged_file_makes_no_copy(file: Path, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(file)
    assert damage_of(file)
    with pytest.raises(ConfigurationError, match="the copy is not whole"):
        copy_file(file, tmp_path / "copy.db")
    assert sorted(path.name for path in tmp_path.glob("copy*")) == []


def test_the_last_backup_is_remembered(database: Database) -> None:
    assert database.read_now(lambda connection: last_backup(connection, "main")) is None
    for name in ("one", "two"):
        database.write_now(lambda connection, name=name: remember_backup(connection, "main", name, 7, NOON))  # type: ignore[misc]
    job = database.read_now(lambda connection: last_backup(connection, "main"))
    assert job is not None
    assert (job.place, job.done, job.ended_at) == ("two", 7, NOON)
