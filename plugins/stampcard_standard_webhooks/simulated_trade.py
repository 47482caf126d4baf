"""The life at the simulated till: orders are placed, paid, edited, given back and cancelled, and people come and go."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from heapq import heappop, heappush
from itertools import count

from stampcard.testing.simulator import Plan, Tally
from stampcard_standard_webhooks.simulated_bodies import (
    Body,
    consent_body,
    customer_body,
    erasure_body,
    event_body,
    order_body,
    refund_body,
    request_body,
)
from stampcard_standard_webhooks.simulated_book import ZERO, Book, Customer, Item, Order, Product, Refund, cents, tax_of


class TillPlan(Plan, frozen=True):
    """What happens at the till, and to the figures that are told to it; shares are between 0 and 1.

    `guests`: orders of nobody known. `new_customers`: orders of somebody who was not known. `silent`: newcomers of whom
    the order alone tells. `ties`: orders that are placed and paid within one second. Of the calls that bring figures:
    `api_failures` are answered 5xx, `throttles` 429, `gone` 410, each with `retry_after` seconds to wait, and `hangs`
    not at all, after `hang` seconds; nobody's figures fare so twice in a row. `event`: what a program may call what
    people also do, `event_points`: what that is worth to them. `days`: how far the history reaches back.
    """

    days: int = 20
    guests: float = 0.1
    new_customers: float = 0.35
    silent: float = 0.3
    ties: float = 0.1
    throttles: float = 0.02
    gone: float = 0.0
    hangs: float = 0.0
    hang: float = 30.0
    retry_after: int = 1
    event: str = "review"
    event_points: int = 0


_NAMES = ("Ada", "Björk", "Chidi", "Dolores", "Émile", "Fatima", "Grace", "Hiroshi", "Ines", "Jürgen")
PRODUCTS = (
    Product("mug", Decimal("9.50")),
    Product("tea", Decimal("14.20"), Decimal("0.07")),
    Product("kettle", Decimal("79.99")),
    Product("honey", Decimal("6.75"), Decimal("0.07")),
    Product("gift-card", Decimal("25.00"), ZERO, gift_card=True),
)
#: Of each 20 orders, what becomes of them; a farewell is of somebody who never comes again.
_FAREWELL = ("pay", "send", "request", "erase")
_FATES: tuple[tuple[str, ...], ...] = (
    ("pay", "send", "return_some"),
    ("pay", "return_some", "send", "return_some"),
    ("pay", "send", "give_money_back"),
    ("pay", "return_all"),
    ("pay", "return_some", "undo_refund"),
    ("pay", "cancel"),
    ("pay", "cancel", "restore", "send"),
    ("cancel",),
    ("add", "pay", "send"),
    ("pay", "remove", "return_some"),
    (),
    _FAREWELL,
    ("pay", "send", "review", "agree"),
    ("pay", "agree", "refuse", "send"),
    ("pay", "move", "send"),
    *((("pay", "send"),) * 5),
)
Turn = Callable[[Order, datetime], list[Body]]


class Trade:
    """Does what people do; the book and the tally always show the present moment of it."""

    def __init__(self, book: Book, tally: Tally, plan: TillPlan, chance: random.Random) -> None:
        self._book, self._tally, self._plan, self._chance = book, tally, plan, chance
        self._regulars: list[Customer] = []
        self._fates: list[tuple[str, ...]] = []

    def steps(self, orders: int, now: datetime) -> Iterator[list[Body]]:
        """What each of so many orders up to now makes the till tell, as it happens; the stories overlap."""
        ticket = count()
        agenda: list[tuple[datetime, int, Turn, Order]] = []
        opening = (now - timedelta(days=self._plan.days)).replace(microsecond=0)
        spacing = timedelta(days=self._plan.days - 1) / max(orders, 1)
        for place in range(orders):
            begins = opening + spacing * place
            while agenda and agenda[0][0] <= begins:
                at, _, turn, order = heappop(agenda)
                yield turn(order, at)
            fate = self._fate()
            order, told = self.buy(begins, farewell=fate is _FAREWELL)
            if fate[:1] == ("pay",) and self._happens(self._plan.ties):
                order.paid = True
                told, fate = [*told, order_body(order)], fate[1:]
            yield told
            at = begins
            for name in fate:
                at += timedelta(hours=self._chance.uniform(0.1, 4.0))
                heappush(agenda, (at, next(ticket), getattr(self, name), order))
        while agenda:
            at, _, turn, order = heappop(agenda)
            yield turn(order, at)

    def _fate(self) -> tuple[str, ...]:
        """Fates are dealt like cards, so that each 20 orders have them all."""
        if not self._fates:
            self._fates = list(_FATES)
            self._chance.shuffle(self._fates)
        return self._fates.pop()

    def buy(self, at: datetime, *, farewell: bool = False) -> tuple[Order, list[Body]]:
        """An order that is placed and waits to be paid, by anybody."""
        if not farewell and self._happens(self._plan.guests):
            return self.place(None, at)
        if not farewell and self._regulars and not self._happens(self._plan.new_customers):
            return self.place(self._chance.choice(self._regulars), at)
        customer = self.newcomer(at)
        if not farewell:
            self._regulars.append(customer)
        if self._happens(self._plan.silent):
            return self.place(customer, at, introduces=True)
        order, told = self.place(customer, at)
        return order, [customer_body(customer), *told]

    def newcomer(self, at: datetime) -> Customer:
        name, number = self._chance.choice(_NAMES), self._number()
        customer = Customer(f"c-{number}", f"{name.lower()}.{number}@mail.example", name, at.replace(microsecond=0))
        self._book.customers[customer.reference] = customer
        return customer

    def place(self, customer: Customer | None, at: datetime, *, introduces: bool = False) -> tuple[Order, list[Body]]:
        moment = at.replace(microsecond=0)
        included = self._happens(0.3)
        order = Order(
            reference=f"o-{self._number()}",
            placed_at=moment,
            updated_at=moment,
            items=[self._item(product, included=included) for product in self._chance.sample(PRODUCTS, 2)],
            shipping=self._chance.choice((ZERO, Decimal("4.90"))),
            included=included,
            telling=self._chance.choice(("listed", "both", "apart")),
            as_numbers=self._happens(0.3),
            customer=customer,
            channel=self._chance.choice(("pos", "web")),
        )
        self._book.orders[order.reference] = order
        self._tally.orders += 1
        return order, [order_body(order, introduces=introduces)]

    def pay(self, order: Order, at: datetime) -> list[Body]:
        order.paid = True
        return _changed(order, at)

    def send(self, order: Order, at: datetime) -> list[Body]:
        order.fulfilled_at = at.replace(microsecond=0)
        return _changed(order, at)

    def add(self, order: Order, at: datetime) -> list[Body]:
        """One more piece of one line, and another line."""
        self._tally.edited += 1
        order.items[0].quantity += 1
        there = {item.product for item in order.items}
        order.items.append(self._item(next(one for one in PRODUCTS if one not in there), included=order.included))
        return _changed(order, at)

    def remove(self, order: Order, at: datetime) -> list[Body]:
        """A line is struck out, though it was paid."""
        self._tally.edited += 1
        del order.items[0]
        return _changed(order, at)

    def return_some(self, order: Order, at: datetime) -> list[Body]:
        left = [item for item in order.items if item.returned < item.quantity]
        if not left:
            return []
        item = self._chance.choice(left)
        pieces = self._chance.randint(1, item.quantity - item.returned)
        return self._given_back(order, at, {item.reference: pieces}, self._refund(order, at))

    def return_all(self, order: Order, at: datetime) -> list[Body]:
        quantities = {item.reference: item.quantity - item.returned for item in order.items}
        return self._given_back(order, at, quantities, self._refund(order, at, shipping=True))

    def give_money_back(self, order: Order, at: datetime) -> list[Body]:
        """Out of goodwill: no line is named."""
        refund = self._refund(order, at)
        refund.money = cents(order.total / self._chance.randint(3, 9))
        return self._given_back(order, at, {}, refund)

    def undo_refund(self, order: Order, at: datetime) -> list[Body]:
        """The bank sends the last refund back."""
        refund = order.refunds[-1]
        refund.void, refund.updated_at = True, at.replace(microsecond=0)
        return self._told_with(refund, order, at)

    def cancel(self, order: Order, at: datetime) -> list[Body]:
        self._tally.cancelled += 1
        order.cancelled_at = at.replace(microsecond=0)
        return _changed(order, at)

    def restore(self, order: Order, at: datetime) -> list[Body]:
        """It was cancelled by mistake."""
        order.cancelled_at = None
        return _changed(order, at)

    def review(self, order: Order, at: datetime) -> list[Body]:
        if order.customer is None:
            return []
        key = f"review-{order.reference}"
        self._book.events[key] = order.customer.reference
        return [event_body(self._plan.event, order.customer.reference, key, at)]

    def agree(self, order: Order, at: datetime) -> list[Body]:
        return self._said(order, at, "given")

    def refuse(self, order: Order, at: datetime) -> list[Body]:
        return self._said(order, at, "withdrawn")

    def move(self, order: Order, at: datetime) -> list[Body]:
        """The customer has another telephone."""
        if order.customer is None:
            return []
        order.customer.phone = f"+1613555{self._chance.randrange(10_000):04}"
        order.customer.updated_at = at.replace(microsecond=0)
        return [customer_body(order.customer)]

    def request(self, order: Order, at: datetime) -> list[Body]:
        """The customer asks what is known of them."""
        assert order.customer is not None
        return [request_body(order.customer.reference, at)]

    def erase(self, order: Order, at: datetime) -> list[Body]:
        """The customer wants to be forgotten; their orders stay, without a name."""
        customer, order.customer = order.customer, None
        assert customer is not None
        del self._book.customers[customer.reference]
        self._book.erased.add(customer.reference)
        return [erasure_body(customer, at)]

    def _said(self, order: Order, at: datetime, state: str) -> list[Body]:
        """Whether the customer wants to be written to."""
        if order.customer is None:
            return []
        self._book.consents[order.customer.reference] = state
        return [consent_body(order.customer.reference, state, at)]

    def _item(self, product: Product, *, included: bool) -> Item:
        item = Item(f"l-{self._number()}", product, self._chance.randint(1, 3), included)
        item.off = cents(item.gross * self._chance.choice((0, 0, 0, 10, 25)) / 100)
        return item

    def _refund(self, order: Order, at: datetime, *, shipping: bool = False) -> Refund:
        amount = order.shipping if shipping else ZERO
        tax = tax_of(amount, Decimal("0.19"), included=order.included)
        moment = at.replace(microsecond=0)
        return Refund(f"r-{self._number()}", moment, moment, ZERO, shipping=amount, shipping_tax=tax)

    def _given_back(self, order: Order, at: datetime, quantities: dict[str, int], refund: Refund) -> list[Body]:
        self._tally.refunded_orders += not order.refunds
        order.give_back(quantities, refund)
        return self._told_with(refund, order, at)

    def _told_with(self, refund: Refund, order: Order, at: datetime) -> list[Body]:
        """The refund by itself, in the order, or both."""
        apart = [] if order.telling == "listed" else [refund_body(order, refund)]
        return [*apart, *([] if order.telling == "apart" else _changed(order, at))]

    def _number(self) -> str:
        return f"{self._chance.getrandbits(40):010x}"

    def _happens(self, share: float) -> bool:
        return self._chance.random() < share


def _changed(order: Order, at: datetime) -> list[Body]:
    order.touch(at)
    return [order_body(order)]
