"""What rewards take off a cart: in turn, to the cent, never more than is left."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from stampcard.domain.orders import OrderLine, OrderSnapshot
from stampcard.engine.discounting import Candidate, Discounting, taken_off
from stampcard.testing.building import order


def line(reference: str, price: Any, quantity: int = 1, **more: Any) -> OrderLine:
    return OrderLine(reference=reference, quantity=quantity, gross=Decimal(str(price)) * quantity, **more)


def cart(*lines: OrderLine, **more: Any) -> OrderSnapshot:
    return order(lines=lines, **more)


def amount(money: Any, name: str = "amount", **more: Any) -> Candidate:
    return Candidate(program="main", name=name, kind="amount_off", amount=Decimal(str(money)), **more)


def percent(share: Any, name: str = "percent", **more: Any) -> Candidate:
    return Candidate(program="main", name=name, kind="percent_off", percent=Decimal(str(share)), **more)


def off(of: OrderSnapshot, *rewards: Candidate) -> dict[str, str]:
    return {taken.reward: str(taken.amount) for taken in taken_off(of, rewards)}


def faults(of: OrderSnapshot, reward: Candidate) -> list[str]:
    return [refusal.code for refusal in Discounting(of, [reward]).faults(0)]


TEN, SHIRT = line("ten", 10), line("shirt", "33.35", product="shirt", collections=("clothes",))


def test_an_amount_is_never_more_than_the_goods_that_are_left() -> None:
    assert off(cart(TEN), amount(4)) == {"amount": "4.00"}
    assert off(cart(TEN), amount(40)) == {"amount": "10.00"}
    assert off(cart(TEN), amount(7, "a"), amount(7, "b")) == {"a": "7.00", "b": "3.00"}


def test_a_percentage_is_rounded_half_up_to_the_cent() -> None:
    assert off(cart(SHIRT), percent(10)) == {"percent": "3.34"}
    assert off(cart(line("penny", "0.01")), percent(49)) == {"percent": "0.00"}
    assert off(cart(line("yen", 333), currency="JPY"), percent("12.5")) == {"percent": "42"}
    assert off(cart(line("dinar", "1.111"), currency="KWD"), percent(50)) == {"percent": "0.556"}


def test_a_percentage_is_capped() -> None:
    assert off(cart(line("sofa", 900)), percent(10, at_most=Decimal(30))) == {"percent": "30.00"}


def test_a_percentage_is_of_what_is_left_or_of_the_cart_as_it_was() -> None:
    running = off(cart(line("sofa", 100)), amount(20), percent(10))
    initial = off(cart(line("sofa", 100)), amount(20), percent(10, percent_of="initial"))
    assert running == {"amount": "20.00", "percent": "8.00"}
    assert initial == {"amount": "20.00", "percent": "10.00"}


def test_a_percentage_of_the_cart_as_it_was_takes_no_more_than_is_left() -> None:
    found = off(cart(TEN), amount(9), percent(50, percent_of="initial"))
    assert found == {"amount": "9.00", "percent": "1.00"}


def test_priority_comes_first_then_lines_before_the_cart_then_amounts_before_percentages_then_names() -> None:
    everything = (
        percent(1, "e"),
        percent(1, "d"),
        amount(1, "f"),
        percent(1, "x", on="line"),
        amount(1, "z", on="line"),
        percent(1, "y", priority=-1),
    )
    assert list(off(cart(TEN), *everything)) == ["y", "z", "x", "f", "d", "e"]


def test_a_reward_takes_its_money_off_the_lines_that_it_is_for() -> None:
    both = cart(TEN, SHIRT)
    for only in ({"products": ("shirt",)}, {"collections": ("clothes", "other")}):
        assert off(both, percent(100, on="line", **only)) == {"percent": "33.35"}
    found = off(both, amount(30, "a", on="line", products=("shirt",)), amount(30, "b", on="line", products=("shirt",)))
    assert found == {"a": "30.00", "b": "3.35"}


def test_what_is_taken_off_the_cart_is_shared_by_all_lines() -> None:
    half = cart(line("a", 10, product="a"), line("b", 30, product="b"))
    found = off(half, amount(20, priority=-1), percent(100, on="line", products=("b",)))
    assert found == {"amount": "20.00", "percent": "15.00"}


def test_gift_cards_in_the_cart_are_never_discounted() -> None:
    card = line("card", 50, gift_card=True, product="card")
    assert off(cart(TEN, card), percent(50)) == {"percent": "5.00"}
    assert off(cart(TEN, card), percent(50, products=("card",))) == {"percent": "0.00"}
    assert faults(cart(TEN, card), percent(50, products=("card",))) == ["no_fitting_line"]
    assert faults(cart(TEN, card), percent(50, minimum=Decimal(60))) == ["minimum_not_met"]


def test_free_shipping_takes_off_the_shipping_and_nothing_else() -> None:
    free = Candidate(program="main", name="free", kind="free_shipping")
    assert off(cart(TEN, shipping=Decimal("4.90")), free, percent(50)) == {"free": "4.90", "percent": "5.00"}
    assert faults(cart(TEN), free) == ["takes_nothing"]
    assert faults(cart(line("card", 50, gift_card=True), shipping=Decimal(3)), free) == []


def test_a_free_product_takes_off_its_worth_or_one_unit_of_the_cheapest_line_that_fits() -> None:
    goods = cart(line("a", 8, 3, product="a"), line("b", 5, product="b"), line("zero", 0, product="a"))
    worth = Candidate(program="main", name="free", kind="free_product", amount=Decimal(12))
    unit = Candidate(program="main", name="free", kind="free_product")
    assert off(goods, worth) == {"free": "12.00"}
    assert off(goods, unit) == {"free": "5.00"}
    only = Candidate(program="main", name="free", kind="free_product", products=("a",))
    assert off(goods, only) == {"free": "8.00"}
    assert off(goods, only, percent(100, on="line", products=("b",))) == {"free": "8.00", "percent": "5.00"}


def test_the_minimum_is_of_the_goods_before_any_reward_and_without_shipping() -> None:
    needs = amount(5, minimum=Decimal(20))
    assert faults(cart(line("a", 20)), needs) == []
    assert faults(cart(line("a", "19.99"), shipping=Decimal(5)), needs) == ["minimum_not_met"]
    assert faults(cart(line("a", 22, discount=Decimal(3))), needs) == ["minimum_not_met"]


@pytest.mark.parametrize("kind", ["amount_off", "percent_off", "free_product"])
def test_a_cart_without_what_a_reward_is_for_says_so(kind: Any) -> None:
    none = Candidate(program="main", name="none", kind=kind, amount=None, products=("hat",))
    assert faults(cart(TEN), none) == ["no_fitting_line"]
