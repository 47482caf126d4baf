"""What a backfill brings is applied in silence: balances are pushed, and nobody hears of it."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from tests.databases import on_sqlite

from stampcard.applying.setting import Setting
from stampcard.domain.commands import Command
from stampcard.domain.events import OrderSeen
from stampcard.domain.value import replace
from stampcard.host.discovering import discover
from stampcard.host.hooks import Hooks
from stampcard.plugin import PluginManifest, PluginSettings, hookimpl
from stampcard.storage.database import Database
from stampcard.storage.packing import unpack_reasons
from stampcard.storage.tables import balance, event, membership, outbox, push
from stampcard.testing.applying import apply, prepare, rows, store
from stampcard.testing.building import NOON, order, programs

BEGAN = NOON - timedelta(days=30)
AGAIN = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: again, on: purchase, when: history.orders.ever >= 1 && history.spend.ever >= 20, award: 1 per 1 EUR}
"""


def tell(database: Database, setting: Setting, reference: str, snapshot: Any, *, past: bool) -> None:
    (one,) = store(database, setting, reference.encode())
    prepared = prepare(one, OrderSeen(reference=reference, snapshot=snapshot))
    events = tuple(replace(sourced, past=past) for sourced in prepared.events)
    (settled,) = apply(database, setting, [replace(prepared, events=events, past=past)])
    assert settled.status == "done", settled


def talkative(setting: Setting) -> Setting:
    """A plugin that tells of every change."""

    class Talker:
        @hookimpl
        def plugin_manifest(self) -> PluginManifest:
            return PluginManifest(name="talker", summary="talks", settings=PluginSettings)

        @hookimpl
        def outbound_commands(self, change: Any) -> list[Command]:
            return [Command(kind="told", key=f"{change.member}:{change.version}", member=change.member, reference="")]

    hooks = Hooks(discover({"talker": Talker()}, entries=()))
    return dataclasses.replace(setting, hooks=hooks, plugins={"desk": "talker"})


@on_sqlite
def test_nobody_is_told_and_the_balance_is_pushed(database: Database, setting: Setting) -> None:
    setting = talkative(setting)
    tell(database, setting, "A", order(10, at=NOON - timedelta(days=300)), past=True)
    assert rows(database, select(outbox)) == []
    (pushed,) = rows(database, select(push))
    assert (pushed.kind, pushed.wanted > pushed.sent) == ("balance", True)
    assert [row.active for row in rows(database, select(balance))] == [10]
    tell(database, setting, "B", order(5), past=False)
    (told,) = rows(database, select(outbox))
    (again,) = rows(database, select(push))
    assert (told.kind, again.wanted) == ("told", pushed.wanted + 1)


def test_orders_that_earned_nothing_count_for_what_comes_later(database: Database, setting: Setting) -> None:
    setting = dataclasses.replace(setting, programs=programs(AGAIN, valid_from=BEGAN))
    tell(database, setting, "A", order(25, at=BEGAN - timedelta(days=100)), past=True)
    assert rows(database, select(membership)) == []
    (heard,) = rows(database, select(event).where(event.c.kind == "order_seen"))
    assert [reason.code for reason in unpack_reasons(heard.reasons)] == ["before_program"]
    tell(database, setting, "B", order(7), past=False)
    assert [row.active for row in rows(database, select(balance))] == [7]
