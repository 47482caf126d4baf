"""Marks at the shop: only the newest leave, and only when they changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select

from stampcard.applying.setting import Setting
from stampcard.calling.lines import Line
from stampcard.domain.events import OrderSeen
from stampcard.engine.versions import assembled, compiled
from stampcard.outbox.pushing import Pushing
from stampcard.plugin import Delivered, Outcome, Sink, TagPush
from stampcard.program.reading import read_program
from stampcard.storage.database import Database
from stampcard.storage.tables import push
from stampcard.testing.applying import LATER, rows, tell
from stampcard.testing.building import LONG_AGO, order
from stampcard.testing.clock import FakeClock

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
perks:
  early: {when: history.spend.ever >= 100, tag: early}
  more: {when: history.spend.ever >= 100 && history.spend.ever < 200, tag: more}
rules: [{id: buy, on: purchase, award: 1 per 1 EUR}]
"""


class Marks(Sink[TagPush]):
    kind, batch_size = "tags", 5

    def __init__(self) -> None:
        self.sent: list[TagPush] = []

    async def deliver(self, items: Sequence[TagPush]) -> Sequence[Outcome]:
        self.sent += items
        return [Delivered()] * len(items)


async def test_marks_leave_when_they_change_and_not_with_every_order(database: Database, setting: Setting) -> None:
    programs = assembled([compiled(read_program(PROGRAM, "test"), 1, LONG_AGO)], 0)
    setting = dataclasses.replace(
        setting, programs=programs, targets={"shop": ("balance", "tags")}, coalesce=timedelta(0)
    )
    sink, clock = Marks(), FakeClock(LATER)
    pushing = Pushing(database, clock, "main", Line("shop", sink), timedelta(0))

    async def buys(reference: str, amount: int) -> int:
        tell(database, setting, OrderSeen(reference=reference, snapshot=order(amount)), now=clock.now())
        due = await pushing.due(programs)
        await pushing.send(due, "", 0)
        pushing.release(due)
        return len(due)

    assert await buys("A", 50) == 0
    assert rows(database, select(push.c.kind)) == [("balance",)]
    assert await buys("B", 60) == 1
    assert await buys("C", 100) == 1
    assert [(one.tags, one.stale) for one in sink.sent] == [(("early", "more"), ()), (("early",), ("more",))]
