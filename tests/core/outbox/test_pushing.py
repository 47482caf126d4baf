"""When a changed balance leaves, and what becomes of a push that was tried."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import select
from tests.databases import on_sqlite

from stampcard.applying.setting import Setting
from stampcard.calling.leases import Lease
from stampcard.calling.lines import Line
from stampcard.clock import SystemClock, to_micros
from stampcard.domain.commands import BalancePush
from stampcard.domain.events import OrderSeen
from stampcard.outbox.pushing import Pushing
from stampcard.plugin import Delivered, Outcome, RetryLater, Sink
from stampcard.storage.database import Database
from stampcard.storage.pushing import DuePush
from stampcard.storage.tables import push
from stampcard.testing.applying import LATER, rows, tell
from stampcard.testing.building import order
from stampcard.testing.clock import FakeClock

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Shelf(Sink[BalancePush]):
    kind = "balance"

    async def deliver(self, items: Sequence[BalancePush]) -> Sequence[Outcome]:
        return [Delivered()] * len(items)


@on_sqlite
async def test_ten_changes_within_a_second_leave_as_one_push(database: Database, setting: Setting) -> None:
    clock = FakeClock(LATER)
    setting = dataclasses.replace(setting, coalesce=timedelta(seconds=0.2), longest=timedelta(seconds=1))
    pushing = Pushing(database, clock, "main", Line("shop", Shelf()), setting.coalesce)
    for number in range(10):
        tell(database, setting, OrderSeen(reference=str(number), snapshot=order(1)), now=clock.now())
        assert await pushing.due(setting.programs) == []
        clock.advance(0.1)

    (one,) = await pushing.due(setting.programs)

    assert isinstance(one.item, BalancePush)
    assert one.item.balances["points"].active == 10


async def test_a_single_change_leaves_soon(database: Database, setting: Setting) -> None:
    setting = dataclasses.replace(setting, coalesce=timedelta(seconds=0.2), longest=timedelta(seconds=1))
    tell(database, setting, OrderSeen(reference="A", snapshot=order(1)))
    pushing = Pushing(database, FakeClock(LATER + setting.coalesce), "main", Line("shop", Shelf()), setting.coalesce)

    assert len(await pushing.due(setting.programs)) == 1


async def test_what_changes_during_a_call_waits_for_more_changes_too(database: Database, setting: Setting) -> None:
    clock = FakeClock(LATER)
    pushing = Pushing(database, clock, "main", Line("shop", Shelf()), timedelta(seconds=0.2))
    await Lease(database, clock, "main", "lease", "me").hold()
    tell(database, setting, OrderSeen(reference="A", snapshot=order(1)))
    pushes = await pushing.due(setting.programs)
    tell(database, setting, OrderSeen(reference="B", snapshot=order(1)))
    clock.advance(3)

    await pushing.send(pushes, "lease", 1)

    now = to_micros(clock.now())
    (row,) = rows(database, select(push))
    assert row.wanted == row.sent + 1
    assert (row.since, row.due_at) == (now, now + 200_000)


def tried(outcome: Outcome, times: int) -> list[tuple[int, bool]]:
    """After each try: the attempts that count, and whether it was the last."""
    pushing = Pushing(cast("Database", None), SystemClock(), "main", Line("shop", Shelf()), timedelta(0))
    attempts, told = 0, []
    for _ in range(times):
        push = DuePush(item=BalancePush(member="ann", reference="1", version=1, balances={}), attempts=attempts, sent=0)
        result = pushing._result(push, outcome, NOW)
        attempts = result.attempts
        told.append((attempts, result.dead))
    return told


def test_what_fails_is_given_up_when_the_policy_has_no_more_tries() -> None:
    assert tried(RetryLater(reason="broken"), 8) == [*((count, False) for count in range(1, 8)), (8, True)]


def test_a_vendor_that_is_only_busy_never_makes_a_dead_letter() -> None:
    assert tried(RetryLater(reason="busy", after=1.0), 50) == [(0, False)] * 50
