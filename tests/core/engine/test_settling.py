from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from stampcard.domain.events import OrderSeen
from stampcard.domain.value import replace
from stampcard.domain.wallets import balance_of
from stampcard.engine.dating import lifetime, midnight
from stampcard.engine.deciding import decide_order
from stampcard.engine.settling import settle
from stampcard.program.lifetimes import read_expiry
from stampcard.testing.building import NOON, absorbed, order, world

BERLIN = ZoneInfo("Europe/Berlin")
TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {pending: 2 days, expire: 1 months}}
rules: [{id: purchase, on: purchase, award: 1 per 1 EUR}]
"""


def test_points_wait_the_pending_days_and_die_after_their_last_valid_day() -> None:
    scene = world(TEXT)
    event = OrderSeen(reference="A", snapshot=order(10))
    scene = absorbed(scene, decide_order(scene, event, "shop", "ann", NOON))
    wallet = scene.wallets["ann", "points"]
    # Bought on 10 March: 12 March is the last pending day, 13 April the last valid one.
    active_from = datetime(2026, 3, 13, tzinfo=BERLIN).astimezone(UTC)
    dead_from = datetime(2026, 4, 14, tzinfo=BERLIN).astimezone(UTC)

    def figures(at: datetime) -> tuple[int, int, int]:
        balance = balance_of(settle(wallet, at)[0].sums, 0)
        return balance.pending, balance.active, balance.expired

    instant = timedelta(microseconds=1)
    assert figures(active_from - instant) == (10, 0, 0)
    assert figures(active_from) == (0, 10, 0)
    assert figures(dead_from - instant) == (0, 10, 0)
    assert figures(dead_from) == (0, 0, 10)


def test_each_midnight_has_its_own_entry_with_the_moment_it_took_effect() -> None:
    scene = world(TEXT)
    scene = absorbed(scene, decide_order(scene, OrderSeen(reference="A", snapshot=order(10)), "shop", "ann", NOON))

    _, entries = settle(scene.wallets["ann", "points"], NOON + timedelta(days=90))

    assert [(entry.kind, entry.occurred_at.astimezone(BERLIN).date()) for entry in entries] == [
        ("activate", date(2026, 3, 13)),
        ("expire", date(2026, 4, 14)),
    ]


@pytest.mark.parametrize(
    ("bought", "expire", "last_day"),
    [
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "1 months", date(2026, 2, 28)),
        (datetime(2024, 2, 29, 12, tzinfo=UTC), "1 years", date(2025, 2, 28)),
        (datetime(2026, 3, 28, 22, 30, tzinfo=UTC), "1 days", date(2026, 3, 29)),  # the clock goes forward that night
        (datetime(2026, 3, 28, 23, 30, tzinfo=UTC), "1 days", date(2026, 3, 30)),  # half past midnight in Berlin
    ],
)
def test_the_last_valid_day_follows_the_calendar_of_the_programs_zone(
    bought: datetime, expire: str, last_day: date
) -> None:
    dates = lifetime(read_expiry(expire), None, BERLIN, bought)

    assert dates.expires_at == midnight(last_day + timedelta(days=1), BERLIN)


def test_a_day_that_has_no_midnight_begins_when_the_clock_has_jumped() -> None:
    beirut = ZoneInfo("Asia/Beirut")

    began = midnight(date(2026, 3, 29), beirut)

    assert began.astimezone(beirut).isoformat() == "2026-03-29T01:00:00+03:00"


def test_a_wallet_that_is_due_although_no_lot_of_it_is_is_refused_instead_of_settled_for_ever() -> None:
    scene = world(TEXT)
    scene = absorbed(scene, decide_order(scene, OrderSeen(reference="A", snapshot=order(10)), "shop", "ann", NOON))
    wallet = scene.wallets["ann", "points"]

    with pytest.raises(ValueError, match=r"is due at .*, but no lot of it is"):
        settle(replace(wallet, lots={}), NOON + timedelta(days=90))
