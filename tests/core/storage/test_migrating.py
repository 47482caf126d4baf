from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from stampcard.storage import migrating
from stampcard.storage.database import Database


def test_the_migrated_tables_are_the_tables_as_written(database: Database) -> None:
    assert database.read_now(migrating.drift) == []
    assert database.read_now(migrating.current) == migrating.head()


def test_upgrading_twice_changes_nothing_and_copies_nothing(database: Database) -> None:
    assert migrating.upgrade(database) is None


def test_an_older_file_is_copied_before_it_is_changed(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'old.db'}")
    database.write_now(lambda connection: connection.execute(text("CREATE TABLE treasure (gold INTEGER)")))

    copy = migrating.upgrade(database)

    assert copy is not None
    assert copy.stat().st_mode & 0o777 == 0o600
    kept = Database(f"sqlite:///{copy}")
    assert kept.read_now(lambda connection: connection.execute(text("SELECT count(*) FROM treasure")).scalar()) == 0
    kept.close()
    database.close()
