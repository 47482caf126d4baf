"""Every form of award, every base, every rounding: what one rule pays for an order or an event."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from stampcard.domain.orders import OrderLine
from stampcard.domain.value import replace
from stampcard.engine.world import Facts
from stampcard.testing.building import refund
from stampcard.testing.scenes import Scene

WALLET = "wallets: {points: {%s}}\n"


def line(gross: Any, quantity: int = 1, **more: Any) -> OrderLine:
    return OrderLine(reference=f"L{gross}", quantity=quantity, gross=Decimal(str(gross)), **more)


def paid(award: str, *lines: OrderLine, wallet: str = "", rule: str = "", **more: Any) -> int:
    scene = Scene(WALLET % wallet + f"rules: [{{id: r, on: purchase, award: {award}{rule}}}]\n")
    return int(scene.buys(lines=lines, **more).active())


@pytest.mark.parametrize(
    ("award", "points"), [("25", 25), ("1 per 2 EUR", 29), ("3 per item", 12), ("0.5 per 10 EUR", 2)]
)
def test_an_award_is_fixed_by_amount_or_by_item(award: str, points: int) -> None:
    assert paid(award, line("39.90", 3), line("19.50")) == points


@pytest.mark.parametrize(
    ("base", "points"),
    [
        ("{}", 80),
        ("{discount: before}", 90),
        ("{tax: included}", 95),
        ("{shipping: included}", 84),
        ("{gift_cards: included}", 105),
        ("{gift_cards: excluded}", 80),
        ("{paid_with_points: excluded}", 64),
        ("{paid_with_points: included}", 80),
        ("{only: {sku: A1}}", 40),
        ("{only: {sku: A*}}", 60),
        ("{only: {product: p2}}", 20),
        ("{only: {vendor: [Hill, Dale]}}", 60),
        ("{only: {collection: summer}}", 40),
        ("{only: {tag: new}}", 20),
        ("{without: {tag: new}}", 60),
        ("{only: {sku: A*}, without: {product: p2}}", 40),
    ],
)
def test_the_base_says_which_part_of_an_order_earns(base: str, points: int) -> None:
    lines = (
        line(50, sku="A1", product="p1", vendor="Hill", collections=("summer",), discount=Decimal(10), tax=Decimal(8)),
        line(20, sku="A2", product="p2", vendor="Dale", tags=("new",), tax=Decimal(4)),
        line("20.01", sku="B1", product="p3", vendor="Moor", tax=Decimal(3)),
        line(25, gift_card=True),
    )
    total, points_paid = Decimal("115.01"), Decimal("23.002")

    found = paid(
        "1 per 1 EUR",
        *lines,
        rule=f", base: {base}",
        shipping=Decimal(4),
        total=total,
        paid_with_points=points_paid,
    )

    assert found == points


@pytest.mark.parametrize(("rounding", "points"), [("down", 2), ("up", 3), ("half-up", 3), ("half-even", 2)])
def test_fractions_are_rounded_as_the_wallet_says(rounding: str, points: int) -> None:
    assert paid("0.5 per 1 EUR", line(5), wallet=f"rounding: {rounding}") == points


def test_a_wallet_rounds_each_line_or_the_whole_order() -> None:
    lines = (line("1.60"), line("1.70"))
    assert paid("1 per 1 EUR", *lines, wallet="round_per: order") == 3
    assert paid("1 per 1 EUR", *lines, wallet="round_per: line") == 2


def test_a_wallet_with_decimal_places_counts_in_its_smallest_unit() -> None:
    assert paid("0.05 per 1 EUR", line("19.90"), wallet="scale: 2") == 99


def test_an_order_in_another_currency_earns_by_the_rate_of_its_day_or_not_at_all() -> None:
    text = (
        WALLET % ""
        + "rates: {USD: 0.9, GBP: {2026-01-01: 1.1, 2026-03-10: 1.2}}\n"
        + "rules: [{id: r, on: purchase, award: 1 per 1 EUR, when: order.total < 100}]\n"
    )
    assert Scene(text).buys(100, currency="USD").points == {"r": 90}
    assert Scene(text).buys(50, currency="GBP").points == {"r": 60}
    assert Scene(text).buys(100, currency="EUR").codes == {"r": "condition"}
    assert Scene(text).buys(50, currency="JPY").codes == {"r": "currency"}


def test_the_first_value_that_fits_replaces_the_award() -> None:
    values = "[{tier: gold, award: 3 per 1 EUR}, {when: 'order.total >= 100', award: 2 per 1 EUR}]"
    tiers = "tiers: {by: spend, levels: {gold: 500}}\n"
    scene = Scene(WALLET % "" + tiers + f"rules: [{{id: r, on: purchase, award: 1 per 1 EUR, values: {values}}}]\n")
    assert scene.buys(50).points == {"r": 50}
    assert scene.buys(100).points == {"r": 200}


def test_a_value_whose_condition_fails_leaves_the_rule_undecided() -> None:
    values = "[{when: \"member.attributes.country == 'DE'\", award: 5}]"
    scene = Scene(WALLET % "" + f"rules: [{{id: r, on: purchase, award: 1, values: {values}}}]\n")
    assert scene.buys(50).codes == {"r": "condition_failed"}


def test_an_undecided_rule_pays_nothing_and_is_decided_again_with_the_next_news() -> None:
    when = '"member.attributes.size() > 0 || order.lines[1].gross > 1.0"'
    scene = Scene(WALLET % "" + f"rules: [{{id: r, on: purchase, award: 5, when: {when}}}]\n")
    scene.buys(10, reference="A")
    assert (scene.codes, scene.active()) == ({"r": "condition_failed"}, 0)

    scene.buys(10, 20, reference="A", age=1)
    assert (scene.codes, scene.active()) == ({"r": "matched"}, 5)


def test_a_formula_is_worked_out_by_a_plugin_and_scaled_by_refunds() -> None:
    def work_out(name: str, _event: object, _member: object, base: Decimal, facts: Mapping[str, Any]) -> Decimal:
        assert (name, facts["weather"]["degrees"]) == ("cold", 3)
        return base / 2

    scene = Scene(WALLET % "" + "rules: [{id: r, on: purchase, award: formula cold}]\n")
    scene.world = replace(scene.world, work_out=work_out)
    scene.buys(60, 40, reference="A", facts=Facts(known={"weather": {"degrees": 3}}))
    assert scene.active() == 50


@pytest.mark.parametrize(
    "event",
    ["review", "newsletter", "social_follow", "social_share", "visit", "subscription_started", "subscription_renewed",
     "card_saved"],
)  # fmt: skip
def test_every_reported_event_can_pay(event: str) -> None:
    scene = Scene(WALLET % "" + f"rules: [{{id: r, on: {event}, award: 20}}]\n")
    assert scene.does(event).points == {"r": 20}


def test_an_event_about_money_pays_by_its_amount() -> None:
    rules = "rules: [{id: r, on: reload, award: 10 per 30 EUR, when: event.data.amount >= 30}]\n"
    scene = Scene(WALLET % "" + rules)
    assert scene.does("reload", data={"amount": 75}).points == {"r": 25}
    assert scene.does("reload", data={"amount": 10}).codes == {"r": "condition"}
    assert scene.does("reload", data={"amount": float("inf")}).active() == 25


def test_a_rule_on_refunds_pays_once_for_each() -> None:
    scene = Scene(WALLET % "" + "rules: [{id: sorry, on: refund, award: 7}]\n")
    scene.buys(60, 40, reference="A")
    assert scene.active() == 0
    scene.refunds("A", refund("R1", [("L1", 20)]))
    scene.refunds("A", refund("R1", [("L1", 20)]))
    scene.refunds("A", refund("R2", [("L2", 20)]))
    assert scene.active() == 14


def test_items_that_came_back_take_their_points_with_them() -> None:
    scene = Scene(WALLET % "" + "rules: [{id: r, on: purchase, award: 2 per item}]\n")
    scene.buys(lines=(line(30, 3), line(10)), reference="A")
    assert scene.active() == 8
    scene.refunds("A", refund("R1", [("L30", 10)]))
    assert scene.active() == 6


def test_conditions_see_how_much_was_spent_on_what_and_how_many_items() -> None:
    when = "\"'Hill' in order.by_vendor && order.by_vendor['Hill'] >= 50 && order.items == 3\""
    scene = Scene(WALLET % "" + f"rules: [{{id: r, on: purchase, award: 5, when: {when}}}]\n")
    assert scene.buys(lines=(line(30, vendor="Hill"), line(25, 2, vendor="Hill"))).points == {"r": 5}
    assert scene.buys(lines=(line(30, vendor="Hill"), line(25, 2, vendor="Dale"))).codes == {"r": "condition"}


def test_an_order_of_which_nothing_earns_pays_no_fixed_award_either() -> None:
    assert paid("10", line(20, gift_card=True)) == 0
    assert paid("10", line(20, sku="A1"), rule=", base: {only: {sku: B1}}") == 0


def test_a_fixed_award_for_what_was_free_shrinks_with_the_items_that_come_back() -> None:
    scene = Scene(WALLET % "" + "rules: [{id: r, on: purchase, award: 10}]\n")
    scene.buys(lines=(line(0, 2),), reference="A")
    assert scene.active() == 10
    scene.refunds("A", refund("R1", [("L0", 0)]))
    assert scene.active() == 5
