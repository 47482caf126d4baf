"""One number per merchant that rises with every change of program, switches, connections or keys."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select, update

from stampcard.storage import saving
from stampcard.storage.tables import revision

_NUMBER = select(revision.c.number).where(revision.c.merchant == bindparam("merchant"))


def bump(connection: Connection, merchant: str) -> int:
    """Tell every process to look again."""
    saving.insert_new(connection, "revision", [{"merchant": merchant, "number": 0}])
    connection.execute(update(revision).where(revision.c.merchant == merchant).values(number=revision.c.number + 1))
    return current(connection, merchant)


def bump_all(connection: Connection, merchant: str) -> None:
    """Tell every process of every merchant to look again; `merchant` may have changed nothing yet."""
    bump(connection, merchant)
    connection.execute(update(revision).where(revision.c.merchant != merchant).values(number=revision.c.number + 1))


def current(connection: Connection, merchant: str) -> int:
    """The number now; 0 before the first change."""
    return connection.execute(_NUMBER, {"merchant": merchant}).scalar() or 0
