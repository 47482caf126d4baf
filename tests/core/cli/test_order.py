from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.app import open_sealer
from stampcard.applying.setting import Setting
from stampcard.domain.events import OrderSeen
from stampcard.settings import Settings
from stampcard.storage.database import Database
from stampcard.storage.programming import load_programs
from stampcard.testing.applying import tell
from stampcard.testing.building import order

Run = Callable[..., Result]


@pytest.fixture
def bought(database: Database, settings: Settings, setting: Setting) -> Callable[..., None]:
    """Lets the shop tell of an order."""
    programs = database.read_now(lambda connection: load_programs(connection, "main"))
    here = dataclasses.replace(setting, programs=programs, sealer=open_sealer(settings))

    def make(reference: str, *amounts: float, **more: Any) -> None:
        assert tell(database, here, OrderSeen(reference=reference, snapshot=order(*amounts, **more))) == ["done"]

    return make


def test_an_order_is_explained_in_words_and_for_programs(
    run: Run, data: Callable[..., Any], bought: Callable[..., None]
) -> None:
    bought("A", 60)
    said = run("order", "explain", "shop:A")
    assert said.exit_code == 0, said.output
    assert said.stdout.splitlines()[0] == "Order #1 of 60 EUR, placed 2026-03-10 12:00 UTC, is paid."
    assert "60.00 points: 60.00 granted." in said.stdout
    told = data("order", "explain", "shop:A")
    assert [rule["reason"]["code"] for rule in told["rules"]] == ["matched"]


@on_sqlite
def test_an_order_that_is_not_known_is_said_so(run: Run) -> None:
    for name in ("shop:A", "A"):
        result = run("order", "explain", name)
        assert (result.exit_code, result.stderr) == (1, f"error: there is no order {name!r}\n")
