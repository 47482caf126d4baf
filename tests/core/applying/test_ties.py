"""Two states of an order that claim the same moment: only its source can say which is newer."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from sqlalchemy import select
from tests.databases import on_sqlite

from stampcard.applying.setting import Setting
from stampcard.clock import to_micros
from stampcard.domain.events import OrderSeen
from stampcard.domain.orders import Stamp
from stampcard.storage.database import Database
from stampcard.storage.tables import fetch
from stampcard.testing.applying import rows, tell
from stampcard.testing.building import NOON, order


@pytest.fixture
def setting(setting: Setting) -> Setting:
    return dataclasses.replace(setting, fetching=frozenset({"shop"}))


def seen(digest: str, *, read_at: int = 0, **more: Any) -> OrderSeen:
    return OrderSeen(reference="A", snapshot=order(10, stamp=Stamp(at=NOON, read_at=read_at, digest=digest), **more))


def wanted(database: Database) -> list[str]:
    return [row.reference for row in rows(database, select(fetch))]


@on_sqlite
@pytest.mark.parametrize("digests", [("a", "b"), ("b", "a")])
def test_an_order_is_fetched_whichever_of_two_bodies_of_one_moment_came_first(
    database: Database, setting: Setting, digests: tuple[str, str]
) -> None:
    first, second = digests
    tell(database, setting, seen(first, paid=False), seen(first, paid=False))
    assert wanted(database) == []
    tell(database, setting, seen(second))
    assert wanted(database) == ["A"]


def test_a_body_that_came_after_a_fetch_of_the_same_moment_has_it_fetched_again(
    database: Database, setting: Setting
) -> None:
    tell(database, setting, seen("old", read_at=to_micros(NOON) - 1), seen("new"))
    assert wanted(database) == ["A"]


def test_a_body_that_came_before_a_fetch_says_nothing_new(database: Database, setting: Setting) -> None:
    tell(database, setting, seen("new", read_at=to_micros(NOON) + 1), seen("old"))
    assert wanted(database) == []
