"""The loop that applies deliveries, batch after batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from stampcard.applying.deliveries import Applied, Prepared
from stampcard.applying.setting import Setting
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import CustomerSeen, Event, OrderSeen
from stampcard.engine.world import NO_FACTS, Facts
from stampcard.host.connecting import Connection
from stampcard.host.discovering import discover
from stampcard.host.hooks import Hooks
from stampcard.inbox import working
from stampcard.inbox.working import Worker
from stampcard.plugin import (
    Adjustment,
    Capabilities,
    PluginManifest,
    PluginSettings,
    Reply,
    UnverifiedRequest,
    VerifiedRequest,
    WebhookSource,
    hookimpl,
)
from stampcard.storage.database import Database
from stampcard.storage.tables import inbox
from stampcard.testing.applying import LATER, rows, store
from stampcard.testing.building import NOON, order
from stampcard.testing.clock import FakeClock


class Shop(WebhookSource):
    """A body that begins with "order" is an order, every other one a customer."""

    def verify(self, request: UnverifiedRequest) -> VerifiedRequest | Reply:
        raise NotImplementedError

    def delivery_key(self, request: VerifiedRequest) -> str:
        raise NotImplementedError

    def events(self, delivery: Delivery) -> Iterable[Event]:
        told = delivery.body.decode()
        if told.startswith("order"):
            return [OrderSeen(reference=told, snapshot=order(1))]
        return [CustomerSeen(reference=told, occurred_at=NOON)]


class Adjusting:
    """A plugin that has a say in every award."""

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="adjusting", summary="a sample", settings=PluginSettings)

    @hookimpl
    def award_adjustments(self) -> tuple[Adjustment, ...]:
        return ()


class Around:
    """What a worker needs of an application."""

    connections: Mapping[str, Connection] = {
        "shop": Connection(name="shop", plugin="adjusting", capabilities=Capabilities(webhook=Shop()))
    }
    sources: Mapping[str, str] = {}

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    async def refresh(self) -> None:
        """Nothing changes."""

    async def gather(self, _setting: Setting, batch: Sequence[Prepared]) -> Sequence[Prepared]:
        return batch

    async def gather_day(
        self, _setting: Setting, _on: str, _at: datetime, members: Collection[str]
    ) -> Mapping[str, Facts]:
        return dict.fromkeys(members, NO_FACTS)


async def unheard(_batch: Sequence[Prepared], _applied: Applied) -> None:
    pass


async def test_what_waits_for_a_suspended_plugin_does_not_stand_before_what_is_new(
    database: Database, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "START", 10)
    monkeypatch.setattr(working, "MOST", 10)
    hooks = Hooks(discover({"adjusting": Adjusting()}, entries=()))
    hooks._suspended = frozenset({"adjusting"})
    setting = dataclasses.replace(setting, hooks=hooks, plugins={"shop": "adjusting"})
    waiting = store(database, setting, *[f"order {number}".encode() for number in range(40)])
    (new,) = store(database, setting, b"1")
    clock = FakeClock(LATER)
    worker = Worker(database, clock, "me", Around(setting), unheard)

    for _ in range(6):
        await worker.work_once()
        clock.advance(1)

    statuses: dict[Any, Any] = {row.id: row.status for row in rows(database, select(inbox.c.id, inbox.c.status))}
    assert statuses[new] == "done"
    assert {statuses[delivery] for delivery in waiting} == {"ready"}
