"""Limits of every measure and period, on rules, groups and campaigns: never overshot, and given back by refunds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.testing.building import NOON, refund
from stampcard.testing.scenes import Scene

WALLET = "wallets: {points: {}}\n"
DAY = timedelta(days=1)


def limited(limits: str, award: str = "1 per 1 EUR") -> Scene:
    return Scene(WALLET + f"rules: [{{id: r, on: purchase, award: {award}, limits: {limits}}}]\n")


@pytest.mark.parametrize("per", ["order", "day", "week", "month", "year", "ever"])
def test_a_limit_of_points_trims_what_goes_beyond_it_in_its_period(per: str) -> None:
    period = "ever" if per == "ever" else f"per {per}"
    scene = limited(f"['100 points {period}']")
    assert scene.buys(70).points == {"r": 70}
    again = 70 if per == "order" else 30
    assert scene.buys(70).points == {"r": again}


@pytest.mark.parametrize(
    ("per", "later"), [("day", 1), ("week", 6), ("month", 22), ("year", 297)]
)  # NOON is Tuesday, 10 March 2026
def test_a_new_period_begins_at_the_programs_midnight(per: str, later: int) -> None:
    rules = f"rules: [{{id: r, on: purchase, award: 1 per 1 EUR, limits: 100 points per {per}}}]\n"
    scene = Scene("accept_late: 500 days\n" + WALLET + rules).wait(days=400)
    scene.buys(100, at=NOON)
    assert scene.buys(5, at=NOON + (later - 1) * DAY).points == {"r": 0}
    assert scene.buys(5, at=NOON + later * DAY).points == {"r": 5}


def test_a_limit_that_rejects_pays_all_or_nothing() -> None:
    scene = limited("['100 points per day, reject']")
    assert scene.buys(70).points == {"r": 70}
    scene.buys(40)
    (reason,) = scene.reasons
    assert (reason.due, reason.outcome, reason.code, reason.desired) == (0, "limited", "limit", 40)
    assert "100 points per day, reject" in reason.detail
    assert scene.buys(30).points == {"r": 30}


def test_a_limit_of_times_counts_awards_that_pay() -> None:
    scene = limited("['2 times per month']", "10")
    assert [scene.buys(5).active() for _ in range(3)] == [10, 20, 20]


def test_a_limit_of_money_pays_for_the_part_that_fits() -> None:
    scene = limited("['150 EUR ever, in all']")
    assert scene.buys(100).points == {"r": 100}
    assert scene.buys(100, by="ben").points == {"r": 50}
    assert scene.buys(1, by="ann").points == {"r": 0}


def test_a_limit_of_members_lets_those_who_are_in_go_on() -> None:
    scene = Scene(
        WALLET + "rules: [{id: r, on: purchase, award: 10, limits: 2 members ever}]\n", members=("ann", "ben", "cy")
    )
    assert scene.buys(5).points == {"r": 10}
    assert scene.buys(5, by="ben").points == {"r": 10}
    assert scene.buys(5, by="cy").points == {"r": 0}
    assert scene.buys(5, by="ben").points == {"r": 10}


def test_the_place_of_a_member_whose_only_award_went_back_is_free_again() -> None:
    scene = limited("1 members ever", "10")
    scene.buys(5, reference="A")
    assert scene.buys(5, by="ben").points == {"r": 0}
    scene.buys(5, reference="A", age=1, cancelled=True)
    assert scene.buys(5, by="ben").points == {"r": 10}


def test_a_limit_in_all_is_shared_and_one_without_is_each_members_own() -> None:
    each, together = limited("50 points ever"), limited("['50 points ever, in all']")
    assert each.buys(40).buys(40, by="ben").points == {"r": 40}
    assert together.buys(40).buys(40, by="ben").points == {"r": 10}


def test_the_rules_of_a_group_share_its_limit_in_their_order() -> None:
    rules = (
        "groups: {social: {limits: 100 points ever}}\nrules:\n"
        "  - {id: follow, on: social_follow, award: 60, groups: social}\n"
        "  - {id: share, on: social_share, award: 60, groups: [social]}\n"
    )
    scene = Scene(WALLET + rules)
    assert scene.does("social_follow").points == {"follow": 60}
    assert scene.does("social_share").points == {"share": 40}
    assert scene.does("social_share").points == {"share": 0}
    assert scene.active() == 100


def test_a_campaign_has_a_budget_and_tells_when_it_is_nearly_used_and_used_up() -> None:
    rules = (
        "campaigns: {xmas: {limits: ['100 points ever, in all']}}\n"
        "rules: [{id: r, on: purchase, award: 1 per 1 EUR, campaign: xmas}]\n"
    )
    scene = Scene(WALLET + rules)
    assert scene.buys(79).last is not None
    assert scene.last is not None
    assert not scene.last.alerts
    shares = []
    for amount in (1, 15, 20):
        scene.buys(amount)
        shares.append([(alert.scope, alert.share) for alert in scene.last.alerts])
    scope = "campaign:xmas:points/ever/all"
    assert shares == [[(scope, 80)], [], [(scope, 100)]]


def test_a_refund_gives_back_to_the_period_that_was_charged() -> None:
    scene = limited("100 points per day")
    scene.wait(days=5)
    scene.buys(60, 40, reference="A")
    assert scene.buys(50, at=NOON).points == {"r": 0}
    scene.refunds("A", refund("R1", [("L2", 40)], at=NOON + 2 * DAY))
    assert scene.active() == 60
    assert scene.buys(50, at=NOON).points == {"r": 40}
    assert scene.buys(100, at=NOON + 2 * DAY).points == {"r": 100}


def test_what_a_limit_trimmed_is_scaled_by_a_refund() -> None:
    scene = limited("50 points per order")
    scene.buys(60, 40, reference="A")
    assert scene.active() == 50
    scene.refunds("A", refund("R1", [("L2", 40)]))
    assert scene.active() == 30


def test_the_same_order_again_charges_nothing_twice() -> None:
    scene = limited("100 points ever")
    scene.buys(70, reference="A")
    scene.buys(70, reference="A", age=1)
    scene.buys(80, reference="A", age=2)
    assert scene.active() == 80
    assert scene.buys(70).points == {"r": 20}


def test_after_a_cooldown_the_rule_pays_again() -> None:
    scene = Scene(WALLET + "rules: [{id: r, on: visit, award: 5, cooldown: 1 hour}]\n")
    assert scene.does("visit").points == {"r": 5}
    scene.wait(minutes=59).does("visit")
    assert (scene.points, scene.codes) == ({"r": 0}, {"r": "cooldown"})
    assert scene.wait(minutes=1).does("visit").points == {"r": 5}
    assert scene.does("visit", by="ben").points == {"r": 5}


def test_an_order_within_the_cooldown_stays_without_when_it_comes_again() -> None:
    scene = Scene(WALLET + "rules: [{id: r, on: purchase, award: 5, cooldown: 1 hour}]\n")
    scene.buys(10, reference="A")
    scene.buys(10, reference="B", at=NOON + timedelta(minutes=30))
    scene.wait(days=1).buys(10, reference="B", at=NOON + timedelta(minutes=30), age=2000)
    assert (scene.codes, scene.active()) == ({"r": "cooldown"}, 5)
    scene.buys(11, reference="A", age=9)
    assert (scene.codes, scene.active()) == ({"r": "matched"}, 5)


steps = st.lists(
    st.tuples(
        st.sampled_from("ABCD"), st.sampled_from(["ann", "ben"]), st.lists(st.integers(1, 60), min_size=1, max_size=2),
        st.booleans(), st.integers(0, 3),
    ),
    min_size=1,
    max_size=14,
)  # fmt: skip
_BUDGETS = {
    "'90 points ever, in all'": 90,
    "'90 points ever, in all, reject'": 90,
    "'5 times ever, in all'": 5,
    "'120 EUR ever, in all'": 1_200_000,
    "1 members ever": 1,
}


@given(st.sampled_from(sorted(_BUDGETS)), steps)
def test_whatever_happens_to_orders_a_budget_is_never_overshot_and_the_counter_is_what_awards_use(
    budget: str, plan: list[tuple[str, str, list[int], bool, int]]
) -> None:
    scene = Scene(
        WALLET + f"campaigns: {{c: {{limits: [{budget}]}}}}\n"
        "rules:\n"
        "  - {id: a, on: purchase, award: 1 per 1 EUR, campaign: c}\n"
        "  - {id: b, on: purchase, award: 1 per 2 EUR, campaign: c}\n"
    )
    for age, (reference, by, amounts, cancelled, back) in enumerate(plan):
        scene.buys(*amounts, reference=reference, by=by, age=age, cancelled=cancelled)
        if back:
            scene.refunds(reference, refund(f"R{back}", [("L1", back * 10)]))
        whole = sum(value for key, value in scene.world.counters.items() if not key.member)
        assert 0 <= whole <= _BUDGETS[budget]
        charges = [c for of in scene.world.awards.values() for award in of.values() for c in award.charges]
        if "members" not in budget:
            assert whole == sum(charge.amount for charge in charges)
        else:
            assert whole == len({charge.member for charge in charges if charge.amount})
