"""A percentage counts for goods of so much a year: in carts, on orders, and back with refunds; pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stampcard.domain.bases import BaseUse
from stampcard.domain.orders import OrderLine, OrderState, Refund, state_of
from stampcard.engine.capping import base_left, base_of
from stampcard.engine.versions import LiveProgram, compiled
from stampcard.program.reading import read_program
from stampcard.testing.building import LONG_AGO, NOON, order, refund

TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules: [{id: buy, on: purchase, award: 1}]
rewards:
  pro: {gives: 40 % off, price: 0, base_cap: 5000 EUR per year}
  once: {gives: 10 % off, price: 0, base_cap: 500 EUR ever}
  free: {gives: 10 % off, price: 0}
"""


@pytest.fixture(scope="module")
def live() -> LiveProgram:
    return compiled(read_program(TEXT, "test"), 1, LONG_AGO)


def use(kept: int, at: datetime = NOON, subject: str = "order:shop:A", reward: str = "pro") -> BaseUse:
    return BaseUse(
        program="main",
        reward=reward,
        subject=subject,
        at=at,
        whole=kept * 10_000,
        allowed=kept * 10_000,
        kept=kept * 10_000,
    )


def kept(live: LiveProgram, state: OrderState, *uses: BaseUse, known: BaseUse | None = None) -> tuple[int, int]:
    """What an order is allowed and keeps, in whole money."""
    found = base_of(live, "pro", "order:shop:B", state, known, uses)
    return (found.allowed // 10_000, found.kept // 10_000) if found is not None else (0, 0)


def test_what_is_left_is_counted_by_the_period_of_the_programs_calendar(live: LiveProgram) -> None:
    uses = [use(4900), use(700, NOON - timedelta(days=100), "order:shop:B"), use(30, reward="once")]
    assert base_left(live, "pro", uses, NOON) == 100
    assert base_left(live, "pro", uses, NOON, without="order:shop:A") == 5000
    assert base_left(live, "pro", uses, datetime(2027, 1, 1, tzinfo=UTC)) == 5000
    assert base_left(live, "once", uses, datetime(2027, 1, 1, tzinfo=UTC)) == 470
    assert base_left(live, "free", uses, NOON) is None


def test_of_an_order_beyond_the_cap_only_what_is_left_counts_and_refunds_give_their_share_back(
    live: LiveProgram,
) -> None:
    bought = order(200)
    assert kept(live, state_of(bought, ()), use(4900)) == (100, 100)
    assert kept(live, state_of(bought, [refund("R", [("L1", 100)])]), use(4900)) == (100, 50)
    assert kept(live, state_of(bought, [refund("R", [("L1", 200)])]), use(4900)) == (100, 0)
    assert kept(live, state_of(bought, [refund("R", [], money=50)]), use(4900)) == (100, 75)
    assert kept(live, state_of(order(200, cancelled=True), ()), use(4900)) == (100, 0)
    assert kept(live, state_of(order(200, paid=False), ()), use(4900)) == (0, 0)


def test_what_was_allowed_once_stays_allowed(live: LiveProgram) -> None:
    first = base_of(live, "pro", "order:shop:B", state_of(order(200), ()), None, [use(4900)])
    again = base_of(live, "pro", "order:shop:B", state_of(order(200), ()), first, [use(4990)])
    assert again == first
    edited = base_of(live, "pro", "order:shop:B", state_of(order(60, age=1), ()), first, [use(4900)])
    assert edited is not None
    assert edited.kept == 600_000


@pytest.mark.parametrize(("told", "counted"), [(True, 300), (False, 200)])
def test_goods_of_a_collection_count_and_without_collections_those_that_the_shop_took_something_off(
    told: bool, counted: int
) -> None:
    text = TEXT.replace("price: 0, base_cap: 5000", "price: 0, only: {collection: full}, base_cap: 5000")
    narrow = compiled(read_program(text, "test"), 2, LONG_AGO)
    amounts = {"L1": (200, 80, "full"), "L2": (100, 0, "full"), "L3": (50, 0, "sale")}
    bought = tuple(
        OrderLine(
            reference=name, quantity=1, gross=Decimal(gross), discount=Decimal(off), collections=(of,) if told else ()
        )
        for name, (gross, off, of) in amounts.items()
    )
    assert kept(narrow, state_of(order(lines=bought), ())) == (counted, counted)
    card = OrderLine(reference="L1", quantity=1, gross=Decimal(50), discount=Decimal(9), gift_card=True)
    assert kept(narrow, state_of(order(lines=(card,)), ())) == (0, 0)


@settings(max_examples=40)
@given(
    amounts=st.lists(st.integers(1, 300), min_size=1, max_size=3),
    backs=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 300)), max_size=3),
    spent=st.integers(0, 5200),
)
def test_nothing_is_kept_beyond_what_was_allowed_nor_allowed_beyond_the_cap(
    live: LiveProgram, amounts: list[int], backs: list[tuple[int, int]], spent: int
) -> None:
    refunds: list[Refund] = [refund(f"R{n}", [(f"L{line}", back)]) for n, (line, back) in enumerate(backs)]
    found = base_of(live, "pro", "order:shop:B", state_of(order(*amounts), refunds), None, [use(spent)])
    assert found is not None
    assert 0 <= found.kept <= found.allowed <= min(sum(amounts), max(0, 5000 - spent)) * 10_000
    if not backs:
        assert Decimal(found.kept) == found.allowed


def test_another_cap_counts_what_was_bought_before_by_its_own_period() -> None:
    by_month = compiled(read_program(TEXT.replace("5000 EUR per year", "600 EUR per month"), "test"), 2, LONG_AGO)
    uses = [use(500), use(400, NOON - timedelta(days=20), "order:shop:B")]
    assert base_left(by_month, "pro", uses, NOON) == 100


def test_refunds_of_lines_of_money_and_of_shipping_are_each_what_they_are(live: LiveProgram) -> None:
    bought = order(100, 300)
    lines, money = refund("R", [("L1", 100)]), refund("M", [], money=300)
    assert kept(live, state_of(bought, [lines])) == (400, 300)
    assert kept(live, state_of(bought, [lines, money])) == (400, 0)
    sent = order(400, total=Decimal(500), shipping=Decimal(100))
    assert kept(live, state_of(sent, [refund("S", [], money=100, shipping=Decimal(100))])) == (400, 400)


def test_a_line_that_cost_nothing_goes_back_by_its_units(live: LiveProgram) -> None:
    free = OrderLine(reference="L1", quantity=1, gross=Decimal(100), discount=Decimal(100))
    paid = OrderLine(reference="L2", quantity=1, gross=Decimal(300))
    bought = order(lines=(free, paid))
    assert kept(live, state_of(bought, [refund("R", [("L1", 0)], money=1)])) == (400, 300)
    assert kept(live, state_of(bought, [refund("R", [("L1", 0), ("L2", 300)])])) == (400, 0)


def test_what_becomes_of_other_orders_changes_nothing_of_what_was_allowed(live: LiveProgram) -> None:
    first = base_of(live, "pro", "order:shop:B", state_of(order(400), ()), None, [use(4900)])
    again = base_of(live, "pro", "order:shop:B", state_of(order(400, age=5), ()), first, [use(0)])
    grown = base_of(live, "pro", "order:shop:B", state_of(order(500, age=6), ()), first, [use(0)])
    assert [one.allowed // 10_000 for one in (first, again, grown) if one is not None] == [100, 100, 500]
