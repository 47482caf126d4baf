"""Who buys what in the simulated shop."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from stampcard.testing.simulator import Plan
from stampcard_shopify.simulated_book import ZERO, Applied, Customer, Line, Order, Product, cents

#: What can become of an order, beside being paid, sent and kept.
EDITED = frozenset({"enlarged", "reduced", "reduced_late"})
USUAL_FATES: Mapping[str, int] = MappingProxyType(
    {
        "partial": 5,
        "partial_twice": 2,
        "money": 3,
        "full": 3,
        "cancelled": 4,
        "unpaid": 2,
        "void": 2,
        "enlarged": 2,
        "reduced": 2,
        "reduced_late": 1,
    }
)


class ShopPlan(Plan, frozen=True):
    """What happens in the shop; shares are between 0 and 1.

    `fates`: of each 100 orders, how many take that turn; the rest is paid and kept. `ties`: orders that are created and
    paid within one second. `days`: how far the history reaches back. `bucket`, `restore_rate`: query cost points and
    how many come back a second. `answered_429`: throttled calls answered by that status instead of an error in a 200.
    `former_secret`: webhooks still signed by the secret that was rotated out.
    """

    fates: Mapping[str, int] = USUAL_FATES
    days: int = 20
    new_customers: float = 0.3
    changed_customers: float = 0.1
    guests: float = 0.06
    test_orders: float = 0.02
    gift_cards: float = 0.06
    discounted: float = 0.25
    taxes_included: float = 0.3
    foreign_buyers: float = 0.08
    ties: float = 0.05
    former_secret: float = 0.05
    bucket: float = 2000.0
    restore_rate: float = 100.0
    answered_429: float = 0.3
    slowness: float = 0.3


_FIRST_NAMES = ("Ada", "Björk", "Chidi", "Dolores", "Émile", "Fatima", "Grace", "Hiroshi", "Ines", "Jürgen")
_LAST_NAMES = ("Abara", "Bergström", "Castillo", "Dubois", "Eze", "Fischer", "Gupta", "Haddad", "Ito", "Jones")
_RANGE = (
    ("Coffee beans 1/2 kg", "14.90", "Rösterei Nord"),
    ("Salt & pepper mill", "39.95", "Mill & Sons"),
    ("Filter papers", "3.49", "Mill & Sons"),
    ("Travel cup", "24.00", "Nomad"),
    ("Espresso machine", "329.00", "Nomad"),
    ("Käsebrett", "27.50", "Holz & Hand"),
    ("Linen towel", "11.99", "Holz & Hand"),
    ("Honey 3/4 l", "8.25", "Rösterei Nord"),
    ("Gift box", "0.99", "House"),
)
_TAX_RATES = (Decimal("0.00"), Decimal("0.07"), Decimal("0.19"))
_SHIPPING = (ZERO, Decimal("4.90"), Decimal("9.95"))
_SMALLEST_ID = 10**18


class Shoppers:
    """Draws customers and baskets; all chance comes from the source handed in."""

    def __init__(self, plan: ShopPlan, chance: random.Random) -> None:
        self.regulars: list[Customer] = []
        self._plan = plan
        self._chance = chance
        self._range = [
            Product(self.new_id(), self.new_id(), title, f"SC-{place:03}", vendor, Decimal(price))
            for place, (title, price, vendor) in enumerate(_RANGE)
        ]
        self._gift_card = Product(self.new_id(), self.new_id(), "Gift card", "GIFT", "House", Decimal("25.00"), True)
        self._number = 1000

    def new_id(self) -> int:
        """Up to 19 digits, always beyond what a double can hold exactly."""
        return self._chance.randrange(_SMALLEST_ID, 9 * _SMALLEST_ID)

    def newcomer(self, at: datetime) -> Customer:
        first, last = self._chance.choice(_FIRST_NAMES), self._chance.choice(_LAST_NAMES)
        number = self.new_id()
        return Customer(number, first, last, f"customer-{number:x}@example.com", at, at)

    def regular(self) -> Customer | None:
        """Somebody who bought before, if there is anybody."""
        return self._chance.choice(self.regulars) if self.regulars else None

    def basket(self, fate: str, at: datetime) -> Order:
        """An order not yet placed and without customer; one to be edited is kept free of discounts and taxes inside."""
        plain = fate in EDITED
        included = not plain and self._happens(self._plan.taxes_included)
        rate = self._chance.choice(_TAX_RATES)
        self._number += 1
        order = Order(
            id=self.new_id(),
            number=self._number,
            created_at=at,
            updated_at=at,
            lines=[self.line(product, rate, included) for product in self._products(at_least=2 if plain else 1)],
            shipping=self._chance.choice(_SHIPPING),
            shipping_id=self.new_id(),
            tax_rate=rate,
            tax_included=included,
            test=self._happens(self._plan.test_orders),
            tags=("gift & wrap", "web/shop") if self._happens(0.2) else (),
            source="pos" if self._happens(0.1) else "web",
        )
        if not plain and self._happens(self._plan.discounted):
            _discount(order)
        if self._happens(self._plan.gift_cards):
            order.lines.append(self.line(self._gift_card, Decimal(0), included))
        if fate != "money" and self._happens(self._plan.foreign_buyers):
            order.presentment, order.presentment_rate = "EUR", Decimal("0.92")
        return order

    def line(self, product: Product, rate: Decimal, included: bool) -> Line:
        quantity = 1 if product.gift_card else self._chance.choice((1, 1, 1, 2, 3))
        return Line(self.new_id(), product, quantity, rate, included)

    def _products(self, at_least: int) -> list[Product]:
        return self._chance.sample(self._range, max(at_least, self._chance.choice((1, 1, 2, 2, 3, 4))))

    def range(self) -> list[Product]:
        """Everything that is sold, but for gift cards."""
        return list(self._range)

    def product(self) -> Product:
        return self._chance.choice(self._range)

    def _happens(self, share: float) -> bool:
        return self._chance.random() < share


def _discount(order: Order) -> None:
    order.applied = Applied("TEN&MORE", "percentage", "10.0")
    for line in order.lines:
        line.discount = cents(line.net / 10)
