"""A CRM is asked what changed since the last time; a page and the place behind it are kept together, or neither is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import select
from tests.core.crms import Book, Desk, connected, crm
from tests.databases import on_sqlite

from stampcard.applying.setting import Setting
from stampcard.clock import to_micros
from stampcard.domain.commands import OWN
from stampcard.domain.value import replace
from stampcard.engine.syncing import Base
from stampcard.inbox import polling
from stampcard.inbox.polling import OVERLAP, Poller
from stampcard.plugin import ContactPage, MemberPage, PluginError
from stampcard.storage import contacts, inboxing, leasing
from stampcard.storage.contacts import Contact
from stampcard.storage.database import Database
from stampcard.storage.jobs import load_job
from stampcard.storage.tables import fetch, inbox
from stampcard.testing.applying import rows


class Asking(Desk):
    """A merchant and a CRM that is asked only here."""

    def __init__(self, database: Database, setting: Setting, **settings: Any) -> None:
        super().__init__(database, setting, crm(**settings))
        self.book = Book(self.clock)
        self.connections = {"crm": connected(self.book, **settings)}
        self.heard: list[str] = []

    def poller(self, owner: str = "me") -> Poller:
        """Another process that asks."""
        return Poller(
            self.database, self.clock, owner, self.connections["crm"], lambda: self.setting,
            lambda: self.heard.append("new"),
        )  # fmt: skip

    def since(self) -> list[datetime]:
        """Since when changes were asked for, in the calls so far."""
        return [call[1] for call in self.book.called("changed")]

    def mark(self) -> str:
        found = self.database.read_now(lambda c: load_job(c, "main", "poll:crm"))
        return found.place if found is not None else ""

    def taken_in(self) -> list[str]:
        """Contacts that were taken in, in order."""
        found = rows(self.database, select(inbox.c.key).where(inbox.c.connection == "crm").order_by(inbox.c.id))
        return [row.key.partition(":")[0] for row in found]


Opening = Callable[..., Asking]


@pytest.fixture
def desk(database: Database, setting: Setting) -> Opening:
    def make(**settings: Any) -> Asking:
        return Asking(database, setting, **settings)

    return make


async def test_fields_are_made_once_and_then_changes_are_asked_for_now_and_then(desk: Opening) -> None:
    now = desk()
    poller, began = now.poller(), now.clock.now()
    now.book.add("C1", "ann@shop.example")
    await poller.turn()
    assert [call[0] for call in now.book.calls] == ["prepare", "changed"]
    assert len(now.book.prepared[0]) == len(now.setting.crms["crm"].pairs)
    assert now.since() == [began - now.book.lag - OVERLAP]
    assert (now.taken_in(), now.heard) == (["C1"], ["new"])
    await poller.turn()
    assert now.book.calls == [], "it is not time yet"
    now.clock.advance(now.book.every)
    await poller.turn()
    assert now.since() == [began - now.book.lag - OVERLAP], "what was known then is looked at again"
    assert now.taken_in() == ["C1"]
    now.clock.advance(now.book.every)
    later = now.clock.now() - now.book.every
    await poller.turn()
    assert now.since() == [later - now.book.lag - OVERLAP]


def keep(desk: Asking, one: Contact) -> None:
    desk.database.write_now(lambda c: contacts.save_contacts(c, "main", [one]))


async def test_an_edit_just_before_we_wrote_is_found_and_what_we_wrote_ourselves_is_not(desk: Opening) -> None:
    mapped = {"country": "country", "consent.email.marketing": {"field": "cups", "opposite": True}}
    now = desk(fields=mapped, only=[{"field": "stage", "is": "customer"}])
    poller = now.poller()
    now.customer("1", email="ann@shop.example")
    now.book.add("C1", "ann@shop.example", firstname="Ann", country="Germany", cups="true", stage="customer")
    await poller.turn()
    now.hears_itself()
    for edited in (False, True):
        now.clock.advance(now.book.every)
        now.book.edit("C1", **({"firstname": "Anna"} if edited else {}), loyalty_points="7")
        # As it is written down when the vendor has answered.
        one, digest = now.known("C1"), contacts.digester(now.setting.sealer)
        fields = {**one.fields, "loyalty_points": Base(digest("7"), digest("7"))}
        keep(now, replace(one, fields=fields, content="", changed_at=to_micros(now.clock.now())))
        before = len(now.taken_in())
        await poller.turn()
        assert len(now.taken_in()) - before == edited
    now.hears_itself()
    assert now.person(now.member("1")).attributes["first_name"] == "Anna"


async def test_every_page_is_kept_with_the_place_behind_it_and_a_crash_goes_on_from_there(
    desk: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = desk()
    for number in range(5):
        now.clock.advance(1)
        now.book.add(f"C{number}", f"m{number}@shop.example")
    began = now.clock.now()
    now.book.trouble = []
    ask = now.book.changed

    async def breaks_at_the_second(since: datetime, place: str = "") -> ContactPage:
        if place:
            raise PluginError("book", "the book is closed")
        return await ask(since, place)

    monkeypatch.setattr(now.book, "changed", breaks_at_the_second)
    await now.poller().turn()
    assert now.taken_in() == ["C0", "C1"]
    kept = now.mark()
    monkeypatch.setattr(now.book, "changed", ask)
    now.clock.advance(timedelta(hours=2))
    now.database.write_now(lambda c: leasing.end_all(c, "main"))
    now.book.edit("C0", firstname="Later")
    now.book.called()
    another = now.poller("another")
    await another.turn()
    places = [call[2] for call in now.book.called("changed")]
    assert places[0] == kept.split(" ", 2)[2]
    assert set(now.taken_in()) == {f"C{number}" for number in range(5)}
    now.clock.advance(now.book.every)
    await another.turn()
    assert now.since()[0] == began - now.book.lag - OVERLAP, "up to where all pages were read, not further"
    assert now.taken_in().count("C0") == 2


@on_sqlite
async def test_a_page_that_cannot_be_kept_leaves_the_place_as_it_was(
    desk: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = desk()
    now.book.add("C1")
    poller = now.poller()

    def fail(*_: Any) -> int:
        raise RuntimeError

    monkeypatch.setattr(polling, "take_in", fail)
    await poller.turn()
    before = now.mark()
    assert (now.taken_in(), before.endswith(" ")) == ([], True)
    monkeypatch.setattr(polling, "take_in", inboxing.take_in)
    now.clock.advance(timedelta(hours=2))
    await poller.turn()
    assert now.taken_in() == ["C1"]


@on_sqlite
async def test_a_vendor_in_trouble_is_asked_again_after_longer_and_longer(desk: Opening) -> None:
    now = desk()
    poller = now.poller()
    now.book.trouble = [PluginError("book", "closed") for _ in range(20)]
    asked: list[int] = []
    for _ in range(6):
        await poller.turn()
        asked.append(len(now.book.called()))
        now.clock.advance(30)
    assert asked[0] == 1
    assert sum(asked) < 6
    now.book.trouble = []
    now.clock.advance(timedelta(hours=1))
    await poller.turn()
    assert [call[0] for call in now.book.called()] == ["prepare", "changed"], "the fields, too, are tried again"
    now.clock.advance(now.book.every)
    await poller.turn()
    assert [call[0] for call in now.book.called()] == ["changed"]


@on_sqlite
@pytest.mark.parametrize("lists", [False, True])
async def test_a_vendor_that_says_there_is_more_and_not_where_is_not_believed(
    desk: Opening, monkeypatch: pytest.MonkeyPatch, lists: bool
) -> None:
    now = desk(segments={"friends": "L1"})
    now.book.lists["L1"] = {"C1", "C2"}
    poller = now.poller()
    await poller.turn()
    now.clock.advance(polling.LISTS)

    async def nowhere(*_: Any) -> Any:
        return MemberPage(references=("C1",), place="here") if lists else ContactPage(place="here")

    monkeypatch.setattr(now.book, "in_list" if lists else "changed", nowhere)
    with structlog.testing.capture_logs() as lines:
        await poller.turn()
    assert now.database.read_now(lambda c: contacts.in_list(c, "main", "crm", "L1")) == {"C1", "C2"}
    (told,) = (line for line in lines if line["log_level"] == "warning")
    assert "says that there is more, and not where" in told["error"]
    # What is wrong with one list holds nothing else up.
    assert (told["event"], poller._tries) == (("list_not_read", 0) if lists else ("polling_failed", 1))


async def test_who_came_into_a_list_and_who_left_it_is_found_out(desk: Opening) -> None:
    now = desk(segments={"friends": "L1"})
    ann, ben = now.customer("1", email="ann@shop.example"), now.customer("2", email="ben@shop.example")
    now.contact("C1", "ann@shop.example")
    now.contact("C2", "ben@shop.example")
    now.book.lists = {"L1": {f"C{number}" for number in range(1, 6)}, "L9": {"C1"}}
    poller = now.poller()
    await poller.turn()
    now.hears_itself()
    assert [call[1] for call in now.book.called("in_list")] == ["L1"] * 3
    assert (now.segments(ann), now.segments(ben)) == ({"friends"}, {"friends"})
    now.book.lists["L1"] = {"C2", "C7"}
    now.clock.advance(now.book.every)
    await poller.turn()
    assert now.book.called("in_list") == [], "lists change less often"
    now.clock.advance(polling.LISTS)
    await poller.turn()
    now.hears_itself()
    assert (now.segments(ann), now.segments(ben)) == (set(), {"friends"})
    assert now.database.read_now(lambda c: contacts.in_list(c, "main", "crm", "L1")) == {"C2", "C7"}
    told = rows(now.database, select(inbox).where(inbox.c.connection == OWN))
    now.clock.advance(polling.LISTS)
    await poller.turn()
    assert len(rows(now.database, select(inbox).where(inbox.c.connection == OWN))) == len(told), "nothing is new"


@on_sqlite
async def test_whoever_comes_into_a_list_of_holds_or_leaves_it_is_read_again(desk: Opening) -> None:
    now = desk(hold_lists=["L7"])
    now.customer("1", email="ann@shop.example")
    now.contact("C1", "ann@shop.example")
    now.book.lists["L7"] = {"C1"}
    poller = now.poller()
    await poller.turn()
    assert [row.reference for row in rows(now.database, select(fetch))] == ["C1"]
    assert now.known("C1").content == ""
    assert rows(now.database, select(inbox).where(inbox.c.connection == OWN)) == []


@on_sqlite
async def test_a_large_list_is_told_in_parts(desk: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "CHUNK", 2)
    now = desk(segments={"friends": "L1"})
    now.book.lists["L1"] = {f"C{number}" for number in range(5)}
    await now.poller().turn()
    assert len(rows(now.database, select(inbox).where(inbox.c.connection == OWN))) == 3


@on_sqlite
async def test_a_paused_connection_and_one_that_another_process_asks_are_left_alone(desk: Opening) -> None:
    now = desk()
    active = now.setting.active
    now.setting = dataclasses.replace(now.setting, active=frozenset())
    assert await now.poller().turn() == polling.REST
    now.setting = dataclasses.replace(now.setting, active=active)
    now.database.write_now(lambda c: leasing.take(c, "main", "poll:crm", "x", now.clock.now(), timedelta(minutes=1)))
    assert await now.poller().turn() == polling.REST
    assert now.book.calls == []
