"""The past of a connection is read page by page: what is kept of a page, and its place, are kept together."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.databases import on_sqlite

from stampcard.applying.setting import Setting
from stampcard.clock import to_micros
from stampcard.domain.deliveries import Delivery
from stampcard.domain.value import replace
from stampcard.host.connecting import Connection
from stampcard.inbox import backfilling
from stampcard.inbox.backfilling import Backfiller
from stampcard.plugin import Capabilities, HistoryPage, OrderHistory, PluginError
from stampcard.storage import leasing
from stampcard.storage.backfilling import (
    Backfill,
    begin_backfill,
    keep_page,
    load_backfill,
    outcomes,
    stop_backfill,
)
from stampcard.storage.database import Database
from stampcard.storage.inboxing import claim, count_ready
from stampcard.storage.tables import inbox
from stampcard.testing.applying import rows, store
from stampcard.testing.building import NOON
from stampcard.testing.clock import FakeClock


def told(reference: str, **changes: Any) -> Delivery:
    fields = {"connection": "shop", "key": f"past:{reference}", "topic": "order", "body": b"{}", "received_at": NOON}
    return Delivery(**{**fields, "read_at": 1, **changes})


class Books(OrderHistory):
    """Pages of two orders; what is in `trouble` is raised instead, `page` is given instead."""

    def __init__(self, orders: int = 5) -> None:
        self.orders, self.trouble, self.page, self.rate = orders, list[Exception](), list[HistoryPage](), 0.0
        self.asked: list[tuple[datetime | None, str]] = []

    def pace(self) -> float:
        return self.rate

    async def count(self, since: datetime | None) -> int | None:  # noqa: ARG002
        return self.orders

    async def read(self, since: datetime | None, place: str = "") -> HistoryPage:
        self.asked.append((since, place))
        if self.trouble:
            raise self.trouble.pop()
        if self.page:
            return self.page.pop()
        start = int(place or 0)
        found = tuple(told(f"O{number}") for number in range(start, min(start + 2, self.orders)))
        return HistoryPage(deliveries=found, place=str(start + 2) if start + 2 < self.orders else "")


Making = Callable[..., Backfiller]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def making(database: Database, setting: Setting, clock: FakeClock, books: Books) -> Making:
    """Makes a backfiller of an owner, which is told of what was stored."""

    def make(owner: str = "me", stored: Callable[[], None] = lambda: None, **changes: Any) -> Backfiller:
        connection = Connection(name="shop", plugin="books", capabilities=Capabilities(history=books))
        return Backfiller(database, clock, owner, connection, lambda: dataclasses.replace(setting, **changes), stored)

    return make


def begun(database: Database, since: datetime | None = None, *, anew: bool = False) -> Backfill:
    return database.write_now(lambda connection: begin_backfill(connection, "main", "shop", NOON, since, anew=anew))


def known(database: Database) -> Backfill:
    found = database.read_now(lambda connection: load_backfill(connection, "main", "shop"))
    assert found is not None
    return found


def stored(database: Database) -> Sequence[Any]:
    return rows(database, select(inbox.c.key, inbox.c.past).order_by(inbox.c.id))


async def turns(backfiller: Backfiller, count: int) -> list[float]:
    return [await backfiller.turn() for _ in range(count)]


@on_sqlite
async def test_every_page_is_kept_with_its_place(database: Database, making: Making, books: Books) -> None:
    heard: list[str] = []
    backfiller, since = making(stored=lambda: heard.append("new")), NOON - timedelta(days=9)
    assert await turns(backfiller, 1) == [backfilling.REST]  # nobody wants anything
    begun(database, since)
    assert await turns(backfiller, 1) == [0.0]
    assert (known(database).total, known(database).terms.counted) == (5, True)
    await turns(backfiller, 2)
    assert (known(database).place, known(database).done, len(heard)) == ("4", 4, 2)
    await turns(backfiller, 1)
    assert (known(database).state, known(database).done, known(database).ended_at) == ("ended", 5, NOON)
    assert await turns(backfiller, 1) == [backfilling.REST]
    assert [(row.key, row.past) for row in stored(database)] == [(f"past:O{number}", 1) for number in range(5)]
    assert books.asked == [(since, ""), (since, "2"), (since, "4")]
    assert database.read_now(lambda c: outcomes(c, "main", known(database))) == {"ready": 5}


async def test_trouble_is_shown_and_the_same_place_is_asked_for_again_later(
    database: Database, making: Making, books: Books, clock: FakeClock
) -> None:
    begun(database)
    backfiller = making()
    books.trouble = [ValueError("of a secret"), PluginError("books", "the books are closed")]
    await turns(backfiller, 2)
    assert (known(database).terms.trouble, known(database).terms.tries) == ("plugin 'books': the books are closed", 1)
    assert 0 < (await turns(backfiller, 1))[0] <= 5.0
    assert len(books.asked) == 1
    clock.advance(5.0)
    await turns(backfiller, 1)
    assert (known(database).terms.trouble, known(database).terms.tries) == ("ValueError", 2)
    clock.advance(10.0)
    await turns(backfiller, 1)
    assert (known(database).terms.trouble, known(database).terms.tries, known(database).place) == ("", 0, "2")
    assert books.asked == [(None, "")] * 3


@on_sqlite
@pytest.mark.parametrize(
    "page",
    [
        HistoryPage(deliveries=(told("O1", connection="till"),)),
        HistoryPage(deliveries=(told("O1", read_at=0),)),
        HistoryPage(deliveries=(told("O1"),), place="2"),
    ],
)
async def test_what_a_plugin_may_not_say_is_trouble(
    database: Database, making: Making, books: Books, page: HistoryPage
) -> None:
    begun(database)
    await turns(making(), 2)
    books.page = [page]
    await turns(making(), 1)
    assert known(database).terms.trouble.startswith("plugin 'books': its history")
    assert len(stored(database)) == 2


async def test_a_vendor_that_gathers_is_waited_for(
    database: Database, making: Making, books: Books, clock: FakeClock
) -> None:
    begun(database)
    backfiller = making()
    await turns(backfiller, 1)
    books.page = [HistoryPage(place="gathering", wait=7.0, note="gathers"), HistoryPage(place="gathering", wait=3.0)]
    assert (await turns(backfiller, 2))[1] == backfilling.REST
    clock.advance(3.0)
    await turns(backfiller, 2)
    assert (known(database).terms.note, len(books.asked)) == ("gathers", 2)
    clock.advance(7.0)
    books.rate = 0.5
    assert await turns(backfiller, 1) == [0.5]
    assert len(books.asked) == 2


async def test_it_waits_while_much_is_to_be_applied(
    database: Database, setting: Setting, making: Making, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfilling, "FULL", 3)
    begun(database)
    backfiller = making()
    await turns(backfiller, 1)
    store(database, setting, b"1", b"2", b"3")
    assert await turns(backfiller, 1) == [backfilling.ROOM]
    assert books.asked == []
    later = to_micros(NOON + timedelta(hours=1))  # what waits for something else takes no room
    database.write_now(lambda c: c.execute(update(inbox).values(next_at=later)))
    assert await turns(backfiller, 1) == [0.0]


async def test_a_paused_connection_and_a_stopped_backfill_are_left_alone(
    database: Database, making: Making, books: Books
) -> None:
    begun(database)
    assert await turns(making(active=frozenset()), 1) == [backfilling.REST]
    await turns(making(), 2)
    stopped = database.write_now(lambda connection: stop_backfill(connection, "main", "shop"))
    assert stopped is not None
    assert stopped.state == "stopped"
    assert await turns(making(), 1) == [backfilling.REST]
    assert begun(database, NOON).place == "2"  # on from where it stopped, whatever else is said
    await turns(making(), 1)
    assert known(database).place == "4"
    assert begun(database, NOON, anew=True).place == ""
    assert (known(database).terms.since, known(database).done) == (NOON, 0)
    assert [place for _, place in books.asked] == ["", "2"]


async def test_one_process_reads_at_a_time(database: Database, making: Making, books: Books) -> None:
    begun(database)
    database.write_now(lambda c: leasing.take(c, "main", "backfill:shop", "another", NOON, timedelta(minutes=1)))
    assert await turns(making(), 1) == [backfilling.REST]
    assert books.asked == []


async def test_whoever_was_overtaken_keeps_nothing(
    database: Database, setting: Setting, making: Making, books: Books
) -> None:
    before = begun(database)
    await turns(making(), 2)
    late = replace(before, place="17", done=9)

    def keep(connection: Any) -> bool:
        return keep_page(connection, "main", before, late, [told("X")], setting.sealer, setting.numbering)

    assert not database.write_now(keep)
    assert known(database).place == "2"
    assert len(stored(database)) == 2
    assert books.orders


async def test_a_vendor_that_never_answers_is_given_up(
    database: Database, making: Making, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(since: datetime | None) -> int | None:
        await asyncio.sleep(60)
        return None

    monkeypatch.setattr(books, "count", hang)
    monkeypatch.setattr(backfilling, "ATTEMPT", 0.01)
    begun(database)
    await turns(making(), 1)
    assert known(database).terms.trouble == "TimeoutError"


def test_what_is_live_is_applied_before_what_is_past(database: Database, setting: Setting) -> None:
    old = begun(database)
    page = [told("O1", past=True), told("O2", past=True)]
    after = replace(old, place="2")
    database.write_now(lambda c: keep_page(c, "main", old, after, page, setting.sealer, setting.numbering))

    def claimed() -> list[str]:
        found = database.write_now(lambda connection: claim(connection, "main", "me", NOON, 10))
        database.write_now(
            lambda c: c.execute(update(inbox).where(inbox.c.id.in_([row.id for row in found])).values(status="done"))
        )
        return [row.key for row in found]

    live = store(database, setting, b"live")
    assert database.read_now(lambda c: count_ready(c, "main", NOON, 10)) == 3
    assert len(live) == 1
    assert claimed() == [row.key for row in rows(database, select(inbox.c.key).where(inbox.c.id.in_(live)))]
    assert claimed() == ["past:O1", "past:O2"]
    assert claimed() == []
