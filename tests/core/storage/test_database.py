"""Either kind of database, as everything else sees it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from stampcard.errors import Unavailable
from stampcard.storage import migrating
from stampcard.storage.database import Database


def test_an_error_quotes_nothing_of_what_was_to_be_written(database: Database) -> None:
    asked = text("SELECT nothing WHERE :who = 'somebody'")
    for run in (database.read_now, database.write_now):
        with pytest.raises(DBAPIError) as raised:
            run(lambda connection: connection.execute(asked, {"who": "ada@shop.example"}))
        assert "ada@shop.example" not in str(raised.value)


def test_a_new_file_is_for_its_owners_eyes_only(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    database.write_now(lambda connection: connection.execute(text("CREATE TABLE treasure (gold INTEGER)")))
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("new.db*")}
    database.close()
    assert modes.keys() >= {"new.db", "new.db-wal"}
    assert set(modes.values()) == {0o600}


def test_a_command_waits_for_its_turn_longer_than_a_webhook_can(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'one.db'}"
    migrating.upgrade(first := Database(url))
    webhook, command = Database(url, patience=0.05), Database(url, patience=60.0)
    with ThreadPoolExecutor() as pool, closing(first), closing(webhook), closing(command):
        with first.engine.begin():  # a server that writes
            turn = pool.submit(command.write_now, lambda connection: connection.execute(text("SELECT 1")).scalar())
            with pytest.raises(Unavailable):
                webhook.write_now(lambda connection: connection.execute(text("SELECT 1")))
            assert not turn.done()
        assert turn.result() == 1


def test_a_file_that_is_there_is_opened_by_sqlite_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Closing any other descriptor of it would give up the locks of the whole process, and two could write at once.
    url, opened = f"sqlite:///{tmp_path / 'one.db'}", list[str]()
    migrating.upgrade(first := Database(url))
    plain = os.open

    def spy(path: Any, *more: Any, **named: Any) -> int:
        descriptor: int = plain(path, *more, **named)
        opened.append(str(path))
        return descriptor

    monkeypatch.setattr(os, "open", spy)
    second = Database(url)
    for database in (first, second):
        assert database.read_now(migrating.current) == migrating.head()
        database.write_now(lambda connection: connection.execute(text("SELECT 1")))
        database.close()
    assert str(tmp_path / "one.db") not in opened
