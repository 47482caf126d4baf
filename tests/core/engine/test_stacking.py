"""How rules go together: all, the best, none after; multipliers multiply what the others pay."""

from __future__ import annotations

from stampcard.testing.building import refund
from stampcard.testing.scenes import Scene

WALLETS = "wallets: {points: {}, stars: {}}\n"


def played(*rules: str) -> Scene:
    return Scene(WALLETS + "rules:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules))


BASE = "id: base, on: purchase, award: 1 per 1 EUR, wallet: points"


def test_every_rule_that_matches_pays() -> None:
    scene = played(BASE, "id: more, on: purchase, award: 5, wallet: points")
    assert scene.buys(10).points == {"base": 10, "more": 5}


def test_of_the_best_only_the_best_in_each_wallet_pays() -> None:
    scene = played(
        BASE,
        "id: small, on: purchase, award: 5, wallet: points, stack: best",
        "id: large, on: purchase, award: 8, wallet: points, stack: best",
        "id: star, on: purchase, award: 1, wallet: stars, stack: best",
    )
    assert scene.buys(10).points == {"base": 10, "large": 8, "star": 1}
    assert scene.codes["small"] == "not_the_best"
    assert {reason.program for reason in scene.reasons} == {"main"}


def test_a_multiplier_competes_for_the_best_by_what_it_adds() -> None:
    rules = (
        BASE,
        "id: double, on: purchase, award: x2, wallet: points, stack: best",
        "id: fixed, on: purchase, award: 25, wallet: points, stack: best",
    )
    assert played(*rules).buys(10).points == {"base": 10, "fixed": 25}
    assert played(*rules).buys(30).points == {"base": 30, "double": 30}


def test_after_a_rule_that_stops_no_later_one_pays() -> None:
    scene = played(
        "id: late, on: purchase, award: 3, wallet: points, priority: 5",
        "id: first, on: purchase, award: 7, wallet: points, stack: stop, when: order.total >= 20, priority: -1",
        BASE,
    )
    assert scene.buys(20).points == {"first": 7}
    assert (scene.codes["late"], scene.codes["base"]) == ("stopped_by_rule", "stopped_by_rule")
    assert scene.buys(10).points == {"base": 10, "late": 3}


def test_multipliers_add_up_and_do_not_multiply_each_other_nor_other_wallets() -> None:
    scene = played(
        BASE,
        "id: star, on: purchase, award: 2, wallet: stars",
        "id: double, on: purchase, award: x2, wallet: points",
        "id: half, on: purchase, award: x1.5, wallet: points",
    )
    assert scene.buys(11).points == {"base": 11, "star": 2, "double": 11, "half": 5}


def test_a_multiplier_alone_pays_nothing() -> None:
    assert played("id: double, on: purchase, award: x2, wallet: points").buys(11).active() == 0


def test_a_refund_shrinks_what_was_multiplied_too_and_never_changes_which_rule_was_the_best() -> None:
    scene = played(
        BASE,
        "id: double, on: purchase, award: x2, wallet: points, stack: best",
        "id: fixed, on: purchase, award: 25, wallet: points, stack: best",
    )
    scene.buys(60, 40, reference="A")
    assert scene.active() == 200
    scene.refunds("A", refund("R1", [("L1", 60), ("L2", 30)]))
    assert scene.points == {"base": 10, "double": 10}
    assert scene.active() == 20


def test_events_stack_like_orders() -> None:
    scene = played(
        "id: small, on: review, award: 5, wallet: points, stack: best",
        "id: large, on: review, award: 8, wallet: points, stack: best",
        "id: double, on: review, award: x2, wallet: points",
    )
    assert scene.does("review").points == {"large": 8, "double": 8}


def test_what_refunds_pay_neither_stops_nor_is_multiplied_with_what_the_purchase_pays() -> None:
    scene = played(
        "id: buy, on: purchase, award: 1 per 1 EUR, wallet: points, stack: stop",
        "id: sorry, on: refund, award: 10, wallet: points",
    )
    scene.buys(50, reference="A").refunds("A", refund("R1", [("L1", 20)]))
    assert scene.points == {"buy": 30, "sorry": 10}
    doubled = played(
        BASE,
        "id: sorry, on: refund, award: 10, wallet: points",
        "id: twice, on: purchase, award: x2, wallet: points",
    )
    doubled.buys(50, reference="A").refunds("A", refund("R1", [("L1", 20)]))
    assert doubled.points == {"base": 30, "twice": 30, "sorry": 10}
