"""All contacts of a CRM are looked at: page by page, from where it stopped, until every member is shown; and each night."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.core.crms import Book, Desk, connected, crm
from tests.databases import on_sqlite

from stampcard.applying.setting import Setting
from stampcard.domain.value import replace
from stampcard.inbox import sweeping
from stampcard.inbox.sweeping import Sweeper
from stampcard.plugin import ContactPage, PluginError
from stampcard.storage import contacts, leasing
from stampcard.storage.database import Database
from stampcard.storage.pushing import owe
from stampcard.storage.sweeping import Sweep, Why, begin_sweep, load_sweep, move_sweep, stop_sweep
from stampcard.storage.tables import contact, fetch, inbox, push
from stampcard.testing.applying import rows, store


class Looking(Desk):
    """A merchant and a CRM that is looked at only here."""

    def __init__(self, database: Database, setting: Setting, **settings: Any) -> None:
        super().__init__(database, setting, crm(**settings))
        self.book = Book(self.clock)
        self.connections = {"crm": connected(self.book, **settings)}
        self.heard: list[str] = []

    def chooses(self, **settings: Any) -> None:
        """Other settings of the CRM, from now on."""
        self.setting = dataclasses.replace(self.setting, crms={"crm": crm(**settings)})
        self.connections = {"crm": connected(self.book, **settings)}

    def sweeper(self, owner: str = "me") -> Sweeper:
        return Sweeper(
            self.database, self.clock, owner, self.connections["crm"], lambda: self.setting,
            lambda: self.heard.append("new"),
        )  # fmt: skip

    def begun(self, why: Why = "sync") -> Sweep:
        return self.database.write_now(lambda c: begin_sweep(c, "main", "crm", why, self.clock.now()))

    def known_sweep(self, why: Why = "sync") -> Sweep:
        found = self.database.read_now(lambda c: load_sweep(c, "main", "crm", why))
        assert found is not None
        return found

    async def ends(self, why: Why = "sync") -> Sweep:
        """Turn until it is ended; what is taken in is applied, and what is to be shown is sent."""
        sweeper = self.sweeper()
        for _ in range(40):
            self.looks_again()
            await sweeper.turn()
            self.hears_itself()
            self.sent()
            if self.known_sweep(why).ended_at is not None:
                return self.known_sweep(why)
        pytest.fail(f"it does not end: {self.known_sweep(why)}")

    async def ends_of_night(self) -> Sweep:
        await self.sweeper().turn()
        return await self.ends("compare")

    def due(self) -> set[str]:
        found = rows(self.database, select(push).where(push.c.wanted > push.c.sent, push.c.kind == "contact"))
        return {row.member for row in found}

    def sent(self) -> None:
        """As if everything had been sent."""
        self.database.write_now(lambda c: c.execute(update(push).values(sent=push.c.wanted)))

    def taken_in(self) -> list[tuple[str, int]]:
        """Contacts that were taken in, and whether as of the past."""
        found = rows(self.database, select(inbox).where(inbox.c.connection == "crm").order_by(inbox.c.id))
        return [(row.key.partition(":")[0], row.past) for row in found]


Opening = Callable[..., Looking]


@pytest.fixture
def desk(database: Database, setting: Setting) -> Opening:
    def make(**settings: Any) -> Looking:
        return Looking(database, setting, **settings)

    return make


@on_sqlite
async def test_everybody_is_read_and_linked_and_then_every_member_is_shown(desk: Opening) -> None:
    now = desk()
    ann, ben = now.customer("1", email="ann@shop.example"), now.customer("2", email="ben@shop.example")
    for reference, email in (("C1", "ann@shop.example"), ("C2", "else@shop.example"), ("C3", "more@shop.example")):
        now.book.add(reference, email)
    sweeper = now.sweeper()
    assert await sweeper.turn() == sweeping.REST, "nobody wants anything"
    assert now.book.calls == []
    now.sent()
    now.begun()
    assert await sweeper.turn() == 0.0
    assert (len(now.book.prepared), now.known_sweep().progress.phase) == (1, "reading")
    now.looks_again()
    assert await sweeper.turn() == 0.0
    assert (now.known_sweep().total, now.known_sweep().progress.counted) == (3, True)
    await sweeper.turn()
    assert (now.known_sweep().place, now.known_sweep().done, now.heard) == ("C2", 2, ["new"])
    await sweeper.turn()
    assert (now.known_sweep().progress.phase, now.known_sweep().done) == ("applying", 3)
    assert await sweeper.turn() == sweeping.ROOM, "it waits until all of that is applied"
    assert now.taken_in() == [("C1", 1), ("C2", 1), ("C3", 1)]
    now.hears_itself()
    assert (now.known("C1").member, now.known("C2").why) == (ann, "nobody")
    await sweeper.turn()
    assert (now.known_sweep().progress.phase, now.known_sweep().progress.missing) == ("showing", 0)
    await sweeper.turn()
    assert now.due() == {ann, ben}
    await sweeper.turn()
    assert now.known_sweep().progress.phase == "sending"
    assert await sweeper.turn() == sweeping.ROOM
    now.sent()
    await sweeper.turn()
    ended = now.known_sweep()
    assert (ended.progress.phase, ended.ended_at, ended.progress.different) == ("ended", now.clock.now(), 3)
    assert await sweeper.turn() == sweeping.REST


async def test_another_process_goes_on_where_one_stopped_and_one_that_was_overtaken_keeps_nothing(
    desk: Opening,
) -> None:
    now = desk()
    for number in range(5):
        now.book.add(f"C{number}")
    now.begun()
    first = now.sweeper()
    for _ in range(3):
        await first.turn()
    before = now.known_sweep()
    assert await now.sweeper("another").turn() == sweeping.REST, "one process reads at a time"
    now.database.write_now(lambda c: leasing.end_all(c, "main"))
    another = now.sweeper("another")
    for _ in range(2):
        await another.turn()
    assert [call[1] for call in now.book.called("read")] == ["", "C1", "C3"]
    assert [of for of, _ in now.taken_in()] == [f"C{number}" for number in range(5)]
    late = replace(before, place="X")
    assert not now.database.write_now(lambda c: move_sweep(c, "main", before, late))


@on_sqlite
async def test_it_stops_when_people_say_so_and_goes_on_from_there(desk: Opening) -> None:
    now = desk()
    for number in range(5):
        now.book.add(f"C{number}")
    now.begun()
    sweeper = now.sweeper()
    for _ in range(3):
        await sweeper.turn()
    stopped = now.database.write_now(lambda c: stop_sweep(c, "main", "crm", "sync"))
    assert stopped is not None
    assert (stopped.progress.stopped, stopped.goes_on) == (True, False)
    assert await sweeper.turn() == sweeping.REST
    now.clock.advance(timedelta(days=3))
    assert await sweeper.turn() == sweeping.REST, "nor does the night go on with it"
    assert now.begun().place == "C1"
    now.book.called()
    await sweeper.turn()
    assert [call[1] for call in now.book.called("read")] == ["C1"]
    assert (await now.ends()).done == 5


@on_sqlite
async def test_trouble_is_told_and_the_same_place_is_read_again_later(desk: Opening) -> None:
    now = desk()
    for number in range(3):
        now.book.add(f"C{number}")
    now.begun()
    sweeper = now.sweeper()
    now.book.trouble = [PluginError("book", "the book is closed")]
    assert await sweeper.turn() == sweeping.REST
    told = now.known_sweep().progress
    assert (told.trouble, told.tries, told.counted) == ("plugin 'book': the book is closed", 1, False)
    assert 0 < await sweeper.turn() <= sweeping.REST
    assert len(now.book.called()) == 1, "not yet"
    now.clock.advance(5)
    await sweeper.turn()
    assert (now.known_sweep().progress.trouble, now.known_sweep().progress.phase) == ("", "reading")
    await sweeper.turn()
    assert (now.known_sweep().progress.counted, now.known_sweep().progress.tries) == (True, 0)
    now.book.trouble = [ValueError("of a secret"), ValueError("of a secret")]
    await sweeper.turn()
    now.clock.advance(5)
    await sweeper.turn()
    told = now.known_sweep().progress
    assert (told.tries, "secret" in told.trouble, now.known_sweep().place) == (2, False, "")
    now.clock.advance(timedelta(minutes=1))
    assert (await now.ends()).done == 3


@on_sqlite
async def test_nobody_waits_for_a_push_that_the_vendor_does_not_take_or_that_came_later(desk: Opening) -> None:
    now = desk()
    ann, ben = now.customer("1", email="ann@shop.example"), now.customer("2", email="ben@shop.example")
    now.begun()
    sweeper = now.sweeper()
    while now.known_sweep().progress.phase != "sending":
        now.looks_again()
        await sweeper.turn()
        now.hears_itself()
    shown_at = now.known_sweep().progress.all_shown_at
    assert (shown_at, now.due()) == (now.clock.now(), {ann, ben})
    again = update(push).where(push.c.member == ann).values(attempts=contacts.AGAIN)
    now.database.write_now(lambda c: c.execute(again))
    assert await sweeper.turn() == sweeping.ROOM, "the other one was not tried yet"
    now.clock.advance(timedelta(seconds=1))
    now.database.write_now(lambda c: owe(c, "main", "crm", "contact", [ben], now.clock.now()))
    await sweeper.turn()
    assert (now.known_sweep().progress.phase, now.due()) == ("ended", {ann, ben})


@on_sqlite
async def test_a_place_that_the_vendor_does_not_know_any_more_is_given_up_for_the_beginning(desk: Opening) -> None:
    now = desk()
    for number in range(3):
        now.book.add(f"C{number}")
    now.begun()
    sweeper = now.sweeper()
    while not now.known_sweep().place:
        await sweeper.turn()
    assert now.known_sweep().done == 2
    for number in range(sweeping.LOST):
        assert now.known_sweep().place, number
        now.book.trouble = [PluginError("book", "there is no such place")]
        now.clock.advance(timedelta(hours=2))
        await sweeper.turn()
    assert (now.known_sweep().place, now.known_sweep().done) == ("", 0)
    now.clock.advance(timedelta(hours=2))
    assert (await now.ends()).done == 3


@on_sqlite
async def test_a_vendor_that_says_there_is_more_and_not_where_is_in_trouble(
    desk: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = desk()
    for number in range(3):
        now.book.add(f"C{number}")
    now.begun()
    sweeper = now.sweeper()
    for _ in range(3):
        await sweeper.turn()

    async def nowhere(place: str = "") -> ContactPage:
        return ContactPage(place=place)

    monkeypatch.setattr(now.book, "read", nowhere)
    await sweeper.turn()
    assert "say that there are more, and not where" in now.known_sweep().progress.trouble


@on_sqlite
async def test_it_waits_while_much_is_to_be_applied_or_sent_or_the_vendor_wants_rest(
    desk: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = desk()
    now.begun()
    sweeper = now.sweeper()
    monkeypatch.setattr(sweeping, "FULL", 2)
    ids = store(now.database, now.setting, b"{}", b"{}")
    await sweeper.turn()
    assert await sweeper.turn() == sweeping.ROOM
    now.database.write_now(lambda c: c.execute(update(inbox).where(inbox.c.id.in_(ids)).values(status="done")))
    monkeypatch.setattr(now.book, "pace", lambda: 0.5)
    assert await sweeper.turn() == 0.5
    monkeypatch.undo()
    now.looks_again()
    for _ in range(3):
        await sweeper.turn()
    assert now.known_sweep().progress.phase == "showing"
    now.customer("1")
    monkeypatch.setattr(sweeping, "SENDING", 1)
    assert await sweeper.turn() == sweeping.ROOM


async def test_known_contacts_that_are_not_found_are_asked_for_one_by_one(
    desk: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "STEP", 2)
    now = desk()
    for number in range(4):
        now.customer(str(number), email=f"m{number}@shop.example")
        now.contact(f"C{number}", f"m{number}@shop.example")
    now.contact("C8", "else@shop.example")
    now.clock.advance(1)
    now.book.add("C0", "m0@shop.example")
    now.begun()
    ended = await now.ends()
    assert ended.progress.missing == 3
    assert sorted(row.reference for row in rows(now.database, select(fetch))) == ["C1", "C2", "C3"]
    assert ended.progress.shown == 4


async def test_the_next_night_finds_what_was_missed_and_shows_nobody_anew(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    for reference in ("C1", "C2", "C3"):
        now.book.add(reference, "ann@shop.example" if reference == "C1" else f"{reference}@shop.example")
    now.begun()
    await now.ends()
    sweeper = now.sweeper()
    now.clock.advance(timedelta(hours=1))
    assert await sweeper.turn() == sweeping.REST
    now.book.edit("C1", firstname="Missed")
    now.book.called()
    before = len(now.taken_in())
    now.clock.advance(timedelta(hours=47))
    ended = await now.ends_of_night()
    assert (ended.progress.phase, ended.done, ended.progress.different, ended.progress.shown) == ("ended", 3, 1, 0)
    assert now.taken_in()[before:] == [("C1", 0)], "live, and only what is not known so"
    assert now.person(ann).attributes["first_name"] == "Missed"
    now.book.called()
    await sweeper.turn()
    assert now.book.called() == [], "once a night"


@on_sqlite
async def test_the_night_reads_at_leisure(desk: Opening) -> None:
    now = desk()
    for number in range(3):
        now.book.add(f"C{number}")
    now.begun("compare")
    sweeper = now.sweeper()
    for _ in range(2):
        await sweeper.turn()
    assert await sweeper.turn() == sweeping.SHARE


@on_sqlite
async def test_people_who_look_anew_after_other_settings_have_whoever_is_open_judged_again(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", verified=False, email="ann@shop.example")
    now.book.add("C1", "ann@shop.example")
    now.book.add("C2", "else@shop.example")
    now.begun()
    await now.ends()
    assert (now.known("C1").why, now.known("C2").why) == ("unverified", "nobody")
    now.chooses(trust_addresses=True, make_members=True)
    now.clock.advance(1)
    now.begun()
    await now.ends()
    assert (now.known("C1").member, now.known("C2").made) == (ann, "here")


@on_sqlite
async def test_a_paused_connection_and_one_without_contacts_are_left_alone(desk: Opening) -> None:
    now = desk()
    now.begun()
    now.setting = dataclasses.replace(now.setting, active=frozenset({"shop"}))
    assert await now.sweeper().turn() == sweeping.REST
    assert (now.book.calls, rows(now.database, select(contact))) == ([], [])


@on_sqlite
async def test_one_that_has_ended_begins_anew(desk: Opening) -> None:
    now = desk()
    now.book.add("C1")
    first = now.begun()
    await now.ends()
    now.clock.advance(1)
    again = now.begun()
    assert (again.started_at > first.started_at, again.done, again.mark != first.mark) == (True, 0, True)
    assert (await now.ends()).done == 1
