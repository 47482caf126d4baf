"""Whatever happens to one member, through the real unit of work on both databases: the ledger's identities hold, every
balance is rebuilt from its entries, and a late timer shows nobody another figure."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from stampcard.applying import requests, spending
from stampcard.applying.deliveries import decide_event
from stampcard.applying.resolving import resolve
from stampcard.applying.setting import Setting
from stampcard.applying.settling import settle_due
from stampcard.applying.unit import Sourced, Unit
from stampcard.domain.events import CustomerSeen, OrderSeen, RefundSeen
from stampcard.domain.value import replace
from stampcard.domain.wallets import Balance
from stampcard.engine.versions import Programs
from stampcard.errors import InsufficientPoints
from stampcard.storage.database import Database
from stampcard.storage.reading import balances
from stampcard.storage.verifying import verify
from stampcard.testing.building import NOON, programs
from stampcard.testing.histories import histories, program_texts

_numbers = itertools.count()
Event = CustomerSeen | OrderSeen | RefundSeen
steps = st.lists(
    st.tuples(st.sampled_from(["order", "order", "spend", "cancel", "adjust", "wait", "timer"]), st.integers(1, 40)),
    min_size=1,
    max_size=10,
)


class Shop:
    """One merchant in the database, with one member whom everything happens to."""

    def __init__(self, database: Database, setting: Setting, live: Programs) -> None:
        self.database = database
        self.setting = dataclasses.replace(setting, merchant=f"ledger-{next(_numbers)}", programs=live)
        self.now = NOON + timedelta(hours=2)
        self.spends: list[str] = []
        self.member = self.work(lambda unit: requests.create_member(unit, ("shop", "ann"), {}))

    def work(self, act: Callable[[Unit], Any]) -> Any:
        def transaction(connection: Connection) -> Any:
            unit = Unit(connection, self.setting, self.now)
            given = act(unit)
            unit.save()
            return given

        return self.database.write_now(transaction)

    def hear(self, unit: Unit, event: OrderSeen | RefundSeen) -> None:
        if isinstance(event, OrderSeen) and event.snapshot.customer:
            event = replace(event, snapshot=replace(event.snapshot, customer="ann"))
        sourced = Sourced(event=event, connection="shop", source="shop", received_at=NOON)
        identities = resolve(unit, [sourced])
        unit.lock([self.member], [("shop", "A")], attributes=False, repeated=())
        decide_event(unit, sourced, identities)

    def step(self, kind: str, amount: int, event: OrderSeen | RefundSeen) -> None:
        match kind:
            case "wait":
                self.now += timedelta(hours=11 * amount)
            case "timer":
                self.database.write_now(lambda connection: settle_due(connection, self.setting, self.now, 100))
            case "order":
                self.work(lambda unit: self.hear(unit, event))
            case "cancel" if self.spends:
                key = self.spends.pop()
                self.work(lambda unit: spending.cancel_spend(unit, key, ""))
            case "spend":
                key = f"k{next(_numbers)}"
                self.work(lambda unit: spending.spend(unit, self.member, "points", amount, key, ""))
                self.spends.append(key)
            case "adjust":
                key = f"k{next(_numbers)}"
                points = amount - 15 or 1
                self.work(lambda unit: requests.adjust(unit, self.member, "points", points, key, "a gift"))

    def balance(self, now: datetime) -> Balance:
        merchant, live = self.setting.merchant, self.setting.programs
        found = self.database.read_now(lambda c: balances(c, merchant, [self.member], live, now))
        return found[self.member]["points"]

    def check(self) -> None:
        checked = self.database.read_now(lambda connection: verify(connection, self.setting.merchant))
        assert (checked.findings, checked.total) == ((), 0)
        shown = self.balance(self.now)
        assert min(shown.active, shown.pending, shown.negative, shown.spent, shown.expired) >= 0


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=program_texts(), events=histories(), plan=steps, data=st.data())
def test_the_ledger_holds_whatever_happens_and_a_late_timer_is_never_seen(
    database: Database,
    setting: Setting,
    text: str,
    events: list[OrderSeen | RefundSeen],
    plan: list[tuple[str, int]],
    data: st.DataObject,
) -> None:
    shop = Shop(database, setting, programs(text))
    for kind, amount in plan:
        try:
            shop.step(kind, amount, data.draw(st.sampled_from(events)))
        except InsufficientPoints:
            continue
        shop.check()
    later = shop.now + timedelta(days=data.draw(st.integers(0, 40)))

    folded = shop.balance(later)
    shop.now = later
    shop.step("timer", 0, events[0])

    assert shop.balance(later) == folded
    shop.check()
