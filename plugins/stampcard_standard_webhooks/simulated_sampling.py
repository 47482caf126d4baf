"""One realistic webhook of each kind, about customers and orders made for it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import datetime

from stampcard.testing.simulator import Tally
from stampcard_standard_webhooks.simulated_bodies import (
    Body,
    consent_body,
    customer_body,
    erasure_body,
    event_body,
    merger_body,
    order_body,
    request_body,
)
from stampcard_standard_webhooks.simulated_book import Book, Customer
from stampcard_standard_webhooks.simulated_trade import TillPlan, Trade

#: Our topic to the turns of an order that lead up to it.
_ORDERS: Mapping[str, tuple[str, ...]] = {
    "order.created": (),
    "order.paid": ("pay",),
    "order.updated": ("pay", "send"),
    "order.edited": ("pay", "add"),
    "order.refunded": ("pay", "send", "return_some"),
    "order.cancelled": ("pay", "cancel"),
}
#: And to what is told of a person.
_PEOPLE: Mapping[str, Callable[[Customer, datetime], Body]] = {
    "customer.created": lambda one, _: customer_body(one),
    "customer.updated": lambda one, _: customer_body(one),
    "customer.subscribed": lambda one, at: consent_body(one.reference, "given", at),
    "customer.unsubscribed": lambda one, at: consent_body(one.reference, "withdrawn", at),
    "customer.merged": lambda one, at: merger_body(one.reference, f"{one.reference}-before", at),
    "customer.redacted": erasure_body,
    "customer.data_requested": lambda one, at: request_body(one.reference, at),
}
_EVENT = "event.happened"
TOPICS = (*_ORDERS, *_PEOPLE, _EVENT)


class Sampling:
    """Makes samples with chance and books of its own, so that the history stays the same however many are asked for."""

    def __init__(self, plan: TillPlan, chance: random.Random) -> None:
        self._trade, self._plan = Trade(Book(), Tally(), plan, chance), plan

    def make(self, topic: str, at: datetime) -> Body:
        """Raises ValueError for a topic that there is no sample of."""
        if topic not in TOPICS:
            message = f"no sample of {topic!r}; there are {', '.join(TOPICS)}"
            raise ValueError(message)
        customer = self._trade.newcomer(at)
        if topic in _PEOPLE:
            return _PEOPLE[topic](customer, at)
        if topic == _EVENT:
            return event_body(self._plan.event, customer.reference, f"sample-{customer.reference}", at)
        order, _ = self._trade.place(customer, at)
        if topic == "order.refunded":
            # As a webhook of its own, which may well come before the order.
            order.telling = "apart"
        told = [order_body(order, introduces=True)]
        for turn in _ORDERS[topic]:
            told = getattr(self._trade, turn)(order, at)
        return told[-1]
