"""Bringing a database to the newest shape, with a copy of the file first where it is a file."""

from __future__ import annotations

import os
import sqlite3
from functools import cache
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from stampcard.storage.database import Database
from stampcard.storage.tables import metadata

#: Any number that no other program takes on the same server: processes that start together migrate one by one.
_ADVISORY_LOCK = 7_826_727


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "stampcard.storage:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@cache
def head() -> str:
    """The newest shape that this version of Stampcard knows; the first call reads every migration for it."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def current(connection: Connection) -> str:
    """The shape that the database has; empty when it has none."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def upgrade(database: Database) -> Path | None:
    """Bring the database to the newest shape; answers where the copy of an older SQLite file was put."""
    copy: Path | None = None

    def work(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
        if current(connection) != head():
            command.upgrade(_config(connection), "head")

    if database.path is not None and database.path.exists():
        with database.engine.connect() as connection:
            before = current(connection)
            populated = bool(inspect(connection).get_table_names())
        if populated and before != head():
            copy = _copy(database.path, before)
    database.write_now(work)
    return copy


def drift(connection: Connection) -> list[object]:
    """Differences between the tables as written and as migrated; empty when they agree."""
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
    return list(compare_metadata(context, metadata))


def _copy(path: Path, revision: str) -> Path:
    target = path.with_name(f"{path.name}.before-{head()}-was-{revision or 'none'}")
    # For its owner's eyes only from its first byte.
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    target.chmod(0o600)
    with sqlite3.connect(path) as source, sqlite3.connect(target) as destination:
        source.backup(destination)
    return target
