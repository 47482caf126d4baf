from __future__ import annotations

import json
import sqlite3
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from alembic import command
from sqlalchemy import Connection, MetaData, Table, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

from stampcard.applying.setting import Setting
from stampcard.applying.spending import spend
from stampcard.applying.unit import Unit
from stampcard.clock import SystemClock, to_micros
from stampcard.domain.events import DayCame, OrderSeen
from stampcard.domain.orders import state_of
from stampcard.sealing import Sealer, read_keys
from stampcard.storage import migrating, rows
from stampcard.storage.database import Database
from stampcard.storage.inspecting import ledger_faults
from stampcard.storage.programming import load_programs
from stampcard.storage.resealing import ABOUT, about_of
from stampcard.storage.tables import event, membership, metadata, order_state, push
from stampcard.storage.verifying import verify
from stampcard.testing.applying import tell
from stampcard.testing.building import NOON, order, refund

#: Each written by the version of Stampcard that had this shape, while its simulated shop traded.
FIXTURES = Path(__file__).parent / "fixtures"


def test_the_migrated_tables_are_the_tables_as_written(database: Database) -> None:
    assert database.read_now(migrating.drift) == []
    assert database.read_now(migrating.current) == migrating.head()


def indexes(database: Database) -> set[tuple[str, str, str]]:
    """Table, name and condition of every index: what `drift` does not look at."""

    def work(connection: Connection) -> set[tuple[str, str, str]]:
        looked = inspect(connection)
        where = f"{connection.dialect.name}_where"
        return {
            (table, str(index["name"]), str(index.get("dialect_options", {}).get(where, "")))
            for table in metadata.tables
            for index in looked.get_indexes(table)
        }

    return database.read_now(work)


def test_the_migrated_indexes_are_the_indexes_as_written(
    database: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if database.is_sqlite:
        fresh = Database(f"sqlite:///{tmp_path / 'fresh.db'}")
    else:
        fresh = Database(request.getfixturevalue("new_postgresql")())
        fresh.write_now(metadata.drop_all)
    fresh.write_now(metadata.create_all)
    assert indexes(fresh) == indexes(database)
    fresh.close()


def test_an_older_shape_is_brought_up_with_what_it_holds(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'old.db'}")
    old = {"merchant": "main", "connection": "shop", "kind": "balance", "member": "ann", "wanted": 2, "due_at": 7}

    def make(connection: Connection) -> None:
        command.upgrade(migrating._config(connection), "0001")
        connection.execute(insert(Table("push", MetaData(), autoload_with=connection)), old)

    database.write_now(make)
    assert migrating.upgrade(database) is not None
    (row,) = database.read_now(lambda connection: connection.execute(select(push)).all())
    assert (row.wanted, row.due_at, row.since) == (2, 7, 0)
    database.close()


def test_orders_and_memberships_of_before_are_known_to_history_and_to_the_calendar(database: Database) -> None:
    paid = state_of(order(10, at=NOON), [refund("R", money=4, at=NOON)])
    unpaid = state_of(order(10, at=NOON, paid=False), ())
    late = to_micros(datetime(2026, 3, 10, 23, 30, tzinfo=UTC))

    def make(connection: Connection) -> None:
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
        command.upgrade(migrating._config(connection), "0002")
        shape = MetaData()
        order_states, memberships, versions = (
            Table(name, shape, autoload_with=connection) for name in ("order_state", "membership", "program_version")
        )
        row = {"merchant": "main", "source": "shop", "first_seen_at": 1, "updated_at": 1}
        states = {"A": paid, "B": unpaid}
        connection.execute(
            insert(order_states), [{**row, "reference": name, "state": rows.to_json(of)} for name, of in states.items()]
        )
        connection.execute(
            insert(memberships), {"merchant": "main", "member": "m_1", "program": "main", "joined_at": late}
        )
        version = {"merchant": "main", "program": "main", "number": 1, "valid_from": 0, "created_at": 0}
        connection.execute(insert(versions), {**version, "source": "timezone: Europe/Berlin"})

    database.write_now(make)
    migrating.upgrade(database)

    kept = database.read_now(lambda connection: connection.execute(select(order_state).order_by("reference")).all())
    assert [(row.occurred_at, row.spend, row.currency) for row in kept] == [(to_micros(NOON), 60000, "EUR"), (0, 0, "")]
    (member,) = database.read_now(lambda connection: connection.execute(select(membership)).all())
    assert member.anniversary == "03-11"


def test_a_ledger_of_before_keeps_what_it_has_and_balances_with_what_is_imported(database: Database) -> None:
    key = {"merchant": "main", "member": "m_1", "wallet": "points"}
    of_entry = {**key, "kind": "earn", "occurred_at": 1, "posted_at": 1, "active": 5}

    def make(connection: Connection) -> None:
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
        command.upgrade(migrating._config(connection), "0009")
        shape = Table("entry", MetaData(), autoload_with=connection)
        connection.execute(insert(shape), {**of_entry, "number": 1, "issued": -5})

    def add(connection: Connection, imported: int) -> None:
        row = {**of_entry, "number": 2, "kind": "import", "imported": imported}
        connection.execute(insert(metadata.tables["entry"]), row)

    database.write_now(make)
    migrating.upgrade(database)
    with pytest.raises(IntegrityError):
        database.write_now(lambda connection: add(connection, -4))
    database.write_now(lambda connection: add(connection, -5))
    kept = database.read_now(lambda connection: connection.execute(select(metadata.tables["entry"])).all())
    assert [(row.active, row.issued, row.imported) for row in kept] == [(5, -5, 0), (5, 0, -5)]
    assert database.read_now(migrating.drift) == []


def test_upgrading_twice_changes_nothing_and_copies_nothing(database: Database) -> None:
    assert migrating.upgrade(database) is None


def test_an_older_file_is_copied_before_it_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes, connect = list[int](), sqlite3.connect

    def connected(path: Any, *words: Any, **more: Any) -> sqlite3.Connection:
        opened: sqlite3.Connection = connect(path, *words, **more)
        if isinstance(path, Path) and ".before-" in path.name:
            opened.execute("BEGIN IMMEDIATE").connection.rollback()
            modes.append(path.stat().st_mode & 0o777)
        return opened

    monkeypatch.setattr(sqlite3, "connect", connected)
    database = Database(f"sqlite:///{tmp_path / 'old.db'}")
    database.write_now(lambda connection: connection.execute(text("CREATE TABLE treasure (gold INTEGER)")))

    copy = migrating.upgrade(database)

    assert copy is not None
    assert [*modes, 0o600] == [copy.stat().st_mode & 0o777] * 2
    kept = Database(f"sqlite:///{copy}")
    assert kept.read_now(lambda connection: connection.execute(text("SELECT count(*) FROM treasure")).scalar()) == 0
    kept.close()
    database.close()


def of_before(connection: Connection, fixture: Any) -> None:
    """The database that an earlier version of Stampcard wrote while a simulated shop traded, row by row."""
    metadata.drop_all(connection)
    connection.execute(text("DROP TABLE IF EXISTS alembic_version"))
    command.upgrade(migrating._config(connection), fixture["shape"])
    for name, written in fixture["rows"].items():
        shape = Table(name, MetaData(), autoload_with=connection)
        for row in written:
            values = {
                key: b64decode(value["base64"]) if isinstance(value, dict) else value for key, value in row.items()
            }
            connection.execute(insert(shape), values)


@pytest.mark.parametrize("shape", ["0001", "0009", "0018"])
def test_what_an_earlier_version_wrote_is_all_there_and_goes_on(
    database: Database, setting: Setting, shape: str
) -> None:
    fixture = json.loads((FIXTURES / f"shape-{shape}.json").read_text(encoding="utf-8"))
    sealer, written = read_keys("\n".join(fixture["keys"])), fixture["rows"]
    database.write_now(lambda connection: of_before(connection, fixture))

    copy = migrating.upgrade(database)

    assert (copy is not None) == database.is_sqlite
    if copy is not None:
        before = Database(f"sqlite:///{copy}")
        assert before.read_now(migrating.current) == shape
        before.close()
    assert database.read_now(migrating.drift) == []
    verified = database.read_now(lambda connection: verify(connection, "main"))
    assert (verified.findings, verified.total, verified.entries) == ((), 0, len(written["entry"]))
    assert database.read_now(ledger_faults) == []
    assert figures(database) == {(row["member"], row["wallet"]): row["active"] for row in written["balance"]}
    sealed = database.read_now(lambda connection: opened(connection, sealer))
    assert sealed >= {"member", "inbox", "idempotency", "store"}
    programs = database.read_now(lambda connection: load_programs(connection, "main"))
    go_on(database, replace(setting, sealer=sealer, programs=programs), written)


def opened(connection: Connection, sealer: Sealer) -> set[str]:
    """The tables of which everything sealed opens."""
    found = set()
    for name, columns in ABOUT.items():
        for row in connection.execute(select(metadata.tables[name])).mappings():
            for column in filter(row.get, columns):
                about = about_of(name, column, {str(key): row[key] for key in row})
                assert sealer.open(row[column], about.encode())
                found.add(name)
    return found


def figures(database: Database) -> dict[tuple[str, str], int]:
    """What every member has, by member and wallet."""
    found = database.read_now(lambda connection: connection.execute(select(metadata.tables["balance"])).all())
    return {(row.member, row.wallet): row.active for row in found}


def go_on(database: Database, setting: Setting, written: Any) -> None:
    """Somebody spends, and an order of then is told once more again: nothing is counted twice."""
    richest = max(written["balance"], key=lambda row: row["active"])["member"]

    def work(connection: Connection) -> None:
        unit = Unit(connection, setting, SystemClock().now())
        spend(unit, richest, "points", 1, "after", "")
        unit.save()

    before = figures(database)
    database.write_now(work)
    assert figures(database)[richest, "points"] == before[richest, "points"] - 1
    told = [row for row in written["event"] if row["kind"] == "order_seen"]
    tell(database, setting, msgspec.json.decode(told[-1]["body"], type=OrderSeen), now=SystemClock().now())
    assert database.read_now(lambda connection: verify(connection, "main")).findings == ()
    assert figures(database)[richest, "points"] == before[richest, "points"] - 1


def test_orders_of_before_keep_all_but_the_codes_that_they_showed_in_clear(database: Database) -> None:
    shown = state_of(order(10, at=NOON, codes=("ADA-1",), tags=("codes",)), [refund("R", money=4, at=NOON)])
    former = msgspec.structs.replace(state_of(order("0.10", at=NOON), ()), former_codes=("ADA-2",))

    def make(connection: Connection) -> None:
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
        command.upgrade(migrating._config(connection), "0019")
        order_states, events = (Table(name, MetaData(), autoload_with=connection) for name in ("order_state", "event"))
        row = {"merchant": "main", "source": "shop", "first_seen_at": 1, "updated_at": 1}
        connection.execute(
            insert(order_states),
            [{**row, "reference": n, "state": rows.to_json(of)} for n, of in {"A": shown, "B": former}.items()],
        )
        told = {"merchant": "main", "kind": "order_seen", "subject": "order:shop:A", "occurred_at": 1, "applied_at": 1}
        bodies = [OrderSeen(reference="A", snapshot=shown.snapshot or order(1)), DayCame(name="x", occurred_at=NOON)]
        connection.execute(
            insert(events), [{**told, "id": n, "body": rows.to_json(of)} for n, of in enumerate(bodies, start=1)]
        )

    database.write_now(make)
    migrating.upgrade(database)

    states = database.read_now(lambda connection: connection.execute(select(order_state).order_by("reference")).all())
    told = database.read_now(lambda connection: connection.execute(select(event).order_by(event.c.id)).all())
    assert "ADA-" not in str([*states, *told])
    kept = [rows.order_of(row, {}).state for row in states]
    assert shown.snapshot is not None
    assert kept[0] == msgspec.structs.replace(shown, snapshot=msgspec.structs.replace(shown.snapshot, codes=()))
    assert kept[1] == msgspec.structs.replace(former, former_codes=())
    assert told[1].body == rows.to_json(DayCame(name="x", occurred_at=NOON))
