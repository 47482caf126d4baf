"""What every table is made of: keys that start with the merchant, columns, and indexes of the rows that have something."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text
from sqlalchemy.types import TypeEngine

from stampcard.domain.ledger import ACCOUNTS

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

BIG = BigInteger().with_variant(Integer(), "sqlite")
TEXT = Text()
BLOB = LargeBinary()
ACCOUNT_SUM = " + ".join(ACCOUNTS) + " = 0"


def key(name: str, kind: TypeEngine[Any] = TEXT) -> Column[Any]:
    return Column(name, kind, primary_key=True, nullable=False, autoincrement=False)


def col(name: str, kind: TypeEngine[Any] = TEXT, *, default: str | int | None = None) -> Column[Any]:
    server_default = None if default is None else text(str(default) if isinstance(default, int) else f"'{default}'")
    return Column(name, kind, nullable=False, server_default=server_default)


def maybe(name: str, kind: TypeEngine[Any] = TEXT) -> Column[Any]:
    return Column(name, kind, nullable=True)


def accounts() -> list[Column[Any]]:
    return [col(account, BIG, default=0) for account in ACCOUNTS]


def where_known(name: str, column: str) -> Index:
    """An index of the rows that have this column: taking in a row that has none writes nothing to it."""
    known = text(f"{column} IS NOT NULL")
    return Index(name, "merchant", column, sqlite_where=known, postgresql_where=known)


def one_of_those(name: str, column: str, condition: str) -> Index:
    """An index that lets one of the rows for which the condition holds have a value of this column."""
    those = text(condition)
    return Index(name, "merchant", column, unique=True, sqlite_where=those, postgresql_where=those)


def table(name: str, *parts: Column[Any] | CheckConstraint | Index) -> Table:
    return Table(name, metadata, key("merchant"), *parts, sqlite_strict=True)
