"""Codes that were uploaded for a reward, or made by a shop: each is given out once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select, update

from stampcard.clock import to_micros
from stampcard.sealing import Sealer
from stampcard.storage import saving
from stampcard.storage.rows import code_print
from stampcard.storage.tables import pool, redemption


class FreeCode(NamedTuple):
    """A code with its fingerprint; the connection that made it, if one did, and its vendor's name for the whole batch."""

    print: str
    code: str
    connection: str
    batch: str


def free_code(
    connection: Connection, merchant: str, sealer: Sealer, program: str, reward: str, after: str
) -> FreeCode | None:
    """The next free code behind a fingerprint; no other unit of work sees it until this one ends.

    What is a redemption's code already, of whatever reward, is not free.
    """
    given = select(redemption.c.id).where(
        redemption.c.merchant == pool.c.merchant, redemption.c.code_print == pool.c.code_print
    )
    statement = (
        select(pool.c.code_print, pool.c.code_sealed, pool.c.connection, pool.c.batch)
        .where(
            pool.c.merchant == merchant, pool.c.program == program, pool.c.reward == reward, pool.c.redemption.is_(None)
        )
        .where(pool.c.code_print > after, ~given.exists())
        .order_by(pool.c.code_print)
        .limit(1)
        .with_for_update(skip_locked=True, of=pool)
    )
    place = _place(merchant, program, reward)
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    return FreeCode(row.code_print, sealer.open(row.code_sealed, place).decode(), row.connection, row.batch)


def take(connection: Connection, merchant: str, program: str, reward: str, print_: str, redeemed: str) -> None:
    """Give a code to a redemption."""
    connection.execute(
        update(pool)
        .where(
            pool.c.merchant == merchant,
            pool.c.program == program,
            pool.c.reward == reward,
            pool.c.code_print == print_,
            pool.c.redemption.is_(None),
        )
        .values(redemption=redeemed)
    )


def add_codes(
    connection: Connection,
    merchant: str,
    sealer: Sealer,
    program: str,
    reward: str,
    codes: Iterable[str],
    now: datetime,
    *,
    made_by: str = "",
    batch: str = "",
) -> int:
    """Put codes into a pool, with the connection that made them; answers how many were new to it."""
    place = _place(merchant, program, reward)
    rows = [
        {
            "merchant": merchant,
            "program": program,
            "reward": reward,
            "code_print": code_print(sealer, merchant, code),
            "code_sealed": sealer.seal(code.encode(), place),
            "added_at": to_micros(now),
            "connection": made_by,
            "batch": batch,
        }
        for code in codes
    ]
    unique = {row["code_print"]: row for row in rows}
    return saving.insert_new(connection, "pool", list(unique.values()))


def count_codes(connection: Connection, merchant: str, program: str, reward: str) -> tuple[int, int]:
    """How many codes a pool has in all, and how many of them are free."""
    statement = select(func.count(), func.count().filter(pool.c.redemption.is_(None))).where(
        pool.c.merchant == merchant, pool.c.program == program, pool.c.reward == reward
    )
    total, free = connection.execute(statement).one()
    return int(total), int(free)


def _place(merchant: str, program: str, reward: str) -> bytes:
    return f"pool:{merchant}:{program}:{reward}".encode()
