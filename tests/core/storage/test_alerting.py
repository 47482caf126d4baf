"""What somebody should know is found by looking at the day, and told once."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, insert

from stampcard.domain.decisions import Alert, Reason
from stampcard.storage import saving
from stampcard.storage.alerting import list_alerts, look, tell
from stampcard.storage.database import Database
from stampcard.storage.numbering import Numbering, number_at
from stampcard.storage.packing import pack_reasons
from stampcard.storage.tables import inbox, push

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
_ones = itertools.count()


def granted(connection: Connection, at: datetime, points: int, delivery: int | None = None) -> None:
    reasons = (Reason(rule="buy", outcome="paid", code="matched", granted=points, program="main"),)
    row = {
        "merchant": "main",
        "id": number_at(at) + next(_ones),
        "kind": "order_seen",
        "subject": f"order:shop:{at}",
        "occurred_at": 0,
        "applied_at": 0,
        "body": "{}",
        "reasons": pack_reasons(reasons),
        "delivery": delivery,
    }
    saving.insert(connection, "event", [row])


def heard(connection: Connection, at: datetime, *, past: bool = False) -> int:
    number = number_at(at) + next(_ones)
    row = {"merchant": "main", "id": number, "connection": "shop", "key": str(number), "body_hash": "", "topic": ""}
    connection.execute(insert(inbox).values(**row, received_at=0, past=int(past)))
    return number


def looked(database: Database, now: datetime, connections: tuple[str, ...] = ("shop",)) -> list[Alert]:
    seen = database.read_now(lambda connection: look(connection, "main", connections, now))
    database.write_now(lambda connection: tell(connection, "main", Numbering(1), seen, now))
    return list(seen.alerts)


def test_what_a_backfill_brings_makes_no_day_unusual_and_no_connection_talkative(database: Database) -> None:
    for ago in range(12, 1, -1):
        database.write_now(lambda c, ago=ago: granted(c, NOON - DAY * ago, 100, heard(c, NOON - DAY * ago)))  # type: ignore[misc]
        assert looked(database, NOON - DAY * (ago - 1)) == []
    database.write_now(lambda c: granted(c, NOON - DAY, 100))
    database.write_now(lambda c: granted(c, NOON - DAY, 90_000, heard(c, NOON - DAY, past=True)))
    database.write_now(lambda c: heard(c, NOON - timedelta(hours=1), past=True))

    assert [one.kind for one in looked(database, NOON)] == ["silent"]


def test_a_day_that_pays_three_times_as_much_as_usual_is_told_once(database: Database) -> None:
    for ago in range(12, 1, -1):
        database.write_now(lambda c, ago=ago: granted(c, NOON - DAY * ago, 100))  # type: ignore[misc]
        assert looked(database, NOON - DAY * (ago - 1)) == []
    database.write_now(lambda c: granted(c, NOON - DAY, 150))
    database.write_now(lambda c: granted(c, NOON - DAY, 160))

    assert looked(database, NOON) == [Alert(kind="unusual_day", program="main", period="2026-03-19", share=310)]
    assert looked(database, NOON + timedelta(hours=1)) == []


def test_a_day_on_which_a_program_pays_nothing_any_more_is_unusual_too(database: Database) -> None:
    for ago in range(12, 1, -1):
        database.write_now(lambda c, ago=ago: granted(c, NOON - DAY * ago, 100))  # type: ignore[misc]
        looked(database, NOON - DAY * (ago - 1))

    (alert,) = looked(database, NOON)

    assert (alert.kind, alert.share) == ("unusual_day", 0)


def test_the_first_week_has_no_usual_day_yet(database: Database) -> None:
    for ago in range(6, 1, -1):
        database.write_now(lambda c, ago=ago: granted(c, NOON - DAY * ago, 100))  # type: ignore[misc]
        looked(database, NOON - DAY * (ago - 1))
    database.write_now(lambda c: granted(c, NOON - DAY, 10_000))

    assert looked(database, NOON) == []


def test_a_connection_that_told_something_every_day_and_then_nothing_is_silent(database: Database) -> None:
    for ago in range(2, 8):
        database.write_now(lambda c, ago=ago: heard(c, NOON - DAY * ago))  # type: ignore[misc]

    assert looked(database, NOON) == [Alert(kind="silent", scope="shop", period="2026-03-20")]
    assert looked(database, NOON + timedelta(hours=1)) == []
    assert looked(database, NOON, ("other",)) == []


def test_a_connection_that_tells_something_now_and_then_is_not_silent(database: Database) -> None:
    for ago in (2, 5):
        database.write_now(lambda c, ago=ago: heard(c, NOON - DAY * ago))  # type: ignore[misc]

    assert looked(database, NOON) == []


def test_what_was_given_up_is_told_each_day_until_somebody_looks(database: Database) -> None:
    row = {"merchant": "main", "connection": "shop", "kind": "balance", "member": "m_1", "wanted": 2, "sent": 1}
    database.write_now(lambda c: c.execute(insert(push).values(**row, due_at=0, dead=1)))

    assert looked(database, NOON) == [Alert(kind="dead_letters", scope="shop", period="2026-03-20", count=1)]
    assert looked(database, NOON + timedelta(hours=5)) == []
    assert [alert.period for alert in looked(database, NOON + DAY)] == ["2026-03-21"]

    newest_first = database.read_now(lambda c: list_alerts(c, "main"))
    assert [date.fromisoformat(one.alert.period).day for one in newest_first] == [21, 20]
    older = database.read_now(lambda c: list_alerts(c, "main", before=newest_first[0].number))
    assert [one.number for one in older] == [newest_first[1].number]
