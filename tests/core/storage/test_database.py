"""Either kind of database, as everything else sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

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
