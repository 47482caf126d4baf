"""Whatever comes, cut into batches or one by one: the same points, rewards, codes and counters, on both databases."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, select

from stampcard.applying import requests
from stampcard.applying.redeeming import redeem
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.events import CustomEvent, OrderSeen, RefundSeen
from stampcard.domain.value import replace
from stampcard.engine.rewarding import Asking
from stampcard.storage.database import Database
from stampcard.storage.pooling import add_codes
from stampcard.storage.tables import award, balance, counter, debit, effect, identity, pool, redemption
from stampcard.storage.verifying import verify
from stampcard.testing.applying import LATER, apply, prepare, store
from stampcard.testing.building import NOON, order, programs, refund

Event = OrderSeen | RefundSeen | CustomEvent
TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
events: {review: {}}
wallets: {points: {refunds: {policy: within_balance, spent: proportional}}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR, wallet: points, limits: "90 points ever, in all"}
  - {id: thanks, on: purchase, award: reward treat, when: order.total >= 20.0, limits: 2 times ever}
  - {id: print, on: review, award: reward printed}
rewards:
  own: {gives: 10 % off, wallet: points, price: 20, by: own, uses: 2}
  treat: {gives: free shipping, by: own, stock: 3}
  printed: {gives: 3 EUR off, by: pool}
"""
#: What must be equal, without ids, codes and moments.
COMPARED: tuple[tuple[Table, tuple[str, ...]], ...] = (
    (balance, ("wallet", "active", "issued", "redeemed", "debt")),
    (award, ("subject", "rule", "granted", "taken", "written_off")),
    (redemption, ("reward", "status", "subject", "orders", "rule")),
    (debit, ("amount", "returned", "subject")),
    (counter, ("scope", "period", "value")),
    (effect, ("key",)),
)
_numbers = itertools.count()
people = st.sampled_from(["ann", "ann", "ben", "new"])


@st.composite
def _orders(draw: st.DrawFn) -> OrderSeen:
    codes = draw(st.lists(st.sampled_from(["ann", "ben"]), max_size=2, unique=True))
    snapshot = order(
        draw(st.integers(1, 60)),
        age=draw(st.integers(0, 2)),
        customer=draw(people),
        cancelled=draw(st.integers(0, 5)) == 0,
        codes=tuple(codes),
    )
    return OrderSeen(reference=draw(st.sampled_from("AB")), snapshot=snapshot)


refunds = st.builds(
    lambda of, number, amount: RefundSeen(order=of, refund=refund(number, [("L1", amount)])),
    st.sampled_from("AB"),
    st.sampled_from(["R1", "R2"]),
    st.integers(1, 40),
)
reviews = st.builds(
    lambda who, key: CustomEvent(name="review", customer=who, key=f"{who}-{key}", occurred_at=NOON),
    people,
    st.sampled_from("xyz"),
)
deliveries = st.lists(st.lists(_orders() | refunds | reviews, min_size=1, max_size=2), min_size=2, max_size=8)


class Shop:
    """One merchant with two members, each with a code that counts twice, and a pool of three codes."""

    def __init__(self, database: Database, setting: Setting) -> None:
        merchant = f"batches-{next(_numbers)}"
        self.database = database
        self.setting = dataclasses.replace(setting, merchant=merchant, programs=programs(TEXT))
        self.codes = {name: self._work(name) for name in ("ann", "ben")}
        database.write_now(
            lambda c: add_codes(c, merchant, setting.sealer, "main", "printed", ["P1", "P2", "P3"], NOON)
        )

    def _work(self, name: str) -> str:
        """A member with points and a code."""

        def work(connection: Connection) -> str:
            unit = Unit(connection, self.setting, LATER)
            member = requests.create_member(unit, ("shop", name), {})
            unit.save()
            unit = Unit(connection, self.setting, LATER)
            requests.adjust(unit, member, "points", 50, f"gift-{name}", "a gift")
            unit.save()
            unit = Unit(connection, self.setting, LATER)
            taken = redeem(unit, member, "own", "main", Asking())
            unit.save()
            assert taken.voucher is not None
            return taken.voucher.code

        return self.database.write_now(work)

    def hear(self, batch: Sequence[Sequence[Event]]) -> list[str]:
        ids = store(self.database, self.setting, *(b"{}" for _ in batch))
        prepared = [prepare(id_, *map(self._coded, events)) for id_, events in zip(ids, batch, strict=True)]
        return [one.status for one in apply(self.database, self.setting, prepared)]

    def _coded(self, event: Event) -> Event:
        if not isinstance(event, OrderSeen):
            return event
        codes = tuple(self.codes[name] for name in event.snapshot.codes)
        return replace(event, snapshot=replace(event.snapshot, codes=codes))

    def state(self) -> dict[str, Any]:
        """Everything that counts, by the members' names."""

        def read(connection: Connection) -> dict[str, Any]:
            def of(table: Table) -> Sequence[Any]:
                return connection.execute(select(table).where(table.c.merchant == self.setting.merchant)).all()

            names = {row.member: row.reference for row in of(identity)} | {"": ""}
            found: dict[str, Any] = {
                table.name: sorted(
                    (names[getattr(row, "member", "")], *(getattr(row, name) for name in columns))
                    for row in of(table)
                    if table is not counter or row.value
                )
                for table, columns in COMPARED
            }
            return found | {"free": sum(row.redemption is None for row in of(pool))}

        checked = self.database.read_now(lambda connection: verify(connection, self.setting.merchant))
        assert (checked.findings, checked.total) == ((), 0)
        return self.database.read_now(read)


# What fails is short already: to make it shorter takes minutes.
@settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(told=deliveries, size=st.integers(2, 8))
def test_batches_do_what_one_by_one_does(
    database: Database, setting: Setting, told: list[list[Event]], size: int
) -> None:
    single, batched = Shop(database, setting), Shop(database, setting)

    statuses = [status for delivery in told for status in single.hear([delivery])]
    together = [status for start in range(0, len(told), size) for status in batched.hear(told[start : start + size])]

    assert together == statuses == ["done"] * len(told)
    assert batched.state() == single.state()
