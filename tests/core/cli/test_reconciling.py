"""Orders are asked for from the command line; what is found is wanted, and fetched by the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import Result

from stampcard.clock import SystemClock
from stampcard.host import discovering
from stampcard.plugin import (
    Capabilities,
    ConnectionContext,
    Delivery,
    Listing,
    Listings,
    OrderList,
    PluginError,
    PluginManifest,
    PluginSettings,
    Refetch,
    hookimpl,
)
from stampcard.storage.database import Database
from stampcard.storage.tables import fetch

Run = Callable[..., Result]


class Ledger(OrderList):
    """Three orders on two pages."""

    closed = False

    async def changed(self, since: datetime, place: str = "") -> Listings:
        if self.closed:
            raise PluginError("books", "the books are closed")
        now = SystemClock().now()
        orders = tuple(Listing(reference=f"A{n}", changed_at=now - timedelta(days=3 - n)) for n in (0, 1, 2))
        page = orders[2:] if place else orders[:2]
        return Listings(orders=tuple(one for one in page if one.changed_at >= since), place="" if place else "next")


class Books:
    def __init__(self) -> None:
        self.ledger = Ledger()

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="books", summary="books", settings=PluginSettings)

    @hookimpl
    async def connect(self, context: ConnectionContext[PluginSettings]) -> Capabilities:  # noqa: ARG002 - it needs nothing
        async def nothing(_: Sequence[Refetch]) -> Sequence[Delivery]:
            return ()

        return Capabilities(fetch=nothing, orders=self.ledger)


def test_what_is_unknown_is_wanted_once(
    run: Run, database: Database, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Books()
    plugins = discovering.discover({"books": found})
    for where in ("stampcard.host.discovering.discover", "stampcard.app.discover"):
        monkeypatch.setattr(where, lambda *_: plugins)
    (installed / "stampcard.toml").write_text('programs = []\n[connections.books]\nplugin = "books"\n')
    few = run("connection", "reconcile", "books", "--since", "60h")
    assert few.exit_code == 0, few.output
    assert few.stdout.startswith("2 orders changed since ")
    assert "2 of them were unknown or older here" in few.stdout
    all_ = run("connection", "reconcile", "books", "--since", "2w")
    assert all_.stdout.startswith("3 orders changed since ")
    wanted = database.read_now(lambda c: c.execute(select(fetch.c.reference)).scalars().all())
    assert sorted(wanted) == ["A0", "A1", "A2"]
    found.ledger.closed = True
    closed = run("connection", "reconcile", "books")
    assert (closed.exit_code, "the books are closed" in closed.stderr) == (4, True)
    assert run("connection", "reconcile", "nobody").exit_code == 1
    assert run("connection", "reconcile", "books", "--since", "soon").exit_code == 2
