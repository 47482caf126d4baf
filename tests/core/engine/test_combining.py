"""The best combination of rewards, held against every set that the rules allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stampcard.domain.orders import OrderLine, OrderSnapshot
from stampcard.domain.value import replace
from stampcard.engine import combining
from stampcard.engine.combining import Combination, best, clash, together
from stampcard.engine.discounting import Candidate, taken_off
from stampcard.testing.building import order

GROUPS, MODES = ("always", "common", "never"), ("all", "highest", "lowest", "first")
PRODUCTS = ("a", "b", "c")


def amount(money: Any, name: str, **more: Any) -> Candidate:
    return Candidate(program="main", name=name, kind="amount_off", amount=Decimal(str(money)), **more)


def percent(share: Any, name: str, **more: Any) -> Candidate:
    return Candidate(program="main", name=name, kind="percent_off", percent=Decimal(str(share)), **more)


def names(found: Combination) -> list[str]:
    return [taken.reward for taken in found.taken]


def codes(found: Combination) -> Mapping[str, list[str]]:
    return {name: [refusal.code for refusal in refusals] for (_, name), refusals in found.refused.items()}


# What a cart comes to, told once more: line by line, in fractions of a cent.


def turn(one: Candidate) -> Any:
    return one.priority, one.on == "cart", one.kind == "percent_off", one.name, one.program


def net(line: OrderLine) -> int:
    return int((line.gross - line.discount) * 100)


def whole(number: Fraction, rounding: str) -> int:
    return int((Decimal(number.numerator) / Decimal(number.denominator)).quantize(Decimal(1), rounding))


def is_for(one: Candidate, line: OrderLine) -> bool:
    return not line.gift_card and (not one.products or line.product in one.products)


def played(cart: OrderSnapshot, rewards: Sequence[Candidate]) -> list[int]:
    """Cents that each reward takes off, in their turn."""
    left = {line.reference: Fraction(net(line)) for line in cart.lines if not line.gift_card}
    shipping, cuts = int(cart.shipping * 100), []
    for one in sorted(rewards, key=turn):
        lines = [line for line in cart.lines if is_for(one, line)]
        if one.kind == "free_shipping":
            cuts.append(shipping)
            shipping = 0
            continue
        if one.kind == "free_product" and one.amount is None:
            lines = sorted((line for line in lines if net(line)), key=lambda line: net(line) / line.quantity)[:1]
        there = sum(left[line.reference] for line in lines)
        cut = min(wanted(one, lines, Fraction(there)), whole(Fraction(there), ROUND_FLOOR))
        over = [line.reference for line in lines]
        if one.on == "cart" and not (one.kind == "free_product" and one.amount is None):
            over = list(left)
        pool = sum(left[reference] for reference in over)
        for reference in over:
            left[reference] -= left[reference] * cut / pool if pool else 0
        cuts.append(cut)
    return cuts


def wanted(one: Candidate, lines: Sequence[OrderLine], there: Fraction) -> int:
    if one.percent is not None:
        of = there if one.percent_of == "running" else Fraction(sum(map(net, lines)))
        found = whole(of * Fraction(one.percent) / 100, ROUND_HALF_UP)
        return found if one.at_most is None else min(found, int(one.at_most * 100))
    if one.amount is not None:
        return int(one.amount * 100)
    return whole(Fraction(net(lines[0]), lines[0].quantity), ROUND_HALF_UP) if lines else 0


def is_usable(cart: OrderSnapshot, one: Candidate) -> bool:
    goods = sum(net(line) for line in cart.lines if not line.gift_card)
    fits = not one.products or any(is_for(one, line) for line in cart.lines)
    return fits and played(cart, [one])[0] > 0 and (one.minimum is None or goods >= one.minimum * 100)


def is_alone_enough(cart: OrderSnapshot, one: Candidate, usable: Sequence[Candidate]) -> bool:
    """Whether a reward counts among all that its group has."""
    group = [other for other in usable if (other.program, other.stack) == (one.program, one.stack)]
    alone = {other.key: played(cart, [other])[0] for other in group}
    keys: Mapping[str, Callable[[Candidate], tuple[int, int, str]]] = {
        "all": lambda other: (other is not one, 0, ""),
        "highest": lambda other: (-alone[other.key], other.priority, other.name),
        "lowest": lambda other: (alone[other.key], other.priority, other.name),
        "first": lambda other: (0, other.priority, other.name),
    }
    return min(group, key=keys[one.many]) is one


def is_allowed(cart: OrderSnapshot, chosen: Sequence[Candidate], all_: Sequence[Candidate], points: int) -> bool:
    usable = [one for one in all_ if is_usable(cart, one)]
    return (
        all(one in usable and is_alone_enough(cart, one, usable) for one in chosen)
        and not any({one.stack, other.stack} == {"common", "never"} for one in chosen for other in chosen)
        and sum(one.price for one in chosen) <= points
    )


def greatest(cart: OrderSnapshot, all_: Sequence[Candidate], points: int) -> tuple[int, int]:
    """The greatest discount of any set that is allowed, and how few rewards make it."""
    sets = [chosen for size in range(len(all_) + 1) for chosen in combinations(all_, size)]
    found = [(-sum(played(cart, one)), len(one)) for one in sets if is_allowed(cart, one, all_, points)]
    most, fewest = min(found)
    return -most, fewest


CENTS = st.integers(0, 6000).map(lambda cents: Decimal(cents) / 100)
LINES = st.builds(
    lambda price, quantity, product, gift_card: {
        "gross": price * quantity, "quantity": quantity, "product": product, "gift_card": gift_card,
    },
    CENTS, st.integers(1, 3), st.sampled_from(PRODUCTS), st.sampled_from([False, False, False, True]),
)  # fmt: skip
CARTS = st.builds(
    lambda lines, shipping: order(
        lines=tuple(OrderLine(reference=f"L{number}", **line) for number, line in enumerate(lines)), shipping=shipping
    ),
    st.lists(LINES, min_size=1, max_size=4),
    st.sampled_from([Decimal(0), Decimal("4.90")]),
)
KINDS = st.one_of(
    st.builds(lambda money: {"kind": "amount_off", "amount": money}, CENTS.filter(bool)),
    st.builds(
        lambda share, cap: {"kind": "percent_off", "percent": Decimal(share) / 2, "at_most": cap},
        st.integers(1, 200),
        st.none() | CENTS.filter(bool),
    ),
    st.just({"kind": "free_shipping"}),
    st.builds(lambda worth: {"kind": "free_product", "amount": worth}, CENTS.filter(bool)),
    st.just({"kind": "free_product"}),
)
TERMS = st.fixed_dictionaries(
    {
        "stack": st.sampled_from(GROUPS),
        "on": st.sampled_from(["cart", "line"]),
        "priority": st.integers(-1, 1),
        "products": st.sampled_from([(), (), ("a",), ("a", "b"), ("c",)]),
        "minimum": st.sampled_from([None, None, Decimal(20)]),
        "price": st.sampled_from([0, 0, 100, 200]),
        "program": st.sampled_from(["main", "main", "other"]),
    }
)
MANY = st.dictionaries(st.tuples(st.sampled_from(["main", "other"]), st.sampled_from(GROUPS)), st.sampled_from(MODES))


@st.composite
def offered(draw: st.DrawFn, most: int = 5, *, one_only: bool = True) -> list[Candidate]:
    """Rewards of two programs, each with its own rules."""
    many = draw(MANY) if one_only else {}
    of = {program: draw(st.sampled_from(["running", "initial"])) for program in ("main", "other")}
    found = []
    for number in range(draw(st.integers(0, most))):
        told: dict[str, Any] = {**draw(KINDS), **draw(TERMS)}
        mode = many.get((told["program"], told["stack"]), "all")
        told |= {"many": mode, "percent_of": of[told["program"]], "wallet": "points"}
        found.append(Candidate(name=f"r{number}", **told))
    return found


POINTS = st.sampled_from([0, 150, 300, 10_000])


def chosen_of(found: Combination, all_: Sequence[Candidate]) -> list[Candidate]:
    keys = {taken.key for taken in found.taken}
    return [one for one in all_ if one.key in keys]


def cents(money: Decimal) -> int:
    return int(money * 100)


@settings(max_examples=200)
@given(CARTS, offered(), POINTS)
def test_no_set_that_is_allowed_takes_off_more_than_the_best(
    cart: OrderSnapshot, rewards: list[Candidate], points: int
) -> None:
    found = best(cart, rewards, {"points": points})
    assert (cents(found.total), len(found.taken)) == greatest(cart, rewards, points)
    assert is_allowed(cart, chosen_of(found, rewards), rewards, points)
    assert {taken.key for taken in found.taken} | found.refused.keys() == {one.key for one in rewards}


@settings(max_examples=200)
@given(CARTS, offered())
def test_rewards_take_off_what_a_recount_line_by_line_says(cart: OrderSnapshot, rewards: list[Candidate]) -> None:
    assert [cents(taken.amount) for taken in taken_off(cart, rewards)] == played(cart, rewards)


@given(CARTS, offered(8))
def test_rewards_never_take_off_more_than_the_cart_nor_more_than_alone(
    cart: OrderSnapshot, rewards: list[Candidate]
) -> None:
    taken = taken_off(cart, rewards)
    goods = sum(line.gross for line in cart.lines if not line.gift_card)
    assert sum(one.amount for one in taken) <= goods + cart.shipping
    alone = {one.key: taken_off(cart, [one])[0].amount for one in rewards}
    assert all(0 <= one.amount <= alone[one.key] for one in taken)


@given(CARTS, offered(6), POINTS, st.randoms(use_true_random=False))
def test_the_order_in_which_rewards_are_named_changes_nothing(
    cart: OrderSnapshot, rewards: list[Candidate], points: int, chance: Any
) -> None:
    shuffled = chance.sample(rewards, len(rewards))
    assert best(cart, shuffled, {"points": points}) == best(cart, rewards, {"points": points})
    assert together(cart, shuffled, {"points": points}) == together(cart, rewards, {"points": points})


@given(CARTS, offered(6, one_only=False), POINTS)
def test_one_more_reward_and_more_points_never_make_the_best_worse(
    cart: OrderSnapshot, rewards: list[Candidate], points: int
) -> None:
    totals = [best(cart, rewards[:size], {"points": points}).total for size in range(len(rewards) + 1)]
    assert totals == sorted(totals)
    assert best(cart, rewards, {"points": points + 100}).total >= totals[-1]


@given(CARTS, offered())
def test_a_gift_card_more_in_the_cart_changes_nothing(cart: OrderSnapshot, rewards: list[Candidate]) -> None:
    card = OrderLine(reference="card", quantity=1, gross=Decimal(70), gift_card=True, product="a")
    assert best(replace(cart, lines=(*cart.lines, card)), rewards) == best(cart, rewards)


@given(CARTS, offered().map(lambda found: [one for one in found if one.kind != "free_product" or one.amount]))
def test_a_line_in_two_halves_is_as_good_as_one(cart: OrderSnapshot, rewards: list[Candidate]) -> None:
    first, *rest = cart.lines
    even = replace(first, gross=Decimal(cents(first.gross) // 2 * 2) / 100)
    half = replace(even, gross=even.gross / 2)
    whole_cart = replace(cart, lines=(even, *rest))
    halves = replace(cart, lines=(half, replace(half, reference="half"), *rest))
    assert best(halves, rewards) == best(whole_cart, rewards)


@given(CARTS, offered(), POINTS)
def test_rewards_go_together_exactly_if_the_rules_allow_their_set(
    cart: OrderSnapshot, rewards: list[Candidate], points: int
) -> None:
    found = together(cart, rewards, {"points": points})
    assert (not found.refused) == is_allowed(cart, rewards, rewards, points)
    if found.refused:
        assert found.taken == best(cart, rewards, {"points": points}).taken
    else:
        assert found.taken == taken_off(cart, rewards)


@given(CARTS, offered(8), POINTS)
def test_above_what_is_exact_the_rules_are_kept_and_something_is_found(
    cart: OrderSnapshot, rewards: list[Candidate], points: int
) -> None:
    exact = best(cart, rewards, {"points": points})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(combining, "EXACT", 0)
        found = best(cart, rewards, {"points": points})
    assert found.total <= exact.total
    assert bool(found.total) == bool(exact.total)
    assert is_allowed(cart, chosen_of(found, rewards), rewards, points)


def test_thirty_rewards_are_combined_without_looking_at_every_set() -> None:
    rewards = [percent(1, f"r{number:02}", stack="common") for number in range(30)]
    found = best(order(100), [*rewards, percent(90, "n", stack="never"), percent(1, "a", stack="always")])
    assert (names(found), str(found.total)) == (["a", "n"], "90.10")


# The words of the rules, one by one.


@pytest.mark.parametrize("one", GROUPS)
@pytest.mark.parametrize("other", GROUPS)
def test_only_common_and_never_do_not_combine(one: Any, other: Any) -> None:
    pair = [amount(1, "one", stack=one), amount(2, "two", stack=other)]
    found = together(order(10), pair)
    assert bool(found.refused) == clash(*pair) == ({one, other} == {"common", "never"})


def test_rewards_that_do_not_combine_name_each_other_and_the_better_one_is_offered() -> None:
    found = together(order(100), [percent(20, "loyal", stack="common"), percent(15, "sale", stack="never")])
    assert codes(found) == {"loyal": ["not_with"], "sale": ["not_with"]}
    assert found.refused["main", "sale"][0].detail == "does not combine with 'loyal'"
    assert (names(found), str(found.total)) == (["loyal"], "20.00")


@pytest.mark.parametrize(
    ("many", "kept"), [("all", ["c", "b", "a"]), ("highest", ["a"]), ("lowest", ["b"]), ("first", ["c"])]
)
@pytest.mark.parametrize("stack", GROUPS)
def test_of_a_group_all_the_highest_the_lowest_or_the_first_count(many: Any, kept: list[str], stack: Any) -> None:
    more = {"many": many, "stack": stack}
    three = [amount(9, "a", priority=3, **more), amount(2, "b", priority=2, **more), amount(5, "c", **more)]
    found = best(order(100), three)
    assert sorted(names(found)) == sorted(kept)
    assert codes(found) == {name: ["only_one_counts"] for name in "cba" if name not in kept}
    assert codes(together(order(100), three)) == codes(found)


def test_groups_of_different_programs_do_not_compete() -> None:
    here = amount(9, "a", stack="never", many="highest")
    assert names(best(order(100), [here, replace(here, program="other", amount=Decimal(4))])) == ["a", "a"]


def test_a_reward_that_is_not_for_the_cart_is_not_the_highest() -> None:
    dear = amount(50, "dear", stack="never", many="highest", minimum=Decimal(200))
    found = best(order(100), [dear, amount(5, "small", stack="never", many="highest")])
    assert (names(found), codes(found)) == (["small"], {"dear": ["minimum_not_met"]})


def test_points_are_spent_once() -> None:
    rewards = [amount(5, name, wallet="points", price=300) for name in ("a", "b", "c")]
    found = best(order(100), rewards, {"points": 700})
    assert (names(found), codes(found)) == (["a", "b"], {"c": ["insufficient_points"]})
    assert found.refused["main", "c"][0].detail == "together they cost 900, there are 700"
    assert set(codes(together(order(100), rewards, {"points": 700}))) == {"a", "b", "c"}


def test_of_equally_good_sets_the_smaller_wins_and_what_it_left_out_is_said_to_add_nothing() -> None:
    found = best(order(10), [amount(10, "whole"), amount(4, "part", priority=-1)])
    assert (names(found), codes(found)) == (["whole"], {"part": ["adds_nothing"]})


def test_of_equally_good_sets_of_one_size_the_one_whose_turn_is_first_wins() -> None:
    pair = [amount(10, "b"), amount(10, "a"), amount(10, "c", priority=1)]
    assert names(best(order(10), pair)) == ["a"]
