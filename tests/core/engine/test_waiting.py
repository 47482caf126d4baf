"""Points that wait for a day or for something to happen, expiry in every form, sliding, and expiry that is switched on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from stampcard.domain.tiers import Tier, TierMoved
from stampcard.domain.value import replace
from stampcard.engine.requesting import PendingAction, decide_adjust, decide_pending
from stampcard.engine.settling import settle
from stampcard.engine.versions import compiled
from stampcard.engine.waiting import date_undated, follow_tier
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.program.reading import read_program
from stampcard.testing.building import NOON, absorbed, refund
from stampcard.testing.scenes import Scene

BERLIN = ZoneInfo("Europe/Berlin")
RULE = "rules: [{id: r, on: purchase, award: 1 per 1 EUR%s}]\n"


def scene(wallet: str, rule: str = "", more: str = "") -> Scene:
    return Scene(f"wallets: {{points: {{{wallet}}}}}\n{more}" + RULE % rule)


def midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=BERLIN).astimezone(UTC)


INSTANT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("expire", "dies"),
    [
        ("10 days", "2026-03-21"),
        ("'1 month, end of month'", "2026-05-01"),
        ('"on 06-30, 12-31"', "2026-07-01"),
        ("end of month", "2026-04-01"),
        ('"12 months after last earn"', "2027-03-11"),
    ],
)
def test_points_die_at_the_midnight_after_their_last_day(expire: str, dies: str) -> None:
    played = scene(f"expire: {expire}").buys(10)
    assert played.active(at=midnight(dies) - INSTANT) == 10
    assert played.active(at=midnight(dies)) == 0
    assert played.balance(at=midnight(dies)).expired == 10


def test_a_rule_may_let_its_points_live_and_wait_otherwise() -> None:
    assert scene("expire: 10 days", ", expire: none").buys(10).active(at=midnight("2036-01-01")) == 10
    played = scene("pending: 14 days", ", pending: none, expire: 5 days").buys(10)
    assert played.active() == 10
    assert played.active(at=midnight("2026-03-16")) == 0


def test_points_wait_until_a_day_of_the_year() -> None:
    played = scene("pending: until 03-20, expire: 1 month").buys(10)
    assert played.balance(at=midnight("2026-03-21") - INSTANT).pending == 10
    assert played.active(at=midnight("2026-03-21")) == 10
    assert played.active(at=midnight("2026-04-22")) == 0


WAITING = "pending: 'until fulfilled, at most 10 days', expire: 1 month"


def test_points_wait_until_their_order_is_fulfilled_and_their_expiry_counts_from_then() -> None:
    played = scene(WAITING).buys(10, reference="A").wait(days=3)
    assert played.balance().pending == 10
    played.buys(10, reference="A", age=60, fulfilled_at=NOON + timedelta(days=3))
    assert (played.active(), played.balance().pending) == (10, 0)
    assert played.active(at=midnight("2026-04-14") - INSTANT) == 10
    assert played.active(at=midnight("2026-04-14")) == 0


def test_an_order_that_is_fulfilled_when_it_is_first_heard_of_waits_for_nothing() -> None:
    assert scene(WAITING).buys(10, fulfilled_at=NOON).active() == 10


def test_points_that_wait_in_vain_lapse_and_a_refund_then_takes_nothing_else() -> None:
    played = scene(WAITING).buys(10, reference="A").buys(10, reference="B", fulfilled_at=NOON)
    lapsed = midnight("2026-03-21")
    assert played.balance(at=lapsed - INSTANT).pending == 10
    assert (played.balance(at=lapsed).pending, played.balance(at=lapsed).expired) == (0, 10)
    played.wait(days=30)
    played.refunds("A", refund("R1", [("L1", 10)]))
    assert (played.active(), played.balance().lifetime) == (10, 10)


def test_an_event_that_names_its_order_frees_that_orders_points() -> None:
    more = "events: {window_over: {order: string}}\n"
    played = scene("pending: 'until window_over, at most 60 days'", more=more)
    played.buys(10, reference="A").buys(20, reference="B")
    played.does("window_over", data={"order": "A"})
    assert (played.active(), played.balance().pending) == (10, 20)
    played.does("window_over", data={"order": "unknown"}).does("window_over")
    assert played.active() == 10


def test_freed_points_pay_debt_first() -> None:
    played = scene(WAITING + ", refunds: {policy: unlimited}")
    played.buys(30, reference="A", fulfilled_at=NOON).spends(30)
    played.buys(20, reference="B")
    played.refunds("A", refund("R1", [("L1", 30)]))
    assert played.balance().negative == 30
    played.buys(20, reference="B", age=5, fulfilled_at=NOON)
    assert (played.balance().negative, played.active()) == (10, 0)


@pytest.mark.parametrize("reset", ["earn", "spend", "visit"])
def test_each_named_thing_gives_all_living_points_a_new_date(reset: str) -> None:
    played = scene(f"expire: 10 days after last {reset}")
    played.buys(50, at=NOON)
    first = midnight("2026-03-21")
    assert played.active(at=first) == 0
    played.wait(days=5)
    if reset == "earn":
        played.buys(10, at=NOON + timedelta(days=6))
    elif reset == "spend":
        played.spends(10)
    else:
        played.does("visit")
    assert played.active(at=first) > 0
    assert played.active(at=midnight("2026-03-27") - INSTANT) > 0
    assert played.active(at=midnight("2026-03-27")) == 0


def in_tier(played: Scene, name: str) -> Scene:
    """The same with Ann in that tier."""
    ann = replace(played.world.members["ann"], tiers={"main": Tier(program="main", name=name, since=NOON)})
    played.world = replace(played.world, members={**played.world.members, "ann": ann})
    return played


TIERS = "tiers: {by: proof, levels: {green: {}, gold: {}}}\n"


def test_points_of_a_rule_slide_as_it_says_and_those_beside_them_do_not() -> None:
    played = scene("expire: 10 days", ", expire: 20 days after last visit", "").buys(10).wait(days=5).does("visit")
    assert played.active(at=midnight("2026-04-06") - INSTANT) == 10
    assert played.active(at=midnight("2026-04-06")) == 0
    played = scene("expire: 20 days after last visit", ", expire: 10 days").buys(10).wait(days=5).does("visit")
    assert played.active(at=midnight("2026-03-21")) == 0


@pytest.mark.parametrize(
    ("tier", "earned", "slid"), [("green", "2026-03-21", "2026-03-27"), ("gold", "2026-04-10", "2026-04-16")]
)
def test_points_slide_by_the_tier_of_their_member(tier: str, earned: str, slid: str) -> None:
    wallet = "expire: 10 days after last visit, expire_by_tier: {gold: 30 days after last visit}"
    played = in_tier(scene(wallet, more=TIERS), tier).buys(10)
    assert (played.active(at=midnight(earned) - INSTANT), played.active(at=midnight(earned))) == (10, 0)
    played.wait(days=5).does("visit")
    assert (played.active(at=midnight(slid) - INSTANT), played.active(at=midnight(slid))) == (10, 0)


def test_points_of_before_a_tier_whose_points_live_for_ever_go_on_sliding() -> None:
    wallet = "expire: 10 days after last visit, expire_by_tier: {gold: none}"
    played = in_tier(scene(wallet, more=TIERS).buys(10), "gold").buys(5).wait(days=5).does("visit")
    assert played.active(at=midnight("2026-03-27") - INSTANT) == 15
    assert played.active(at=midnight("2036-03-27")) == 5


def test_points_that_are_freed_or_given_live_as_the_tier_of_their_member_says() -> None:
    wallet = "pending: 'until fulfilled, at most 10 days', expire: 10 days, expire_by_tier: {gold: none}"
    played = in_tier(scene(wallet, more=TIERS), "gold").buys(10, reference="A")
    played.buys(10, reference="A", age=60, fulfilled_at=NOON + timedelta(days=1))
    played.world = absorbed(played.world, decide_adjust(played.world, "ann", "points", 7, "gift", "a gift"))
    assert played.active(at=midnight("2036-03-10")) == 17


def followed(played: Scene, before: str, tier: str) -> Scene:
    """The same after Ann's tier has changed."""
    moved = TierMoved(program="main", way="up", tier=tier, before=before, occurred_at=played.world.now, number=1)
    played.world = absorbed(played.world, follow_tier(in_tier(played, tier).world, moved, "ann"))
    return played


def test_points_follow_the_tier_of_their_member_where_the_wallet_says_so() -> None:
    wallet = "expire: 10 days, expire_by_tier: {gold: none}"
    rule = "}, {id: own, on: purchase, award: 3, expire: 5 days"
    kept = followed(scene(f"{wallet}, when_tier_changes: keep", more=TIERS).buys(10), "green", "gold")
    assert kept.active(at=midnight("2026-03-21")) == 0
    played = followed(scene(f"{wallet}, when_tier_changes: follow", rule, TIERS).buys(10), "green", "gold")
    assert played.active(at=midnight("2036-03-21")) == 10  # what a rule says itself stays
    assert played.active(at=midnight("2026-03-16") - INSTANT) == 13
    followed(played.wait(days=30), "gold", "green")  # a full period from that day
    assert played.active(at=midnight("2026-04-21") - INSTANT) == 10
    assert played.active(at=midnight("2026-04-21")) == 0


def test_nothing_dies_earlier_because_a_tier_changes() -> None:
    wallet = "expire: 10 days, expire_by_tier: {gold: 90 days}, when_tier_changes: follow"
    played = followed(in_tier(scene(wallet, more=TIERS), "gold").buys(10), "gold", "green")
    assert played.active(at=midnight("2026-06-09") - INSTANT) == 10
    assert followed(played, "green", "green").active(at=midnight("2026-06-09")) == 0


def test_what_happened_earlier_moves_no_date_back() -> None:
    played = scene("expire: 10 days after last earn")
    played.buys(50, at=NOON)
    played.buys(1, at=NOON - timedelta(days=4))
    assert played.active(at=midnight("2026-03-21") - INSTANT) == 51


def test_when_expiry_is_switched_on_points_get_one_full_period_from_that_day() -> None:
    rules = "rules: [{id: r, on: purchase, award: 10}, {id: kept, on: purchase, award: 3, expire: none}]\n"
    head = "program: main\ncurrency: EUR\ntimezone: Europe/Berlin\n"
    played = Scene("wallets: {points: {}}\n" + rules).buys(5)
    live = compiled(read_program(f"{head}wallets: {{points: {{expire: 1 month}}}}\n{rules}", "new"), 2, NOON)
    since = datetime(2027, 6, 1, 9, tzinfo=UTC)

    dated = date_undated(played.world.wallets["ann", "points"], live, since)

    assert settle(dated, midnight("2027-07-02") - INSTANT)[0].sums["active"] == 13
    assert settle(dated, midnight("2027-07-02"))[0].sums["active"] == 3
    assert date_undated(dated, live, since) is dated


def test_when_expiry_is_switched_on_a_member_of_a_tier_whose_points_live_for_ever_keeps_them() -> None:
    played = scene("", more=TIERS).buys(5)
    text = "wallets: {points: {expire: 1 month, expire_by_tier: {gold: none}}}\n" + TIERS + RULE % ""
    (live,) = Scene(text).world.programs.current(NOON)
    wallet = played.world.wallets["ann", "points"]
    assert date_undated(wallet, live, NOON, "gold") is wallet
    assert [lot.expires_at for lot in date_undated(wallet, live, NOON, "green").lots.values()] == [
        midnight("2026-04-11")
    ]


def test_a_member_who_changes_nothing_keeps_every_date() -> None:
    played = scene("expire: 10 days").buys(10)
    wallet = played.world.wallets["ann", "points"]
    live = played.world.programs.current(NOON)[0]
    assert date_undated(wallet, live, NOON) is wallet
    assert date_undated(replace(wallet, lots={}), live, NOON).lots == {}


def test_points_that_wait_can_be_activated_cancelled_and_rescheduled_by_hand() -> None:
    played = scene("pending: 30 days, expire: 1 month").buys(10).buys(20).buys(40)
    wallet = ("ann", "points")

    def by_hand(number: int, action: PendingAction, until: datetime | None = None) -> None:
        decision = decide_pending(played.world, played.world.wallets[wallet], number, action, until, "a call")
        played.world = absorbed(played.world, decision)

    by_hand(1, "activate")
    by_hand(2, "cancel")
    by_hand(3, "reschedule", midnight("2026-05-01"))

    balance = played.balance()
    assert (balance.active, balance.pending, balance.expired) == (10, 40, 20)
    assert played.active(at=midnight("2026-04-12")) == 0, "a month from the day they became usable"
    assert played.balance(at=midnight("2026-05-01") - INSTANT).pending == 40
    assert played.active(at=midnight("2026-05-01")) == 40
    with pytest.raises(Conflict, match="do not wait"):
        by_hand(1, "cancel")
    with pytest.raises(NotFound, match="no lot"):
        by_hand(9, "cancel")
    with pytest.raises(RequestRefused, match="until when"):
        by_hand(3, "reschedule", NOON)


def test_points_that_are_given_by_hand_may_wait() -> None:
    played = scene("expire: 1 month").buys(5)
    decision = decide_adjust(played.world, "ann", "points", 50, "a1", "sorry", midnight("2026-04-01"))
    played.world = absorbed(played.world, decision)
    assert (played.active(), played.balance().pending) == (5, 50)
    assert played.active(at=midnight("2026-05-02") - INSTANT) == 50
    assert played.active(at=midnight("2026-05-02")) == 0
