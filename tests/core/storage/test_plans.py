"""How SQLite finds what a unit of work reads: by the whole key, however many rows the merchant has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event

from stampcard.clock import SystemClock
from stampcard.sealing import Sealer
from stampcard.storage import loading, migrating
from stampcard.storage.database import Database

KEYS = [(source, str(number)) for source in ("shop", "till") for number in range(100)]
NAMES = [name for _, name in KEYS]
#: What SQLite says when it goes through all rows of a merchant.
BY_MERCHANT = "(merchant=?)"


def test_nothing_that_a_unit_of_work_loads_is_looked_for_among_all_rows_of_a_merchant(
    tmp_path: Path, sealer: Sealer
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'stampcard.db'}")
    migrating.upgrade(database)
    ran: list[tuple[str, Any]] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def _remember(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            ran.append((statement, parameters))

    def load(connection: Connection) -> list[str]:
        loading.load_identities(connection, "main", KEYS)
        loading.load_identities_of(connection, "main", NAMES)
        loading.load_tombstones(connection, "main", NAMES)
        loading.load_members(connection, "main", NAMES, sealer, attributes=True, lock=True)
        loading.load_owners(connection, "main", KEYS)
        loading.load_orders(connection, "main", KEYS, sealer, lock=True)
        loading.load_awards(connection, "main", NAMES)
        loading.load_wallets(connection, "main", NAMES, NAMES, NAMES, SystemClock().now())
        return [plan for statement, parameters in list(ran) for plan in _plan(connection, statement, parameters)]

    plans = database.write_now(load)
    database.close()
    assert len(plans) >= 10
    assert [plan for plan in plans if plan.startswith("SCAN") or plan.endswith(BY_MERCHANT)] == []


def _plan(connection: Connection, statement: str, parameters: Any) -> list[str]:
    return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
