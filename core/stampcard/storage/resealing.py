"""Sealing everything anew under the newest key, some rows at a time, so that a former key can be let go.

What a sealed value is bound to stands here for every column that ends in ``_sealed``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from string import Formatter
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    Table,
    and_,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)

from stampcard.domain.value import Value
from stampcard.errors import ConfigurationError
from stampcard.sealing import ID_BYTES, Sealer
from stampcard.storage.tables import metadata

#: Table → column → what its values are bound to, with the columns of the row that say it.
ABOUT: Mapping[str, Mapping[str, str]] = {
    "inbox": {"body_sealed": "inbox:{merchant}:{connection}:{key}"},
    "member": {"attributes_sealed": "member:{merchant}:{id}"},
    "audience_member": {"hash_sealed": "audience_member:{merchant}:{connection}:{audience}:{print}"},
    "consent": {"evidence_sealed": "consent:{merchant}:{member}:{id}"},
    "contact_conflict": {"sides_sealed": "contact_conflict:{merchant}:{id}"},
    "merge": {"data_sealed": "merge:{merchant}:{id}"},
    "proof_request": {"evidence_sealed": "proof:{merchant}:{id}"},
    "order_state": {"pinned_member_sealed": "order:{merchant}:{source}:{reference}"},
    "redemption": {"voucher_sealed": "voucher:{merchant}:{id}"},
    "pool": {"code_sealed": "pool:{merchant}:{program}:{reward}"},
    "imported": {"referral_sealed": "imported:{merchant}:{print}:{nth}"},
    "outbox": {
        "data_sealed": "outbox:{merchant}:{connection}:{key}",
        "result_sealed": "outbox:{merchant}:{connection}:{key}",
    },
    "message": {
        "data_sealed": "message:{merchant}:{id}",
        "content_sealed": "message:{merchant}:{id}",
        "answer_sealed": "message:{merchant}:{id}",
    },
    "suppression": {"address_sealed": "suppression:{merchant}:{channel}:{print}"},
    "act": {"body_sealed": "act:{merchant}:{till}:{id}"},
    "connection": {"settings_sealed": "connection:{merchant}:{name}"},
    "store": {"value_sealed": "store:{merchant}:{connection}:{key}"},
    "idempotency": {"answer_sealed": "idempotency:{merchant}:{path}:{key}"},
}
#: How many rows are sealed anew in one transaction.
STEP = 500


class Stale(Value, frozen=True):
    """A value that a former key sealed, by the column and the key of its row; `fresh` is the same under the newest."""

    table: str
    column: str
    row: tuple[Any, ...]
    value: bytes
    fresh: bytes


class Step(Value, frozen=True):
    """What to write next; `place` is the row behind which to go on, empty when it was the last.

    `closed` counts values that no key here opens.
    """

    place: str
    stale: tuple[Stale, ...] = ()
    closed: int = 0


def about_of(table: str, column: str, row: Mapping[str, Any]) -> str:
    """What a sealed value of this row is bound to."""
    return ABOUT[table][column].format_map(row)


def count_keys(connection: Connection) -> dict[bytes, int]:
    """The id of each key that anything of any merchant is sealed with → how many values."""
    _take_time(connection)
    found: dict[bytes, int] = {}
    for table, columns in _sealed():
        for column in columns:
            counted = select(_id(column), func.count()).select_from(table).where(func.length(column) > 0)
            for key, count in connection.execute(counted.group_by(_id(column))):
                found[bytes(key)] = found.get(bytes(key), 0) + count
    return found


def next_step(connection: Connection, sealer: Sealer, place: str) -> Step:
    """Read the next values, of every merchant, that are not sealed with the newest key, and seal them anew."""
    _take_time(connection)
    name, *behind = msgspec.json.decode(place) if place else (next(iter(ABOUT)),)
    table, columns = next(one for one in _sealed() if one[0].name == name)
    key = list(table.primary_key.columns)
    newest = literal(sealer.newest, LargeBinary)
    looked = select(*_needed(table, columns)).order_by(*key).limit(STEP)
    looked = looked.where(or_(*(and_(func.length(one) > 0, _id(one) != newest) for one in columns)))
    if behind:
        looked = looked.where(tuple_(*key) > tuple_(*behind))
    rows = connection.execute(looked).mappings().all()
    after = _place(name, [rows[-1][one.name] for one in key]) if len(rows) == STEP else _after(name)
    found = [one for row in rows for one in _anew(table, columns, row, sealer)]
    stale = tuple(one for one in found if one is not None)
    return Step(place=after, stale=stale, closed=len(found) - len(stale))


def write_step(connection: Connection, stale: Sequence[Stale]) -> int:
    """Write values as they are sealed now; what somebody changed or erased since it was read stays as it is."""
    done = 0
    for one in stale:
        table = metadata.tables[one.table]
        mine = (column == value for column, value in zip(table.primary_key.columns, one.row, strict=True))
        changing = update(table).where(*mine, table.c[one.column] == one.value)
        done += connection.execute(changing.values({one.column: one.fresh})).rowcount
    return done


def _anew(
    table: Table, columns: Sequence[Column[Any]], row: Mapping[Any, Any], sealer: Sealer
) -> Iterator[Stale | None]:
    """The values of a row that a former key sealed; None for one that does not open."""
    for column in columns:
        value = row[column.name]
        if not value or value[:ID_BYTES] == sealer.newest:
            continue
        about = about_of(table.name, column.name, row).encode()
        try:
            fresh = sealer.reseal(value, about)
        except ConfigurationError:
            yield None
            continue
        key = tuple(row[one.name] for one in table.primary_key.columns)
        yield Stale(table=table.name, column=column.name, row=key, value=value, fresh=fresh)


def _take_time(connection: Connection) -> None:
    """Whole tables are looked through: that may take longer than anything else may."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


def _sealed() -> Iterator[tuple[Table, list[Column[Any]]]]:
    for name, columns in ABOUT.items():
        table = metadata.tables[name]
        yield table, [table.c[column] for column in columns]


def _needed(table: Table, columns: Sequence[Column[Any]]) -> list[Column[Any]]:
    """The key, what is sealed, and what that is bound to."""
    bound = {word for about in ABOUT[table.name].values() for _, word, _, _ in Formatter().parse(about) if word}
    named = [*table.primary_key.columns, *columns, *(table.c[word] for word in sorted(bound))]
    return list({column.name: column for column in named}.values())


def _id(column: Column[Any]) -> ColumnElement[Any]:
    # Written out: PostgreSQL takes an expression with parameters for another one where it groups by it.
    return func.substr(column, literal_column("1"), literal_column(str(ID_BYTES)), type_=LargeBinary())


def _after(name: str) -> str:
    """The begin of the next table; empty behind the last."""
    names = list(ABOUT)
    return next((_place(after, ()) for before, after in pairwise(names) if before == name), "")


def _place(name: str, key: Sequence[Any]) -> str:
    return msgspec.json.encode([name, *key]).decode()
