"""A CRM's contacts are looked through from the command line: tried, done, followed, stopped and taken back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.core.crms import Book, Crms
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.applying.requests import Answer, create_member
from stampcard.applying.unit import Unit
from stampcard.cli import syncing
from stampcard.cli.acting import act
from stampcard.clock import SystemClock
from stampcard.host import discovering
from stampcard.inbox import sweeping
from stampcard.outbox import contacting
from stampcard.plugin import PluginError
from stampcard.settings import Settings
from stampcard.storage.database import Database
from stampcard.storage.sweeping import begin_sweep, load_sweep
from stampcard.storage.tables import contact, identity, outbox

Run = Callable[..., Result]
TOML = """
programs = []
[connections.crm]
plugin = "book"
trust_addresses = true
make_members = true
[connections.bare]
plugin = "book"
"""


@pytest.fixture
def book(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    """An installation with a connection to a CRM, and one to something else."""
    found = Book(SystemClock())
    plugins = discovering.discover({"book": Crms(crm=found)}, entries=())
    for where in ("stampcard.host.discovering.discover", "stampcard.app.discover"):
        monkeypatch.setattr(where, lambda *_, **__: plugins)
    monkeypatch.setattr(syncing, "LOOK", 0.02)
    monkeypatch.setattr(syncing, "LINE", 0.0)
    monkeypatch.setattr(sweeping, "REST", 0.05)
    monkeypatch.setattr(contacting, "LINGER", contacting.LINGER / 10)
    (installed / "stampcard.toml").write_text(TOML)
    return found


@pytest.fixture
def person(settings: Settings) -> Callable[..., str]:
    """Makes a member with these attributes, known at a shop by the reference, and gives the id."""

    def make(reference: str, **attributes: Any) -> str:
        def work(unit: Unit) -> Answer:
            return Answer(status=201, body={"id": create_member(unit, ("shop", reference), attributes)})

        return str(act(settings, work).body["id"])

    return make


def filled(book: Book) -> None:
    book.add("C1", "ann@shop.example", firstname="Augusta")
    book.add("C2", "cleo@shop.example")
    book.add("C3", "dora@shop.example")


def test_it_is_tried_done_looked_at_and_taken_back(
    run: Run, database: Database, book: Book, person: Callable[..., str]
) -> None:
    ann = person("1", email="ann@shop.example", first_name="Ann")
    ben = person("2", email="ben@shop.example")
    filled(book)

    tried = run("connection", "sync", "crm", "--dry-run")
    assert tried.exit_code == 0, tried.output
    assert "3 contacts were read; nothing was written" in tried.stdout
    assert "1         would be linked" in tried.stdout
    assert "1 members have no contact and would get one" in tried.stdout
    assert "Changed here, as the CRM has it: first_name of 1" in tried.stdout
    shown = json.loads(run("connection", "sync", "crm", "--dry-run", "--json").stdout)
    assert (shown["contacts"], shown["contacts_to_make"], shown["taken"]) == (3, 1, {"first_name": 1})
    assert shown["outcomes"] == {"would be linked": 1, "would become a member": 2}
    assert database.read_now(lambda c: c.execute(select(contact)).all()) == []
    assert book.called("write") == []

    done = run("connection", "sync", "crm")
    assert done.exit_code == 0, done.output
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0].startswith("crm: ended on ")
    assert lines[0].endswith("; 3 contacts read, 4 members shown")
    assert lines[1:] == [
        "4 are linked to members", "1 of these were made there for members", "2 of these are people who became members",
    ]  # fmt: skip
    assert {one["loyalty_id"] for one in book.people.values()} >= {ann, ben}
    looked = json.loads(run("connection", "sync", "crm", "--status", "--json").stdout)
    assert (looked["phase"], looked["read"], looked["waiting"], looked["trouble"]) == ("ended", 3, 0, "")

    assert run("connection", "sync", "crm", "--undo", input="n\n").exit_code == 1
    undone = run("connection", "sync", "crm", "--undo", "--yes")
    assert "1 contacts at crm are put away by whoever serves, 2 members are removed" in undone.stdout
    rows = database.read_now(lambda c: c.execute(select(outbox.c.kind, outbox.c.reference)).all())
    assert [row.kind for row in rows] == ["contact_remove"]
    known = database.read_now(lambda c: c.execute(select(contact.c.reference, contact.c.state)).all())
    assert sorted(row.state for row in known) == ["gone", "linked", "skipped", "skipped"]
    linked = database.read_now(lambda c: c.execute(select(identity).where(identity.c.connection == "crm")).all())
    assert [row.member for row in linked] == [ann]
    assert "was taken back before" in run("connection", "sync", "crm", "--undo", "--yes").stderr
    assert run("connection", "sync", "crm", "--status").stdout.startswith("crm: undone on ")


@on_sqlite
def test_what_cannot_be_looked_through_says_why(run: Run, book: Book) -> None:
    assert "has no contacts: it is no CRM" in run("connection", "sync", "bare").stderr
    assert "has no contacts: it is no CRM" in run("connection", "sync", "bare", "--dry-run").stderr
    assert "no connection 'nobody'" in run("connection", "sync", "nobody").stderr
    for option in ("--status", "--stop", "--undo"):
        assert "no sync of the connection 'crm'" in run("connection", "sync", "crm", option).stderr
    assert run("connection", "pause", "crm", "--note", "for a test").exit_code == 0
    assert "connection resume crm" in run("connection", "sync", "crm").stderr
    assert book.calls == []


@on_sqlite
def test_a_vendor_in_trouble_is_told_and_tried_again(run: Run, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    said = list[str]()
    monkeypatch.setattr(sweeping, "PATIENCE", 0.01)
    count = book.count

    async def closed() -> int | None:
        if any("closed" in text for text in said):
            return await count()
        raise PluginError("book", "the book is closed")

    monkeypatch.setattr(book, "count", closed)
    monkeypatch.setattr(syncing, "say", said.append)
    filled(book)
    done = run("connection", "sync", "crm")
    assert done.exit_code == 0, done.output
    assert "crm: plugin 'book': the book is closed; it is tried again" in said
    assert "The last try brought nothing" not in done.stdout
    assert said[0] == "made at crm: the field loyalty_points"


@on_sqlite
def test_a_vendor_that_cannot_make_the_fields_begins_nothing(run: Run, book: Book, database: Database) -> None:
    book.trouble = [PluginError("book", "the field loyalty_points is of another kind")]
    failed = run("connection", "sync", "crm")
    assert failed.exit_code != 0
    assert "the field loyalty_points is of another kind" in failed.stderr
    assert database.read_now(lambda c: load_sweep(c, "main", "crm", "sync")) is None


@on_sqlite
def test_it_is_stopped_and_gone_on_with(
    run: Run, book: Book, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    async def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    filled(book)
    whole = syncing._watch
    monkeypatch.setattr(syncing, "_watch", interrupted)
    stopped = run("connection", "sync", "crm")
    assert stopped.exit_code == 130
    assert "Go on: stampcard connection sync crm" in stopped.stderr
    monkeypatch.setattr(syncing, "_watch", whole)
    halted = run("connection", "sync", "crm", "--stop")
    assert halted.stdout.startswith("crm: stopped; ")
    assert "Go on: stampcard connection sync crm" in halted.stdout
    known = database.read_now(lambda c: load_sweep(c, "main", "crm", "sync"))
    assert known is not None
    assert known.progress.stopped


@on_sqlite
def test_a_server_that_runs_is_followed(
    run: Run, book: Book, settings: Settings, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    monkeypatch.setattr("stampcard.cli.serving.is_served", lambda *_: True)

    async def served(*_: Any) -> Any:
        return syncing._look(database, settings, "crm")

    monkeypatch.setattr(syncing, "_watch", served)
    followed = run("connection", "sync", "crm")
    assert "A running server does it" in followed.stderr
    assert followed.stdout.startswith("crm: ")
    assert [call[0] for call in book.calls] == ["prepare"]


@on_sqlite
def test_what_stands_open_is_told_in_words(
    run: Run, book: Book, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = {("doubtful", "several", ""): 2, ("skipped", "excluded", ""): 3, ("gone", "", "there"): 1}
    monkeypatch.setattr("stampcard.storage.contacts.count_contacts", lambda *_: counted)
    monkeypatch.setattr("stampcard.storage.contacts.count_given_up", lambda *_: 4)
    monkeypatch.setattr("stampcard.storage.contacts.wait_for_pushes", lambda *_: 5)
    database.write_now(lambda c: begin_sweep(c, "main", "crm", "sync", SystemClock().now()))
    lines = [line.strip() for line in run("connection", "sync", "crm", "--status").stdout.splitlines()]
    assert lines[1:] == [
        "1 were put away there",
        "2 may be several members: stampcard contact list",
        "3 take no part, as `only` says",
        "5 members are still to be shown",
        "4 members could not be shown; why: stampcard outbox list --status dead",
    ]
    assert book.calls == []
