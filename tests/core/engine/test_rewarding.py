"""What a reward is for a member now: price, gift, validity, and everything that stands against it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from stampcard.domain.members import Member
from stampcard.domain.orders import OrderLine
from stampcard.domain.rewards import Fulfiller, RewardKind
from stampcard.domain.tiers import Tier
from stampcard.domain.value import replace
from stampcard.domain.wallets import Wallet
from stampcard.engine.counting import CounterKey
from stampcard.engine.rewarding import Asking, Standing, standing
from stampcard.engine.world import World
from stampcard.errors import RequestRefused
from stampcard.testing.building import LONG_AGO, NOON, order, world

HEAD = "program: main\ncurrency: EUR\ntimezone: Europe/Berlin\nattributes: {colour: string}\nwallets: {points: {}, miles: {}}\n"
KINDS: tuple[RewardKind, ...] = ("amount_off", "percent_off", "gift_card")


def scene(reward: str, *, more: str = "", points: int = 1000, now: datetime = NOON, **attributes: Any) -> World:
    made = world(f"{HEAD}{more}rewards:\n  it: {{{reward}}}\n  mug: {{gives: merchandise}}\n", now=now)
    person = Member(id="ann", joined_at=LONG_AGO, attributes=attributes, programs=frozenset({"main"}))
    wallet = Wallet(member="ann", name="points", booked_to=now, sums={"active": points})
    fulfiller = Fulfiller(connection="shop", reference="7", kinds=frozenset(KINDS))
    return replace(made, members={"ann": person}, wallets={("ann", "points"): wallet}, fulfillers={"ann": (fulfiller,)})


def look(made: World, **asking: Any) -> Standing:
    (live,) = made.programs.current(made.now)
    return standing(made, live, live.rewards["it"], made.members["ann"], Asking(**asking))


def codes(made: World, **asking: Any) -> list[str]:
    return [refusal.code for refusal in look(made, **asking).refusals]


BASE = "gives: 5 EUR off, wallet: points, price: 100"


def test_a_reward_that_nothing_stands_against_tells_its_price_and_who_makes_it_real() -> None:
    found = look(scene(BASE))
    assert (found.refusals, found.price, found.missing, found.by, found.reference) == ((), 100, 0, "shop", "7")


@pytest.mark.parametrize(
    ("gives", "kind", "by"),
    [
        ("gives: 5 EUR off", "amount_off", "shop"),
        ("gives: 10 % off", "percent_off", "shop"),
        ('gives: "10 % off, at most 30 EUR"', "percent_off", "shop"),
        ("gives: free shipping, by: own", "free_shipping", "own"),
        ('gives: "free product, worth 12 EUR", by: pool', "free_product", "pool"),
        ("gives: free product, by: manual", "free_product", "manual"),
        ("gives: gift card 25 EUR", "gift_card", "shop"),
        ("gives: store credit 5 EUR, by: manual", "store_credit", "manual"),
        ("gives: cash 10 EUR", "cash_out", "manual"),
        ("gives: experience", "experience", "manual"),
        ("gives: merchandise", "merchandise", "manual"),
        ("gives: 200 to miles", "points", ""),
        ('gives: "choice of mug, mug", by: ""', "choice", ""),
        ("gives: custom ride, by: own", "custom", "own"),
    ],
)
def test_every_kind_has_somebody_who_makes_it_real(gives: str, kind: str, by: str) -> None:
    found = look(scene(f"{gives}, wallet: points, price: 1"))
    assert (found.gift.kind, found.by, found.refusals) == (kind, by, ())


@pytest.mark.parametrize(
    ("reward", "code"),
    [
        ("gives: 5 EUR off, wallet: points, price: 1001", "insufficient_points"),
        ("gives: 5 EUR off", "not_for_points"),
        (f"{BASE}, enabled: false", "stopped"),
        (f"{BASE}, when: member.attributes.colour == 'red'", "condition"),
        (f"{BASE}, during: {{dates: 2026-04-01..2026-04-30}}", "not_now"),
        (f"{BASE}, who: {{members: [ben]}}", "not_for_this_member"),
        (f"{BASE}, countries: [AT, CH]", "other_country"),
        (f"{BASE}, when: order.total >= 20.0", "cart_needed"),
        (f"{BASE}, stock: 0", "sold_out"),
        (f"{BASE}, limits: 50 points ever", "limit"),
        ("gives: free shipping, wallet: points, price: 1", "shop_cannot"),
        (f"{BASE}, by: till", "not_at_shop"),
    ],
)
def test_what_stands_against_a_reward_is_said(reward: str, code: str) -> None:
    assert codes(scene(reward, colour="blue", country="DE")) == [code]


def test_everything_that_stands_against_it_is_said_at_once() -> None:
    made = scene(f"{BASE}, stock: 0, enabled: false", points=7)
    assert codes(made) == ["stopped", "sold_out", "insufficient_points"]
    assert look(made).missing == 93


def test_the_first_price_that_fits_replaces_the_price() -> None:
    reward = (
        f"{BASE}, prices: [{{when: member.attributes.colour == 'red', price: 50}}, "
        "{during: {weekdays: [tue]}, price: 70}]"
    )
    assert look(scene(reward, colour="red")).price == 50
    assert look(scene(reward, colour="blue")).price == 70
    assert look(scene(reward, colour="blue", now=NOON + timedelta(days=1))).price == 100


TIERS = "tiers: {by: spend, levels: {gold: 500}}\n"


def test_a_price_for_a_tier_is_for_those_who_have_it() -> None:
    made = scene(f"{BASE}, prices: [{{tier: gold, price: 1}}]", more=TIERS)
    assert look(made).price == 100
    gold = Tier(program="main", name="gold", since=NOON)
    ann = replace(made.members["ann"], tiers={"main": gold})
    assert look(replace(made, members={"ann": ann})).price == 1


def test_what_ends_for_others_may_have_no_end_for_a_tier() -> None:
    made = scene(f"{BASE}, valid: 30 days, values: [{{tier: gold, valid: none}}]", more=TIERS)
    ann = replace(made.members["ann"], tiers={"main": Tier(program="main", name="gold", since=NOON)})
    assert str(look(made).valid) == "30 days"
    assert look(replace(made, members={"ann": ann})).valid is None


def test_the_value_and_validity_may_change_by_hour_and_condition() -> None:
    reward = (
        f"{BASE}, valid: 30 days, values: [{{during: {{hours: '12:00-14:00'}}, gives: 8 EUR off}}, "
        "{tier: gold, gives: 9 EUR off}, {when: member.attributes.colour == 'red', valid: 90 days}]"
    )
    lunch = look(scene(reward, more=TIERS, now=datetime(2026, 3, 10, 12, 30, tzinfo=UTC), colour="red"))
    evening = look(scene(reward, more=TIERS, now=datetime(2026, 3, 10, 18, tzinfo=UTC), colour="red"))
    assert (str(lunch.gift), str(lunch.valid)) == ("8 EUR off", "30 days")
    assert (str(evening.gift), str(evening.valid)) == ("5 EUR off", "90 days")


@pytest.mark.parametrize(
    ("valid", "last"),
    [
        ("valid: none", None),
        ("valid: 30 days", datetime(2026, 4, 9, 22, tzinfo=UTC)),
        ("valid: 1 months", datetime(2026, 4, 10, 22, tzinfo=UTC)),
        ("valid: 1 years", datetime(2027, 3, 10, 23, tzinfo=UTC)),
        ("valid: '1 month, end of month'", datetime(2026, 4, 30, 22, tzinfo=UTC)),
        ("valid: end of day", datetime(2026, 3, 10, 23, tzinfo=UTC)),
        ("valid: on 12-31", datetime(2026, 12, 31, 23, tzinfo=UTC)),
    ],
)
def test_the_last_valid_day_is_inclusive_in_the_programs_zone(valid: str, last: datetime | None) -> None:
    assert look(scene(f"{BASE}, {valid}")).valid_until(NOON) == last


def test_a_condition_on_the_cart_sees_the_cart_in_the_programs_money_alone() -> None:
    made = scene(f"{BASE}, when: \"order.total >= 20.0 && order.lines.exists(l, l.sku == 'A')\"")
    fits = order(lines=(OrderLine(reference="1", quantity=1, gross=Decimal(25), sku="A"),))
    other = order(lines=(OrderLine(reference="1", quantity=1, gross=Decimal(25), sku="B"),))
    assert codes(made, cart=fits) == []
    assert codes(made, cart=other) == ["condition"]
    assert codes(made, cart=replace(fits, currency="USD")) == ["condition_failed"]


def test_counters_of_stock_limits_and_campaign_each_stop_at_their_most() -> None:
    more = "campaigns: {spring: {limits: '10 EUR ever, in all'}}\n"
    made = scene(f"{BASE}, stock: 3, limits: [2 times per month, 500 members ever], campaign: spring", more=more)

    def counted(scope: str, period: str, member: str, value: int) -> list[str]:
        return codes(replace(made, counters={CounterKey("main", scope, period, member): value}))

    assert look(made).left == 3
    assert counted("reward:it:stock", "", "", 2) == []
    assert counted("reward:it:stock", "", "", 3) == ["sold_out"]
    assert counted("reward:it:times/month/member", "2026-03", "ann", 2) == ["limit"]
    assert counted("reward:it:members/ever/all", "", "", 500) == ["limit"]
    assert counted("campaign:spring:money/ever/all", "", "", 5 * 10_000) == []
    assert counted("campaign:spring:money/ever/all", "", "", 6 * 10_000) == ["limit"]


def test_a_campaign_that_is_over_or_stopped_takes_its_rewards_with_it() -> None:
    over = scene(f"{BASE}, campaign: spring", more="campaigns: {spring: {during: {dates: 2026-01-01..2026-01-31}}}\n")
    assert codes(over) == ["not_now"]
    running = scene(f"{BASE}, campaign: spring", more="campaigns: {spring: {}}\n")
    assert codes(running) == []
    stopped = replace(running, programs=replace(running.programs, stopped=frozenset({"campaign:main/spring"})))
    assert codes(stopped) == ["stopped"]


def test_a_reward_that_is_switched_off_is_stopped_for_everybody() -> None:
    made = scene(BASE)
    for target in ("reward:main/it", "program:main"):
        assert codes(replace(made, programs=replace(made.programs, stopped=frozenset({target})))) == ["stopped"]


def test_after_the_last_day_to_redeem_nothing_can_be_claimed() -> None:
    ending = "state: ending\nending: {last_earn: 2026-03-01, last_redeem: 2026-03-10}\n"
    assert codes(scene(BASE, more=ending)) == []
    assert codes(scene(BASE, more=ending, now=NOON + timedelta(days=1))) == ["program_ended"]


def test_the_connection_that_is_asked_through_comes_before_others() -> None:
    made = scene(BASE)
    shops = tuple(Fulfiller(connection=name, reference=name, kinds=frozenset(KINDS)) for name in ("a", "b"))
    both = replace(made, fulfillers={"ann": shops})
    assert (look(both).by, look(both, at="b").by) == ("a", "b")


def test_a_plugin_may_work_out_the_price() -> None:
    made = scene("gives: 5 EUR off, wallet: points, price: formula surge")
    assert [(one.code, one.detail) for one in look(made).refusals] == [
        ("no_price", "no plugin knows the price formula 'surge'")
    ]
    priced = replace(made, price_of=lambda formula, reward, member, _: Decimal(f"{len(formula + reward + member.id)}"))
    assert look(priced).price == len("surge" + "it" + "ann")


def test_a_price_that_a_plugin_cannot_tell_stands_against_that_reward_alone() -> None:
    def fail(*_: object) -> Decimal:
        raise RequestRefused("plugin_failed", "surge is suspended")

    made = replace(scene("gives: 5 EUR off, wallet: points, price: formula surge"), price_of=fail)
    assert (look(made).price, codes(made)) == (None, ["plugin_failed"])
