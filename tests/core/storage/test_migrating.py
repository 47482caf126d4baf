from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, MetaData, Table, insert, inspect, select, text

from stampcard.storage import migrating
from stampcard.storage.database import Database
from stampcard.storage.tables import metadata, push


def test_the_migrated_tables_are_the_tables_as_written(database: Database) -> None:
    assert database.read_now(migrating.drift) == []
    assert database.read_now(migrating.current) == migrating.head()


def indexes(database: Database) -> set[tuple[str, str, str]]:
    """Table, name and condition of every index: what `drift` does not look at."""

    def work(connection: Connection) -> set[tuple[str, str, str]]:
        looked = inspect(connection)
        where = f"{connection.dialect.name}_where"
        return {
            (table, str(index["name"]), str(index.get("dialect_options", {}).get(where, "")))
            for table in metadata.tables
            for index in looked.get_indexes(table)
        }

    return database.read_now(work)


def test_the_migrated_indexes_are_the_indexes_as_written(
    database: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if database.is_sqlite:
        fresh = Database(f"sqlite:///{tmp_path / 'fresh.db'}")
    else:
        fresh = Database(request.getfixturevalue("new_postgresql")())
        fresh.write_now(metadata.drop_all)
    fresh.write_now(metadata.create_all)
    assert indexes(fresh) == indexes(database)
    fresh.close()


def test_an_older_shape_is_brought_up_with_what_it_holds(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'old.db'}")
    old = {"merchant": "main", "connection": "shop", "kind": "balance", "member": "ann", "wanted": 2, "due_at": 7}

    def make(connection: Connection) -> None:
        command.upgrade(migrating._config(connection), "0001")
        connection.execute(insert(Table("push", MetaData(), autoload_with=connection)), old)

    database.write_now(make)
    assert migrating.upgrade(database) is not None
    (row,) = database.read_now(lambda connection: connection.execute(select(push)).all())
    assert (row.wanted, row.due_at, row.since) == (2, 7, 0)
    database.close()


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
