"""What a unit of work writes: one statement per table and batch, rows sorted by key."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, case
from sqlalchemy.dialects import postgresql, sqlite

from stampcard.storage.tables import metadata, push

Row = Mapping[str, Any]


@cache
def _insert(table: Table, dialect: str) -> Any:
    return (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table)


@cache
def _insert_new(table: Table, dialect: str) -> Any:
    return _insert(table, dialect).on_conflict_do_nothing()


@cache
def _upsert(table: Table, dialect: str, columns: tuple[str, ...]) -> Any:
    statement = _insert(table, dialect)
    keys = [column.name for column in table.primary_key.columns]
    changes = {name: statement.excluded[name] for name in columns if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changes)


@cache
def _mark(dialect: str) -> Any:
    statement = _insert(push, dialect)
    waiting = (push.c.wanted > push.c.sent) & (push.c.dead == 0)
    return statement.on_conflict_do_update(
        index_elements=["merchant", "connection", "kind", "member"],
        set_={
            "wanted": statement.excluded.wanted,
            "due_at": case((waiting, push.c.due_at), else_=statement.excluded.due_at),
            "attempts": case((waiting, push.c.attempts), else_=0),
            "dead": 0,
        },
        where=statement.excluded.wanted > push.c.wanted,
    )


def _sorted(table: Table, rows: Iterable[Row]) -> list[Row]:
    keys = [column.name for column in table.primary_key.columns]
    return sorted(rows, key=lambda row: tuple(row[key] for key in keys))


def insert(connection: Connection, table: str, rows: Collection[Row]) -> None:
    """Append rows; a key that exists is an error."""
    if rows:
        target = metadata.tables[table]
        connection.execute(_insert(target, connection.dialect.name), _sorted(target, rows))


def insert_new(connection: Connection, table: str, rows: Collection[Row]) -> None:
    """Insert the rows whose keys do not exist yet."""
    if rows:
        target = metadata.tables[table]
        connection.execute(_insert_new(target, connection.dialect.name), _sorted(target, rows))


def upsert(connection: Connection, table: str, rows: Collection[Row]) -> None:
    """Insert rows, or replace the given columns of those that exist."""
    if rows:
        target = metadata.tables[table]
        columns = tuple(next(iter(rows)))
        connection.execute(_upsert(target, connection.dialect.name, columns), _sorted(target, rows))


def mark_pushes(connection: Connection, rows: Collection[Row]) -> None:
    """Ask for newer state to be pushed; a push that already waits keeps its place and its patience."""
    if rows:
        connection.execute(_mark(connection.dialect.name), _sorted(push, rows))
