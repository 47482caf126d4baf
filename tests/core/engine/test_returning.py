"""Points that were spent on an order, once the order is refunded."""

from __future__ import annotations

import pytest

from stampcard.testing.building import refund
from stampcard.testing.scenes import Scene


def spent(terms: str, *, shipping: int = 0) -> Scene:
    scene = Scene(
        f"wallets: {{points: {{refunds: {{{terms}}}}}}}\nrules: [{{id: r, on: purchase, award: 1 per 1 EUR}}]\n"
    )
    scene.buys(200, reference="earlier")
    scene.buys(60, 40, reference="A", shipping=shipping)
    return scene.spends(80, on="A")


PART = refund("R1", [("L2", 40)])
REST = refund("R2", [("L1", 60)])


@pytest.mark.parametrize(
    ("terms", "after_part", "after_all"),
    [
        ("", 0, 0),
        ("spent: keep", 0, 0),
        ("spent: return_on_full", 0, 80),
        ("spent: proportional", 32, 80),
    ],
)
def test_spent_points_come_back_as_the_wallet_says(terms: str, after_part: int, after_all: int) -> None:
    scene = spent(terms)
    for _ in range(3):
        scene.refunds("A", PART)
    assert scene.balance().spent == 80 - after_part
    for _ in range(3):
        scene.refunds("A", REST)
    assert scene.balance().spent == 80 - after_all


def test_a_cancelled_order_gives_all_of_it_back() -> None:
    scene = spent("spent: return_on_full")
    scene.buys(60, 40, reference="A", age=9, cancelled=True)
    assert scene.balance().spent == 0


@pytest.mark.parametrize(("counts", "back"), [("counts", 0), ("ignored", 80)])
def test_shipping_must_be_refunded_too_where_it_counts(counts: str, back: int) -> None:
    scene = spent(f"spent: return_on_full, spent_shipping: {counts}", shipping=5)
    scene.refunds("A", PART).refunds("A", REST)
    assert scene.balance().spent == 80 - back


def test_what_came_back_goes_into_the_lots_it_was_drawn_from() -> None:
    scene = spent("spent: proportional")
    lots = scene.world.wallets["ann", "points"].lots
    assert [lot.remaining for lot in lots.values()] == [120, 100]
    scene.refunds("A", PART)
    lots = scene.world.wallets["ann", "points"].lots
    assert [lot.remaining for lot in lots.values()] == [152, 60]
