"""Looking whether the database is whole: the file as such, and the sums of the ledger."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, Table, func, select
from sqlalchemy.exc import DatabaseError

from stampcard.domain.ledger import ACCOUNTS
from stampcard.storage.database import Database
from stampcard.storage.tables import balance, entry

#: So many things that are wrong with a file are told.
MOST = 20


def damage(database: Database, *, quick: bool) -> list[str]:
    """What SQLite finds wrong with its file; PostgreSQL looks after its own. `quick`: without comparing indexes."""
    if not database.is_sqlite:
        return []
    try:
        return database.read_now(lambda connection: _damage(connection, "quick_check" if quick else "integrity_check"))
    except DatabaseError as error:
        # So broken that nothing can be asked of it.
        if "malformed" not in str(error.orig):
            raise
        return [str(error.orig)]


def _damage(connection: Connection, pragma: str) -> list[str]:
    found = [str(row[0]) for row in connection.exec_driver_sql(f"PRAGMA {pragma}({MOST})")]
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(MOST)
    found += [f"a row of {row[0]} leads to one of {row[2]} that is not there" for row in orphans]
    return [one for one in found if one != "ok"]


def ledger_faults(connection: Connection) -> list[str]:
    """Where sums of all entries are not 0, or not those of all balances; `verify` says which member's."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    return list(_faults(connection))


def _faults(connection: Connection) -> Iterator[str]:
    booked, standing = _sums(connection, entry), _sums(connection, balance)
    for key in sorted(booked.keys() | standing.keys()):
        merchant, wallet = key
        nothing = dict.fromkeys(ACCOUNTS, 0)
        entries, balances = booked.get(key, nothing), standing.get(key, nothing)
        where = f"wallet {wallet!r} of {merchant}"
        if sum(entries.values()):
            yield f"{where}: all entries sum to {sum(entries.values())}, not to 0"
        differing = [name for name in ACCOUNTS if entries[name] != balances[name]]
        if differing:
            said = ", ".join(f"{name} {entries[name]} by entries, {balances[name]} by balances" for name in differing)
            yield f"{where}: {said}"


def _sums(connection: Connection, table: Table) -> dict[tuple[str, str], dict[str, int]]:
    sums = [func.coalesce(func.sum(table.c[name]), 0) for name in ACCOUNTS]
    found = connection.execute(
        select(table.c.merchant, table.c.wallet, *sums).group_by(table.c.merchant, table.c.wallet)
    )
    return {(row[0], row[1]): dict(zip(ACCOUNTS, map(int, row[2:]), strict=True)) for row in found}
