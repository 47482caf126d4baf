from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from stampcard.domain.awards import Adjustment, Award
from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.domain.orders import OrderLine
from stampcard.domain.value import replace
from stampcard.domain.wallets import balance_of
from stampcard.engine.deciding import decide_order
from stampcard.engine.requesting import decide_spend
from stampcard.engine.world import World
from stampcard.errors import EventRefused
from stampcard.testing.building import NOON, PROGRAM, absorbed, order, refund, world

LATER = NOON + timedelta(hours=2)
GERMAN = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {refunds: {policy: within_balance}}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR, when: "member.attributes.country == 'DE'"}
"""


def seen(scene: World, snapshot: Any, customer: str | None = "ann") -> World:
    event = OrderSeen(reference="A", snapshot=snapshot)
    return absorbed(scene, decide_order(scene, event, "shop", customer, scene.now))


def returned(scene: World, given: Any) -> World:
    return absorbed(scene, decide_order(scene, RefundSeen(order="A", refund=given), "shop", None, scene.now))


def award(scene: World, member: str = "ann") -> Award:
    return scene.awards["order:shop:A"][member, "main", "purchase"]


def active(scene: World, member: str = "ann") -> int:
    return balance_of(scene.wallets[member, "points"].sums, 0).active


def test_what_was_written_off_is_lowered_before_anything_is_granted_again() -> None:
    scene = seen(world(now=LATER), order(100))
    scene = absorbed(scene, decide_spend(scene, "ann", "points", 100, "k", ""))
    scene = seen(scene, order(100, age=1, cancelled=True))
    assert (award(scene).granted, award(scene).written_off, active(scene)) == (100, 100, 0)

    scene = seen(scene, order(130, age=2))

    assert (award(scene).granted, award(scene).written_off, award(scene).due) == (130, 0, 130)
    assert active(scene) == 30


@pytest.mark.parametrize(("discount", "given_back"), [(50, 25), (100, 0)])
def test_goods_that_count_before_their_discount_go_back_even_if_they_cost_nothing(
    discount: int, given_back: int
) -> None:
    text = PROGRAM.replace("award: 1 per 1 EUR", "award: 1 per 1 EUR, base: {discount: before}")
    two = OrderLine(reference="L1", quantity=2, gross=Decimal(100), discount=Decimal(discount))
    scene = seen(world(text, now=LATER), order(lines=(two,)))
    assert active(scene) == 100

    scene = returned(scene, refund("R", [("L1", given_back)]))

    assert active(scene) == 50


def test_a_cancel_takes_everything_and_an_uncancel_gives_it_back() -> None:
    scene = seen(world(now=LATER), order(60, 40))
    scene = seen(scene, order(60, 40, age=1, cancelled=True))
    assert active(scene) == 0

    scene = seen(scene, order(60, 40, age=2))

    assert active(scene) == 100


def test_several_partial_refunds_add_up_to_the_whole() -> None:
    scene = seen(world(now=LATER), order("33.33", "33.33", "33.34"))
    for number in (1, 2, 3):
        amount = "33.34" if number == 3 else "33.33"
        scene = returned(scene, refund(f"R{number}", [(f"L{number}", amount)]))

    assert (active(scene), award(scene).due) == (0, 0)


def test_a_money_only_refund_takes_its_share_of_the_base() -> None:
    snapshot = order(80, shipping=20, total=100)

    scene = returned(seen(world(now=LATER), snapshot), refund("R", money=50))

    assert active(scene) == 40


def test_a_refund_of_shipping_touches_only_bases_with_shipping() -> None:
    given = refund("R", money=20, shipping=20)
    snapshot = order(80, shipping=20, total=100)
    with_shipping = PROGRAM.replace("1 per 1 EUR", "1 per 1 EUR, base: {shipping: included}")

    assert active(returned(seen(world(now=LATER), snapshot), given)) == 80
    assert active(seen(world(with_shipping, now=LATER), snapshot)) == 100
    assert active(returned(seen(world(with_shipping, now=LATER), snapshot), given)) == 80


@pytest.mark.parametrize(("rule", "left"), [("count", 60), ("ignore", 100)])
def test_lines_that_came_back_without_money_count_unless_the_program_says_otherwise(rule: str, left: int) -> None:
    text = PROGRAM.replace("within_balance", f"within_balance, restock_without_money: {rule}")

    scene = returned(seen(world(text, now=LATER), order(60, 40)), refund("R", [("L2", 40)], money=0))

    assert active(scene) == left


def test_a_refund_above_the_order_is_kept_aside_with_its_reason() -> None:
    scene = seen(world(now=LATER), order(60, 40))

    decision = decide_order(scene, RefundSeen(order="A", refund=refund("R", money=150)), "shop", None, LATER)

    assert active(absorbed(scene, decision)) == 100
    assert "refund_above_order" in [reason.code for reason in decision.reasons]


def test_a_negative_total_is_refused() -> None:
    with pytest.raises(EventRefused, match="negative_total"):
        seen(world(now=LATER), order(10, total=-1))


def test_another_customer_takes_the_award_over() -> None:
    scene = seen(world(now=LATER, members=("ann", "ben")), order(50))

    scene = seen(scene, order(50, age=1, customer="2"), "ben")

    assert (active(scene, "ann"), active(scene, "ben")) == (0, 50)
    assert award(scene, "ann").due == 0


def test_an_order_without_customer_pays_once_a_later_state_has_one() -> None:
    scene = seen(world(now=LATER), order(50, customer=None), None)
    assert scene.wallets == {}

    assert active(seen(scene, order(50, age=1))) == 50


def test_an_order_is_decided_by_the_version_that_was_valid_when_it_was_placed_even_after_an_edit() -> None:
    from stampcard.engine.versions import assembled, compiled
    from stampcard.program.reading import read_program

    doubled = read_program(PROGRAM.replace("1 per 1", "2 per 1"), "doubled")
    scene = world(now=LATER)
    (first,) = scene.programs.current(LATER)
    scene = replace(scene, programs=assembled([first, compiled(doubled, 2, NOON + timedelta(minutes=1))], 0))

    scene = seen(scene, order(50))
    assert active(scene) == 50

    assert active(seen(scene, order(70, age=5))) == 70


def test_an_order_in_another_currency_says_why_it_earns_nothing() -> None:
    scene = world(now=LATER)
    event = OrderSeen(reference="A", snapshot=order(50, currency="JPY"))

    (reason,) = decide_order(scene, event, "shop", "ann", LATER).reasons

    assert (reason.code, reason.due) == ("currency", 0)
    assert "JPY" in reason.detail


@pytest.mark.parametrize(("days", "code"), [(61, "late"), (59, "matched")])
def test_an_order_that_is_heard_of_too_late_is_stored_and_awards_nothing(days: int, code: str) -> None:
    scene = world(now=NOON)
    placed = NOON - timedelta(days=days)
    decision = decide_order(scene, OrderSeen(reference="A", snapshot=order(50, at=placed)), "shop", "ann", NOON)

    assert [reason.code for reason in decision.reasons] == [code]
    assert decision.order is not None
    scene = absorbed(scene, decision)
    again = OrderSeen(reference="A", snapshot=order(50, at=placed, age=9))
    assert [r.code for r in decide_order(scene, again, "shop", "ann", NOON).reasons] == [code]


def test_a_delivery_that_shows_that_the_order_was_known_in_time_mends_what_a_later_one_said() -> None:
    scene, placed = world(now=NOON), NOON - timedelta(days=61)
    late = OrderSeen(reference="A", snapshot=order(50, at=placed, age=9))
    early = OrderSeen(reference="A", snapshot=order(50, at=placed))
    scene = absorbed(scene, decide_order(scene, late, "shop", "ann", NOON))

    scene = absorbed(scene, decide_order(scene, early, "shop", "ann", placed + timedelta(days=1)))

    assert active(scene) == 50


def test_a_condition_that_fails_leaves_its_rule_undecided_and_the_others_pay() -> None:
    text = PROGRAM + "  - {id: german, on: purchase, when: \"member.attributes.country == 'DE'\", award: 10}\n"

    scene = world(text, now=LATER)
    decision = decide_order(scene, OrderSeen(reference="A", snapshot=order(50)), "shop", "ann", LATER)

    assert decision.order is not None
    assert decision.order.undecided == ("main/german",)
    assert active(absorbed(scene, decision)) == 50


def test_what_a_plugin_adds_shrinks_with_what_is_kept_and_is_asked_again_only_for_an_edit() -> None:
    asked: list[str] = []

    def adjust(event: Any, member: Any, award: Any, facts: Any) -> list[Adjustment]:
        asked.append(member.id)
        return [Adjustment(points=Decimal(10), reason="a tenth of May")]

    scene = replace(world(now=LATER), adjust=adjust)
    scene = seen(scene, order(60, 40))
    assert active(scene) == 110

    scene = returned(scene, refund("R", [("L2", 40)]))
    assert (active(scene), len(asked)) == (66, 1)

    seen(scene, order(60, 41, age=3))
    assert len(asked) == 2


def test_an_order_that_changes_hands_is_judged_by_its_new_owner_whichever_state_came_first() -> None:
    scene = world(GERMAN, now=LATER, members=("ann", "ben"))
    ann = replace(scene.members["ann"], attributes={"country": "DE"})
    ben = replace(scene.members["ben"], attributes={"country": "FR"})
    scene = replace(scene, members={"ann": ann, "ben": ben})
    states = [(order(100), "ann"), (order(100, age=5, customer="2"), "ben")]

    for ordered in (states, states[::-1]):
        after = scene
        for snapshot, customer in ordered:
            after = seen(after, snapshot, customer)

        assert sum(award.due for award in after.awards.get("order:shop:A", {}).values()) == 0
        assert after.orders["shop", "A"].member == "ben"
