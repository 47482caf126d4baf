"""What a unit of work writes: one statement per table and batch, rows sorted by key."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Table, case
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


@cache
def _key(table: Table) -> Callable[[Row], Any]:
    return itemgetter(*(column.name for column in table.primary_key.columns))


@cache
def _text(statement: Any, dialect: Dialect, columns: tuple[str, ...]) -> tuple[str, Callable[[Row], Any]]:
    """A statement as the driver takes it, and what makes its parameters of a row."""
    compiled = statement.compile(dialect=dialect, column_keys=list(columns))
    constants = {name: value for name, value in compiled.params.items() if name not in columns}
    if not compiled.positional:
        return str(compiled), (lambda row: {**constants, **row}) if constants else (lambda row: row)
    arranged = itemgetter(*compiled.positiontup)
    return str(compiled), (lambda row: arranged({**constants, **row})) if constants else arranged


def execute_many(connection: Connection, statement: Any, rows: Sequence[Row]) -> int:
    """Run one statement for many rows that have the same keys; answers how many rows it touched.

    The statement is compiled once and the rows go straight to the driver: SQLAlchemy's own handling of parameters would
    cost more than the database's work.
    """
    text, arranged = _text(statement, connection.dialect, tuple(rows[0]))
    return connection.exec_driver_sql(text, [arranged(row) for row in rows]).rowcount


def insert(connection: Connection, table: str, rows: Collection[Row]) -> None:
    """Append rows; a key that exists is an error."""
    if rows:
        target = metadata.tables[table]
        execute_many(connection, _insert(target, connection.dialect.name), sorted(rows, key=_key(target)))


def insert_new(connection: Connection, table: str, rows: Collection[Row]) -> int:
    """Insert the rows whose keys do not exist yet; answers how many those were."""
    if not rows:
        return 0
    target = metadata.tables[table]
    return execute_many(connection, _insert_new(target, connection.dialect.name), sorted(rows, key=_key(target)))


def upsert(connection: Connection, table: str, rows: Collection[Row]) -> None:
    """Insert rows, or replace the given columns of those that exist."""
    if rows:
        target = metadata.tables[table]
        columns = tuple(next(iter(rows)))
        execute_many(connection, _upsert(target, connection.dialect.name, columns), sorted(rows, key=_key(target)))


def mark_pushes(connection: Connection, rows: Collection[Row]) -> None:
    """Ask for newer state to be pushed; a push that already waits keeps its place and its patience."""
    if rows:
        execute_many(connection, _mark(connection.dialect.name), sorted(rows, key=_key(push)))
