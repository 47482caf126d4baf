"""What a backfill brings counts as if it had been told when it happened."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.domain.wallets import balance_of
from stampcard.engine.deciding import decide_order
from stampcard.engine.settling import settle
from stampcard.engine.world import World
from stampcard.program.events import SIGN_UP
from stampcard.testing.building import NOON, PROGRAM, absorbed, order, programs, refund, world
from stampcard.testing.scenes import stranger

LONG = NOON - timedelta(days=200)
WELCOME = PROGRAM + f"  - {{id: hello, on: {SIGN_UP}, award: 50}}\n"


def hears(found: World, snapshot: Any, *, past: bool, at: Any = NOON, member: str = "ann") -> tuple[World, list[str]]:
    event = OrderSeen(reference="O1", snapshot=snapshot)
    decision = decide_order(found, event, "shop", member, at, past=past)
    return absorbed(found, decision), [reason.code for reason in decision.reasons]


def due(found: World) -> int:
    return sum(award.due for of in found.awards.values() for award in of.values())


def test_an_old_order_earns_only_where_a_backfill_brings_it() -> None:
    assert hears(world(), order(10, at=LONG), past=False)[1] == ["late"]
    found, codes = hears(world(), order(10, at=LONG), past=True)
    assert (codes, due(found)) == (["matched"], 10)


@pytest.mark.parametrize("turns", list(permutations([("live", 0), ("past", 0), ("live", 9)])))
def test_in_whatever_order_it_is_told_live_and_of_the_past_it_earns_the_same(turns: Any) -> None:
    found = world()
    for kind, age in turns:
        found, _ = hears(found, order(10 + age, at=LONG, age=age), past=kind == "past")
    assert due(found) == 19
    assert found.orders["shop", "O1"].first_seen_at == LONG


def test_points_that_would_have_expired_by_now_have_expired() -> None:
    brief = PROGRAM.replace("wallets: {points: {", "wallets: {points: {expire: 30 days, ")
    for ago, active in ((200, 0), (10, 10)):
        found, codes = hears(world(brief), order(10, at=NOON - timedelta(days=ago)), past=True)
        assert codes == ["matched"]
        (wallet,) = found.wallets.values()
        assert balance_of(settle(wallet, NOON)[0].sums, 0).active == active


def test_before_the_program_nothing_is_earned_and_nobody_joins() -> None:
    began = programs(WELCOME, valid_from=NOON - timedelta(days=30))
    new = world(WELCOME, members=("ann",))
    new = World(now=NOON, programs=began, members={"zoe": stranger("zoe")}, orders=new.orders)
    found, codes = hears(new, order(10, at=LONG, customer="zoe"), past=True, member="zoe")
    assert (codes, due(found)) == (["before_program"], 0)
    assert not found.members["zoe"].programs
    joined, codes = hears(new, order(10, at=NOON - timedelta(days=29), customer="zoe"), past=True, member="zoe")
    assert sorted(codes) == ["matched", "matched"]
    assert due(joined) == 60
    assert joined.members["zoe"].joined["main"] == NOON - timedelta(days=29)


def test_of_refunds_alone_a_past_makes_no_late_order() -> None:
    told = RefundSeen(order="O1", refund=refund("R1", [("L1", 10)], at=LONG))
    decision = decide_order(world(), told, "shop", None, NOON, past=True)
    assert decision.order is not None
    assert decision.order.first_seen_at == told.refund.occurred_at
