"""What an import gives and takes back, without a database."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.domain.imports import Row
from stampcard.domain.tiers import Tier
from stampcard.domain.value import replace
from stampcard.domain.wallets import Wallet
from stampcard.engine.gauging import Counted, Ladder
from stampcard.engine.importing import brought_tier, decide_import, decide_undo, lifetime_of
from stampcard.engine.tiering import assess, taken_back
from stampcard.engine.versions import LiveProgram
from stampcard.testing.building import LONG_AGO, NOON, programs, world

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {expire: 12 months}}
tiers: {by: spend, within: 12 months, held: 12 months, levels: {bronze: 0, silver: 500, gold: 1500}}
rules: [{id: buy, on: purchase, award: 1 per 1 EUR}]
"""
LIVE: LiveProgram = programs(PROGRAM).versions["main"][0]
NOBODY = Counted(joined_at=LONG_AGO)
SOON, LATE = NOON + timedelta(days=30), NOON + timedelta(days=900)


def ladder() -> Ladder:
    assert LIVE.ladder is not None
    return LIVE.ladder


def bronze() -> Tier:
    return assess(ladder(), Tier(program="main", name="", since=NOON), NOBODY, NOON)[0]


def bring(tier: Tier, name: str, until: datetime | None) -> Tier:
    return brought_tier(ladder(), tier, name, until, NOBODY, NOON)[0]


def test_a_tier_is_had_until_the_day_that_it_was_promised() -> None:
    tier, moved, holding = brought_tier(ladder(), bronze(), "gold", SOON, NOBODY, NOON)
    assert (tier.name, tier.until, tier.by_hand, [one.way for one in moved]) == ("gold", SOON, True, ["up"])
    assert (holding.name, holding.until) == ("gold", SOON)
    assert assess(ladder(), tier, NOBODY, SOON)[0].name == "bronze"


def test_a_tier_without_an_end_is_had_as_long_as_the_program_holds_it() -> None:
    assert bring(bronze(), "gold", None).until == datetime.fromisoformat("2027-03-10T23:00Z")


def test_the_same_tier_for_longer_prolongs_it_and_for_shorter_is_what_stays_behind() -> None:
    tier = bring(bring(bronze(), "gold", SOON), "gold", LATE)
    assert tier.until == LATE
    shorter = bring(tier, "gold", SOON + timedelta(days=1))
    assert (shorter.until, len(shorter.holdings)) == (LATE, len(tier.holdings) + 1)


def test_a_lower_tier_for_longer_is_what_the_member_falls_back_to() -> None:
    tier = bring(bring(bronze(), "gold", SOON), "silver", LATE)
    assert (tier.name, tier.until) == ("gold", SOON)
    assert assess(ladder(), tier, NOBODY, SOON)[0].name == "silver"


@pytest.mark.parametrize(
    ("name", "until", "left"), [("gold", SOON, "silver"), ("silver", LATE, "gold"), ("gold", LATE, "gold")]
)
def test_one_tier_is_taken_back_and_the_others_stay(name: str, until: datetime, left: str) -> None:
    tier = bring(bring(bronze(), "gold", SOON), "silver", LATE)
    assert taken_back(ladder(), tier, name, until, NOBODY, NOON)[0].name == left


def test_points_keep_their_own_dates_and_get_the_wallets_where_they_have_none() -> None:
    row = Row(line=2, wallet="points", points=5, available_from=SOON, expires_at=LATE)
    assert (lifetime_of(LIVE, row, NOON).available_from, lifetime_of(LIVE, row, NOON).expires_at) == (SOON, LATE)
    undated = lifetime_of(LIVE, replace(row, expires_at=None, available_from=LONG_AGO), NOON)
    assert undated.expires_at == datetime.fromisoformat("2027-03-10T23:00Z")
    assert lifetime_of(LIVE, replace(row, expires_at=None, forever=True), NOON).expires_at is None


def test_points_pay_debt_first_and_what_paid_it_stays_paid() -> None:
    owing = Wallet(member="ann", name="points", booked_to=NOON, sums={"debt": -3, "redeemed": 3}, entries=1)
    here = replace(world(PROGRAM), wallets={("ann", "points"): owing})
    rows = [Row(line=2, wallet="points", points=2), Row(line=3, wallet="points", points=5)]
    decision, lots = decide_import(here, LIVE, "ann", rows, "import:i_1")
    assert lots == [None, 1]
    (wallet,) = decision.wallets
    assert wallet.sums == {"debt": 0, "redeemed": 3, "imported": -7, "active": 4}

    after, returned = decide_undo(
        replace(here, wallets={("ann", "points"): wallet}), "ann", {("points", 1)}, "import:i_1"
    )
    assert [(one.lot, one.points) for one in returned] == [(1, 4)]
    assert after.wallets[0].sums == {"debt": 0, "redeemed": 3, "imported": -3, "active": 0}


@given(st.lists(st.integers(1, 100), min_size=1, max_size=6))
def test_what_is_brought_and_taken_back_leaves_nothing(amounts: list[int]) -> None:
    rows = [Row(line=n, wallet="points", points=points) for n, points in enumerate(amounts)]
    decision, lots = decide_import(world(PROGRAM), LIVE, "ann", rows, "import:i_1")
    (wallet,) = decision.wallets
    assert wallet.sums == {"imported": -sum(amounts), "active": sum(amounts)}
    there = replace(world(PROGRAM), wallets={("ann", "points"): wallet})
    undone, _ = decide_undo(there, "ann", {("points", lot) for lot in lots if lot is not None}, "import:i_1")
    assert set(undone.wallets[0].sums.values()) == {0}
    assert all(sum(entry.postings.values()) == 0 for entry in (*decision.entries, *undone.entries))
