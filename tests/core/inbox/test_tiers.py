"""Tiers move with orders, refunds and time, in the same transaction as the points, on both databases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from stampcard.applying.deliveries import Prepared
from stampcard.applying.setting import Setting
from stampcard.domain.decisions import Change
from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.domain.tiers import Tier, TierMoved
from stampcard.engine.versions import assembled, compiled
from stampcard.host.connecting import Connection
from stampcard.inbox import timing
from stampcard.inbox.timing import Timer
from stampcard.program.reading import read_program
from stampcard.storage import loading
from stampcard.storage.chronicling import Heard, timeline
from stampcard.storage.database import Database
from stampcard.storage.reading import balances
from stampcard.storage.tables import lot, progress, redemption
from stampcard.storage.tiering import load_tiers
from stampcard.storage.verifying import verify
from stampcard.testing.applying import rows, tell
from stampcard.testing.building import LONG_AGO, order, refund
from stampcard.testing.clock import FakeClock

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {refunds: {policy: only_pending}}}
tiers:
  by: points
  within: calendar year
  notice: 30 days
  levels: {green: 0, silver: 100, gold: 500}
rules:
  - id: buy
    on: purchase
    award: 1 per 1 EUR
    values: [{tier: gold, award: 2 per 1 EUR}]
  - {id: welcome, on: tier_up, when: event.data.tier == 'gold', award: 30, limits: 1 time ever}
"""
START = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Around:
    """What a timer needs of an application."""

    connections: Mapping[str, Connection] = {}
    sources: Mapping[str, str] = {}

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    async def refresh(self) -> None:
        """Nothing changes."""

    async def gather(self, _setting: Setting, batch: Sequence[Prepared]) -> Sequence[Prepared]:
        return batch


class Shop:
    """One merchant whose customers buy and return, and a timer that ticks when it is told to."""

    def __init__(self, database: Database, setting: Setting, text: str = PROGRAM) -> None:
        self.database, self.clock, self.changes = database, FakeClock(START), list[Change]()
        self.setting = replace(setting, programs=assembled([compiled(read_program(text, "test"), 1, LONG_AGO)], 0))

        async def told(changes: Sequence[Change]) -> None:
            self.changes += changes

        keep = (timedelta(days=30), timedelta(days=14))
        self.timer = Timer(database, self.clock, "me", Around(self.setting), told, keep)

    def buys(self, reference: str, *amounts: Any, customer: str = "ann", **more: Any) -> None:
        snapshot = order(*amounts, customer=customer, **{"at": self.clock.now(), **more})
        self.tell(OrderSeen(reference=reference, snapshot=snapshot))

    def returns(self, reference: str, amount: Any, line: str = "L1") -> None:
        back = refund(f"R-{reference}-{amount}", [(line, amount)], at=self.clock.now())
        self.tell(RefundSeen(order=reference, refund=back))

    def tell(self, *events: Any) -> None:
        assert set(tell(self.database, self.setting, *events, now=self.clock.now())) == {"done"}

    async def on(self, day: str) -> Shop:
        """Let time pass up to that noon, with a timer that looks once a day."""
        end = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC)
        while self.clock.now() < end:
            self.clock.advance(min(timedelta(days=1), end - self.clock.now()))
            await self.timer.tick()
        return self

    def member(self, customer: str = "ann") -> str:
        def read(connection: Any) -> str:
            known = loading.load_identities(connection, "main", [("shop", customer)])
            return str(known["shop", customer].member)

        return self.database.read_now(read)

    def tier(self, customer: str = "ann") -> Tier:
        member = self.member(customer)
        return self.database.read_now(lambda c: load_tiers(c, "main", [member]))[member]["main"]

    def points(self, customer: str = "ann") -> int:
        member = self.member(customer)
        found = self.database.read_now(lambda c: balances(c, "main", [member], self.setting.programs, self.clock.now()))
        return found[member]["points"].active

    def ways(self, customer: str = "ann") -> list[str]:
        member = self.member(customer)
        happened = self.database.read_now(lambda c: timeline(c, "main", member, None, 100))
        told = [one.what.event for one in happened if isinstance(one.what, Heard)]
        return [f"{one.way} {one.tier or '-'}" for one in reversed(told) if isinstance(one, TierMoved)]

    def counted(self) -> dict[str, int]:
        """What counts, by day."""
        return {row.day: row.amount for row in rows(self.database, select(progress)) if row.amount}

    def proves(self) -> None:
        found = self.database.read_now(lambda c: verify(c, "main"))
        assert (found.findings, found.total) == ((), 0)


@pytest.fixture
def shop(database: Database, setting: Setting) -> Shop:
    return Shop(database, setting)


async def test_an_order_raises_its_member_and_the_next_one_earns_by_the_new_tier(shop: Shop) -> None:
    shop.buys("A", 99)
    assert shop.tier().name == "green"
    shop.buys("B", 401)
    assert (shop.tier().name, shop.points()) == ("gold", 530)
    shop.buys("C", 10)
    assert shop.points() == 550
    assert shop.ways() == ["joined green", "up gold"]
    assert shop.counted() == {"2026-03-10": 550}
    shop.proves()


async def test_deliveries_that_come_again_change_nothing(shop: Shop) -> None:
    for _ in range(3):
        shop.buys("A", 600)
        shop.returns("A", 10)
    assert (shop.tier().name, shop.ways(), shop.counted()) == ("gold", ["joined green", "up gold"], {"2026-03-10": 620})
    shop.proves()


async def test_a_refund_takes_the_tier_whether_or_not_the_points_can_be_taken(shop: Shop) -> None:
    shop.buys("A", 120)
    shop.buys("B", 400)
    await shop.on("2026-04-10")
    shop.returns("B", 400)
    # The points stay, because the policy takes pending ones only; what counts for the tier does not, nor does what the
    # tier had paid.
    assert (shop.points(), shop.tier().name, shop.counted()) == (550, "silver", {"2026-03-10": 120})
    assert shop.ways() == ["joined green", "up silver", "up gold", "down silver"]
    shop.proves()


async def test_what_was_paid_for_a_tier_goes_with_it(database: Database, setting: Setting) -> None:
    shop = Shop(database, setting, PROGRAM.replace("only_pending", "within_balance"))
    shop.buys("A", 120)
    shop.buys("B", 400)
    shop.returns("B", 400)
    assert (shop.points(), shop.tier().name, shop.counted()) == (120, "silver", {"2026-03-10": 120})
    shop.buys("C", 500)  # the limit of the bonus, once ever, was given back with it
    assert (shop.points(), shop.tier().name) == (650, "gold")
    shop.proves()


async def test_a_reward_that_a_tier_gave_is_taken_back_with_it(database: Database, setting: Setting) -> None:
    text = PROGRAM.replace("award: 30, limits: 1 time ever", "award: reward mug")
    shop = Shop(database, setting, text + "rewards: {mug: {gives: merchandise, price: 50}}\n")
    shop.buys("A", 600)
    shop.returns("A", 600)
    assert shop.tier().name == "green"
    assert [row.status for row in rows(database, select(redemption.c.status))] == ["revoked"]
    shop.proves()


async def test_an_order_that_changes_hands_takes_what_it_counts_with_it(shop: Shop) -> None:
    shop.buys("A", 200, customer="ann")
    shop.buys("A", 200, customer="bob", age=9)
    assert (shop.tier("ann").name, shop.tier("bob").name) == ("green", "silver")


async def test_time_ends_a_tier_and_tells_of_it_before(shop: Shop) -> None:
    shop.buys("A", 200)
    await shop.on("2027-12-01")
    assert shop.tier().name == "silver"
    await shop.on("2027-12-02")
    assert shop.ways() == ["joined green", "up silver", "ending silver"]
    (notice,) = [moved for change in shop.changes for moved in change.tiers]
    assert (notice.missing, notice.next, notice.next_missing) == (100, "gold", 500)
    await shop.on("2028-01-01")
    assert shop.tier().name == "green"
    assert shop.ways()[-1] == "down green"
    assert shop.changes[-1].kinds == ("tier_down",)
    shop.proves()


async def test_whoever_buys_before_a_late_timer_is_judged_first(shop: Shop) -> None:
    shop.buys("A", 600)
    shop.clock.advance(timedelta(days=700))  # 2028, and no timer ran
    shop.buys("B", 10)
    assert (shop.tier().name, shop.points()) == ("green", 640)


async def test_many_tiers_end_batch_by_batch(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "BATCH", 4)
    for number in range(11):
        shop.buys(f"A{number}", 150, customer=f"c{number}")
    shop.clock.advance(timedelta(days=700))
    await shop.timer.tick()
    assert {shop.tier(f"c{number}").name for number in range(11)} == {"green"}
    assert sum("tier_down" in change.kinds for change in shop.changes) == 11


async def test_a_limit_of_what_a_tier_pays_holds_over_years(shop: Shop) -> None:
    shop.buys("A", 600)
    await shop.on("2028-02-01")
    shop.buys("B", 600)
    assert shop.ways() == ["joined green", "up gold", "ending gold", "down green", "up gold"]
    assert shop.points() == 600 + 30 + 600


async def test_points_that_a_tier_pays_may_raise_the_member_again(database: Database, setting: Setting) -> None:
    text = PROGRAM.replace("== 'gold', award: 30", "== 'silver', award: 450")
    shop = Shop(database, setting, text)
    shop.buys("A", 100)
    assert (shop.tier().name, shop.points(), shop.counted()) == ("gold", 550, {"2026-03-10": 550})
    assert shop.ways() == ["joined green", "up silver", "up gold"]


@pytest.mark.parametrize(("by", "counted"), [("spend", 180_0000), ("orders", 2)])
async def test_spend_and_orders_count_too(database: Database, setting: Setting, by: str, counted: int) -> None:
    levels = "{silver: 100, gold: 150}" if by == "spend" else "{silver: 1, gold: 2}"
    text = PROGRAM.replace("by: points", f"by: {by}").replace("{green: 0, silver: 100, gold: 500}", levels)
    shop = Shop(database, setting, text)
    shop.buys("A", 100)
    assert shop.tier().name == "silver"
    shop.buys("B", 100)
    shop.returns("B", 20)
    assert (shop.tier().name, shop.counted()) == ("gold", {"2026-03-10": counted})
    shop.returns("B", 80)
    assert shop.tier().name == "silver"


async def test_a_tier_by_balance_follows_points_that_expire(database: Database, setting: Setting) -> None:
    text = PROGRAM.replace("  within: calendar year\n", "").replace("by: points", "by: balance")
    shop = Shop(database, setting, text.replace("wallets: {points: {", "wallets: {points: {expire: 1 month, "))
    shop.buys("A", 120)
    assert shop.tier().name == "silver"
    await shop.on("2026-04-10")
    assert (shop.points(), shop.tier().name) == (120, "silver")
    await shop.on("2026-04-11")
    assert (shop.points(), shop.tier().name) == (0, "green")


async def test_points_of_a_tier_live_longer(database: Database, setting: Setting) -> None:
    text = PROGRAM.replace(
        "wallets: {points: {", "wallets: {points: {expire: 1 month, expire_by_tier: {gold: 2 years}, "
    )
    shop = Shop(database, setting, text)
    shop.buys("A", 500)
    shop.buys("B", 10)
    lots = rows(database, select(lot.c.amount, lot.c.expires_at).order_by(lot.c.number))
    days = {row.amount: datetime.fromtimestamp(row.expires_at / 1e6, UTC).date().isoformat() for row in lots}
    assert days == {500: "2026-04-10", 30: "2028-03-10", 20: "2028-03-10"}


async def test_rules_pay_for_notices_and_for_tiers_that_are_kept(database: Database, setting: Setting) -> None:
    text = PROGRAM + (
        "  - {id: reminder, on: tier_ending, award: 1, when: event.data.missing > 50 && event.data.next == 'gold'}\n"
        "  - {id: loyal, on: tier_kept, award: 7, when: event.data.tier == 'silver'}\n"
        "  - {id: comfort, on: tier_down, award: 3, when: event.data.before == 'silver' && event.data.why == 'ended'}\n"
    )
    shop = Shop(database, setting, text)
    shop.buys("A", 100)
    await shop.on("2027-06-01")
    shop.buys("B", 150)
    assert shop.points() == 100 + 150 + 7
    await shop.on("2028-12-02")
    assert shop.points() == 258
    await shop.on("2029-01-01")
    assert shop.points() == 261
    shop.proves()
