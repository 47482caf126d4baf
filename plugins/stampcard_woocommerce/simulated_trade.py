"""The life of the simulated shop: what people do there, and which webhooks it queues for that."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from stampcard.testing.simulator import Plan, Tally
from stampcard_woocommerce.simulated_book import Back, Book, Customer, Item, Order, Product, Refund, cents
from stampcard_woocommerce.simulated_checkout import CodeRefused, apply


class WooPlan(Plan, frozen=True):
    """What happens in the shop; shares are between 0 and 1.

    A webhook is sent once, whatever comes of it. `guests`: orders without an account; of these `forgetful` are of
    somebody who has one. `new_customers`: orders by which somebody opens an account. `days`: how far the history reaches
    back.
    """

    attempts: int = 1
    lost_answers: float = 0.0
    duplicates: float = 0.03
    patience: float = 30.0
    days: int = 20
    guests: float = 0.15
    forgetful: float = 0.3
    new_customers: float = 0.35


class Notice(NamedTuple):
    """What a webhook tells of: which topic, and which record."""

    topic: str
    record: int


_NAMES = ("Ada", "Björk", "Chidi", "Dolores", "Émile", "Fatima", "Grace", "Hiroshi", "Ines", "Jürgen")
PRODUCTS = (
    Product(31, "Mug", Decimal("9.50"), 15, "MUG-1"),
    Product(32, "Tea & biscuits", Decimal("14.20"), 16, "TEA-1"),
    Product(33, "Kettle", Decimal("79.00"), 15, "KET-1"),
    Product(34, "Honey", Decimal("6.75"), 16, "HON-1"),
)
#: Of each 20 orders, what becomes of those that are not just paid, sent and kept.
_FATES: tuple[tuple[str, ...], ...] = (
    ("pay", "send", "return_some"),
    ("pay", "return_some", "send"),
    ("pay", "send", "give_money_back"),
    ("pay", "return_all"),
    ("pay", "cancel"),
    ("pay", "bin"),
    (),
    *((("pay", "send"),) * 13),
)
Turn = Callable[[Order, datetime], list[Notice]]


class Trade:
    """Does what people do; the book and the tally always show the present moment of it."""

    def __init__(self, book: Book, tally: Tally, plan: WooPlan, chance: random.Random) -> None:
        self._book, self._tally, self._plan, self._chance = book, tally, plan, chance

    def steps(self, orders: int, now: datetime) -> Iterator[tuple[datetime, list[Notice]]]:
        """So many orders up to now, in the order in which things happen; the stories overlap."""
        ticket = count()
        agenda: list[tuple[datetime, int, Turn, Order]] = []
        opening = (now - timedelta(days=self._plan.days)).replace(microsecond=0)
        spacing = timedelta(days=self._plan.days - 1) / max(orders, 1)
        for place in range(orders):
            begins = opening + spacing * place
            while agenda and agenda[0][0] <= begins:
                at, _, turn, order = heappop(agenda)
                yield at, turn(order, at)
            order, notices = self._bought(begins)
            yield begins, notices
            at = begins
            for name in _FATES[place % len(_FATES)]:
                at += timedelta(hours=self._chance.uniform(0.1, 4.0))
                heappush(agenda, (at, next(ticket), getattr(self, name), order))
        while agenda:
            at, _, turn, order = heappop(agenda)
            yield at, turn(order, at)

    def _bought(self, at: datetime) -> tuple[Order, list[Notice]]:
        known = list(self._book.known())
        if known and self._chance.random() < self._plan.guests:
            forgetful = self._chance.random() < self._plan.forgetful
            email = self._chance.choice(known).email if forgetful else f"guest{self._book.new_id()}@mail.example"
            return self.place(0, at, email=email)
        notices: list[Notice] = []
        if not known or self._chance.random() < self._plan.new_customers:
            customer, notices = self.register(at)
        else:
            customer = self._chance.choice(known)
        order, placed = self.place(customer.id, at)
        return order, [*notices, *placed]

    def register(self, at: datetime, email: str = "") -> tuple[Customer, list[Notice]]:
        number, name = self._book.new_id(), self._chance.choice(_NAMES)
        email = email or f"{name.lower()}.{number}@mail.example"
        moment = at.replace(microsecond=0)
        customer = Customer(number, email, name, "Smith", moment, moment)
        self._book.customers[number] = customer
        return customer, [Notice("customer.created", number)]

    def place(
        self, customer: int, at: datetime, *, email: str = "", codes: Sequence[str] = (), products: Sequence[int] = ()
    ) -> tuple[Order, list[Notice]]:
        """An order that waits for its payment; raises CodeRefused."""
        known = self._book.customers.get(customer)
        chosen = [one for one in PRODUCTS if one.id in products] or self._chance.sample(PRODUCTS, 2)
        moment = at.replace(microsecond=0)
        order = Order(
            self._book.new_id(),
            customer,
            email or (known.email if known else ""),
            known.first_name if known else "Guest",
            moment,
            moment,
            [Item(self._book.new_id(), product, self._chance.randint(1, 3)) for product in chosen],
            shipping=Decimal("4.00"),
        )
        coupons = [self._book.coupon(code) for code in codes]
        if None in coupons:
            message = "there is no such code"
            raise CodeRefused(message)
        apply(order, [coupon for coupon in coupons if coupon is not None], at)
        self._book.orders[order.id] = order
        self._tally.orders += 1
        return order, [Notice("order.created", order.id)]

    def pay(self, order: Order, at: datetime) -> list[Notice]:
        order.paid_at = at.replace(microsecond=0)
        return self._changed(order, at, "processing")

    def send(self, order: Order, at: datetime) -> list[Notice]:
        order.completed_at = at.replace(microsecond=0)
        return self._changed(order, at, order.status if order.status == "refunded" else "completed")

    def return_some(self, order: Order, at: datetime) -> list[Notice]:
        item = next((item for item in order.items if order.unreturned(item)), None)
        return [] if item is None else self.refund(order, at, {item.id: 1})

    def return_all(self, order: Order, at: datetime) -> list[Notice]:
        return self.refund(order, at, {item.id: order.unreturned(item) for item in order.items})

    def give_money_back(self, order: Order, at: datetime) -> list[Notice]:
        """Out of goodwill: no line is named."""
        return self.refund(order, at, {}, cents(order.left / 4))

    def refund(
        self, order: Order, at: datetime, quantities: dict[int, int], amount: Decimal | None = None
    ) -> list[Notice]:
        """Give so many pieces of each line back, or just money."""
        lines = []
        for item in order.items:
            pieces = quantities.get(item.id, 0)
            if pieces:
                lines.append(Back(self._book.new_id(), item, pieces, cents(item.total * pieces / item.quantity)))
        money = sum((line.total + line.tax for line in lines), Decimal(0)) if amount is None else amount
        self._tally.refunded_orders += not order.refunds
        order.refunds.append(Refund(self._book.new_id(), at.replace(microsecond=0), money, lines))
        whole = lines and not any(order.unreturned(item) for item in order.items)
        return self._changed(order, at, "refunded" if whole else order.status)

    def cancel(self, order: Order, at: datetime) -> list[Notice]:
        self._tally.cancelled += 1
        return self._changed(order, at, "cancelled")

    def bin(self, order: Order, at: datetime) -> list[Notice]:
        self._book.touch(order, at)
        order.status = "trash"
        return [Notice("order.deleted", order.id)]

    def restore(self, order: Order, at: datetime) -> list[Notice]:
        self._book.touch(order, at)
        order.status = "processing" if order.paid_at else "pending"
        return [Notice("order.restored", order.id)]

    def _changed(self, order: Order, at: datetime, status: str) -> list[Notice]:
        self._book.touch(order, at)
        order.status = status
        return [Notice("order.updated", order.id)]
