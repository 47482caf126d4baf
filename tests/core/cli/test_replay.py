from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.storage.database import Database
from stampcard.storage.tables import inbox

Run = Callable[..., Result]
Data = Callable[..., Any]
SetAside = Callable[..., int]


def statuses(database: Database) -> dict[int, str]:
    rows = database.read_now(lambda connection: connection.execute(select(inbox.c.id, inbox.c.status)).all())
    return {row.id: row.status for row in rows}


@on_sqlite
@pytest.mark.parametrize("arguments", [["quarantine", "list"], ["quarantine", "list", "--each"], ["replay"]])
def test_where_nothing_is_quarantined_that_is_said(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "Nothing is quarantined.\n")


@on_sqlite
def test_what_is_set_aside_is_counted_by_connection_and_code_with_a_reason(
    run: Run, data: Data, set_aside: SetAside
) -> None:
    set_aside("malformed", "no id")
    set_aside("malformed", "no line items")
    set_aside("failed", "a bug", connection="other")
    groups = data("quarantine", "list")
    assert [(one["connection"], one["code"], one["count"], one["reason"]) for one in groups] == [
        ("other", "failed", 1, "a bug"),
        ("shop", "malformed", 2, "no line items"),
    ]
    assert [one["count"] for one in data("quarantine", "list", "--connection", "shop")] == [2]
    result = run("quarantine", "list")
    assert result.stdout.splitlines()[2].endswith("2026-03-10 12:00:00Z  orders/paid  no line items")
    assert "stampcard replay" in result.stderr


def test_each_delivery_that_is_set_aside_can_be_listed(data: Data, set_aside: SetAside) -> None:
    first, second = set_aside("malformed", "no id"), set_aside("failed", "a bug", has_body=False)
    rows = data("quarantine", "list", "--each")
    assert [(row["id"], row["body"], row["code"]) for row in rows] == [
        (second, "deleted", "failed"),
        (first, "kept", "malformed"),
    ]


def test_a_replay_queues_all_or_those_of_a_connection_or_code(
    run: Run, data: Data, database: Database, set_aside: SetAside
) -> None:
    bug, malformed, other = set_aside("failed", ""), set_aside("malformed", ""), set_aside("failed", "", connection="o")
    assert data("replay", "--dry-run") == {"found": 3, "queued": 0, "without_body": 0}
    assert set(statuses(database).values()) == {"quarantined"}
    assert data("replay", "--code", "failed", "--connection", "shop")["queued"] == 1
    assert statuses(database) == {bug: "ready", malformed: "quarantined", other: "quarantined"}
    assert run("replay").stdout == "2 deliveries queued again\n"
    assert set(statuses(database).values()) == {"ready"}


def test_what_has_no_body_any_more_stays_and_the_replay_ends_with_5(
    run: Run, database: Database, set_aside: SetAside
) -> None:
    whole, empty = set_aside("failed", ""), set_aside("failed", "", has_body=False)
    result = run("replay")
    assert (result.exit_code, result.stdout) == (5, "1 delivery queued again\n")
    assert "1 delivery cannot be applied" in result.stderr
    assert statuses(database) == {whole: "ready", empty: "quarantined"}


def test_one_delivery_is_replayed_by_its_id(run: Run, data: Data, database: Database, set_aside: SetAside) -> None:
    one, two = set_aside("failed", ""), set_aside("failed", "")
    assert data("replay", "--delivery", str(one))["queued"] == 1
    assert statuses(database) == {one: "ready", two: "quarantined"}
    assert run("replay", "--delivery", str(one)).exit_code == 1
    assert run("replay", "--delivery", "1").stderr == "error: there is no delivery '1'\n"
    assert run("replay", "--delivery", str(two), "--dry-run").exit_code == 2
