"""A member's past as conditions see it: windows in the program's days, without the order at hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stampcard.domain.rewards import Redemption
from stampcard.domain.value import replace
from stampcard.engine.describing import Past, Purchase, Taken, history_variables, span, taken_of
from stampcard.program.history import WINDOWS
from stampcard.program.reading import read_program
from stampcard.testing.building import NOON, refund
from stampcard.testing.scenes import HEAD, Scene

PROGRAM = read_program(HEAD + "rates: {USD: 0.5}\nwallets: {points: {scale: 1}}\n", "the past")


def past(*bought: tuple[str, float, str]) -> Past:
    return Past(
        purchases={
            ("shop", str(number)): Purchase(
                occurred_at=datetime.fromisoformat(at).replace(tzinfo=UTC), spend=Decimal(str(spend)), currency=currency
            )
            for number, (at, spend, currency) in enumerate(bought)
        },
        taken={
            "1": Taken(at=NOON - timedelta(days=20), program="main", wallet="points", points=70),
            "2": Taken(at=NOON - timedelta(days=1), program="main", wallet="points", points=25),
            "3": Taken(at=NOON, program="main"),
            "4": Taken(at=NOON, program="another", wallet="elsewhere", points=4),
            "5": Taken(at=NOON + timedelta(minutes=1), program="main", wallet="points", points=9),
        },
        points=((NOON - timedelta(days=40), "points", 125), (NOON, "points", 30), (NOON, "elsewhere", 7)),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("history.orders.ever", 6),
        ("history.orders.today", 1),
        ("history.orders.this_week", 2),
        ("history.orders.this_month", 3),
        ("history.orders.last_month", 1),
        ("history.orders.this_year", 4),
        ("history.orders.last_year", 1),
        ("history.orders.days_7", 2),
        ("history.orders.days_30", 4),
        ("history.orders.days_90", 4),
        ("history.orders.months_12", 5),
        ("history.spend.this_month", 60.0),
        ("history.spend.ever", 1110.0),
        ("history.points.ever", 15.5),
        ("history.points.this_month", 3.0),
        ("history.redemptions.ever", 3),
        ("history.redemptions.days_7", 2),
        ("history.redemptions.last_month", 1),
        ("history.redeemed.ever", 9.5),
        ("history.redeemed.this_month", 2.5),
    ],
)
def test_a_window_counts_the_programs_days(name: str, value: float) -> None:
    # In Berlin 23:30 UTC on 28 February is 1 March.
    bought = past(
        ("2026-03-10T08:00", 10, "EUR"),
        ("2026-03-09T08:00", 20, "EUR"),
        ("2026-02-28T23:30", 60, "USD"),
        ("2026-02-11T12:00", 40, "EUR"),
        ("2025-03-11T12:00", 1000, "EUR"),
        ("2024-12-31T12:00", 10, "EUR"),
        ("2026-03-10T13:00", 5000, "EUR"),  # later than the order at hand
    )
    assert history_variables(bought, PROGRAM, frozenset({name}), NOON) == {name: value}


def test_spend_in_a_currency_without_a_rate_counts_nothing_and_the_order_at_hand_is_left_out() -> None:
    bought = past(("2026-03-10T08:00", 10, "JPY"), ("2026-03-10T09:00", 5, "EUR"))
    asked = frozenset({"history.spend.ever", "history.orders.ever"})
    assert history_variables(bought, PROGRAM, asked, NOON) == {"history.spend.ever": 5.0, "history.orders.ever": 2}
    left = history_variables(bought, PROGRAM, asked, NOON, ("shop", "1"))
    assert left == {"history.spend.ever": 0.0, "history.orders.ever": 1}


def test_a_rule_may_ask_for_the_past_and_what_it_saw_stays_with_the_order() -> None:
    rule = "rules: [{id: loyal, on: purchase, award: 5, when: history.spend.ever >= 100}]\n"
    scene = Scene("wallets: {points: {}}\n" + rule)
    assert scene.buys(60, 40, reference="A").codes == {"loyal": "condition"}
    assert scene.buys(10, reference="B").points == {"loyal": 5}
    scene.refunds("A", refund("R1", [("L1", 60)]))
    assert scene.buys(10, 1, reference="B", age=5).points == {"loyal": 5}
    assert scene.buys(10, reference="C").codes == {"loyal": "condition"}


def test_the_first_order_is_the_one_without_a_past() -> None:
    rule = "rules: [{id: first, on: purchase, award: 5, when: history.orders.ever == 0}]\n"
    scene = Scene("wallets: {points: {}}\n" + rule)
    assert scene.buys(10).points == {"first": 5}
    assert scene.buys(10).codes == {"first": "condition"}
    assert scene.buys(10, by="ben").points == {"first": 5}


@settings(max_examples=200)
@given(
    window=st.sampled_from(sorted(WINDOWS)),
    spell=st.timedeltas(timedelta(days=-2000), timedelta(days=2000)),
    later=st.timedeltas(timedelta(days=-400), timedelta(days=400)),
    zone=st.sampled_from(
        ["Europe/Berlin", "America/Havana", "America/Asuncion", "Asia/Kathmandu", "Pacific/Apia", "UTC"]
    ),
)
def test_a_window_holds_the_moments_of_its_days_wherever_clocks_change(
    window: str, spell: timedelta, later: timedelta, zone: str
) -> None:
    moment = NOON + spell
    here, day = ZoneInfo(zone), (moment + later).astimezone(ZoneInfo(zone)).date()
    first, end = WINDOWS[window](day)
    begins, over = span(window, day, here)
    assert (begins <= moment < over) == (first <= moment.astimezone(here).date() < end)


@pytest.mark.parametrize(
    ("changed", "points"),
    [
        ({}, 30),
        ({"status": "held"}, 30),
        ({"status": "used"}, 30),
        ({"status": "expired"}, 30),
        ({"status": "expired", "returns": True, "orders": ("A",)}, 30),
        ({"status": "expired", "returns": True}, None),
        ({"status": "released"}, None),
        ({"status": "revoked"}, None),
        ({"subject": "choice:r0"}, None),
    ],
)
def test_what_was_given_up_or_given_back_was_not_taken(changed: dict[str, Any], points: int | None) -> None:
    one = Redemption(
        id="r1", member="ann", program="main", version=1, reward="five", kind="amount_off", gives="5 EUR off", by="own",
        status="issued", created_at=NOON, wallet="points", price=40,
    )  # fmt: skip
    taken = taken_of(replace(one, **changed), returned=10)
    assert (taken.points if taken is not None else None) == points
