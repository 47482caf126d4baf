"""Many rows in one statement arrive as they are, on both databases."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from stampcard.storage import saving
from stampcard.storage.database import Database
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


def test_a_push_that_is_asked_for_twice_at_once_waits_once(database: Database) -> None:
    mark = {"merchant": "main", "connection": "shop", "kind": "balance", "member": "ann", "due_at": 5}

    def write(connection: Connection) -> list[tuple[int, int]]:
        saving.mark_pushes(connection, [{**mark, "wanted": 3}, {**mark, "wanted": 3}])
        saving.mark_pushes(connection, [{**mark, "wanted": 4, "due_at": 9}])
        return [(row.wanted, row.due_at) for row in connection.execute(select(push))]

    assert database.write_now(write) == [(4, 5)]
