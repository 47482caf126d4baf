"""What the terms of a paid membership come to, and what the next one costs; pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stampcard.domain.events import CustomEvent
from stampcard.domain.plans import Subscription, Term
from stampcard.engine.subscribing import fold, products_for, renewal_price, term_of_event
from stampcard.engine.versions import LiveProgram, compiled
from stampcard.program.periods import read_period
from stampcard.program.reading import read_program
from stampcard.testing.building import LONG_AGO

TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
plans:
  plus:
    on: [subscription_started, subscription_renewed]
    lasts: 1 month
    price: 9 EUR
    renewal_price: 7 EUR
    trial: 14 days
  kept: {skus: KEPT, price: 9 EUR, price_kept: until lapse}
"""
ZONE = ZoneInfo("Europe/Berlin")
MONTH = read_period("1 month")


@pytest.fixture(scope="module")
def live() -> LiveProgram:
    return compiled(read_program(TEXT, "test"), 1, LONG_AGO)


def noon(day: date | str) -> datetime:
    day = date.fromisoformat(day) if isinstance(day, str) else day
    return datetime(day.year, day.month, day.day, 12, tzinfo=ZONE).astimezone(UTC)


def term(day: date | str, **more: Any) -> Term:
    fields = {"program": "main", "plan": "plus", "key": f"order:{day}", "kind": "bought", "lasts": "1 months"}
    return Term(**{**fields, "at": noon(day), **more})


def folded(live: LiveProgram, *terms: Term) -> Subscription:
    return fold(live, "plus", terms, (), max(one.at for one in terms))


def last_day(one: Subscription) -> str:
    assert one.paid_until is not None
    return (one.paid_until.astimezone(ZONE) - timedelta(hours=1)).date().isoformat()


def test_months_of_whoever_began_on_the_31st_end_on_the_31st_again(live: LiveProgram) -> None:
    days = ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]
    ends = [last_day(folded(live, *map(term, days[: count + 1]))) for count in range(4)]
    assert ends == ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]
    assert last_day(folded(live, term("2026-01-31", bought=2))) == "2026-03-31"


def test_what_is_of_another_length_or_was_given_is_counted_from_the_end_of_what_was_before(live: LiveProgram) -> None:
    first = term("2026-01-31")
    assert last_day(folded(live, first, term("2026-02-20", lasts="1 years"))) == "2027-02-28"
    given_ = term("2026-02-20", key="hand", kind="hand", lasts="", until=datetime(2026, 3, 9, 23, tzinfo=UTC))
    assert last_day(folded(live, first, given_)) == "2026-03-09"
    assert last_day(folded(live, first, given_, term("2026-03-05"))) == "2026-04-09"
    assert last_day(folded(live, first, term("2026-03-10"))) == "2026-04-10"  # there was a gap


@settings(max_examples=60)
@given(begun=st.dates(date(2023, 1, 1), date(2028, 12, 31)), months=st.integers(1, 30))
def test_who_pays_on_the_same_day_of_each_month_never_lapses(live: LiveProgram, begun: date, months: int) -> None:
    days = [begun, *(MONTH.model_copy(update={"count": n}).after(begun) for n in range(1, months))]
    one = folded(live, *map(term, days))
    assert one.since == noon(begun)
    assert last_day(one) == MONTH.model_copy(update={"count": months}).after(begun).isoformat()


def test_a_renewal_may_cost_something_else_than_the_first_purchase(live: LiveProgram) -> None:
    told = [
        CustomEvent(name=name, customer="1", key="k", occurred_at=noon("2026-03-10"))
        for name in live.program.plans["plus"].on
    ]
    terms = [term_of_event(live, event, event.occurred_at) for event in told]
    assert [one.price for one in terms if one is not None] == [9, 7]
    assert renewal_price(live, folded(live, term("2026-03-10", price=Decimal(9)))) == (Decimal(7), "EUR")
    trial = term("2026-03-10", key="trial", kind="trial", lasts="14 days")
    assert renewal_price(live, folded(live, trial)) == (Decimal(9), "EUR")
    kept = fold(
        live, "kept", [term("2026-03-10", plan="kept", price=Decimal(5), currency="EUR")], (), noon("2026-03-10")
    )
    assert renewal_price(live, kept) == (Decimal(5), "EUR")


@pytest.mark.parametrize(
    ("data", "plan", "asked"),
    [
        ({}, "", ("YEAR", "MONTH")),
        ({"product": "MONTH"}, "month", ()),
        ({"product": "YEAR"}, "year", ()),
        ({"product": "COFFEE"}, "", ()),
    ],
)
def test_an_event_that_several_plans_hear_is_about_the_one_whose_product_it_names(
    data: dict[str, Any], plan: str, asked: tuple[str, ...]
) -> None:
    on = "on: subscription_renewed"
    text = TEXT.partition("plans:")[0] + f"plans: {{year: {{skus: YEAR, {on}}}, month: {{skus: MONTH, {on}}}}}\n"
    two = compiled(read_program(text, "test"), 1, LONG_AGO)
    event = CustomEvent(name="subscription_renewed", customer="1", key="k", occurred_at=noon("2026-03-10"), data=data)
    found = term_of_event(two, event, event.occurred_at)
    assert (found.plan if found is not None else "", products_for(two, event)) == (plan, asked)
