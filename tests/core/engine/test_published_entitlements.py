"""Programs after published ones without points: a discount for professionals and a paid club, played to the figures."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.core.stories import BEFORE_ALL, Story, text_of

from stampcard.domain.orders import OrderLine
from stampcard.domain.plans import Subscription
from stampcard.domain.value import replace
from stampcard.engine.evaluating import Weighed, evaluate
from stampcard.engine.proving import approved, asked, evidence_fault, refused, revoked
from stampcard.engine.subscribing import counting, renewal_price
from stampcard.engine.versions import assembled, compiled
from stampcard.program.reading import read_program
from stampcard.testing.building import order, refund

# Professionals

ROLES = ["instructor", "trainer", "studio", "athlete", "coach", "team"]


def professional(day: str = "2026-02-01", role: str = "coach", **attributes: Any) -> Story:
    """Ann, who asked with evidence and was approved that day."""
    ann = Story("training-professionals", day, country="US", **attributes)
    return ann.stands(approved(ann.live, asked(ann.proof(role), "v1"), ann.world.now, None))


def goods(*amounts: Any, collection: str = "full-price", **more: Any) -> dict[str, Any]:
    """The lines of a cart or an order."""
    return {
        "currency": "USD",
        "lines": tuple(
            OrderLine(reference=f"L{n}", quantity=1, gross=Decimal(str(of)), collections=(collection,), **more)
            for n, of in enumerate(amounts, start=1)
        ),
    }


def weighed(ann: Story, **cart: Any) -> Weighed:
    """The discount for a cart."""
    found = evaluate(order(**cart), [ann.looks_at("quarter-off")], (), {}, (), ann.world.now)
    return found.rewards[0]


def codes(ann: Story, **cart: Any) -> list[str]:
    """Why the discount does not count."""
    return [refusal.code for refusal in weighed(ann, **(cart or goods(100))).refusals]


@pytest.mark.parametrize("role", ROLES)
def test_whoever_is_verified_in_a_role_pays_a_quarter_less(role: str) -> None:
    ann = Story("training-professionals", "2026-02-01", country="US", birthday="1990-03-10")
    assert (ann.perks, codes(ann)) == (set(), ["condition"])
    assert "document" in evidence_fault(ann.live, role, {})
    assert evidence_fault(ann.live, role, {"document": "licence 7"}) == ""
    ann.stands(asked(ann.proof(role), "v1"))
    assert ann.perks == set()
    ann.stands(approved(ann.live, ann.proof(role), ann.world.now, None))
    assert (ann.perks, weighed(ann, **goods(100)).alone, codes(ann)) == ({"professional"}, Decimal(25), [])


def test_every_role_of_the_file_is_played() -> None:
    assert list(Story("training-professionals", "2026-02-01").live.program.proofs) == ROLES


@pytest.mark.parametrize(
    ("birthday", "day"), [("2008-02-02", "2026-02-02"), ("2008-02-29", "2026-03-01"), ("2007-12-31", "2025-12-31")]
)
def test_athletes_are_eighteen(birthday: str, day: str) -> None:
    before = datetime.fromisoformat(day) - timedelta(days=1)
    ann = professional(before.date().isoformat(), "athlete", birthday=birthday)
    assert ann.perks == set()
    assert ann.on(day).perks == {"professional"}
    assert professional(day, "athlete").perks == set()  # nobody knows how old she is
    assert professional(before.date().isoformat(), "coach", birthday=birthday).perks == {"professional"}


def test_what_is_marked_down_and_gift_cards_are_not_discounted_and_no_other_promotion_counts() -> None:
    ann = professional()
    assert codes(ann, **goods(100, collection="we-have-too-much")) == ["no_fitting_line"]
    assert codes(ann, **goods(100, gift_card=True)) == ["no_fitting_line"]
    mixed = (*goods(100)["lines"], OrderLine(reference="L9", quantity=1, gross=Decimal(60)))
    assert weighed(ann, currency="USD", lines=mixed).alone == Decimal(25)
    assert ann.looks_at("quarter-off").of.reward.stack == "never"


@pytest.mark.parametrize(
    ("used", "item", "off", "left"),
    [
        (0, 200, "50", 5000),
        (4900, 200, "25", 100),
        (4900, 80, "20", 100),
        (4999, 200, "0.25", 1),
        (0, 6000, "1250", 5000),
    ],
)
def test_the_first_five_thousand_dollars_of_a_year_count_at_their_original_price(
    used: int, item: int, off: str, left: int
) -> None:
    ann = professional()
    if used:
        ann.discounts("quarter-off", "A", **goods(used, discount=Decimal(used) / 4))
    assert (ann.looks_at("quarter-off").base_left, weighed(ann, **goods(item)).alone) == (Decimal(left), Decimal(off))


def test_what_is_beyond_the_cap_is_refused_until_the_next_year() -> None:
    ann = professional("2026-12-31")
    ann.discounts("quarter-off", "A", **goods(4900))
    ann.discounts("quarter-off", "B", **goods(200))
    assert "base_used_up" in codes(ann)
    assert [one.allowed // 10_000 for one in ann.world.bases["ann"]] == [4900, 100]
    assert (codes(ann.on("2027-01-01")), weighed(ann, **goods(200)).alone) == ([], Decimal(50))


def test_it_counts_in_the_country_of_the_program_alone() -> None:
    ann = Story("training-professionals", "2026-02-01", country="CA")
    ann.stands(approved(ann.live, ann.proof("coach"), ann.world.now, None))
    assert codes(ann) == ["other_country"]


def test_who_fails_to_be_verified_again_is_revoked_and_has_no_discount_any_more() -> None:
    ann = professional()
    ann.on("2026-12-01").stands(asked(ann.proof("coach"), "v2"))
    ann.stands(refused(ann.proof("coach"), "the club does not know her"))
    assert ann.perks == {"professional"}  # until what was approved before ends, or is revoked
    kept = ann.proof("coach")
    assert ann.on("2027-02-01").perks == {"professional"}
    assert (ann.on("2027-02-02").perks, ann.proof("coach").status) == (set(), "expired")
    again = professional()
    again.on("2026-12-01").stands(revoked(kept, "the club does not know her"))
    assert (again.perks, codes(again)) == (set(), ["condition"])


def test_who_is_verified_again_goes_on_without_a_gap_and_another_role_is_enough() -> None:
    ann = professional()
    ann.on("2027-01-15").stands(approved(ann.live, ann.proof("coach"), ann.world.now, None))
    assert ann.on("2028-02-01").perks == {"professional"}
    both = professional()
    both.stands(approved(both.live, both.proof("team"), both.world.now, None))
    both.stands(revoked(both.proof("coach"), "no club any more"))
    assert both.perks == {"professional"}


def test_a_code_is_for_the_day_on_which_it_is_taken() -> None:
    taken = professional().takes("quarter-off")
    assert taken.valid_until is not None
    assert taken.valid_until.isoformat() == "2026-02-02T08:00:00+00:00"


# A paid club

CLUB = {"two-day", "one-day", "same-day"}


def club(day: str = "2026-01-10") -> Story:
    return Story("shipping-club", day)


def last_day(one: Subscription) -> str:
    assert one.paid_until is not None
    return (one.paid_until - timedelta(hours=12)).date().isoformat()


def test_it_costs_fourteen_ninety_nine_a_month_or_a_hundred_and_thirty_nine_a_year() -> None:
    plans = club().live.program.plans
    assert {str(plan.lasts): str(plan.price) for plan in plans.values()} == {
        "1 year": "139 USD",
        "1 month": "14.99 USD",
    }


@pytest.mark.parametrize(
    ("sku", "price", "last"), [("CLUB-YEAR", 139, "2027-01-10"), ("CLUB-MONTH", "14.99", "2026-02-10")]
)
def test_who_pays_has_the_benefits_until_the_time_is_over(sku: str, price: Any, last: str) -> None:
    ann = club()
    assert ann.perks == set()
    one = ann.pays(sku, price)
    assert (one.price, last_day(one), ann.perks) == (Decimal(str(price)), last, CLUB)
    assert ann.on(f"{last}T23:59").perks == CLUB
    after = datetime.fromisoformat(last) + timedelta(days=1)
    assert ann.on(after.date().isoformat()).perks == set()


def test_it_is_tried_for_thirty_days_renewed_by_itself_and_lapses() -> None:
    ann = club()
    trial = ann.tries("monthly")
    assert (trial.trial, last_day(trial), ann.perks) == (True, "2026-02-09", CLUB)
    assert renewal_price(ann.live, trial) == (Decimal("14.99"), "USD")
    ann.on("2026-02-09").hears("subscription_started", product="CLUB-MONTH")
    assert (ann.plans["monthly"].trial, last_day(ann.plans["monthly"])) == (False, "2026-03-09")
    for day in ("2026-03-09", "2026-04-09"):
        ann.on(day).hears("subscription_renewed", product="CLUB-MONTH")
    assert (last_day(ann.plans["monthly"]), ann.plans["monthly"].price) == ("2026-05-09", Decimal("14.99"))
    assert ann.on("2026-05-09").perks == CLUB
    assert (ann.on("2026-05-10").perks, ann.plans["monthly"].active) == (set(), False)


def test_a_trial_that_nobody_goes_on_with_is_over() -> None:
    ann = club()
    ann.tries("monthly")
    assert (ann.on("2026-02-09T23:59").perks, ann.on("2026-02-10").perks) == (CLUB, set())


def test_who_tried_it_may_go_on_by_the_year() -> None:
    ann = club()
    ann.tries("monthly")
    ann.on("2026-02-09").hears("subscription_started", product="CLUB-YEAR")
    assert (last_day(ann.plans["yearly"]), ann.plans["yearly"].price) == ("2027-02-09", Decimal(139))
    assert ann.on("2026-12-24").perks == CLUB


def dated(ann: Story) -> Story:
    """The same where the price went up in 2022: first for new members, then for renewals."""
    now = text_of("shipping-club")
    before = now.replace("139 USD", "119 USD").replace("14.99 USD", "12.99 USD")
    between = now.replace("139 USD", "139 USD\n    renewal_price: 119 USD")
    between = between.replace("14.99 USD", "14.99 USD\n    renewal_price: 12.99 USD")
    days = [BEFORE_ALL, *(datetime(2022, month, day, tzinfo=ann.zone) for month, day in ((2, 18), (3, 25)))]
    versions = [
        compiled(read_program(text, ""), n, day)
        for n, (text, day) in enumerate(zip((before, between, now), days, strict=True), 1)
    ]
    ann.world = replace(ann.world, programs=assembled(versions, 0))
    return ann


@pytest.mark.parametrize(
    ("day", "price", "renewal"),
    [("2022-02-17", 119, 119), ("2022-02-18", 139, 119), ("2022-03-24", 139, 119), ("2022-03-25", 139, 139)],
)
def test_the_price_of_2022_was_for_new_members_first_and_for_renewals_five_weeks_later(
    day: str, price: int, renewal: int
) -> None:
    ann = dated(club(day))
    assert ann.hears("subscription_started", product="CLUB-YEAR") == price
    assert ann.hears("subscription_renewed", product="CLUB-YEAR") == renewal
    assert renewal_price(ann.live, ann.plans["yearly"]) == (Decimal(renewal), "USD")


def test_who_paid_the_old_price_keeps_it_until_the_next_renewal() -> None:
    ann = dated(club("2021-06-10"))
    assert ann.pays("CLUB-YEAR", 119).price == 119
    ann.on("2022-06-09")
    assert ann.plans["yearly"].price == 119
    assert renewal_price(ann.live, ann.plans["yearly"]) == (Decimal(139), "USD")
    ann.on("2022-06-10").hears("subscription_renewed", product="CLUB-YEAR")
    assert (ann.plans["yearly"].price, last_day(ann.plans["yearly"])) == (Decimal(139), "2023-06-10")


@pytest.mark.parametrize(
    ("used", "back"), [("", True), ("2025-12-01", True), ("2026-01-12", False), ("2026-02-01", True)]
)
def test_it_is_refunded_if_no_benefit_was_used_in_the_period(used: str, back: bool) -> None:
    ann = club()
    ann.pays("CLUB-YEAR", 139, "club")
    if used:
        ann.used.append(datetime.fromisoformat(used).replace(tzinfo=ann.zone))
    ann.on("2026-01-20").returns("club", refund("R", [("L1", 139)], at=ann.world.now))
    (term,) = ann.terms["yearly"].values()
    assert (counting(term, ann.used), ann.plans["yearly"].active) == ((0, False) if back else (1, True))
    assert ann.perks == (set() if back else CLUB)


def test_of_a_renewed_club_the_refund_of_the_new_period_leaves_the_old_one() -> None:
    ann = club()
    ann.pays("CLUB-MONTH", "14.99", "first")
    ann.used.append(ann.world.now + timedelta(days=3))
    ann.on("2026-02-10").pays("CLUB-MONTH", "14.99", "second")
    assert last_day(ann.plans["monthly"]) == "2026-03-10"
    ann.on("2026-02-10T18:00").returns("second", refund("R", [("L1", "14.99")], at=ann.world.now))
    assert (last_day(ann.plans["monthly"]), ann.perks, ann.on("2026-02-11").perks) == ("2026-02-10", CLUB, set())


def test_by_the_month_who_began_on_the_31st_pays_on_the_last_day_of_shorter_months_and_never_lapses() -> None:
    ann = club("2026-01-31")
    ann.pays("CLUB-MONTH", "14.99")
    for day in ("2026-02-28", "2026-03-31", "2026-04-30"):
        assert ann.on(day).perks == CLUB
        ann.pays("CLUB-MONTH", "14.99")
    assert last_day(ann.plans["monthly"]) == "2026-05-31"
