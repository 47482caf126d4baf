"""Paid memberships are bought, renewed, tried, refunded and lapse, in whatever order it is told, on both databases."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.core.inbox.test_perks import having, jump, use
from tests.core.inbox.test_segments import segments
from tests.core.shops import START, Shop
from tests.databases import on_sqlite

from stampcard.applying import joining
from stampcard.applying.erasing import erase_members
from stampcard.applying.requests import Answer, record_event
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.events import CustomEvent
from stampcard.domain.orders import OrderLine
from stampcard.domain.plans import Subscription
from stampcard.errors import NotFound, RequestRefused
from stampcard.storage.database import Database
from stampcard.storage.tables import plan, plan_term
from stampcard.testing.applying import rows

PROGRAM = """
program: main
accept_late: 500 days
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
events: {gone: {}}
plans:
  gold: {name: Gold, skus: GOLD, lasts: 30 days, price: 90 EUR, price_kept: until lapse, refund: unless used}
  plus:
    skus: [PLUS, PLUS-NEW]
    on: [subscription_started, subscription_renewed]
    lasts: 1 year
    price: 49 EUR
    trial: 14 days
    grace: 7 days
  life: {skus: LIFE, lasts: for good, refund: keeps}
segments: {payers: {when: "member.plan != ''"}}
perks:
  lounge: {plans: [gold], uses: 2 ever}
  ship: {plans: [plus, gold]}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
  - {id: more, on: purchase, award: 10, when: member.plan == 'plus'}
  - {id: hello, on: plan_started, award: 100, when: "!event.data.trial"}
  - {id: again, on: plan_renewed, award: 20}
  - {id: bye, on: plan_ended, award: 1, when: event.data.why == 'lapsed'}
"""


@pytest.fixture
def shop(database: Database, setting: Setting) -> Shop:
    return Shop(database, setting, PROGRAM)


def line(sku: str, amount: int, quantity: int = 1) -> tuple[OrderLine, ...]:
    return (OrderLine(reference="L1", quantity=quantity, gross=Decimal(amount), sku=sku),)


def pays(shop: Shop, reference: str, sku: str = "PLUS", amount: int = 49, quantity: int = 1, **more: Any) -> None:
    shop.buys(reference, lines=line(sku, amount, quantity), total=Decimal(amount), **more)


def stands(shop: Shop, name: str = "plus", customer: str = "ann") -> Subscription:
    """As readers see it, which is as it is stored."""
    member = shop.member(customer)
    found = shop.database.read_now(lambda c: joining.plan_standings(Unit(c, shop.setting, shop.clock.now()), member))
    one = next(one.one for one in found if one.name == name)
    stored = rows(shop.database, select(plan.c.active).where(plan.c.member == member, plan.c.name == name))
    assert [bool(row.active) for row in stored] in ([one.active], [])
    return one


def asks(shop: Shop, work: Any, *arguments: Any) -> Any:
    member = shop.member()
    return shop.act(lambda unit: Answer(status=200, body={"one": work(unit, member, "", *arguments).one}))["one"]


@on_sqlite
async def test_a_product_begins_a_plan_and_an_early_renewal_is_added_to_its_end(shop: Shop) -> None:
    pays(shop, "A")
    one = stands(shop)
    assert (one.active, one.paid_until) == (True, datetime(2027, 3, 10, 23, tzinfo=UTC))
    assert (one.until, one.price) == (datetime(2027, 3, 17, 23, tzinfo=UTC), Decimal(49))
    assert (segments(shop), having(shop)) == ({"payers"}, {"ship"})
    assert shop.points() == 49 + 100
    shop.buys("B", 10)
    assert shop.points() == 149 + 20
    await jump(shop, "2027-02-01")
    pays(shop, "C", amount=59)
    one = stands(shop)
    assert (one.paid_until, one.price) == (datetime(2028, 3, 10, 23, tzinfo=UTC), Decimal(59))
    assert shop.points() == 169 + 59 + 10 + 20
    shop.proves()


@on_sqlite
async def test_it_lapses_behind_the_grace_and_takes_what_hangs_on_it(shop: Shop) -> None:
    pays(shop, "A")
    await jump(shop, "2027-03-17")
    assert stands(shop).active
    await jump(shop, "2027-03-18")
    assert not stands(shop).active
    assert (segments(shop), having(shop)) == (set(), set())
    assert shop.points() == 149 + 1
    pays(shop, "B")
    assert stands(shop).paid_until == datetime(2028, 3, 18, 23, tzinfo=UTC)
    shop.proves()


@on_sqlite
async def test_a_renewal_within_the_grace_goes_on_from_the_end(shop: Shop) -> None:
    pays(shop, "A")
    await jump(shop, "2027-03-15")
    pays(shop, "B")
    assert stands(shop).paid_until == datetime(2028, 3, 10, 23, tzinfo=UTC)


@on_sqlite
async def test_a_refund_ends_it_and_takes_back_what_rules_paid_for_it(shop: Shop) -> None:
    pays(shop, "A")
    shop.returns("A", 49)
    assert not stands(shop).active
    assert (shop.points(), having(shop)) == (0, set())
    shop.returns("A", 49)
    assert shop.points() == 0
    pays(shop, "B")
    assert (stands(shop).active, shop.points()) == (True, 149)
    shop.proves()


@on_sqlite
async def test_of_two_years_one_may_come_back(shop: Shop) -> None:
    pays(shop, "A", amount=98, quantity=2)
    assert stands(shop).paid_until == datetime(2028, 3, 10, 23, tzinfo=UTC)
    shop.returns("A", 49)
    assert stands(shop).paid_until == datetime(2027, 3, 10, 23, tzinfo=UTC)


async def test_a_cancelled_order_and_one_that_changes_hands_take_it_along(shop: Shop) -> None:
    pays(shop, "A")
    pays(shop, "A", age=1, at=START, customer="ben")
    assert (stands(shop).active, stands(shop, customer="ben").active) == (False, True)
    assert (shop.points(), shop.points("ben")) == (0, 149)
    pays(shop, "A", age=2, at=START, customer="ben", cancelled=True)
    assert (stands(shop, customer="ben").active, shop.points("ben")) == (False, 0)
    shop.proves()


@on_sqlite
async def test_a_refund_is_too_late_once_a_benefit_was_used(shop: Shop) -> None:
    pays(shop, "A", "GOLD", 90)
    use(shop, "lounge")
    shop.clock.advance(60)
    shop.returns("A", 90)
    assert stands(shop, "gold").active
    pays(shop, "B", "GOLD", 90, customer="ben")
    shop.returns("B", 90)
    assert not stands(shop, "gold", "ben").active


async def test_what_is_kept_is_kept_for_good(shop: Shop) -> None:
    pays(shop, "A", "LIFE", 500)
    shop.returns("A", 500)
    one = stands(shop, "life")
    assert (one.active, one.until) == (True, None)


@on_sqlite
async def test_the_price_that_a_member_began_with_stays_theirs_until_they_lapse(shop: Shop) -> None:
    pays(shop, "A", "GOLD", 60)
    await jump(shop, "2026-04-01")
    pays(shop, "B", "GOLD", 90)
    assert stands(shop, "gold").price == 60
    await jump(shop, "2026-05-20")
    pays(shop, "C", "GOLD", 90)
    assert stands(shop, "gold").price == 90


@on_sqlite
async def test_an_event_begins_and_renews_it_once(shop: Shop) -> None:
    shop.buys("A", 10)

    def tells(name: str, key: str) -> None:
        data = {} if name == "gone" else {"amount": 45}
        event = CustomEvent(name=name, customer="ann", key=key, occurred_at=shop.clock.now(), data=data)
        shop.act(lambda unit: Answer(status=200, body={"m": record_event(unit, event, "shop")}))

    tells("subscription_started", "1")
    tells("subscription_started", "1")
    assert (stands(shop).price, shop.points()) == (Decimal(45), 110)
    shop.clock.advance(60)
    tells("subscription_renewed", "2")
    assert stands(shop).paid_until == datetime(2028, 3, 10, 23, tzinfo=UTC)
    tells("gone", "3")
    shop.applies(PROGRAM.replace("skus: GOLD,", "skus: GOLD, on: subscription_renewed,"))
    with pytest.raises(RequestRefused, match="name its product, one of GOLD, PLUS, PLUS-NEW"):
        tells("subscription_renewed", "4")


@on_sqlite
async def test_a_plan_is_tried_once_and_what_is_paid_begins_behind_the_trial(shop: Shop) -> None:
    shop.buys("A", 10)
    one = asks(shop, joining.try_plan, "plus")
    assert (one.trial, one.paid_until, shop.points()) == (True, datetime(2026, 3, 24, 23, tzinfo=UTC), 10)
    with pytest.raises(RequestRefused, match="tried once"):
        asks(shop, joining.try_plan, "plus")
    with pytest.raises(RequestRefused, match="cannot be tried"):
        asks(shop, joining.try_plan, "gold")
    with pytest.raises(NotFound, match="mean 'plus'"):
        asks(shop, joining.try_plan, "plas")
    shop.clock.advance(60)
    pays(shop, "B")
    one = stands(shop)
    assert (one.trial, one.paid_until) == (False, datetime(2027, 3, 24, 23, tzinfo=UTC))


@on_sqlite
async def test_people_give_and_end_plans(shop: Shop) -> None:
    shop.buys("A", 10)
    end = datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert asks(shop, joining.give_plan, "gold", end, "k", "a friend").until == end
    assert asks(shop, joining.give_plan, "gold", None, "k", "a friend").until == end
    with pytest.raises(RequestRefused, match="is past"):
        asks(shop, joining.give_plan, "gold", datetime(2020, 1, 1, tzinfo=UTC), "l", "")
    shop.clock.advance(60)
    assert not asks(shop, joining.end_plan, "gold", "told tales").active
    with pytest.raises(RequestRefused, match="does not have gold"):
        asks(shop, joining.end_plan, "gold", "")
    shop.clock.advance(60)
    pays(shop, "B", "GOLD", 90)
    assert stands(shop, "gold").active


async def test_a_plan_that_is_not_there_any_more_ends_and_an_erasure_leaves_nothing(shop: Shop) -> None:
    pays(shop, "A", "GOLD", 90)
    pays(shop, "B")
    gone = PROGRAM.partition("  gold:")[0] + "  plus:" + PROGRAM.partition("  plus:")[2]
    shop.applies(gone.replace("  lounge: {plans: [gold], uses: 2 ever}\n", "").replace("[plus, gold]", "[plus]"))
    await shop.timer.tick()
    assert not rows(shop.database, select(plan).where(plan.c.name == "gold", plan.c.active == 1))
    member = shop.member()

    def erase(unit: Unit) -> Answer:
        erase_members(unit, [member])
        return Answer(status=204, body={})

    shop.act(erase)
    assert not [*rows(shop.database, select(plan)), *rows(shop.database, select(plan_term))]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_plans_come_to_the_same_in_whatever_order_deliveries_come_and_repeat(
    late: Shop, numbers: Iterator[int], data: st.DataObject
) -> None:
    told = data.draw(deliveries())
    found = []
    for one in (told, data.draw(st.permutations([*told, *told[:2]]))):
        run = next(numbers)  # customers and orders of its own, so that one database does for all
        people = [f"ann{run}", f"ben{run}"]
        for person in people:
            late.buys(f"first-{person}", 1, customer=person)
        for what, reference, *rest in one:
            if what == "buys":
                sku, quantity, age, at, who, cancelled = rest
                amount, more = 49 * quantity, {"age": age, "at": at, "customer": people[who], "cancelled": cancelled}
                pays(late, f"{reference}-{run}", sku, amount, quantity, **more)
            else:
                late.returns(f"{reference}-{run}", rest[0])
        found.append({(who, name): stands(late, name, people[who]) for who in (0, 1) for name in ("plus", "gold")})
    assert found[0] == found[1]
    late.proves()


@pytest.fixture
def late(setting: Setting, new_sqlite: Callable[[], str]) -> Iterator[Shop]:
    """A shop that hears of everything a year later."""
    database = Database(new_sqlite())
    shop = Shop(database, setting, PROGRAM)
    shop.clock.advance(timedelta(days=401))
    yield shop
    database.close()


@pytest.fixture
def numbers() -> Iterator[int]:
    return itertools.count()


@st.composite
def deliveries(draw: st.DrawFn) -> list[Any]:
    """What may be told of a few orders of two people: versions of each, and refunds."""
    told: list[Any] = []
    for number in range(draw(st.integers(1, 3))):
        at = START + timedelta(days=number * draw(st.sampled_from([1, 20, 200])))
        sku, quantity = draw(st.sampled_from(["PLUS", "GOLD"])), draw(st.integers(1, 2))
        for age in range(draw(st.integers(1, 2))):
            who, cancelled = draw(st.integers(0, 1)), draw(st.sampled_from([False, False, True]))
            told.append(("buys", f"O{number}", sku, quantity, age, at, who, cancelled))
        if draw(st.booleans()):
            told.append(("returns", f"O{number}", 49))
    return told


@on_sqlite
async def test_a_unit_that_came_back_unused_stays_back_whatever_is_refunded_later(shop: Shop) -> None:
    pair = OrderLine(reference="L1", quantity=2, gross=Decimal(180), sku="GOLD")
    shirt = OrderLine(reference="L2", quantity=1, gross=Decimal(20), sku="SHIRT")
    shop.buys("A", lines=(pair, shirt), total=Decimal(200))
    await jump(shop, "2026-03-12")
    shop.returns("A", 90)
    one = stands(shop, "gold").paid_until
    await jump(shop, "2026-03-14")
    use(shop, "lounge")
    await jump(shop, "2026-03-16")
    shop.returns("A", 20, "L2")
    assert stands(shop, "gold").paid_until == one
    shop.returns("A", 91)  # the second unit, which was used
    assert stands(shop, "gold").paid_until == one


@on_sqlite
async def test_a_plan_that_is_bought_a_moment_ahead_of_our_clock_begins_by_itself(
    database: Database, setting: Setting
) -> None:
    text = PROGRAM.replace("segments: {payers: {when: \"member.plan != ''\"}}\n", "")
    shop = Shop(database, setting, text)
    await shop.timer.tick()
    pays(shop, "A", at=shop.clock.now() + timedelta(seconds=20))
    assert (stands(shop).active, shop.points()) == (False, 49)
    shop.clock.advance(timedelta(minutes=1))
    await shop.timer.tick()
    assert (stands(shop).active, having(shop), shop.points()) == (True, {"ship"}, 149)


@on_sqlite
async def test_a_renewal_that_is_told_of_after_the_plan_seemed_to_have_ended_is_a_renewal(shop: Shop) -> None:
    pays(shop, "A")
    await jump(shop, "2027-03-18")
    before = shop.points()
    pays(shop, "B", at=datetime(2027, 3, 15, 12, tzinfo=UTC))
    assert stands(shop).since == START
    assert shop.points() - before == 49 + 10 + 20


@on_sqlite
async def test_the_price_of_one_of_several_is_money_that_there_is(shop: Shop) -> None:
    pays(shop, "A", amount=100, quantity=3)
    assert stands(shop).price == Decimal("33.33")
