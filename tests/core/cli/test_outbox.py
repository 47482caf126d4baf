from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, select
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.clock import SystemClock, to_micros
from stampcard.storage.database import Database
from stampcard.storage.tables import outbox, push

Run = Callable[..., Result]
Data = Callable[..., Any]
Command = Callable[..., str]


@pytest.fixture
def give_up(database: Database) -> Callable[[str], str]:
    """Leaves a push as a dead letter and gives its id."""

    def make(member: str) -> str:
        row = {"merchant": "main", "connection": "shop", "kind": "balance", "member": member, "wanted": 3, "sent": 1,
               "due_at": 1, "attempts": 8, "error": "is gone", "dead": 1}  # fmt: skip
        database.write_now(lambda connection: connection.execute(insert(push), [row]))
        return f"shop/balance/{member}"

    return make


def pushes(database: Database) -> list[tuple[Any, ...]]:
    columns = (push.c.member, push.c.wanted, push.c.sent, push.c.dead, push.c.error)
    rows = database.read_now(lambda connection: connection.execute(select(*columns).order_by(push.c.member)).all())
    return [tuple(row) for row in rows]


def statuses(database: Database) -> dict[str, str]:
    rows = database.read_now(lambda connection: connection.execute(select(outbox.c.id, outbox.c.status)).all())
    return {str(row.id): row.status for row in rows}


def test_an_empty_outbox_is_said_to_be_empty(run: Run) -> None:
    assert run("outbox", "list").stderr == "Nothing waits in the outbox, and nothing was given up.\n"
    assert run("outbox", "list", "--status", "dead").stderr == "Nothing in the outbox is dead.\n"
    assert run("outbox", "retry", "--all").stderr == "Nothing was given up.\n"


def test_what_is_open_is_listed_with_what_to_do(
    run: Run, data: Data, command: Command, give_up: Callable[[str], str]
) -> None:
    waiting, unknown, dead, done = (command(status) for status in ("ready", "unknown", "dead", "done"))
    gone = give_up("m_ann")
    assert {row["id"] for row in data("outbox", "list")} == {waiting, unknown, dead, gone}
    assert [row["id"] for row in data("outbox", "list", "--status", "done")] == [done]
    assert {row["id"] for row in data("outbox", "list", "--status", "dead")} == {dead, gone}
    assert data("outbox", "list", "--connection", "other") == []
    result = run("outbox", "list")
    assert result.stdout.splitlines()[0].split() == [
        "ID", "CONNECTION", "KIND", "MEMBER", "STATUS", "ATTEMPTS", "DUE", "ERROR"
    ]  # fmt: skip
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == ["unknown", "dead"]


def test_one_is_retried_by_its_id(
    run: Run, database: Database, command: Command, give_up: Callable[[str], str]
) -> None:
    unknown, done, gone = command("unknown"), command("done"), give_up("m_ann")
    assert run("outbox", "retry", unknown).stdout == "1 will be tried again\n"
    assert run("outbox", "retry", gone).exit_code == 0
    assert run("outbox", "retry", done).exit_code == 1
    assert statuses(database) == {unknown: "ready", done: "done"}
    assert pushes(database) == [("m_ann", 3, 1, 0, None)]
    assert run("outbox", "retry", gone).stderr == f"error: there is no push that was given up '{gone}'\n"
    assert run("outbox", "retry", "99999").exit_code == run("outbox", "retry", "nonsense").exit_code == 1


def test_all_that_was_given_up_is_retried_but_nothing_that_is_unknown(
    run: Run, data: Data, database: Database, command: Command, give_up: Callable[[str], str]
) -> None:
    dead, unknown = command("dead"), command("unknown")
    give_up("m_ann")
    give_up("m_ben")
    assert data("outbox", "retry", "--all") == {"retried": 3}
    assert statuses(database) == {dead: "ready", unknown: "unknown"}
    assert [row[3] for row in pushes(database)] == [0, 0]


def test_since_leaves_what_was_tried_earlier(
    run: Run, data: Data, database: Database, command: Command, give_up: Callable[[str], str]
) -> None:
    lately = command("dead", attempted_at=to_micros(SystemClock().now()))
    long_ago = command("dead", attempted_at=1)
    give_up("m_ann")
    assert data("outbox", "retry", "--all", "--since", "2h") == {"retried": 1}
    assert statuses(database) == {lately: "ready", long_ago: "dead"}
    assert [row[3] for row in pushes(database)] == [1]


@on_sqlite
@pytest.mark.parametrize("arguments", [[], ["1", "--all"], ["1", "--since", "2h"], ["--all", "--since", "soon"]])
def test_a_retry_of_nothing_in_particular_is_a_wrong_call(run: Run, arguments: list[str]) -> None:
    assert run("outbox", "retry", *arguments).exit_code == 2


def test_what_is_dropped_is_never_sent_and_says_why(
    run: Run, data: Data, database: Database, command: Command, give_up: Callable[[str], str]
) -> None:
    unknown, gone = command("unknown"), give_up("m_ann")
    assert run("outbox", "drop", unknown).exit_code == 2
    assert run("outbox", "drop", unknown, "--reason", "was done").stdout == f"{unknown} is dropped\n"
    assert data("outbox", "list", "--status", "dropped")[0]["error"] == "was done"
    assert run("outbox", "drop", gone, "--reason", "left us").exit_code == 0
    assert pushes(database) == [("m_ann", 1, 1, 0, "dropped: left us")]
    assert run("outbox", "drop", gone, "--reason", "left us").exit_code == 1
    assert data("outbox", "list") == []


def test_what_arrived_is_sent_again_for_a_receiver_that_lost_it(run: Run, data: Data, command: Command) -> None:
    now = to_micros(SystemClock().now())
    done, ready = command("done", created_at=now), command("ready")
    assert run("outbox", "replay", "shop", "--since", "1h", "--kind", "sms").stderr == (
        "Nothing of kind sms was told to 'shop' in that time.\n"
    )
    kind = next(row["kind"] for row in data("outbox", "list", "--status", "done"))
    assert data("outbox", "replay", "shop", "--since", "1h", "--kind", kind) == {"replayed": 1}
    assert {row["id"] for row in data("outbox", "list", "--status", "ready")} == {done, ready}


def test_a_reward_that_was_made_real_is_never_made_again(run: Run) -> None:
    refused = run("outbox", "replay", "shop", "--since", "1h", "--kind", "reward_issue")
    assert (refused.exit_code, "done once" in refused.stderr) == (1, True)
