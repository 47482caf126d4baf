"""Fetching what a source only named."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from stampcard.applying.setting import Setting
from stampcard.clock import to_micros
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import Refetch
from stampcard.host.connecting import Connection
from stampcard.inbox.fetching import Fetcher
from stampcard.plugin import Capabilities
from stampcard.storage.database import Database
from stampcard.storage.tables import fetch, inbox
from stampcard.testing.applying import rows
from stampcard.testing.building import NOON
from stampcard.testing.clock import FakeClock


async def answer(wanted: Sequence[Refetch]) -> Sequence[Delivery]:
    """A vendor that has every order but B."""
    if any(one.reference == "B" for one in wanted):
        raise ConnectionError
    return [
        Delivery(
            connection="shop", key=one.reference, topic="order", body=b"{}", received_at=NOON, read_at=1, past=True
        )
        for one in wanted
    ]


async def test_a_record_that_fails_holds_no_other_up_and_what_came_is_stored(
    database: Database, setting: Setting
) -> None:
    wishes = [
        {"merchant": "main", "connection": "shop", "kind": "order", "reference": reference, "wanted_at": 0, "due_at": 0}
        for reference in "ABC"
    ]
    database.write_now(lambda connection: connection.execute(fetch.insert(), wishes))
    stored: list[str] = []
    connection = Connection(name="shop", plugin="p", capabilities=Capabilities(fetch=answer))
    fetcher = Fetcher(database, FakeClock(NOON), "me", connection, lambda: setting, lambda: stored.append("heard"))

    await fetcher.fetch_once()

    found = rows(database, select(inbox.c.key, inbox.c.past).order_by(inbox.c.key))
    assert [(row.key, row.past) for row in found] == [("A", 0), ("C", 0)]  # of the past is what a backfill brings
    assert len(stored) == 2
    (left,) = rows(database, select(fetch))
    assert (left.reference, left.attempts, left.error) == ("B", 1, "ConnectionError")
    assert left.due_at > to_micros(NOON)
