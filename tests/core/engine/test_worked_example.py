"""The worked example of the specification: two orders, a spend, a return, in every variant."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.domain.ledger import Entry
from stampcard.domain.value import replace
from stampcard.domain.wallets import Lot, balance_of
from stampcard.engine.deciding import UNCHANGED, decide_order
from stampcard.engine.requesting import decide_cancel_spend, decide_spend
from stampcard.engine.spending import Debit
from stampcard.engine.verifying import verify_awards, verify_wallet
from stampcard.engine.world import World
from stampcard.testing.building import absorbed, order, refund, world

A_PLACED = datetime(2025, 12, 31, 10, tzinfo=UTC)
B_PLACED = datetime(2026, 3, 31, 10, tzinfo=UTC)
NOW = datetime(2026, 4, 10, 12, tzinfo=UTC)
RETURNED = refund("R1", [("L2", 40)], at=NOW)


def program(policy: str, **more: Any) -> str:
    extra = "".join(f", {key}: {value}" for key, value in more.items())
    return f"""
program: main
currency: EUR
timezone: Europe/Berlin
accept_late: 365 days
wallets: {{points: {{expire: 12 months, refunds: {{policy: {policy}}}{extra}}}}}
rules: [{{id: purchase, on: purchase, award: 1 per 1 EUR}}]
"""


def seen(scene: World, reference: str, *amounts: int, at: datetime) -> World:
    event = OrderSeen(reference=reference, snapshot=order(*amounts, at=at))
    return thrice(scene, event)


def thrice(scene: World, event: OrderSeen | RefundSeen) -> World:
    """Deliver an event three times; only the first tells anything new."""
    scene = absorbed(scene, decide_order(scene, event, "shop", "ann", scene.now))
    for _ in range(2):
        assert decide_order(scene, event, "shop", "ann", scene.now) is UNCHANGED
    return scene


def opening(policy: str, **more: Any) -> tuple[World, Debit]:
    """Lot 1 of 100 until 31 Dec 2026, lot 2 of 50 until 31 Mar 2027, of which 120 are spent."""
    scene = world(program(policy, **more), now=NOW)
    scene = seen(scene, "A", 60, 40, at=A_PLACED)
    scene = seen(scene, "B", 50, at=B_PLACED)
    assert last_days(scene) == {1: date(2026, 12, 31), 2: date(2027, 3, 31)}
    decision = decide_spend(scene, "ann", "points", 120, "spend-1", "")
    assert decision.debit is not None
    assert [(draw.lot, draw.amount) for draw in decision.debit.draws] == [(1, 100), (2, 20)]
    return absorbed(scene, decision), decision.debit


def last_days(scene: World) -> dict[int, date]:
    lots = scene.wallets["ann", "points"].lots
    return {n: (lot.expires_at - timedelta(hours=12)).date() for n, lot in lots.items() if lot.expires_at}


def figures(scene: World) -> tuple[int, int]:
    """(active, negative)"""
    balance = balance_of(scene.wallets["ann", "points"].sums, 0)
    return balance.active, balance.negative


def lot(scene: World, number: int) -> Lot:
    return scene.wallets["ann", "points"].lots[number]


def award(scene: World) -> tuple[int, int, int]:
    """(granted, taken, written off) of order A"""
    (found,) = scene.awards["order:shop:A"].values()
    return found.granted, found.taken, found.written_off


@pytest.mark.parametrize(
    ("policy", "after_return", "award_a", "after_cancel", "lots"),
    [
        ("only_pending", (30, 0), (100, 0, 40), (150, 0), (100, 50)),
        ("within_balance", (0, 0), (100, 30, 10), (120, 0), (100, 20)),
        ("unlimited", (0, 10), (100, 40, 0), (110, 0), (90, 20)),
    ],
)
def test_a_return_after_the_points_were_spent_follows_the_policy(
    policy: str,
    after_return: tuple[int, int],
    award_a: tuple[int, int, int],
    after_cancel: tuple[int, int],
    lots: tuple[int, int],
) -> None:
    scene, debit = opening(policy)
    scene = thrice(scene, RefundSeen(order="A", refund=RETURNED))

    assert figures(scene) == after_return
    assert award(scene) == award_a

    scene = absorbed(scene, decide_cancel_spend(scene, debit, ""))

    assert figures(scene) == after_cancel
    assert (lot(scene, 1).remaining, lot(scene, 2).remaining) == lots


@pytest.mark.parametrize("policy", ["only_pending", "within_balance", "unlimited"])
def test_cancelling_the_spend_instead_puts_the_points_back_with_their_dates(policy: str) -> None:
    scene, debit = opening(policy)
    before = last_days(scene)
    scene = absorbed(scene, decide_cancel_spend(scene, debit, ""))

    assert figures(scene) == (150, 0)
    assert (lot(scene, 1).remaining, lot(scene, 2).remaining) == (100, 50)
    assert last_days(scene) == before


@pytest.mark.parametrize("policy", ["within_balance", "unlimited"])
def test_points_that_expired_unspent_are_taken_from_nowhere_else(policy: str) -> None:
    scene = world(program(policy), now=NOW)
    scene = seen(scene, "A", 60, 40, at=A_PLACED)
    scene = seen(scene, "B", 50, at=B_PLACED)
    scene = replace(scene, now=datetime(2027, 1, 2, tzinfo=UTC))
    scene = thrice(scene, RefundSeen(order="A", refund=RETURNED))

    assert figures(scene) == (50, 0)
    assert award(scene) == (100, 40, 0)
    assert lot(scene, 1).expired == 60
    assert balance_of(scene.wallets["ann", "points"].sums, 0).lifetime == 110


@pytest.mark.parametrize(("rule", "active", "expired"), [("expire", 50, 100), ("renew", 150, 0)])
def test_points_returned_to_a_dead_lot_expire_with_it_or_start_anew(rule: str, active: int, expired: int) -> None:
    scene, debit = opening("within_balance", returned_to_dead_lot=rule)
    scene = replace(scene, now=datetime(2027, 1, 2, tzinfo=UTC))
    scene = absorbed(scene, decide_cancel_spend(scene, debit, ""))

    balance = balance_of(scene.wallets["ann", "points"].sums, 0)
    assert (balance.active, balance.expired) == (active, expired)
    if rule == "renew":
        assert (lot(scene, 3).parent, lot(scene, 3).remaining) == (1, 100)


def test_everything_can_be_rebuilt_from_the_entries() -> None:
    scene = world(program("unlimited"), now=NOW)
    entries: list[Entry] = []
    for reference, amounts, at in (("A", (60, 40), A_PLACED), ("B", (50,), B_PLACED)):
        event = OrderSeen(reference=reference, snapshot=order(*amounts, at=at))
        decision = decide_order(scene, event, "shop", "ann", NOW)
        entries += decision.entries
        scene = absorbed(scene, decision)
    decision = decide_spend(scene, "ann", "points", 120, "spend-1", "")
    entries += decision.entries
    scene = absorbed(scene, decision)
    decision = decide_order(scene, RefundSeen(order="A", refund=RETURNED), "shop", None, NOW)
    entries += decision.entries
    scene = absorbed(scene, decision)

    awards = [award for of in scene.awards.values() for award in of.values()]
    assert verify_wallet(scene.wallets["ann", "points"], entries) == []
    assert verify_awards("ann", "points", entries, awards) == []
