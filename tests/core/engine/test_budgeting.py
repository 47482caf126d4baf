"""Limits of money count what percentages take off: promised, then as orders show it, less what refunds give back."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stampcard.domain.decisions import Alert
from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.domain.members import Member
from stampcard.domain.orders import OrderLine
from stampcard.domain.rewards import Minted, Redemption
from stampcard.domain.value import replace
from stampcard.engine.counting import CounterKey
from stampcard.engine.deciding import decide_order
from stampcard.engine.redeeming import decide_overdue, decide_revoke, decide_use
from stampcard.engine.rewarding import Asking
from stampcard.engine.taking import decide_redeem, find_reward
from stampcard.engine.world import Decision, World
from stampcard.errors import RequestRefused
from stampcard.testing.building import LONG_AGO, NOON, absorbed, order, refund, world

TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rates: {USD: 0.5}
campaigns: {spring: {limits: '100 EUR ever, in all'}}
rewards:
  tenth: {gives: '10 % off, at most 30 EUR', price: 0, by: own, campaign: spring, valid: 10 days}
  open: {gives: 10 % off, price: 0, by: own, campaign: spring, valid: 10 days}
  twice: {gives: '10 % off, at most 30 EUR', price: 0, by: own, campaign: spring, uses: 2}
  shoes: {gives: '50 % off, at most 30 EUR', price: 0, by: own, campaign: spring, only: {product: [shoes]}}
"""
BUDGET = CounterKey("main", "campaign:spring:money/ever/all", "", "")


class Scene:
    """A world with one member, which takes its decisions in."""

    def __init__(self, text: str = TEXT) -> None:
        self.number = 0
        person = Member(id="ann", joined_at=LONG_AGO, programs=frozenset({"main"}))
        self.world: World = replace(world(text, now=NOON), members={"ann": person})
        self.alerts: list[Alert] = []

    def take(self, decision: Decision) -> Decision:
        redemptions = {**self.world.redemptions, **{one.id: one for one in decision.redemptions}}
        self.world = replace(absorbed(self.world, decision), redemptions=redemptions)
        self.alerts += decision.alerts
        return decision

    def redeem(self, name: str = "tenth") -> Redemption:
        self.number += 1
        live, of = find_reward(self.world, name)
        minted = Minted(id=f"r{self.number}", code=f"CODE-{self.number}")
        return self.take(decide_redeem(self.world, live, of, self.world.members["ann"], minted, Asking())).redemptions[
            0
        ]

    def tell(self, event: OrderSeen | RefundSeen) -> None:
        owner = "ann" if isinstance(event, OrderSeen) else None
        self.take(decide_order(self.world, event, "shop", owner, self.world.now))

    def buys(self, gross: Any, off: Any, *codes: str, reference: str = "A", **more: Any) -> None:
        line = OrderLine(reference="L1", quantity=1, gross=Decimal(str(gross)), discount=Decimal(str(off)))
        lines = more.pop("lines", (line,))
        self.tell(OrderSeen(reference=reference, snapshot=order(lines=lines, customer="ann", codes=codes, **more)))

    def refunds(self, amount: Any, reference: str = "A") -> None:
        self.tell(RefundSeen(order=reference, refund=refund(f"R{amount}", [("L1", amount)])))

    @property
    def counted(self) -> Decimal:
        return Decimal(self.world.counters.get(BUDGET, 0)) / 10_000


def test_what_is_promised_is_reserved_and_becomes_what_the_order_shows() -> None:
    scene = Scene()
    scene.redeem()
    assert scene.counted == 30
    scene.buys(80, 8, "code-1")
    assert scene.counted == 8
    scene.buys(80, 8, "code-1", age=1)
    assert scene.counted == 8
    scene.refunds(36)
    assert scene.counted == 4
    scene.buys(80, 8, "code-1", age=2, cancelled=True)
    assert scene.counted == 0


def test_never_more_is_promised_than_is_left_and_what_is_not_used_is_there_again() -> None:
    scene = Scene()
    taken = [scene.redeem() for _ in range(3)]
    with pytest.raises(RequestRefused) as refused:
        scene.redeem()
    assert refused.value.code == "limit"
    assert scene.counted == 90

    scene.take(decide_revoke(scene.world, taken[0], "a mistake"))
    assert scene.counted == 60
    scene.world = replace(scene.world, now=NOON + timedelta(days=20))
    scene.take(decide_overdue(scene.world, taken[1]))
    assert scene.counted == 30
    scene.redeem()
    assert scene.counted == 60


def test_without_an_upper_end_nothing_is_reserved_and_nobody_gets_one_once_the_budget_is_used_up() -> None:
    scene = Scene()
    scene.redeem("open")
    scene.redeem("open")
    assert scene.counted == 0
    scene.buys(900, 90, "CODE-1")
    assert scene.counted == 90
    assert [alert.share for alert in scene.alerts] == [80]
    scene.redeem("open")
    scene.buys(100, 10, "CODE-2", reference="B")
    assert scene.counted == 100
    assert [alert.share for alert in scene.alerts] == [80, 100]
    with pytest.raises(RequestRefused, match="100 EUR ever"):
        scene.redeem("open")
    scene.buys(100, 10, "CODE-3", reference="C")
    assert scene.counted == 110  # it was given before
    scene.refunds(405)
    assert scene.counted == 65


@pytest.mark.parametrize(
    ("bought", "counted"),
    [
        ({"gross": 500, "off": 50}, 30),
        ({"gross": 80, "off": 20}, 8),  # another discount was on it, too
        ({"gross": 33.33, "off": 3.34}, Decimal("3.34")),  # the shop rounds as it likes
        ({"gross": 80, "off": 8, "currency": "USD"}, 4),
        ({"gross": 80, "off": 8, "currency": "JPY"}, 0),
        ({"gross": 80, "off": 8, "paid": False}, 0),
        ({"gross": 80, "off": 0}, 0),
    ],
)
def test_of_an_order_counts_what_the_code_took_off_in_the_programs_money(bought: dict[str, Any], counted: Any) -> None:
    scene = Scene()
    scene.redeem()
    scene.buys(bought.pop("gross"), bought.pop("off"), "CODE-1", **bought)
    assert scene.counted == counted


def test_only_what_the_code_is_for_counts() -> None:
    scene = Scene()
    scene.redeem("shoes")
    lines = tuple(
        OrderLine(reference=name, quantity=1, gross=Decimal(40), discount=Decimal(off), product=name)
        for name, off in (("shoes", 20), ("hat", 10))
    )
    scene.buys(0, 0, "CODE-1", lines=lines)
    assert scene.counted == 20


def test_a_code_that_an_edit_took_off_again_counts_no_more() -> None:
    scene = Scene()
    scene.redeem()
    scene.buys(80, 8, "CODE-1")
    scene.buys(80, 5, age=1)
    assert scene.counted == 0


def test_a_code_that_works_twice_promises_what_is_left_of_it_and_a_till_that_tells_nothing_all_of_it() -> None:
    scene = Scene()
    twice = scene.redeem("twice")
    assert scene.counted == 60
    scene.buys(80, 8, "CODE-1")
    assert scene.counted == 38
    scene.take(decide_use(scene.world, scene.world.redemptions[twice.id], "till 1"))
    assert scene.world.redemptions[twice.id].status == "used"
    assert scene.counted == 38


def test_an_order_that_is_told_after_the_code_was_given_up_counts_what_the_shop_took_off() -> None:
    scene = Scene()
    given_up = scene.redeem()
    scene.take(decide_revoke(scene.world, given_up, "a mistake"))
    assert scene.counted == 0
    scene.buys(80, 8, "CODE-1")
    assert scene.counted == 8


ORDERS = st.lists(
    st.tuples(st.integers(1, 400), st.integers(0, 2), st.booleans(), st.sampled_from([0, 0.25, 1])),
    min_size=1, max_size=4,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(ORDERS, st.randoms(use_true_random=False), st.sampled_from(["tenth", "open", "twice"]))
def test_the_counter_is_a_recount_of_the_orders_in_whatever_order_they_are_told(
    bought: list[tuple[int, int, bool, float]], chance: Any, reward: str
) -> None:
    scene = Scene(TEXT.replace("100 EUR", "100000 EUR"))
    for _ in range(3):
        scene.redeem(reward)
    events: list[OrderSeen | RefundSeen] = []
    recounted, uses = Decimal(0), [0, 0, 0]
    for number, (gross, which, cancelled, back) in enumerate(bought):
        off = Decimal(gross) / 10
        line = OrderLine(reference="L1", quantity=1, gross=Decimal(gross), discount=off)
        of: dict[str, Any] = {"lines": (line,), "customer": "ann", "codes": (f"code-{which + 1}",)}
        events.append(OrderSeen(reference=f"O{number}", snapshot=order(**of)))
        kept = Decimal(1)
        if back:
            events.append(RefundSeen(order=f"O{number}", refund=refund("R", [("L1", (gross - off) * Decimal(back))])))
            kept -= Decimal(back)
        if cancelled:
            events.append(OrderSeen(reference=f"O{number}", snapshot=order(**of, age=9, cancelled=True)))
            kept = Decimal(0)
        recounted += (off if reward == "open" else min(off, Decimal(30))) * kept
        uses[which] += 1
    told = [*events, *chance.choices(events, k=3)]
    chance.shuffle(told)
    for event in told:
        scene.tell(event)
    promised = 0 if reward == "open" else 30
    most = 2 if reward == "twice" else 1
    recounted += sum(max(0, most - used) * promised for used in uses)

    assert abs(scene.counted - recounted) < Decimal("0.001")  # refunds are counted down to the ten-thousandth
