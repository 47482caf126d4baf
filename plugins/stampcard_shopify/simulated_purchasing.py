"""Orders that a test or a demo wants from a certain customer."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from stampcard_shopify.simulated_book import Book, Order
from stampcard_shopify.simulated_checkout import use
from stampcard_shopify.simulated_discounts import Discounts
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulated_trade import Notice, Trade

#: Nothing by chance but what is bought, so that a code alone decides what is taken off.
PLAIN = ShopPlan(guests=0.0, test_orders=0.0, gift_cards=0.0, discounted=0.0, foreign_buyers=0.0)
_USUAL_SHIPPING = Decimal("4.90")


class Purchasing:
    """Makes orders by a trade of its own, so that the history stays the same however many there are."""

    def __init__(self, book: Book, discounts: Discounts, trade: Trade) -> None:
        self._book = book
        self._discounts = discounts
        self._trade = trade
        self._shoppers = trade.shoppers

    def products(self) -> list[str]:
        return [str(product.id) for product in self._shoppers.range()]

    def buy(self, customer: int, at: datetime, code: str, product: str) -> list[Notice]:
        """Raises CodeRefused; then nothing is bought."""
        order = self._shoppers.basket("kept", at)
        order.customer = self._book.customers[customer]
        order.shipping = _USUAL_SHIPPING
        if product:
            self._add(order, product)
        if code:
            use(self._discounts.codes.get(code.upper()), code, order, self._book, at)
        return self._trade.buy(order, at)

    def give_back(self, order: int, at: datetime, *, all_of_it: bool) -> list[Notice]:
        known = self._book.orders[order]
        return self._trade.return_all(known, at) if all_of_it else self._trade.return_some(known, at)

    def cancel(self, order: int, at: datetime) -> list[Notice]:
        return self._trade.cancel(self._book.orders[order], at)

    def _add(self, order: Order, product: str) -> None:
        if product not in {str(line.product.id) for line in order.lines}:
            wanted = next(one for one in self._shoppers.range() if str(one.id) == product)
            order.lines.append(self._shoppers.line(wanted, order.tax_rate, order.tax_included))
