"""Tiers move with orders, refunds and time, in the same transaction as the points, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from tests.core.shops import START, Shop
from tests.databases import on_sqlite

from stampcard.applying import tiering
from stampcard.applying.erasing import erase_members
from stampcard.applying.holding import hold, let_go
from stampcard.applying.locking import lock_member
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.spending import cancel_spend, spend
from stampcard.applying.unit import Unit
from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.engine.deciding import decide_tier_moved
from stampcard.inbox import timing
from stampcard.storage.database import Database
from stampcard.storage.tables import lot, progress, redemption, tier
from stampcard.testing.applying import apply, prepare, rows, store
from stampcard.testing.building import order, refund

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


@pytest.fixture
def shop(database: Database, setting: Setting) -> Shop:
    return Shop(database, setting, PROGRAM)


@on_sqlite
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


@on_sqlite
async def test_deliveries_that_come_again_change_nothing(shop: Shop) -> None:
    for _ in range(3):
        shop.buys("A", 600)
        shop.returns("A", 10)
    assert (shop.tier().name, shop.ways(), shop.counted()) == ("gold", ["joined green", "up gold"], {"2026-03-10": 620})
    shop.proves()


@on_sqlite
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


@on_sqlite
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


@on_sqlite
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


@on_sqlite
async def test_many_tiers_end_batch_by_batch(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "BATCH", 4)
    for number in range(11):
        shop.buys(f"A{number}", 150, customer=f"c{number}")
    shop.clock.advance(timedelta(days=700))
    await shop.timer.tick()
    assert {shop.tier(f"c{number}").name for number in range(11)} == {"green"}
    assert sum("tier_down" in change.kinds for change in shop.changes) == 11


@on_sqlite
async def test_a_limit_of_what_a_tier_pays_holds_over_years(shop: Shop) -> None:
    shop.buys("A", 600)
    await shop.on("2028-02-01")
    shop.buys("B", 600)
    assert shop.ways() == ["joined green", "up gold", "ending gold", "down green", "up gold"]
    assert shop.points() == 600 + 30 + 600


@on_sqlite
async def test_points_that_a_tier_pays_may_raise_the_member_again(database: Database, setting: Setting) -> None:
    text = PROGRAM.replace("== 'gold', award: 30", "== 'silver', award: 450")
    shop = Shop(database, setting, text)
    shop.buys("A", 100)
    assert (shop.tier().name, shop.points(), shop.counted()) == ("gold", 550, {"2026-03-10": 550})
    assert shop.ways() == ["joined green", "up silver", "up gold"]


@on_sqlite
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


@on_sqlite
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


@on_sqlite
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


# Counting anew


@pytest.mark.parametrize("by", ["points", "spend", "orders"])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(1, 400)), min_size=1, max_size=14))
def test_what_is_counted_step_by_step_is_what_orders_and_awards_say(
    setting: Setting, new_sqlite: Callable[[], str], by: str, steps: list[tuple[int, int, int]]
) -> None:
    database = Database(new_sqlite())
    shop = Shop(database, setting, PROGRAM.replace("by: points", f"by: {by}"))
    for age, (what, which, amount) in enumerate(steps, start=1):
        reference, customer = f"O{which}", f"c{which % 2}"
        shop.clock.advance(timedelta(days=what * 11))
        match what:
            case 0 | 1 | 2:
                shop.buys(f"O{which}-{age}", amount, customer=customer)
            case 3:
                shop.buys(reference, amount, customer=customer, age=age, at=START)
            case 4:
                shop.buys(reference, amount, customer="c9", age=age, at=START)
            case 5:
                shop.buys(reference, amount, customer=customer, age=age, at=START, cancelled=True)
            case _:
                shop.returns(reference, min(amount, 50))
    assert shop.stored() == shop.anew()
    shop.proves()
    database.close()


@on_sqlite
async def test_tiers_that_come_later_count_what_was_before_and_pay_nothing_for_it(
    database: Database, setting: Setting
) -> None:
    head, _, _ = PROGRAM.partition("tiers:")
    bare = head + "rules:\n  - {id: buy, on: purchase, award: 1 per 1 EUR}\n"
    shop = Shop(database, setting, bare)
    for number, amount in enumerate((600, 90)):
        shop.buys(f"A{number}", amount, customer=f"c{number}")
    await shop.on("2027-02-01")
    shop.buys("B", 20, customer="c0")
    shop.applies(PROGRAM)
    await shop.on("2027-02-02")
    # What was reached last year holds until the end of this one.
    assert [(shop.tier(f"c{n}").name, shop.points(f"c{n}")) for n in (0, 1)] == [("gold", 620), ("green", 90)]
    assert shop.stored() == shop.anew()
    assert shop.tier("c0").until == datetime(2027, 12, 31, 23, tzinfo=UTC)
    shop.buys("C", 10, customer="c0")
    assert shop.points("c0") == 640
    shop.proves()


@on_sqlite
async def test_another_measure_is_counted_anew_and_a_lower_threshold_gives_at_once(shop: Shop) -> None:
    shop.buys("A", 90)
    shop.buys("B", 90, customer="bob")
    shop.applies(PROGRAM.replace("silver: 100", "silver: 80"))
    await shop.on("2026-03-12")
    assert [shop.tier(name).name for name in ("ann", "bob")] == ["silver", "silver"]
    shop.applies(PROGRAM.replace("by: points", "by: orders").replace("silver: 100, gold: 500", "silver: 1, gold: 2"))
    await shop.on("2026-03-14")
    assert shop.stored() == shop.anew()
    assert len(shop.stored()) == 2
    shop.buys("C", 1)
    assert (shop.tier().name, shop.tier("bob").name) == ("gold", "silver")


async def test_a_program_without_tiers_any_more_is_left_in_peace(shop: Shop) -> None:
    shop.buys("A", 150)
    head, _, _ = PROGRAM.partition("tiers:")
    shop.applies(head + "rules:\n  - {id: buy, on: purchase, award: 1 per 1 EUR}\n")
    await shop.on("2028-03-01")
    assert [row.next_at for row in rows(shop.database, select(tier.c.next_at))] == [None]
    shop.buys("B", 1)
    shop.proves()


# Many at once


def together(shop: Shop, *events: Any) -> list[str]:
    """Deliveries of one event each, or of several, in one unit of work; answers what became of them."""
    batch = []
    for one in events:
        (delivery,) = store(shop.database, shop.setting, b"{}")
        batch.append(prepare(delivery, *(one if isinstance(one, tuple) else (one,))))
    return [settled.status for settled in apply(shop.database, shop.setting, batch, shop.clock.now())]


def bought(shop: Shop, reference: str, amount: int, customer: str = "ann") -> OrderSeen:
    return OrderSeen(reference=reference, snapshot=order(amount, customer=customer, at=shop.clock.now()))


def returned(shop: Shop, reference: str, amount: int) -> RefundSeen:
    back = refund(f"R-{reference}", [("L1", amount)], at=shop.clock.now())
    return RefundSeen(order=reference, refund=back)


@on_sqlite
async def test_whoever_rises_is_paid_however_many_rise_together(shop: Shop) -> None:
    assert set(together(shop, *(bought(shop, f"A{n}", 600, f"c{n}") for n in range(120)))) == {"done"}
    assert {shop.points(f"c{n}") for n in range(120)} == {630}


async def test_a_failure_on_the_way_leaves_nothing_half_done(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = decide_tier_moved, 0

    def fails(*given_: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("a plugin's own trouble")
        return real(*given_)

    monkeypatch.setattr(tiering, "decide_tier_moved", fails)
    event = bought(shop, "A", 600)
    assert together(shop, event, bought(shop, "B", 10, "bob")) == ["failed", "done"]
    assert shop.points("bob") == 10
    assert together(shop, event) == ["done"]
    assert (shop.points(), shop.tier().name) == (630, "gold")


async def test_every_rise_that_refunds_take_away_gives_back_what_it_was_paid(
    database: Database, setting: Setting
) -> None:
    text = PROGRAM.replace("only_pending", "within_balance")
    text = text.replace("event.data.tier == 'gold', award: 30, limits: 1 time ever", "event.data.tier != '', award: 30")
    shop = Shop(database, setting, text)
    shop.buys("A", 120)
    shop.buys("B", 400)
    assert shop.points() == 520 + 60
    shop.returns("B", 400)
    assert (shop.tier().name, shop.points()) == ("silver", 150)
    shop.returns("A", 120)
    assert (shop.tier().name, shop.points()) == ("green", 0)
    shop.buys("C", 600)
    shop.returns("C", 600)
    assert (shop.tier().name, shop.points()) == ("green", 0)
    assert together(shop, bought(shop, "D", 600), returned(shop, "D", 600)) == ["done", "done"]
    assert (shop.tier().name, shop.points()) == ("green", 0)
    assert shop.stored() == shop.anew() == {}
    shop.proves()


@on_sqlite
async def test_limits_of_what_comes_behind_an_undone_rise_still_hold(database: Database, setting: Setting) -> None:
    text = PROGRAM.replace("only_pending", "within_balance").replace(
        "    values: [{tier: gold, award: 2 per 1 EUR}]\n",
        "  - {id: few, on: purchase, award: 10, limits: '20 points ever, in all'}\n",
    )
    shop = Shop(database, setting, text)
    shop.buys("A", 600)
    shop.buys("B", 5, customer="bob")
    assert (shop.points(), shop.points("bob")) == (640, 15)
    assert together(shop, returned(shop, "A", 600), bought(shop, "C", 5, "bob")) == ["done", "done"]
    assert (shop.points(), shop.points("bob")) == (0, 30)  # what was given back can be had again, and no more
    shop.buys("D", 5, customer="bob")
    assert shop.points("bob") == 35
    shop.proves()


async def test_a_late_timer_keeps_to_the_limits_of_the_day(
    database: Database, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "BATCH", 2)
    text = PROGRAM + "  - {id: pity, on: tier_down, award: 3, limits: '6 points per day, in all'}\n"
    shop = Shop(database, setting, text)
    for number in range(6):
        shop.buys(f"A{number}", 150, customer=f"c{number}")
    shop.clock.advance(timedelta(days=700))
    await shop.timer.tick()
    assert sum(shop.points(f"c{number}") - 150 for number in range(6)) == 6


@on_sqlite
async def test_an_erased_member_has_no_tier_and_nothing_that_counts(shop: Shop) -> None:
    shop.buys("A", 600)
    id_ = shop.member()

    def erase(connection: Any) -> None:
        unit = Unit(connection, shop.setting, shop.clock.now())
        erase_members(unit, [id_])
        unit.save()

    shop.database.write_now(erase)
    assert (rows(shop.database, select(tier)), rows(shop.database, select(progress))) == ([], [])


@on_sqlite
async def test_whoever_is_erased_on_the_day_that_a_tier_ends_leaves_nothing(shop: Shop) -> None:
    shop.buys("A", 600)
    id_ = shop.member()
    shop.clock.advance(timedelta(days=700))  # due, and no timer ran

    def erase(connection: Any) -> None:
        unit = Unit(connection, shop.setting, shop.clock.now())
        lock_member(unit, id_)
        erase_members(unit, [id_])
        unit.save()

    shop.database.write_now(erase)
    assert (rows(shop.database, select(tier)), rows(shop.database, select(progress))) == ([], [])


async def test_a_hold_that_ends_on_the_day_that_a_tier_ends_keeps_the_books(
    database: Database, setting: Setting
) -> None:
    text = PROGRAM + "  - {id: comfort, on: tier_down, award: 3}\n"
    shop = Shop(database, setting, text)
    shop.buys("A", 200)
    id_ = shop.member()

    def act(work: Any) -> None:
        def write(connection: Any) -> None:
            unit = Unit(connection, shop.setting, shop.clock.now())
            work(unit)
            unit.save()

        shop.database.write_now(write)

    act(lambda unit: hold(unit, id_, "a check"))
    shop.buys("B", 50)
    act(lambda unit: let_go(unit, id_))
    assert shop.points() == 250
    act(lambda unit: hold(unit, id_, "another"))
    shop.clock.advance(timedelta(days=700))
    shop.buys("C", 10)
    act(lambda unit: let_go(unit, id_))
    assert (shop.tier().name, shop.points()) == ("green", 260)  # on hold nothing is paid for what happens to a tier
    shop.proves()


async def test_trouble_with_one_member_is_not_that_of_the_others(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for customer in ("ann", "bob"):
        shop.buys(f"A-{customer}", 200, customer=customer)
    ann = shop.member("ann")
    real = decide_tier_moved

    def fails(world: Any, on: str, moved: Any, person: Any) -> Any:
        if person.id == ann:
            raise RuntimeError("a plugin's own trouble")
        return real(world, on, moved, person)

    shop.clock.advance(timedelta(days=700))
    with monkeypatch.context() as patched:
        patched.setattr(tiering, "decide_tier_moved", fails)
        await shop.timer.tick()
    assert [shop.tier(name).name for name in ("ann", "bob")] == ["silver", "green"]
    shop.clock.advance(timedelta(days=1, minutes=1))
    await shop.timer.tick()
    assert shop.tier("ann").name == "green"


async def test_a_database_that_fails_is_nobodys_trouble(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise OperationalError("SELECT", {}, Exception("deadlock"))

    monkeypatch.setattr(tiering, "decide_tier_moved", fails)
    with pytest.raises(OperationalError):
        together(shop, bought(shop, "A", 600))


async def test_other_rates_are_counted_anew(database: Database, setting: Setting) -> None:
    text = PROGRAM.replace("by: points", "by: spend").replace("currency: EUR\n", "currency: EUR\nrates: {USD: 1}\n")
    shop = Shop(database, setting, text)
    shop.buys("A", 200, currency="USD")
    shop.applies(text.replace("USD: 1", "USD: 0.5"))
    await shop.timer.tick()
    shop.returns("A", 200)
    assert shop.stored() == shop.anew() == {}


@on_sqlite
async def test_what_a_tier_that_ended_pays_is_kept_by_a_spend_that_is_cancelled_before_any_timer(
    database: Database, setting: Setting
) -> None:
    shop = Shop(database, setting, PROGRAM + "  - {id: sorry, on: tier_down, award: 7}\n")
    shop.buys("A", 120)
    member = shop.member()
    shop.act(lambda unit: Answer(status=200, body={"points": spend(unit, member, "points", 20, "s", "").amount}))
    shop.clock.advance(timedelta(days=800))

    shop.act(lambda unit: Answer(status=200, body={"points": cancel_spend(unit, "s", "").amount}))

    assert (shop.ways()[-1], shop.points()) == ("down green", 127)
    shop.proves()
