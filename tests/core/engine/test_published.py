"""Programs after published ones, played to the published figures; docs/explanation/real-programs.md has their sources."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.core.stories import PUBLISHED, Story, text_of

from stampcard.domain.orders import OrderLine
from stampcard.domain.value import replace
from stampcard.engine.evaluating import evaluate
from stampcard.engine.versions import assembled, compiled
from stampcard.engine.waiting import date_undated
from stampcard.errors import RequestRefused
from stampcard.program.reading import read_program
from stampcard.testing.building import LONG_AGO, order, refund

# A coffee chain


@pytest.mark.parametrize(("tier", "stars"), [("green", 10), ("gold", 12), ("reserve", 17)])
def test_ten_dollars_are_ten_twelve_or_seventeen_stars_by_tier(tier: str, stars: int) -> None:
    assert Story("coffee-stars", "2026-03-10").having(tier).buys("10.00") == {"purchase": stars}


def test_gold_is_reached_at_five_hundred_stars_and_reserve_at_two_thousand_five_hundred() -> None:
    ann = Story("coffee-stars", "2026-03-10")
    ann.buys(499)
    assert ann.tier == "green"
    ann.buys(1)
    assert (ann.tier, ann.until) == ("gold", "2027-03-10")
    ann.buys("1665.00")
    assert ann.tier == "gold"  # 500 + 1998
    ann.buys(2)
    assert (ann.tier, ann.until) == ("reserve", "2027-03-10")


@pytest.mark.parametrize(("stars", "tier", "until"), [(500, "gold", "2028-03-10"), (499, "green", "")])
def test_gold_is_kept_for_another_year_by_five_hundred_stars_in_the_following_year(
    stars: int, tier: str, until: str
) -> None:
    ann = Story("coffee-stars", "2026-03-10")
    ann.buys(500)
    for of_gold in (stars - 12, 12):  # ten dollars at 1.2
        ann.on("2026-09-01").buys(Decimal(of_gold) / Decimal("1.2"), reference=f"{of_gold}")
    ann.on("2027-03-10T23:59")
    assert ann.tier == "gold"
    ann.on("2027-03-11")
    assert (ann.tier, ann.until) == (tier, until)


def test_a_reload_of_thirty_dollars_is_ten_stars_and_of_fifty_twenty_five_which_is_the_most() -> None:
    amounts = {"29.99": 0, "30": 10, "49.99": 10, "50": 25, "500": 25}
    for amount, stars in amounts.items():
        paid = Story("coffee-stars", "2026-03-10").does("reload", amount=float(amount))
        assert paid == ({"reload": stars} if stars else {})


def test_a_cup_of_ones_own_doubles_the_stars() -> None:
    ann = Story("coffee-stars", "2026-03-10").having("gold")
    assert ann.buys("10.00", tags=("own-cup",)) == {"purchase": 12, "own-cup": 12}


@pytest.mark.parametrize(("tier", "days"), [("green", 0), ("gold", 4), ("reserve", 6)])
def test_gold_has_four_days_of_double_stars_a_year_and_reserve_six(tier: str, days: int) -> None:
    ann = Story("coffee-stars", "2027-01-01")
    (live,) = ann.world.programs.current(ann.world.now)
    windows = [rule.during for rule in live.program.rules if rule.during is not None]
    noons = [datetime(2027, 1, 1, 12, tzinfo=ann.zone) + timedelta(days=day) for day in range(365)]
    open_on = [noon.date().isoformat() for noon in noons if any(of.contains(noon) for of in windows)]
    paid = [sum(ann.on(day).having(tier).buys(10).values()) for day in (*open_on, "2027-12-24")]
    once = {"green": 10, "gold": 12, "reserve": 17}[tier]
    assert (paid.count(2 * once), paid[-1]) == (days, once)


def test_stars_of_a_green_member_live_for_six_months_after_the_last_purchase_redemption_or_reload() -> None:
    def left(day: str, at: str = "", does: str = "") -> int:
        ann = Story("coffee-stars", "2026-03-10")
        ann.buys(100)
        if at:
            ann.on(at)
        if does == "buys":
            ann.buys(1)
        elif does == "takes":
            ann.takes("extra")
        elif does == "reloads":
            ann.does("reload", amount=5.0)  # too little for stars
        return ann.on(day).points("stars")

    assert (left("2026-09-10T23:59"), left("2026-09-11")) == (100, 0)
    assert (left("2027-03-01", "2026-09-01", "buys"), left("2027-03-02", "2026-09-01", "buys")) == (101, 0)
    assert (left("2027-03-01", "2026-09-01", "takes"), left("2027-03-02", "2026-09-01", "takes")) == (75, 0)
    assert (left("2027-03-01", "2026-09-01", "reloads"), left("2027-03-02", "2026-09-01", "reloads")) == (100, 0)


@pytest.mark.parametrize("tier", ["gold", "reserve"])
def test_stars_that_gold_and_reserve_members_earn_never_expire(tier: str) -> None:
    ann = Story("coffee-stars", "2026-03-10").having(tier)
    stars = sum(ann.buys(100).values())
    assert ann.on("2056-03-10").points("stars") == stars


def test_in_the_edition_before_a_star_of_december_died_on_the_first_of_july_and_the_oldest_went_first() -> None:
    text = text_of("coffee-stars").replace("6 months after last earn, redeem, reload", "6 months, end of month")
    ann = Story("coffee-stars", "2020-12-15", text)
    ann.buys(40)
    ann.on("2021-01-02").buys(40)
    ann.on("2021-01-10").takes("extra")  # 25 of the first 40
    assert ann.on("2021-06-30T23:59").points("stars") == 55
    assert ann.on("2021-07-01T00:00").points("stars") == 40


def test_what_can_be_had_for_stars() -> None:
    (live,) = Story("coffee-stars", "2026-03-10").world.programs.current(LONG_AGO)
    priced = {str(one.price): str(one.gives) for one in live.program.rewards.values() if one.price is not None}
    assert priced == {
        "0": "free product, worth 1 USD",
        "25": "free product, worth 1 USD",
        "60": "2 USD off",
        "100": "free product, worth 6 USD",
        "200": "free product, worth 10 USD",
        "300": "free product, worth 16 USD",
        "400": "20 USD off",
    }


@pytest.mark.parametrize(("price", "off"), [("4.25", "4.25"), ("7.50", "6")])
def test_a_reward_of_up_to_six_dollars_takes_no_more_and_only_off_what_it_is_for(price: str, off: str) -> None:
    ann = Story("coffee-stars", "2026-03-10")
    ann.buys(100)
    cake = OrderLine(reference="L1", quantity=1, gross=Decimal(price), collections=("bakery",))
    mug = OrderLine(reference="L2", quantity=1, gross=Decimal(29), collections=("merchandise",))
    cart = order(lines=(cake, mug), currency="USD")
    found = evaluate(cart, [ann.looks_at("brewed")], (), {"stars": 100}, (), ann.world.now)
    assert found.best.total == Decimal(off)


def test_one_redemption_counts_in_an_order() -> None:
    ann = Story("coffee-stars", "2026-03-10")
    ann.buys(480)
    names = [("coffee-stars", name) for name in ("two-off", "merchandise")]
    standings = [ann.looks_at(name) for _, name in names]
    mug = OrderLine(reference="L1", quantity=1, gross=Decimal(29), collections=("merchandise",))
    cart = order(lines=(mug,), currency="USD")
    found = evaluate(cart, standings, (), {"stars": 480}, names, ann.world.now)
    assert [(one.reward, one.amount) for one in found.best.taken] == [("merchandise", Decimal(20))]  # 9 are left to pay
    assert found.given is not None
    assert list(found.given.refused) == [("coffee-stars", "two-off")]


@pytest.mark.parametrize(("tier", "last"), [("green", "03-10"), ("gold", "03-17"), ("reserve", "04-09")])
def test_a_birthday_treat_is_there_on_the_day_for_seven_days_or_for_thirty_by_tier(tier: str, last: str) -> None:
    ann = Story("coffee-stars", "2026-03-10", birthday="1990-03-10").having(tier)
    ann.has_birthday()
    (treat,) = ann.given
    assert treat.valid_until is not None
    assert (treat.valid_until.astimezone(ann.zone) - timedelta(hours=1)).date().isoformat() == f"2026-{last}"


def test_an_extra_is_free_on_mondays_once_a_month_from_the_middle_of_march() -> None:
    ann = Story("coffee-stars", "2026-03-09")
    closed = {"2026-03-09", "2026-03-17", "2026-03-23", "2026-04-07"}
    for day in ("2026-03-09", "2026-03-16", "2026-03-17", "2026-03-23", "2026-04-06", "2026-04-07"):
        ann.on(day)
        assert bool(ann.looks_at("monday-extra").refusals) is (day in closed), day
        if day not in closed:
            ann.takes("monday-extra")


# A beauty retailer


@pytest.mark.parametrize(
    ("spent", "tier", "until"),
    [
        ("349.99", "member", ""),
        ("350.00", "vip", "2027-12-31"),
        ("999.99", "vip", "2027-12-31"),
        (1000, "top", "2027-12-31"),
    ],
)
def test_status_is_what_one_spends_in_a_calendar_year_and_holds_to_the_end_of_the_next(
    spent: Any, tier: str, until: str
) -> None:
    ann = Story("beauty-points", "2026-02-01")
    ann.buys(spent)
    assert (ann.tier, ann.until) == (tier, until)


def test_tax_shipping_and_gift_cards_are_no_merchandise() -> None:
    ann = Story("beauty-points", "2026-02-01")
    goods = OrderLine(reference="L1", quantity=1, gross=Decimal("349.99"), tax=Decimal(30))
    card = OrderLine(reference="L2", quantity=1, gross=Decimal(100), gift_card=True)
    assert ann.buys(lines=(goods, card), shipping=Decimal(10), total=Decimal("489.99")) == {
        "purchase": 349,
        "spent": 34999,
    }
    assert ann.tier == "member"


def test_what_is_returned_was_not_spent() -> None:
    ann = Story("beauty-points", "2026-02-01")
    ann.buys(340, 10, reference="A")
    assert ann.tier == "vip"
    ann.returns("A", refund("R", [("L2", 10)], at=ann.world.now))
    assert ann.tier == "member"


@pytest.mark.parametrize(("next_year", "tier"), [(349, "member"), (350, "vip"), (1000, "top")])
def test_whoever_does_not_qualify_again_reverts(next_year: int, tier: str) -> None:
    ann = Story("beauty-points", "2026-02-01")
    ann.buys(1000)
    ann.on("2027-12-31").buys(next_year)
    assert ann.tier == "top"
    assert ann.on("2028-01-01").tier == tier


def test_a_dollar_was_more_points_by_tier_until_a_day_and_orders_from_before_keep_to_that() -> None:
    values = "\n    values: [{tier: top, award: 1.5 per 1 USD}, {tier: vip, award: 1.25 per 1 USD}]"
    now = text_of("beauty-points")
    before = now.replace("award: 1 per 1 USD\n    wallet: points", f"award: 1 per 1 USD\n    wallet: points{values}")
    change = datetime(2020, 5, 29, tzinfo=ZoneInfo("America/New_York"))
    ann = Story("beauty-points", "2020-05-28")
    versions = [
        compiled(read_program(text, ""), n, at) for n, (text, at) in enumerate([(before, LONG_AGO), (now, change)], 1)
    ]
    ann.world = replace(ann.world, programs=assembled(versions, 0))
    for tier, points in (("member", 100), ("vip", 125), ("top", 150)):
        assert ann.having(tier).buys(60, 40, reference=tier)["purchase"] == points
    ann.on("2020-06-01")
    assert ann.having("top").buys(100)["purchase"] == 100
    assert ann.returns("top", refund("R", [("L2", 40)], at=ann.world.now))["purchase"] == 90


def test_five_hundred_points_are_ten_dollars_off_ten_or_more() -> None:
    ann = Story("beauty-points", "2026-02-01")
    ann.buys("499.99")
    assert [refusal.code for refusal in ann.looks_at("ten-off").refusals] == ["insufficient_points"]
    ann.buys(1)
    taken = ann.takes("ten-off")
    assert (taken.gives, taken.price, ann.points("points")) == ("10 USD off", 500, 0)
    assert str(ann.looks_at("ten-off").of.reward.minimum) == "10 USD"


def test_a_hundred_dollars_are_for_top_members_while_they_last() -> None:
    ann = Story("beauty-points", "2026-02-01").having("vip")
    ann.buys(2500)
    assert [refusal.code for refusal in ann.having("vip").looks_at("hundred-off").refusals] == ["condition"]
    assert ann.having("top").looks_at("hundred-off").refusals == ()
    ann.takes("hundred-off")
    assert (ann.points("points"), ann.looks_at("hundred-off").left) == (0, 999)


def test_a_birthday_is_a_gift_or_for_higher_tiers_250_points_instead() -> None:
    def offered(tier: str, day: str) -> set[str]:
        ann = Story("beauty-points", day, birthday="1990-03-31").having(tier)
        return {name for name in ("birthday-gift", "birthday-points") if not ann.looks_at(name).refusals}

    assert offered("member", "2026-03-01") == {"birthday-gift"}
    assert offered("vip", "2026-03-01") == offered("top", "2026-03-31") == {"birthday-gift", "birthday-points"}
    assert offered("top", "2026-04-01") == set()
    ann = Story("beauty-points", "2026-03-10", birthday="1990-03-31").having("vip")
    ann.takes("birthday-points")
    assert ann.points("points") == 250
    with pytest.raises(RequestRefused, match="birthday"):
        ann.takes("birthday-gift")


@pytest.mark.parametrize("activity", ["nothing", "ten-off", "birthday-gift", "buys"])
def test_points_die_after_eighteen_months_without_a_purchase_or_a_redemption(activity: str) -> None:
    ann = Story("beauty-points", "2026-02-01", birthday="1990-03-31")
    ann.buys(600)
    ann.on("2027-03-01")
    if activity == "buys":
        ann.buys(1)
    elif activity != "nothing":
        ann.takes(activity)
    last = "2027-08-01" if activity == "nothing" else "2028-09-01"
    assert ann.on(f"{last}T23:59").points("points") > 0
    day = (date.fromisoformat(last) + timedelta(days=1)).isoformat()
    assert ann.on(day).points("points") == 0


def test_when_expiry_was_introduced_points_that_were_there_got_eighteen_months_from_that_day() -> None:
    text = text_of("beauty-points").replace("    expire: 18 months after last earn, redeem\n", "")
    ann = Story("beauty-points", "2012-02-01", text)
    ann.buys(100)
    switched_on = datetime(2017, 7, 10, tzinfo=ann.zone)
    live = compiled(read_program(text_of("beauty-points"), ""), 2, switched_on)
    dated = date_undated(ann.world.wallets["ann", "points"], live, switched_on)
    assert [lot.expires_at for lot in dated.lots.values()] == [datetime(2019, 1, 11, tzinfo=ann.zone).astimezone(UTC)]


# An airline


def ticket(fare: Any, surcharge: Any = 0, tax: Any = 0, bag: Any = 0, kind: str = "") -> Mapping[str, Any]:
    """The lines of a ticket; taxes of governments are the tax of its fare."""
    tags = (kind,) if kind else ()
    parts = {"base-fare": (fare, tax), "carrier-surcharge": (surcharge, 0), "bag": (bag, 0)}
    lines = tuple(
        OrderLine(reference=tag, quantity=1, gross=Decimal(str(of)), tax=Decimal(str(taxed)), tags=(tag, *tags))
        for tag, (of, taxed) in parts.items()
    )
    return {"lines": lines, "total": sum((line.gross + line.tax for line in lines), Decimal(0))}


@pytest.mark.parametrize(
    ("tier", "miles"), [("", 500), ("silver", 700), ("gold", 800), ("platinum", 900), ("diamond", 1100)]
)
def test_a_dollar_of_fare_is_five_to_eleven_miles_by_status(tier: str, miles: int) -> None:
    ann = Story("miles-and-status", "2026-02-01").having(tier)
    assert ann.buys(**ticket(100)) == {"flight": miles, "qualifying": 10000}


@pytest.mark.parametrize(("fare", "miles"), [(6818, 74_998), (7000, 75_000), (20_000, 75_000)])
def test_a_ticket_is_at_most_75000_miles(fare: int, miles: int) -> None:
    ann = Story("miles-and-status", "2026-02-01").having("diamond")
    assert ann.buys(**ticket(fare))["flight"] == miles
    assert ann.having("diamond").buys(**ticket(fare))["flight"] == miles  # each ticket by itself


def test_surcharges_of_the_airline_count_and_taxes_and_bags_do_not() -> None:
    ann = Story("miles-and-status", "2026-02-01")
    assert ann.buys(**ticket(100, surcharge=50, tax=23.4, bag=35)) == {"flight": 750, "qualifying": 15000}


def test_tickets_for_miles_and_basic_fares_earn_nothing() -> None:
    ann = Story("miles-and-status", "2026-02-01")
    award = ticket(400)
    assert ann.buys(**award, paid_with_points=award["total"]) == {}
    assert ann.buys(**ticket(100, kind="basic-fare")) == {}


@pytest.mark.parametrize(
    ("dollars", "status"),
    [
        ("4999.99", ""),
        ("5000.00", "silver"),
        ("9999.99", "silver"),
        (10_000, "gold"),
        (15_000, "platinum"),
        ("27999.99", "platinum"),
        (28_000, "diamond"),
    ],
)
def test_dollars_of_a_calendar_year_are_status_for_the_next(dollars: Any, status: str) -> None:
    ann = Story("miles-and-status", "2026-12-31")
    ann.buys(**ticket(dollars))
    assert (ann.tier, ann.on("2027-12-31T23:59").tier, ann.on("2028-01-01").tier) == (status, status, "")


def test_status_is_worked_out_anew_each_year() -> None:
    ann = Story("miles-and-status", "2026-06-01")
    ann.buys(**ticket(28_000))
    ann.on("2027-06-01").buys(**ticket(10_000))
    assert (ann.on("2027-12-31").tier, ann.on("2028-01-01").tier) == ("diamond", "gold")


def test_miles_do_not_expire_and_dollars_that_qualify_cannot_be_spent() -> None:
    ann = Story("miles-and-status", "2026-02-01")
    ann.buys(**ticket(100))
    assert ann.on("2066-02-01").points("miles") == 500
    (live,) = ann.world.programs.current(ann.world.now)
    assert not live.program.wallets["status"].spendable


def test_what_a_ticket_costs_in_miles_is_for_a_plugin_to_say() -> None:
    ann = Story("miles-and-status", "2026-02-01").having("gold")
    ann.buys(**ticket(5_000))
    assert [refusal.code for refusal in ann.looks_at("award-ticket").refusals] == ["no_price"]
    ann.world = replace(ann.world, price_of=lambda *_: Decimal(38_500))
    assert (ann.takes("award-ticket").price, ann.points("miles")) == (38_500, 1_500)


def test_every_published_program_is_played() -> None:
    played = "".join(path.read_text() for path in Path(__file__).parent.glob("test_published*.py"))
    assert [path.stem for path in PUBLISHED.glob("*.yaml") if f'"{path.stem}"' not in played] == []
