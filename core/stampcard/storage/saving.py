"""What a unit of work writes: one statement per table and batch, rows sorted by key."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Table, bindparam, case, delete, func, null, select
from sqlalchemy.dialects import postgresql, sqlite

from stampcard.clock import to_micros
from stampcard.storage.tables import effect, metadata, push

Row = Mapping[str, Any]


@cache
def insertion(table: Table, dialect: str, columns: tuple[str, ...]) -> Any:
    """The insert of many rows with these columns, for `execute_many`.

    PostgreSQL takes one list for each column: one message and one plan, where row by row costs twice the time.
    """
    if dialect == "sqlite":
        return sqlite.insert(table)
    lists = [bindparam(name, type_=postgresql.ARRAY(table.c[name].type)) for name in columns]
    fresh = func.unnest(*lists).table_valued(*columns).render_derived(name="fresh")
    return postgresql.insert(table).from_select(columns, select(*fresh.c), include_defaults=False)


@cache
def _insert_new(table: Table, dialect: str, columns: tuple[str, ...]) -> Any:
    return insertion(table, dialect, columns).on_conflict_do_nothing()


@cache
def _upsert(table: Table, dialect: str, columns: tuple[str, ...]) -> Any:
    statement = insertion(table, dialect, columns)
    keys = [column.name for column in table.primary_key.columns]
    changes = {name: statement.excluded[name] for name in columns if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changes)


@cache
def _mark(dialect: str, columns: tuple[str, ...], longest: int) -> Any:
    statement = insertion(push, dialect, columns)
    waiting = (push.c.wanted > push.c.sent) & (push.c.dead == 0)
    # One that was tried has an error, also where a busy vendor let the try not count.
    tried = waiting & push.c.error.is_not(None)
    fresh, last = statement.excluded.due_at, push.c.since + longest
    return statement.on_conflict_do_update(
        index_elements=["merchant", "connection", "kind", "member"],
        set_={
            "wanted": statement.excluded.wanted,
            "since": case((waiting, push.c.since), else_=statement.excluded.since),
            "due_at": case((tried, push.c.due_at), (waiting & (last < fresh), last), else_=fresh),
            "attempts": case((waiting, push.c.attempts), else_=0),
            "error": case((waiting, push.c.error), else_=null()),
            "dead": 0,
        },
        where=statement.excluded.wanted > push.c.wanted,
    )


@cache
def _key(table: Table) -> Callable[[Row], Any]:
    return itemgetter(*(column.name for column in table.primary_key.columns))


@cache
def _text(statement: Any, dialect: Dialect, columns: tuple[str, ...]) -> tuple[str, Callable[[Sequence[Row]], Any]]:
    """A statement as the driver takes it, and what makes its parameters of the rows."""
    compiled = statement.compile(dialect=dialect, column_keys=list(columns))
    constants = {name: value for name, value in compiled.params.items() if name not in columns}
    if dialect.name == "postgresql" and isinstance(statement, postgresql.Insert):
        # In binary, because psycopg escapes every text of a list that goes as text, and that in Python.
        return str(compiled).replace(")s::", ")b::"), lambda rows: constants | _by_column(rows, columns)
    if not compiled.positional:
        return str(compiled), lambda rows: [{**constants, **row} for row in rows]
    arranged = itemgetter(*compiled.positiontup)
    if constants:
        return str(compiled), lambda rows: [arranged({**constants, **row}) for row in rows]
    return str(compiled), lambda rows: [arranged(row) for row in rows]


def _by_column(rows: Sequence[Row], columns: Iterable[str]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in columns}


def execute_many(connection: Connection, statement: Any, rows: Sequence[Row]) -> int:
    """Run one statement for many rows that have the same columns; answers how many rows it touched.

    The statement is compiled once and the rows go straight to the driver: SQLAlchemy's own handling of parameters would
    cost more than the database's work. An insert is an `insertion`, and no two of its rows meet the same conflict.
    """
    text, parameters = _text(statement, connection.dialect, tuple(rows[0]))
    return connection.exec_driver_sql(text, parameters(rows)).rowcount


def _in_order(table: Table, rows: Iterable[Row]) -> list[Row]:
    """Rows sorted by key, of those with the same key the last: one statement may not touch a row twice."""
    key = _key(table)
    unique = {key(row): row for row in rows}
    return [unique[place] for place in sorted(unique)]


def insert(connection: Connection, table: str, rows: Collection[Row]) -> None:
    """Append rows; a key that exists is an error."""
    if rows:
        target = metadata.tables[table]
        ordered = sorted(rows, key=_key(target))
        execute_many(connection, insertion(target, connection.dialect.name, tuple(ordered[0])), ordered)


def insert_new(connection: Connection, table: str, rows: Collection[Row]) -> int:
    """Insert the rows whose keys do not exist yet; answers how many those were."""
    if not rows:
        return 0
    target = metadata.tables[table]
    ordered = sorted(rows, key=_key(target))
    return execute_many(connection, _insert_new(target, connection.dialect.name, tuple(ordered[0])), ordered)


def take_turns(connection: Connection, merchant: str, key: str, now: datetime) -> None:
    """Let nobody else do the same by this key before we have committed; nothing of it is kept."""
    insert_new(
        connection, "effect", [{"merchant": merchant, "key": key, "body_hash": "", "created_at": to_micros(now)}]
    )
    # Whoever inserts the same waits for our end all the same.
    forget_effects(connection, merchant, [key])


def forget_effects(connection: Connection, merchant: str, keys: Collection[str]) -> None:
    """Let events that were to count once be new again, because what they led to is not written."""
    if keys:
        connection.execute(delete(effect).where(effect.c.merchant == merchant, effect.c.key.in_(keys)))


def upsert(connection: Connection, table: str, rows: Collection[Row]) -> None:
    """Insert rows, or replace the given columns of those that exist."""
    if rows:
        target = metadata.tables[table]
        ordered = _in_order(target, rows)
        execute_many(connection, _upsert(target, connection.dialect.name, tuple(ordered[0])), ordered)


def mark_pushes(connection: Connection, rows: Collection[Row], longest: int) -> None:
    """Ask for newer state to be pushed.

    A push that already waits becomes due as late as the new one, but no later than `longest` (microseconds) after it
    began to wait; one that was tried keeps its time and its patience.
    """
    if rows:
        ordered = _in_order(push, rows)
        execute_many(connection, _mark(connection.dialect.name, tuple(ordered[0]), longest), ordered)
