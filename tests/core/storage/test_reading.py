"""What readers see while others write."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import event, select

from stampcard.applying.setting import Setting
from stampcard.applying.settling import settle_due
from stampcard.domain.events import OrderSeen
from stampcard.domain.wallets import balance_of
from stampcard.storage.database import Database
from stampcard.storage.reading import folded_wallets
from stampcard.storage.tables import member
from stampcard.testing.applying import LATER, rows, tell
from stampcard.testing.building import order, programs

TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {expire: 30 days}}
rules: [{id: purchase, on: purchase, award: 1 per 1 EUR}]
"""


def test_balances_and_lots_are_of_one_moment_though_a_timer_commits_between_them(
    new_postgresql: Callable[[], str], setting: Setting
) -> None:
    database = Database(new_postgresql())
    setting = dataclasses.replace(setting, programs=programs(TEXT))
    tell(database, setting, OrderSeen(reference="A", snapshot=order(100)))
    members = [row.id for row in rows(database, select(member.c.id))]
    expired = LATER + timedelta(days=60)
    booked: list[Any] = []

    def expire() -> None:
        booked.append(database.write_now(lambda connection: settle_due(connection, setting, expired, 100)))

    @event.listens_for(database._reading, "before_cursor_execute")
    def between(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM lot" in statement and not booked and threading.current_thread() is threading.main_thread():
            timer = threading.Thread(target=expire)
            timer.start()
            timer.join()

    (wallet,) = database.read_now(lambda connection: folded_wallets(connection, "main", members, expired))
    database.close()

    assert len(booked) == 1
    figures = balance_of(wallet.sums, 0)
    assert (figures.active, figures.expired) == (0, 100)
