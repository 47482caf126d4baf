"""A past is read from the command line, where no server does it, and follows a server that does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import select
from typer.testing import Result

from stampcard.cli import backfilling
from stampcard.cli.backfilling import offer
from stampcard.cli.spans import moment_of
from stampcard.clock import SystemClock
from stampcard.host import discovering
from stampcard.host.connecting import ConnectionSpec
from stampcard.inbox import backfilling as reading
from stampcard.plugin import (
    Capabilities,
    ConnectionContext,
    Delivery,
    Event,
    HistoryPage,
    OrderHistory,
    OrderSeen,
    PluginError,
    PluginManifest,
    PluginSettings,
    UnverifiedRequest,
    VerifiedRequest,
    WebhookSource,
    hookimpl,
)
from stampcard.settings import Settings
from stampcard.storage.backfilling import load_backfill
from stampcard.storage.database import Database
from stampcard.storage.tables import balance, order_state
from stampcard.testing.building import NOON, order

Run = Callable[..., Result]
#: Where both databases take the same way.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Till(WebhookSource):
    def verify(self, request: UnverifiedRequest) -> VerifiedRequest:
        raise NotImplementedError

    def delivery_key(self, request: VerifiedRequest) -> str:
        raise NotImplementedError

    def events(self, delivery: Delivery) -> Iterable[Event]:
        number = int(delivery.body)
        return [OrderSeen(reference=str(number), snapshot=order(10, at=NOON + timedelta(minutes=number)))]


class Past(OrderHistory):
    """Three orders a page; `trouble` is raised, once."""

    hint = "the books go back to 2020"

    def __init__(self) -> None:
        self.trouble: list[BaseException] = []
        self.asked: list[datetime | None] = []

    async def count(self, since: datetime | None) -> int | None:
        self.asked.append(since)
        return 7

    async def read(self, since: datetime | None, place: str = "") -> HistoryPage:  # noqa: ARG002
        if self.trouble:
            raise self.trouble.pop()
        start, now = int(place or 0), SystemClock().now()
        numbers = range(start, min(start + 3, 7))
        found = [
            Delivery(connection="books", key=f"past:{n}", topic="sale", body=b"%d" % n, received_at=now, read_at=1)
            for n in numbers
        ]
        return HistoryPage(deliveries=tuple(found), place=str(start + 3) if start + 3 < 7 else "", note="reads")


class Books:
    def __init__(self) -> None:
        self.past = Past()

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="books", summary="books", settings=PluginSettings)

    @hookimpl
    async def connect(self, context: ConnectionContext[PluginSettings]) -> Capabilities:
        return Capabilities(webhook=Till(), history=None if context.name == "bare" else self.past)


@pytest.fixture
def books(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Books:
    """An installation with a connection that has a past, and one that has none."""
    found = Books()
    plugins = discovering.discover({"books": found}, entries=())
    for where in ("stampcard.host.discovering.discover", "stampcard.app.discover"):
        monkeypatch.setattr(where, lambda *_, **__: plugins)
    monkeypatch.setattr(backfilling, "LOOK", 0.02)
    monkeypatch.setattr(backfilling, "LINE", 0.0)
    monkeypatch.setattr(reading, "PATIENCE", 0.01)
    text = 'programs = []\n[connections.books]\nplugin = "books"\n[connections.bare]\nplugin = "books"\n'
    (installed / "stampcard.toml").write_text(text)
    return found


def test_without_a_server_it_is_read_and_applied_here(
    run: Run, database: Database, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    books.past.trouble, said = [PluginError("books", "the books are closed")] * 1000, list[str]()

    def say(text: str) -> None:
        said.append(text)
        if "closed" in text:
            books.past.trouble = []  # once it was told, they open

    monkeypatch.setattr(backfilling, "say", say)
    done = run("connection", "backfill", "books")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "books: ended; 7 of about 7 orders are read",
        "7 are applied, 0 wait, 0 are in quarantine, 0 were known so",
    ]
    assert said[0] == "the books go back to 2020"
    assert "books: plugin 'books': the books are closed; it is tried again" in said
    assert said[-1] == "7 of about 7 orders are read"
    monkeypatch.setattr(books.past, "hint", "")
    assert len(database.read_now(lambda c: c.execute(select(order_state)).all())) == 7
    assert [row.active for row in database.read_now(lambda c: c.execute(select(balance)).all())] == [7000]
    shown = json.loads(run("connection", "backfill", "books", "--status", "--json").stdout)
    assert (shown["state"], shown["orders"], shown["of"], shown["applied"]) == ("ended", 7, 7, 7)
    ended = run("connection", "backfill", "books")
    assert ended.stdout == done.stdout
    assert said[-1] == "All was read before. Read it again: --anew, or --since"
    assert run("connection", "backfill", "books", "--anew").stdout.endswith("in quarantine, 7 were known so\n")
    again = json.loads(run("connection", "backfill", "books", "--since", "2026-01-31", "--json").stdout)
    assert (again["since"], again["orders"], again["applied"]) == ("2026-01-31T00:00:00Z", 7, 0)
    assert books.past.asked[-1] == datetime.fromisoformat("2026-01-31T00:00:00+00:00")


@on_sqlite
def test_ctrl_c_leaves_it_to_be_gone_on_with(
    run: Run, books: Books, monkeypatch: pytest.MonkeyPatch, database: Database, settings: Settings
) -> None:
    async def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    books.past.trouble = [PluginError("books", "the books are closed")] * 1000
    whole = backfilling._watch
    monkeypatch.setattr(backfilling, "_watch", interrupted)
    stopped = run("connection", "backfill", "books")
    assert stopped.exit_code == 130
    assert "Go on: stampcard connection backfill books" in stopped.stderr
    monkeypatch.setattr(backfilling, "_watch", whole)
    halted = run("connection", "backfill", "books", "--stop")
    assert "Go on: stampcard connection backfill books" in halted.stdout
    known = database.read_now(lambda c: load_backfill(c, settings.merchant, "books"))
    assert known is not None
    assert known.state == "stopped"
    books.past.trouble = []
    assert run("connection", "backfill", "books").stdout.startswith("books: ended; 7 of about 7")
    assert books.past.hint


@on_sqlite
def test_what_cannot_be_read_says_why(run: Run, books: Books) -> None:
    assert "cannot read orders of the past" in run("connection", "backfill", "bare").stderr
    assert "no connection 'nobody'" in run("connection", "backfill", "nobody").stderr
    assert "no backfill" in run("connection", "backfill", "books", "--status").stderr
    assert run("connection", "backfill", "books", "--since", "soon").exit_code == 2
    assert run("connection", "pause", "books", "--note", "for a test").exit_code == 0
    assert "connection resume books" in run("connection", "backfill", "books").stderr
    assert books.past.asked == []


@on_sqlite
def test_a_server_that_runs_is_followed(
    run: Run, books: Books, settings: Settings, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    monkeypatch.setattr("stampcard.cli.serving.is_served", lambda *_: True)

    async def served(*_: Any) -> Any:
        return backfilling._look(database, settings, "books")

    monkeypatch.setattr(backfilling, "_watch", served)
    followed = run("connection", "backfill", "books")
    assert "A running server reads them" in followed.stderr
    assert followed.stdout.startswith("books: reading; 0 orders are read")
    assert books.past.asked == []


@on_sqlite
@pytest.mark.parametrize(
    ("written", "confirmed", "began"),
    [("", True, False), ("all", True, True), ("90d", False, False), ("soon", True, False)],
)
def test_whoever_adds_a_connection_is_asked_how_far_back(
    books: Books, settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], written: str, confirmed: bool, began: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: written)
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: confirmed)
    offer(settings, discovering.discover(), ConnectionSpec(name="books", plugin="books"))
    found = database.read_now(lambda c: load_backfill(c, settings.merchant, "books"))
    assert (found is not None) == began
    said = capsys.readouterr()
    assert "stampcard connection backfill books" in said.out
    if written not in {"", "soon"}:
        assert "About 7 orders; those before the first day of main (2026-01-09) earn nothing" in said.err
    if found is not None:
        assert (found.terms.since is None) == (written == "all")
    assert books.past.hint in said.err


@on_sqlite
def test_a_plugin_without_a_past_is_asked_nothing(
    books: Books, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(settings, discovering.discover(), ConnectionSpec(name="bare", plugin="books"))
    assert capsys.readouterr().out == ""
    assert books.past.asked == []


def test_a_day_or_a_span_says_since_when() -> None:
    assert moment_of("2026-01-31", NOON) == datetime.fromisoformat("2026-01-31T00:00:00+00:00")
    assert moment_of("2w", NOON) == NOON - timedelta(weeks=2)
    with pytest.raises(typer.BadParameter, match="neither a day nor a time span"):
        moment_of("2y", NOON)
