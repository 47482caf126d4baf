"""Reading redemptions for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select, tuple_

from stampcard.clock import to_micros
from stampcard.domain.rewards import Redemption
from stampcard.domain.value import Value
from stampcard.sealing import Sealer
from stampcard.storage import rows
from stampcard.storage.tables import redemption


class Wanted(Value, frozen=True):
    """Which redemptions; an empty word asks for all."""

    member: str = ""
    status: str = ""
    program: str = ""
    reward: str = ""
    by: str = ""

    def columns(self) -> Mapping[str, str]:
        """Column → the value that is asked for."""
        named = {name: getattr(self, name) for name in ("member", "status", "program", "reward", "by")}
        return {name: value for name, value in named.items() if value}


def list_redemptions(
    connection: Connection, merchant: str, sealer: Sealer, wanted: Wanted, before: tuple[int, str] | None, limit: int
) -> list[Redemption]:
    """Redemptions, newest first, behind a place (created_at in microseconds, id)."""
    statement = select(redemption).where(redemption.c.merchant == merchant)
    for name, value in wanted.columns().items():
        statement = statement.where(redemption.c[name] == value)
    if before is not None:
        at, id_ = before
        statement = statement.where(tuple_(redemption.c.created_at, redemption.c.id) < tuple_(at, id_))
    statement = statement.order_by(redemption.c.created_at.desc(), redemption.c.id.desc()).limit(limit)
    return [rows.redemption_of(row, sealer) for row in connection.execute(statement)]


def place_of(one: Redemption) -> tuple[int, str]:
    """Where a redemption stands in the list."""
    return to_micros(one.created_at), one.id


def find_redemption(connection: Connection, merchant: str, sealer: Sealer, id_: str) -> Redemption | None:
    """One by its id."""
    return _one(connection, merchant, sealer, redemption.c.id == id_)


def find_code(connection: Connection, merchant: str, sealer: Sealer, code: str) -> Redemption | None:
    """The redemption of a code, however it is spelt."""
    return _one(connection, merchant, sealer, redemption.c.code_print == rows.code_print(sealer, merchant, code))


def _one(connection: Connection, merchant: str, sealer: Sealer, condition: Any) -> Redemption | None:
    row = connection.execute(select(redemption).where(redemption.c.merchant == merchant, condition)).one_or_none()
    return None if row is None else rows.redemption_of(row, sealer)


def count_open_by(connection: Connection, merchant: str, by: str) -> int:
    """How many rewards that somebody made real were not used yet."""
    mine = (redemption.c.merchant == merchant, redemption.c.by == by, redemption.c.status == "issued")
    return connection.execute(select(func.count()).select_from(redemption).where(*mine)).scalar() or 0


def count_by_status(connection: Connection, merchant: str, program: str, reward: str) -> dict[str, int]:
    """How many redemptions of a reward have each status."""
    statement = (
        select(redemption.c.status, func.count())
        .where(redemption.c.merchant == merchant, redemption.c.program == program, redemption.c.reward == reward)
        .group_by(redemption.c.status)
    )
    return {status: int(count) for status, count in connection.execute(statement)}
