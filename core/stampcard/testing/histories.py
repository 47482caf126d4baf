"""Strategies for property tests (they need hypothesis): what may happen to one order, under which program."""

from __future__ import annotations

from hypothesis import strategies as st

from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.testing.building import order, refund

POLICIES = ("only_pending", "within_balance", "unlimited")
TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {rounding: %s, round_per: %s, pending: %s, expire: 20 days, refunds: {policy: %s}}}
rules:
  - {id: purchase, on: purchase, award: 1.5 per 2 EUR}
  - {id: big, on: purchase, when: order.total >= 50.0, award: 10}
"""


@st.composite
def program_texts(draw: st.DrawFn) -> str:
    """Programs that differ in rounding, pending period and refund policy."""
    mode = draw(st.sampled_from(["down", "up", "half-up", "half-even"]))
    per = draw(st.sampled_from(["order", "line"]))
    return TEXT % (mode, per, draw(st.sampled_from(["none", "2 days"])), draw(st.sampled_from(POLICIES)))


@st.composite
def histories(draw: st.DrawFn) -> list[OrderSeen | RefundSeen]:
    """States of one order: placed, maybe edited, cancelled or handed to another customer, with refunds in between."""
    events: list[OrderSeen | RefundSeen] = []
    amounts = draw(st.lists(st.integers(1, 90), min_size=1, max_size=3))
    for age in range(draw(st.integers(1, 4))):
        if age:
            amounts = draw(st.just(amounts) | st.lists(st.integers(1, 90), min_size=1, max_size=3))
        snapshot = order(
            *amounts,
            age=age,
            paid=draw(st.booleans()) or age > 1,
            cancelled=draw(st.sampled_from([False, False, False, True])),
            customer=draw(st.sampled_from(["ann", "ann", "ben", None])),
        )
        events.append(OrderSeen(reference="A", snapshot=snapshot))
    for number in range(draw(st.integers(0, 3))):
        line = f"L{draw(st.integers(1, 3))}"
        given_back = draw(st.sampled_from([[], [(line, draw(st.integers(1, 60)))]]))
        events.append(RefundSeen(order="A", refund=refund(f"R{number}", given_back, money=draw(st.integers(0, 200)))))
    return events
