"""Many rows in one statement arrive as they are, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from stampcard.storage import saving
from stampcard.storage.database import Database
from stampcard.storage.pushing import pushed_targets
from stampcard.storage.tables import fetch, identity, lease, push, store

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
BIG = st.integers(-(2**63), 2**63 - 1)


@given(st.dictionaries(TEXT, st.tuples(TEXT, BIG, st.none() | BIG), min_size=1, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_texts_numbers_and_nothing_come_back_as_they_were_written(
    database: Database, wanted: dict[str, tuple[str, int, int | None]]
) -> None:
    rows = [
        {"merchant": "main", "connection": "shop", "reference": name, "member": text, "seen_at": seen_at}
        for name, (text, _, seen_at) in wanted.items()
    ]
    leases = [
        {"merchant": "main", "name": name, "owner": text, "token": token, "until": 0}
        for name, (text, token, _) in wanted.items()
    ]

    def write_and_read(connection: Connection) -> tuple[dict[str, Any], dict[str, Any]]:
        connection.execute(identity.delete())
        connection.execute(lease.delete())
        saving.insert(connection, "identity", rows)
        saving.upsert(connection, "lease", leases)
        known = {row.reference: (row.member, row.seen_at) for row in connection.execute(select(identity))}
        return known, {row.name: (row.owner, row.token) for row in connection.execute(select(lease))}

    known, held = database.write_now(write_and_read)
    assert known == {name: (text, seen_at) for name, (text, _, seen_at) in wanted.items()}
    assert held == {name: (text, token) for name, (text, token, _) in wanted.items()}


def test_bytes_come_back_as_they_were_written(database: Database) -> None:
    values = [bytes([number]) * number for number in range(256)]
    rows = [
        {"merchant": "main", "connection": "shop", "key": f"{number}", "value_sealed": value}
        for number, value in enumerate(values)
    ]
    database.write_now(lambda connection: saving.upsert(connection, "store", rows))
    found = database.read_now(lambda connection: connection.execute(select(store)).all())
    assert {row.key: bytes(row.value_sealed) for row in found} == {f"{n}": value for n, value in enumerate(values)}


def test_of_rows_with_the_same_key_the_last_stays(database: Database) -> None:
    row = {"merchant": "main", "connection": "shop", "kind": "order", "reference": "1", "wanted_at": 1}
    rows = [{**row, "due_at": 1}, {**row, "due_at": 2}]

    def write(connection: Connection) -> list[int]:
        saving.upsert(connection, "fetch", rows)
        return list(connection.execute(select(fetch.c.due_at)).scalars())

    assert database.write_now(write) == [2]


def test_what_is_only_inserted_when_new_keeps_the_first_and_is_counted(database: Database) -> None:
    row = {"merchant": "main", "name": "timers", "token": 1, "until": 0}
    rows = [{**row, "owner": "first"}, {**row, "owner": "second"}]

    def write(connection: Connection) -> tuple[int, int, list[str]]:
        new, again = saving.insert_new(connection, "lease", rows), saving.insert_new(connection, "lease", rows)
        return new, again, list(connection.execute(select(lease.c.owner)).scalars())

    assert database.write_now(write) == (1, 0, ["first"])


def mark(wanted: int, at: int) -> dict[str, Any]:
    """A push that is wanted from a moment on, and due two later."""
    key = {"merchant": "main", "connection": "shop", "kind": "balance", "member": "ann"}
    return {**key, "wanted": wanted, "since": at, "due_at": at + 2}


def marked(database: Database, *marks: dict[str, Any], **before: Any) -> list[tuple[int, int, int]]:
    """What is wanted, since when, and when it is due, after marking one by one; `before`: how the row stood."""

    def write(connection: Connection) -> list[tuple[int, int, int]]:
        if before:
            saving.insert(connection, "push", [{**mark(1, 100), **before}])
        for one in marks:
            saving.mark_pushes(connection, [one], 10)
        return [(row.wanted, row.since, row.due_at) for row in connection.execute(select(push))]

    return database.write_now(write)


def test_a_push_that_is_asked_for_twice_at_once_waits_once(database: Database) -> None:
    def write(connection: Connection) -> list[int]:
        saving.mark_pushes(connection, [mark(3, 100), mark(3, 100)], 10)
        return list(connection.execute(select(push.c.wanted)).scalars())

    assert database.write_now(write) == [3]


def test_a_push_waits_for_the_newest_change(database: Database) -> None:
    assert marked(database, mark(1, 100), mark(2, 101), mark(3, 103)) == [(3, 100, 105)]


def test_a_push_whose_member_goes_on_changing_leaves_all_the_same(database: Database) -> None:
    assert marked(database, *(mark(number, 100 + number) for number in range(1, 30))) == [(29, 101, 111)]


def test_a_push_that_was_tried_keeps_its_time(database: Database) -> None:
    assert marked(database, mark(2, 101), attempts=3, error="broken", due_at=500) == [(2, 100, 500)]


def test_a_push_to_a_busy_vendor_keeps_the_time_that_the_vendor_named(database: Database) -> None:
    assert marked(database, mark(2, 101), attempts=0, error="busy", due_at=500) == [(2, 100, 500)]


def test_every_connection_that_was_ever_pushed_to_is_found_with_its_kinds(database: Database) -> None:
    pairs = [("shop", "balance"), ("shop", "pass"), ("crm", "balance"), ("a", "x"), ("a", "y"), ("a", "z")]
    rows = [
        {**mark(1, 0), "connection": name, "kind": kind, "member": member}
        for name, kind in pairs
        for member in ("ann", "ben", "cem")
    ]
    others = [{**mark(1, 0), "merchant": merchant, "connection": "else"} for merchant in ("a", "z")]
    database.write_now(lambda connection: saving.insert(connection, "push", rows + others))

    assert database.read_now(lambda connection: pushed_targets(connection, "main")) == {
        "a": ("x", "y", "z"),
        "crm": ("balance",),
        "shop": ("balance", "pass"),
    }
    assert database.read_now(lambda connection: pushed_targets(connection, "nobody")) == {}


@pytest.mark.parametrize("before", [{"sent": 1}, {"sent": 1, "error": "dropped"}, {"dead": 1, "error": "refused"}])
def test_a_push_that_did_not_wait_begins_to_wait_anew(database: Database, before: dict[str, Any]) -> None:
    assert marked(database, mark(2, 300), mark(3, 301), **before) == [(3, 300, 303)]
