"""Strategies for property tests (they need hypothesis): what may happen to one order, under which program."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st

from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.testing.building import NOON, order, refund

POLICIES = ("only_pending", "within_balance", "unlimited")
TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets:
  points: {rounding: %s, round_per: %s, pending: %s, expire: 20 days, refunds: {policy: %s}}
groups: {both: {limits: %s}}
campaigns: {spring: {limits: ["400 EUR ever, in all"]}}
rules:
  - {id: purchase, on: purchase, award: 1.5 per 2 EUR, groups: both, limits: %s}
  - {id: big, on: purchase, when: order.total >= 50.0, award: 10, groups: both, stack: %s}
  - {id: tried, on: purchase, award: 2 per item, campaign: spring, cooldown: %s}
  - {id: double, on: purchase, when: order.total >= 80.0, award: x2, stack: %s, priority: %s}
  - {id: odd, on: purchase, award: 7, when: "member.attributes.size() > 0 || order.lines[1].gross > 5.0"}
  - {id: sorry, on: refund, award: 3, expire: none}
"""
_LIMITS = ("[]", "[60 points per month]", "['90 points ever, in all, reject']", "[2 times ever]", "['100 EUR per day']", "[1 members ever]")  # fmt: skip


@st.composite
def program_texts(draw: st.DrawFn) -> str:
    """Programs that differ in rounding, pending period, refund policy, limits, stacking and cooldown."""
    stack = st.sampled_from(["add", "best", "stop"])
    waiting = ["none", "2 days", "until 03-20", '"until fulfilled, at most 3 days"']
    return TEXT % (
        draw(st.sampled_from(["down", "up", "half-up", "half-even"])),
        draw(st.sampled_from(["order", "line"])),
        draw(st.sampled_from(waiting)),
        draw(st.sampled_from(POLICIES)),
        draw(st.sampled_from(_LIMITS)),
        draw(st.sampled_from(_LIMITS)),
        draw(stack),
        draw(st.sampled_from(["none", "1 hour"])),
        draw(stack),
        draw(st.sampled_from(["0", "-1"])),
    )


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
            fulfilled_at=draw(st.sampled_from([None, None, NOON + timedelta(minutes=30)])),
        )
        events.append(OrderSeen(reference="A", snapshot=snapshot))
    for number in range(draw(st.integers(0, 3))):
        line = f"L{draw(st.integers(1, 3))}"
        given_back = draw(st.sampled_from([[], [(line, draw(st.integers(1, 60)))]]))
        events.append(RefundSeen(order="A", refund=refund(f"R{number}", given_back, money=draw(st.integers(0, 200)))))
    return events
