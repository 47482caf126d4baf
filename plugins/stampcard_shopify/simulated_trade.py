"""The life of the simulated shop: orders are placed, paid, sent, edited, returned and cancelled."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from itertools import count

from stampcard.testing.simulator import Tally
from stampcard_shopify.simulated_bodies import customer_body, edit_body, order_body
from stampcard_shopify.simulated_book import ZERO, Book, Customer, Order, Refund, cents, tax_of
from stampcard_shopify.simulated_lines import Body
from stampcard_shopify.simulated_refunds import refund_body
from stampcard_shopify.simulated_shopping import Shoppers, ShopPlan


@dataclass(frozen=True, slots=True)
class Notice:
    """A webhook before it is signed."""

    topic: str
    body: Body


@dataclass(frozen=True, slots=True)
class Step:
    """What one action of a person brings about at once."""

    at: datetime
    notices: list[Notice]


Turn = Callable[[Order, datetime], list[Notice]]
_SECOND = timedelta(seconds=1)
_HUNDRED = 100

#: The turns of an order after it was placed, in order.
_PLOTS: dict[str, tuple[str, ...]] = {
    "kept": ("pay", "send"),
    "partial": ("pay", "send", "return_some"),
    "partial_twice": ("pay", "return_some", "send", "return_some"),
    "money": ("pay", "send", "give_money_back"),
    "full": ("pay", "send", "return_all"),
    "cancelled": ("pay", "cancel"),
    "unpaid": (),
    "void": ("cancel",),
    "enlarged": ("pay", "add", "pay", "send"),
    "reduced": ("remove", "pay", "send"),
    "reduced_late": ("pay", "remove", "send", "return_some"),
}


class Trade:
    """Makes the history of one shop; the book and the tally always show the present moment of it."""

    def __init__(self, book: Book, tally: Tally, plan: ShopPlan, chance: random.Random) -> None:
        self.shoppers = Shoppers(plan, chance)
        self._book = book
        self._tally = tally
        self._plan = plan
        self._chance = chance
        self._fates: list[str] = []

    def steps(self, orders: int, now: datetime) -> Iterator[Step]:
        """So many orders up to now, in the order in which things happen; the stories overlap."""
        ticket = count()
        agenda: list[tuple[datetime, int, Callable[[datetime], list[Notice]]]] = []
        opening = (now - timedelta(days=self._plan.days)).replace(microsecond=0)
        spacing = timedelta(days=self._plan.days - 1) / max(orders, 1)
        for place in range(orders):
            begins = opening + spacing * place
            while agenda and agenda[0][0] <= begins:
                at, _, turn = heappop(agenda)
                yield Step(at, turn(at))
            for at, turn in self._story(begins):
                heappush(agenda, (at, next(ticket), turn))
        while agenda:
            at, _, turn = heappop(agenda)
            yield Step(at, turn(at))

    def _story(self, begins: datetime) -> Iterator[tuple[datetime, Callable[[datetime], list[Notice]]]]:
        fate = self._fate()
        order = self.shoppers.basket(fate, begins)
        plot = _PLOTS[fate]
        if plot[:1] == ("pay",) and self._happens(self._plan.ties):
            yield begins, partial(self.place_and_pay, order)
            plot = plot[1:]
        else:
            yield begins, partial(self.place, order)
        at = begins
        for name in plot:
            at += timedelta(hours=self._chance.uniform(0.1, 4.0))
            turn: Turn = getattr(self, name)
            yield at, partial(turn, order)

    def _fate(self) -> str:
        """Fates are dealt like cards, so that each hundred orders have the planned shares."""
        if not self._fates:
            dealt = [fate for fate, number in self._plan.fates.items() for _ in range(number)]
            self._fates = dealt + ["kept"] * (_HUNDRED - len(dealt))
            self._chance.shuffle(self._fates)
        return self._fates.pop()

    def place(self, order: Order, at: datetime) -> list[Notice]:
        return [*self._introduce(order, at), self._placed(order, at)]

    def buy(self, order: Order, at: datetime) -> list[Notice]:
        """Somebody who is known places this order and pays it."""
        placed = self._placed(order, at)
        order.paid = order.total
        return [placed, *self._changed(order, at, "orders/paid")]

    def _placed(self, order: Order, at: datetime) -> Notice:
        order.created_at = order.updated_at = at.replace(microsecond=0)
        self._book.orders[order.id] = order
        self._tally.orders += 1
        return Notice("orders/create", order_body(order))

    def place_and_pay(self, order: Order, at: datetime) -> list[Notice]:
        """Both within one second: two bodies that differ, with the same time of change."""
        placed = self.place(order, at)
        order.paid = order.total
        return [*placed, Notice("orders/paid", order_body(order))]

    def pay(self, order: Order, at: datetime) -> list[Notice]:
        order.paid = max(order.paid, order.total)
        return self._changed(order, at, "orders/paid", echo=self._happens(0.5))

    def send(self, order: Order, at: datetime) -> list[Notice]:
        order.fulfilled = True
        return self._changed(order, at, "orders/updated")

    def add(self, order: Order, at: datetime) -> list[Notice]:
        """More of a line, or one line more; it still has to be paid."""
        line = order.lines[0]
        if self._happens(0.5):
            line.quantity += 1
            delta = 1
        else:
            line = self.shoppers.line(self.shoppers.product(), order.tax_rate, order.tax_included)
            order.lines.append(line)
            delta = line.quantity
        return self._edited(order, at, added={line.id: delta}, removed={})

    def remove(self, order: Order, at: datetime) -> list[Notice]:
        line = order.lines[0]
        line.removed += 1
        return self._edited(order, at, added={}, removed={line.id: 1})

    def return_some(self, order: Order, at: datetime) -> list[Notice]:
        left = [line for line in order.lines if line.current > 0]
        if not left:
            return []
        line = self._chance.choice(left)
        refund = self._refund(at, order, shipping=self._happens(0.25))
        return self._given_back(order, at, refund, {line.id: self._chance.randint(1, line.current)})

    def return_all(self, order: Order, at: datetime) -> list[Notice]:
        refund = self._refund(at, order, shipping=True)
        return self._given_back(order, at, refund, {line.id: line.current for line in order.lines})

    def give_money_back(self, order: Order, at: datetime) -> list[Notice]:
        """Out of goodwill: no line is named."""
        refund = self._refund(at, order, shipping=False)
        refund.failed = self._happens(0.3)
        refund.money = cents(order.total * self._chance.randint(1, 40) / _HUNDRED)
        return self._given_back(order, at, refund, {})

    def cancel(self, order: Order, at: datetime) -> list[Notice]:
        order.cancelled_at = at
        self._tally.cancelled += 1
        refund = self._refund(at, order, shipping=order.paid > 0)
        quantities = {line.id: line.current for line in order.lines}
        return self._given_back(order, at, refund, quantities, "orders/cancelled")

    def _refund(self, at: datetime, order: Order, *, shipping: bool) -> Refund:
        amount = order.shipping - order.returned_shipping if shipping else ZERO
        tax = tax_of(amount, order.tax_rate, included=order.tax_included)
        return Refund(self.shoppers.new_id(), at, ZERO, shipping=amount, shipping_tax=tax)

    def _given_back(
        self, order: Order, at: datetime, refund: Refund, quantities: dict[int, int], *topics: str
    ) -> list[Notice]:
        first = not order.given_back
        order.give_back(quantities, refund, [self.shoppers.new_id() for _ in quantities])
        self._tally.refunded_orders += first and refund.money > 0
        changed = self._changed(order, at, *topics, "orders/updated")
        return [Notice("refunds/create", refund_body(order, refund)), *changed]

    def _edited(self, order: Order, at: datetime, *, added: dict[int, int], removed: dict[int, int]) -> list[Notice]:
        self._tally.edited += not order.edited
        order.edited = True
        edit = edit_body(order, self.shoppers.new_id(), at, added=added, removed=removed)
        return [Notice("orders/edited", edit), *self._changed(order, at, "orders/updated")]

    def _changed(self, order: Order, at: datetime, *topics: str, echo: bool = False) -> list[Notice]:
        """Move the order's time of change on by a second at least, and tell of it."""
        order.updated_at = max(at.replace(microsecond=0), order.updated_at + _SECOND)
        body = order_body(order)
        return [Notice(topic, body) for topic in (*topics, *(("orders/updated",) if echo else ()))]

    def _introduce(self, order: Order, at: datetime) -> list[Notice]:
        """Give the order its customer: nobody, a new one, or a regular."""
        if self._happens(self._plan.guests):
            return []
        regular = None if self._happens(self._plan.new_customers) else self.shoppers.regular()
        if regular is None:
            order.customer = self.shoppers.newcomer(at.replace(microsecond=0))
            return [self.register(order.customer)]
        order.customer = regular
        return [self.move(regular, at)] if self._happens(self._plan.changed_customers) else []

    def register(self, customer: Customer) -> Notice:
        self._book.customers[customer.id] = customer
        self.shoppers.regulars.append(customer)
        return Notice("customers/create", customer_body(customer))

    def move(self, customer: Customer, at: datetime) -> Notice:
        """The customer changed their telephone number."""
        customer.phone = f"+1613555{self._chance.randrange(10_000):04}"
        customer.updated_at = at.replace(microsecond=0)
        return Notice("customers/update", customer_body(customer))

    def _happens(self, share: float) -> bool:
        return self._chance.random() < share
