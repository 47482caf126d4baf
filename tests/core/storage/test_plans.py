"""How databases find what is asked often: by the whole key, however many rows the merchant has."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from stampcard.applying.erasing import erase_members
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.clock import SystemClock, to_micros
from stampcard.engine.reports import REPORTS
from stampcard.sealing import Sealer
from stampcard.storage import inboxing, listing, loading, requeueing, saving, tiering
from stampcard.storage.chronicling import BOOKED, Place, timeline
from stampcard.storage.database import Database
from stampcard.storage.depths import load_depths
from stampcard.storage.pushing import pushed_targets
from stampcard.storage.redemptions import Wanted, list_redemptions
from stampcard.storage.reporting import Question, tell
from stampcard.testing.importing import Desk

KEYS = [(source, str(number)) for source in ("shop", "till") for number in range(100)]
NAMES = [name for _, name in KEYS]
#: What SQLite says when it goes through all rows of a merchant.
BY_MERCHANT = "(merchant=?)"


def plans_of(database: Database, work: Callable[[Connection], Any]) -> list[str]:
    """How the database goes about the statements of some work."""
    ran: list[tuple[str, Any]] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def _remember(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "WITH")):
            ran.append((statement, parameters))

    def explain(connection: Connection) -> list[str]:
        work(connection)
        explained = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
        return [
            row[-1]
            for statement, parameters in list(ran)
            for row in connection.exec_driver_sql(f"{explained} {statement}", parameters)
        ]

    return database.write_now(explain)


def inbox_row(number: int) -> dict[str, Any]:
    row = {"merchant": "main", "id": number, "connection": "shop", "key": str(number), "body_hash": "", "topic": "t"}
    status = {0: "ready", 1: "quarantined", 2: "dropped"}.get(number % 100, "done")
    about = str(number) if number % 2 else None
    return {**row, "received_at": number, "status": status, "member": about, "subject_print": about}


def entry_row(member: str, number: int) -> dict[str, Any]:
    row = {"merchant": "main", "member": member, "wallet": "points", "number": number, "kind": "earn"}
    return {**row, "occurred_at": number, "posted_at": number, "active": 1, "issued": -1}


def event_row(member: str, number: int) -> dict[str, Any]:
    row = {"merchant": "main", "id": number, "kind": "data_requested", "subject": f"member:{member}", "member": member}
    body = '{"type":"data_requested","reference":"","occurred_at":"2026-03-10T12:00:00Z"}'
    return {**row, "occurred_at": number, "applied_at": number, "body": body}


def tier_row(member: str, now: datetime) -> dict[str, Any]:
    row = {"merchant": "main", "member": member, "program": "main", "name": "gold", "since": 0, "state": "{}"}
    return {**row, "next_at": to_micros(now)}


def look_into_the_inbox(connection: Connection) -> None:
    """What is asked of the inbox again and again, or while everybody waits."""
    inboxing.claim(connection, "main", "me", SystemClock().now(), 10)
    for status in ("ready", "quarantined", "dropped"):
        listing.deliveries_before(connection, "main", status, None, None, 10)
        listing.deliveries_before(connection, "main", status, None, 1000, 10)
    requeueing.replay_quarantined(connection, "main", None, None, 0)


@pytest.fixture
def sqlite(new_sqlite: Callable[[], str]) -> Database:
    return Database(new_sqlite())


def test_nothing_that_a_unit_of_work_loads_is_looked_for_among_all_rows_of_a_merchant(
    sqlite: Database, sealer: Sealer
) -> None:
    def load(connection: Connection) -> None:
        loading.load_identities(connection, "main", KEYS)
        loading.load_identities_of(connection, "main", NAMES)
        loading.load_tombstones(connection, "main", NAMES)
        loading.load_members(connection, "main", NAMES, sealer, attributes=True, lock=True)
        loading.load_owners(connection, "main", KEYS)
        loading.load_orders(connection, "main", KEYS, sealer, lock=True)
        loading.load_awards(connection, "main", NAMES)
        loading.load_wallets(connection, "main", NAMES, NAMES, NAMES, SystemClock().now())

    plans = plans_of(sqlite, load)
    sqlite.close()
    assert len(plans) >= 10
    assert [plan for plan in plans if plan.startswith("SCAN") or plan.endswith(BY_MERCHANT)] == []


def test_whom_a_merchant_pushes_to_is_found_without_reading_every_push(sqlite: Database) -> None:
    plans = [plan for plan in plans_of(sqlite, lambda c: pushed_targets(c, "main")) if " push " in plan]
    sqlite.close()
    assert len(plans) == 4
    assert all("autoindex_push_1 (merchant=?" in plan for plan in plans), plans


def test_a_members_timeline_is_looked_for_by_the_member(sqlite: Database) -> None:
    def look(connection: Connection) -> None:
        for newer in (False, True):
            timeline(connection, "main", "ann", Place(1, BOOKED, "points", number=1), 10, newer=newer)
        timeline(connection, "main", "ann", None, 10)

    plans = [plan for plan in plans_of(sqlite, look) if "TEMP B-TREE" not in plan]
    sqlite.close()
    assert len(plans) == 24
    by_member = re.compile(r"merchant=\? AND (member|merged_into)=\?")
    assert [plan for plan in plans if by_member.search(plan) is None] == []


async def test_an_import_and_its_undo_look_for_everything_by_key(
    sqlite: Database, setting: Setting, tmp_path: Path
) -> None:
    desk = Desk(sqlite, setting, tmp_path)
    ran: list[tuple[str, Any]] = []

    @event.listens_for(sqlite.engine, "before_cursor_execute")
    def _remember(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            ran.append((statement, parameters[0] if parameters and isinstance(parameters, list) else parameters))

    intake = await desk.bring("reference,email,points,tier", "1,ann@example.com,5,gold", ",bob@example.com,6,")
    await desk.importer().undo(intake.id)

    plans = {
        row[-1]
        for statement, parameters in ran
        for row in sqlite.write_now(
            lambda c, s=statement, p=parameters: c.exec_driver_sql(f"EXPLAIN QUERY PLAN {s}", p).all()  # type: ignore[misc]
        )
    }
    sqlite.close()
    assert len(plans) > 20
    assert [plan for plan in plans if plan.startswith("SCAN") and "CONSTANT" not in plan] == []
    assert [plan for plan in plans if BY_MERCHANT in plan and "revision" not in plan] == []


def test_tiers_are_written_by_their_key_however_many_are_due(sqlite: Database) -> None:
    now = SystemClock().now()

    def work(connection: Connection) -> None:
        saving.insert(connection, "tier", [tier_row("ann", now), tier_row("bob", now)])
        tiering.due_tiers(connection, "main", now, 10)
        tiering.rest_tiers(connection, "main", ["ann", "bob"], ["main"], now)
        tiering.load_progress(connection, "main", ["ann", "bob"])

    plans = plans_of(sqlite, work)
    sqlite.close()
    assert len([plan for plan in plans if "ix_tier_next_at" in plan]) == 1
    assert [
        plan for plan in plans if "SEARCH" in plan and "ix_tier_next_at" not in plan and "member=?" not in plan
    ] == []
    assert [plan for plan in plans if plan.startswith("SCAN")] == []


@pytest.mark.parametrize("wanted", [Wanted(), Wanted(status="held"), Wanted(member="ann")])
def test_a_page_of_redemptions_is_read_in_its_order(sqlite: Database, sealer: Sealer, wanted: Wanted) -> None:
    def look(connection: Connection) -> None:
        for before in (None, (7, "r_7")):
            list_redemptions(connection, "main", sealer, wanted, before, 10)

    plans = plans_of(sqlite, look)
    sqlite.close()
    assert len(plans) == 2
    assert [plan for plan in plans if "TEMP B-TREE" in plan or plan.startswith("SCAN")] == []


def test_postgresql_finds_a_members_time_among_that_of_many_in_indexes(new_postgresql: Callable[[], str]) -> None:
    database = Database(new_postgresql())

    def fill(connection: Connection) -> None:
        entries = [entry_row(f"m{number % 100}", number) for number in range(10_000)]
        saving.insert(connection, "entry", entries)
        saving.insert(connection, "event", [event_row(f"m{number % 100}", number) for number in range(10_000)])
        connection.exec_driver_sql("ANALYZE")

    database.write_now(fill)
    plans = plans_of(database, lambda connection: timeline(connection, "main", "m7", None, 10))
    database.close()
    for table in ("entry", "event"):
        assert [plan for plan in plans if f"Seq Scan on {table}" in plan] == []


def test_what_is_asked_of_the_inbox_is_not_looked_for_among_all_of_its_rows(sqlite: Database) -> None:
    plans = [plan for plan in plans_of(sqlite, look_into_the_inbox) if " inbox " in plan]
    plans += [plan for plan in plans_of(sqlite, lambda c: load_depths(c, "main")) if " inbox " in plan]
    sqlite.close()
    assert len(plans) >= 10
    assert [plan for plan in plans if plan.startswith("SCAN") or plan.endswith(BY_MERCHANT)] == []


def test_reports_read_entries_since_their_first_day_and_orders_in_their_index_alone(
    sqlite: Database, setting: Setting
) -> None:
    now = SystemClock().now()

    def ask(connection: Connection) -> None:
        for name in REPORTS:
            tell(connection, "main", setting.programs, Question(report=name), now)

    plans = plans_of(sqlite, ask)
    sqlite.close()
    entries = [plan for plan in plans if " entry " in plan and "merchant=? AND member=?" not in plan]
    assert entries
    assert [plan for plan in entries if "ix_entry_posted_at (merchant=? AND posted_at>?)" not in plan] == []
    orders = [plan for plan in plans if " order_state " in plan]
    assert orders
    assert [plan for plan in orders if "COVERING INDEX ix_order_state_member" not in plan] == []


def test_an_erasure_finds_the_deliveries_of_a_person_by_themselves(sqlite: Database, setting: Setting) -> None:
    now = SystemClock().now()
    plans = plans_of(sqlite, lambda connection: erase_members(Unit(connection, setting, now), ["ann"], ["print"]))
    sqlite.close()
    used = {plan.partition(" USING ")[2] for plan in plans if " inbox " in plan}
    found = {name for plan in used for name in plan.split()}
    assert {"ix_inbox_member", "ix_inbox_subject_print"} <= found
    assert [plan for plan in used if plan.endswith(BY_MERCHANT)] == []


def test_postgresql_finds_what_is_asked_of_a_large_inbox_in_an_index(
    new_postgresql: Callable[[], str], setting: Setting
) -> None:
    database = Database(new_postgresql())
    now = SystemClock().now()

    def fill(connection: Connection) -> None:
        saving.insert(connection, "inbox", [inbox_row(number) for number in range(10_000)])
        connection.exec_driver_sql("ANALYZE inbox")

    def ask(connection: Connection) -> None:
        look_into_the_inbox(connection)
        load_depths(connection, "main")
        erase_members(Unit(connection, setting, now), ["7"], ["9"])

    database.write_now(fill)
    plans = plans_of(database, ask)
    database.close()
    found = [plan for plan in plans if "Index" in plan and " on " in plan and "inbox" in plan]
    assert [plan for plan in plans if "Seq Scan on inbox" in plan] == []
    for index in ("ix_inbox_status", "ix_inbox_member", "ix_inbox_subject_print"):
        assert any(f" {index}" in plan for plan in found), index
