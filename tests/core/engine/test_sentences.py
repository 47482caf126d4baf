"""What shop owners say, each as a shipped program that is played through the engine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from stampcard.domain.events import CustomEvent, OrderSeen
from stampcard.domain.members import Member
from stampcard.domain.rewards import Fulfiller, Minted, RewardKind
from stampcard.domain.tiers import Tier
from stampcard.domain.value import replace
from stampcard.domain.wallets import Wallet
from stampcard.engine.counting import FINE, CounterKey
from stampcard.engine.deciding import decide_custom, decide_day, decide_order
from stampcard.engine.describing import Past, Purchase
from stampcard.engine.evaluating import evaluate
from stampcard.engine.requesting import decide_spend
from stampcard.engine.rewarding import Asking, Standing, standing
from stampcard.engine.world import NO_FACTS, Decision, Facts, World
from stampcard.errors import RequestRefused
from stampcard.testing.building import absorbed, order, refund, world

EXAMPLES = Path(__file__).parents[3] / "config" / "programs" / "examples"
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
MONDAY, TUESDAY = datetime(2026, 11, 23, 12, tzinfo=BERLIN), datetime(2026, 11, 24, 12, tzinfo=BERLIN)


def scene(name: str, at: datetime = TUESDAY, **attributes: Any) -> World:
    """The example's program, and Ann, of whom this is known."""
    found = world((EXAMPLES / f"{name}.yaml").read_text(), now=at.astimezone(UTC))
    return replace(found, members={"ann": replace(found.members["ann"], attributes=attributes)})


def having(scene: World, tier: str) -> World:
    """The same with Ann in that tier."""
    ann = scene.members["ann"]
    has = Tier(program="main", name=tier, since=scene.now)
    return replace(scene, members={"ann": replace(ann, tiers={"main": has})})


def bought(scene: World, *amounts: Any, reference: str = "A", facts: Facts = NO_FACTS, **more: Any) -> Decision:
    """Ann's order, placed now."""
    (live,) = scene.programs.current(scene.now)
    more = {"currency": live.program.currency, "at": scene.now, **more}
    seen = OrderSeen(reference=reference, snapshot=order(*amounts, **more))
    return decide_order(scene, seen, "shop", "ann", scene.now, facts)


def paid(decision: Decision) -> Mapping[str, int]:
    """What each rule that pays anything has granted."""
    return {award.rule: award.granted for award in decision.awards if award.granted}


def test_double_on_mondays_for_germany() -> None:
    double = {"purchase": 30, "double-mondays": 30}
    assert paid(bought(scene("double-mondays", MONDAY, country="DE"), 30)) == double
    assert paid(bought(scene("double-mondays", TUESDAY, country="DE"), 30)) == {"purchase": 30}
    assert paid(bought(scene("double-mondays", MONDAY, country="FR"), 30)) == {"purchase": 30}
    assert paid(bought(scene("double-mondays", MONDAY), 30)) == {"purchase": 30}


def test_a_monday_is_one_of_the_programs_zone() -> None:
    late = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    assert paid(bought(scene("double-mondays", late, country="DE"), 30)) == {"purchase": 30}
    early = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    assert sum(paid(bought(scene("double-mondays", early, country="DE"), 30)).values()) == 60


def test_a_new_german_customers_first_order_on_a_monday_is_doubled_too() -> None:
    before = scene("double-mondays", MONDAY)
    new = Member(id="ann", joined_at=before.now, attributes={"country": "DE"})
    decision = bought(replace(before, members={"ann": new}), 30)
    assert decision.member is not None
    assert decision.member.programs == {"main"}
    assert paid(decision) == {"purchase": 30, "double-mondays": 30}


@pytest.mark.parametrize(
    ("clock", "points"), [("07:59", 20), ("08:00", 40), ("10:59", 40), ("11:00", 20), ("20:00", 20)]
)
def test_happy_hour_from_eight_to_eleven_by_the_shops_clock(clock: str, points: int) -> None:
    there = datetime.fromisoformat(f"2026-11-24T{clock}-05:00")
    assert sum(paid(bought(scene("happy-hour", there), 20, utc_offset=-300)).values()) == points


def test_happy_hour_goes_by_the_programs_clock_where_the_shops_is_not_known() -> None:
    assert sum(paid(bought(scene("happy-hour", TUESDAY.replace(hour=9)), 20)).values()) == 40
    assert sum(paid(bought(scene("happy-hour", TUESDAY), 20)).values()) == 20


@pytest.mark.parametrize(
    ("day", "vip", "points"),
    [("2026-12-24", True, 80), ("2031-12-24", True, 80), ("2026-12-25", True, 40), ("2026-12-24", False, 40)],
)
def test_double_for_vips_on_christmas_eve(day: str, vip: bool, points: int) -> None:
    at = datetime.fromisoformat(day).replace(hour=20, tzinfo=BERLIN)
    before = scene("vip-christmas-eve", at)
    if vip:
        before = having(before, "vip")
    assert sum(paid(bought(before, 40)).values()) == points


@pytest.mark.parametrize(
    ("spends", "points"),
    [
        ({"2025-01-01": 600, "2025-12-31": 401}, 300),
        ({"2025-01-01": 600, "2025-12-31": 400}, 0),
        ({"2024-12-31": 5000, "2026-01-01": 5000}, 0),
    ],
)
def test_a_program_for_who_spent_over_a_thousand_last_calendar_year(spends: Mapping[str, int], points: int) -> None:
    purchases = {
        ("shop", day): Purchase(
            occurred_at=datetime.fromisoformat(day).replace(hour=23, tzinfo=NEW_YORK),
            spend=Decimal(spend),
            currency="USD",
        )
        for day, spend in spends.items()
    }
    known = replace(scene("big-spenders", TUESDAY), pasts={"ann": Past(purchases=purchases)})
    assert sum(paid(bought(known, 100)).values()) == points
    birthday = decide_day(known, "circle", "birthday", known.members["ann"], known.now, 2026)
    assert paid(birthday) == ({"birthday": 500} if points else {})


def test_the_first_500_customers() -> None:
    before = scene("first-500-customers")
    taken = CounterKey("main", "rule:early-bird:members/ever/all", "", "")
    last = replace(before, counters={taken: 499})
    first = bought(last, 10)
    assert paid(first) == {"purchase": 10, "early-bird": 200}
    assert first.counters[taken] == 500
    assert paid(bought(absorbed(last, first), 10, reference="B")) == {"purchase": 10}
    assert paid(bought(replace(before, counters={taken: 500}), 10)) == {"purchase": 10}


def test_one_of_the_first_500_who_returns_all_makes_room() -> None:
    taken = CounterKey("main", "rule:early-bird:members/ever/all", "", "")
    full = replace(scene("first-500-customers"), counters={taken: 499})
    full = absorbed(full, bought(full, 10))
    snapshot = order(10, at=full.now)
    gone = OrderSeen(reference="A", snapshot=snapshot, refunds=(refund("R", [("L1", 10)], at=full.now),))
    after = decide_order(full, gone, "shop", "ann", full.now)
    assert after.counters[taken] == 499
    assert {award.rule: award.due for award in after.awards} == {"purchase": 0, "early-bird": 0}


def test_at_most_a_hundred_thousand_dollars_of_orders() -> None:
    spent = CounterKey("main", "campaign:launch:money/ever/all", "", "")
    nearly = replace(scene("order-budget"), counters={spent: int(99_940 * FINE)})
    decision = bought(nearly, 100)
    assert paid(decision) == {"purchase": 100, "launch": 120}
    assert decision.counters[spent] == 100_000 * FINE
    assert [(alert.scope, alert.share) for alert in decision.alerts] == [("campaign:launch:money/ever/all", 100)]
    assert paid(bought(absorbed(nearly, decision), 100, reference="B")) == {"purchase": 100}
    assert paid(bought(scene("order-budget"), 100)) == {"purchase": 100, "launch": 200}


def test_at_most_a_hundred_points_from_all_social_media_together() -> None:
    now, granted = scene("social-media"), []
    for key, name in enumerate(("social_follow", "social_share", "social_share", "social_follow")):
        event = CustomEvent(name=name, customer="1", key=str(key), occurred_at=now.now, data={"network": "any"})
        decision = decide_custom(now, event, now.members["ann"], "shop")
        granted.append(sum(paid(decision).values()))
        now = absorbed(now, decision)
    assert granted == [40, 30, 30, 0]


@pytest.mark.parametrize(
    ("facts", "points"),
    [
        (Facts(known={"weather": {"raining": True}}), 24),
        (Facts(known={"weather": {"raining": False}}), 12),
        (Facts(lacking={"weather": "the plugin did not answer in time"}), 12),
        (NO_FACTS, 12),
    ],
)
def test_double_when_it_rains_where_the_customer_is(facts: Facts, points: int) -> None:
    assert sum(paid(bought(scene("rainy-days"), 12, facts=facts)).values()) == points


@pytest.mark.parametrize(("tier", "points"), [("bronze", 101), ("silver", 151), ("gold", 202)])
def test_one_and_a_half_or_two_by_tier(tier: str, points: int) -> None:
    assert paid(bought(having(scene("points-by-tier"), tier), "101.00")) == {"purchase": points}


@pytest.mark.parametrize(("tier", "gift"), [("fan", "5 % off"), ("friend", "10 % off"), ("family", "15 % off")])
def test_five_ten_or_fifteen_percent_by_tier(tier: str, gift: str) -> None:
    before = having(scene("discount-by-tier"), tier)
    fulfiller = Fulfiller(connection="shop", reference="1", kinds=frozenset[RewardKind]({"percent_off"}))
    before = replace(before, fulfillers={"ann": (fulfiller,)})
    (live,) = before.programs.current(before.now)
    found = standing(before, live, live.rewards["monthly"], before.members["ann"], Asking())
    assert (found.refusals, str(found.gift)) == ((), gift)


@pytest.mark.parametrize(("tier", "year"), [("", 2027), ("vip", 2029)])
def test_points_of_a_vip_live_longer(tier: str, year: int) -> None:
    (wallet,) = bought(having(scene("vip-points-live-longer"), tier), 40).wallets
    # The year begins when the return window of 14 days is over.
    assert [(lot.amount, lot.expires_at) for lot in wallet.lots.values()] == [
        (40, datetime(year, 12, 10, tzinfo=BERLIN).astimezone(UTC))
    ]


@pytest.mark.parametrize(
    ("day", "amount", "points"),
    [
        ("2026-12-01", 50, 100),
        ("2027-12-24", 50, 100),
        ("2026-11-30", 50, 50),
        ("2026-12-25", 50, 50),
        ("2026-12-10", "49.99", 49),
    ],
)
def test_a_christmas_extra_every_year(day: str, amount: Any, points: int) -> None:
    at = datetime.fromisoformat(day).replace(hour=18, tzinfo=BERLIN)
    assert sum(paid(bought(scene("christmas-extra", at), amount)).values()) == points


def test_the_christmas_extra_is_paid_once_a_year() -> None:
    known = scene("christmas-extra", datetime(2026, 12, 10, 12, tzinfo=UTC))
    known = absorbed(known, bought(known, 50))
    assert paid(bought(known, 50, reference="B")) == {"purchase": 50}
    next_year = replace(known, now=datetime(2027, 12, 10, 12, tzinfo=UTC))
    assert paid(bought(next_year, 50, reference="C")) == {"purchase": 50, "christmas-extra": 50}


def test_nothing_is_earned_or_spent_after_a_program_has_ended() -> None:
    last = datetime(2027, 6, 30, 23, 59, tzinfo=BERLIN)
    known = scene("program-that-ends", last)
    decision = bought(known, 80)
    assert paid(decision) == {"purchase": 80}
    july = datetime(2027, 7, 1, tzinfo=BERLIN)
    after = bought(scene("program-that-ends", july), 80)
    assert paid(after) == {}
    assert [reason.code for reason in after.reasons] == ["ended"]
    known = replace(absorbed(known, decision), now=datetime(2027, 9, 30, 12, tzinfo=BERLIN).astimezone(UTC))
    assert decide_spend(known, "ann", "points", 80, "s", "").debit is not None
    with pytest.raises(RequestRefused, match="has ended"):
        decide_spend(replace(known, now=datetime(2027, 10, 1, tzinfo=BERLIN)), "ann", "points", 80, "s", "")


@pytest.mark.parametrize(
    ("month", "points", "takes", "discount"),
    [
        (11, 600, {"loyalty", "free-shipping"}, "24.90"),
        (11, 500, {"loyalty"}, "20.00"),
        (11, 400, {"sale", "free-shipping"}, "19.90"),
        (12, 600, {"loyalty", "free-shipping"}, "24.90"),
        (12, 50, set(), "0"),
    ],
)
def test_a_fifteen_percent_sale_never_with_the_twenty_percent_loyalty_discount(
    month: int, points: int, takes: set[str], discount: str
) -> None:
    known = scene("sale-or-loyalty", TUESDAY.replace(month=month))
    wallet = Wallet(member="ann", name="points", booked_to=known.now, sums={"active": points})
    shop = Fulfiller(connection="shop", reference="1", kinds=frozenset[RewardKind]({"percent_off", "free_shipping"}))
    known = replace(known, wallets={("ann", "points"): wallet}, fulfillers={"ann": (shop,)})
    (live,) = known.programs.current(known.now)
    standings = [standing(known, live, of, known.members["ann"]) for of in live.rewards.values()]
    cart = order(100, shipping=Decimal("4.90"))
    wanted = [("main", "loyalty"), ("main", "sale")]
    found = evaluate(cart, standings, (), {"points": points}, wanted, known.now)
    assert {taken.reward for taken in found.best.taken} == takes
    assert str(found.best.total) == discount
    assert found.given is not None
    assert found.given.refused
    if (month, points) == (11, 600):
        assert {refusal.code for of in found.given.refused.values() for refusal in of} == {"not_with"}


def rewarded(known: World, reward: str, points: int = 10_000) -> Standing:
    """A reward of an example as it stands for ann, who has so many points."""
    wallet = Wallet(member="ann", name="points", booked_to=known.now, sums={"active": points})
    shop = Fulfiller(connection="shop", reference="1", kinds=frozenset[RewardKind]({"percent_off", "amount_off"}))
    known = replace(known, wallets={("ann", "points"): wallet}, fulfillers={"ann": (shop,)})
    (live,) = known.programs.current(known.now)
    return standing(known, live, live.rewards[reward], known.members["ann"])


def test_nothing_is_claimed_after_a_program_has_ended() -> None:
    last = rewarded(scene("program-that-ends", datetime(2027, 9, 30, 23, 59, tzinfo=BERLIN)), "five-off")
    over = rewarded(scene("program-that-ends", datetime(2027, 10, 1, tzinfo=BERLIN)), "five-off")
    assert last.refusals == ()
    assert [refusal.code for refusal in over.refusals] == ["program_ended"]


def test_a_five_percent_voucher_for_the_newsletter_is_valid_for_one_month_and_given_once() -> None:
    known = scene("newsletter-voucher", datetime(2026, 3, 10, 12, tzinfo=BERLIN))
    shop = Fulfiller(connection="shop", reference="1", kinds=frozenset[RewardKind]({"percent_off"}))
    known = replace(known, fulfillers={"ann": (shop,)}, mint=lambda *_: Minted(id="r1", code="C1"))

    def subscribes(key: str, before: World) -> Decision:
        event = CustomEvent(name="newsletter", customer="1", key=key, occurred_at=before.now)
        return decide_custom(before, event, before.members["ann"], "shop")

    first = subscribes("a", known)
    (given,) = first.redemptions
    assert (given.gives, given.price, given.rule) == ("5 % off", 0, "newsletter")
    assert given.valid_until == datetime(2026, 4, 11, tzinfo=BERLIN)
    assert [command.kind for _, command in first.commands] == ["reward_issue"]
    assert subscribes("b", absorbed(known, first)).redemptions == ()


@pytest.mark.parametrize(("used", "codes"), [(29_980, []), (29_981, ["limit"])])
def test_at_most_thirty_thousand_dollars_of_discounts(used: int, codes: list[str]) -> None:
    known = scene("discount-budget", datetime(2027, 7, 1, 12, tzinfo=UTC))
    key = CounterKey("main", "campaign:summer:money/ever/all", "", "")
    found = rewarded(replace(known, counters={key: used * 10_000}), "twenty")
    assert [refusal.code for refusal in found.refusals] == codes


def test_every_example_is_played() -> None:
    played = Path(__file__).read_text()
    assert [path.stem for path in EXAMPLES.glob("*.yaml") if f'"{path.stem}"' not in played] == []
