"""One realistic webhook of each kind, about customers and orders made for it."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from stampcard.testing.simulator import Tally
from stampcard_shopify.simulated_book import Book, Customer, Order
from stampcard_shopify.simulated_lines import Body, gid
from stampcard_shopify.simulated_shopping import Shoppers, ShopPlan
from stampcard_shopify.simulated_trade import Notice, Trade

#: Our topic to Shopify's, and to the turns that lead up to it. No turn: it is about a person or the shop.
SAMPLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "order.created": ("orders/create", ("place",)),
    "order.paid": ("orders/paid", ("place", "pay")),
    "order.updated": ("orders/updated", ("place", "pay", "send")),
    "order.edited": ("orders/edited", ("place", "pay", "remove")),
    "order.refunded": ("refunds/create", ("place", "pay", "send", "return_some")),
    "order.cancelled": ("orders/cancelled", ("place", "pay", "cancel")),
    "customer.created": ("customers/create", ()),
    "customer.updated": ("customers/update", ()),
    "customer.deleted": ("customers/delete", ()),
    "customer.subscribed": ("customers_email_marketing_consent/update", ()),
    "customer.unsubscribed": ("customers_email_marketing_consent/update", ()),
    "customer.redacted": ("customers/redact", ()),
    "customer.data_requested": ("customers/data_request", ()),
    "shop.uninstalled": ("app/uninstalled", ()),
    "shop.redacted": ("shop/redact", ()),
}
DRASTIC = frozenset({"shop.uninstalled", "shop.redacted"})
_SHOP = 548380009
_FATE = {"order.edited": "reduced_late", "order.refunded": "partial"}


class Sampling:
    """Makes samples with chance of its own, so that the history stays the same however many are asked for."""

    def __init__(self, book: Book, plan: ShopPlan, chance: random.Random) -> None:
        # A sample is about somebody who bought something, for once without any of the exceptions.
        plain = ShopPlan(guests=0.0, test_orders=0.0, new_customers=1.0, gift_cards=plan.gift_cards)
        self._trade = Trade(book, Tally(), plain, chance)
        self._shoppers: Shoppers = self._trade.shoppers

    def make(self, topic: str, at: datetime, shop: str) -> tuple[str, Body]:
        """Shopify's topic and the body; raises ValueError for a topic that there is no sample of."""
        if topic not in SAMPLES:
            message = f"no sample of {topic!r}; there are {', '.join(SAMPLES)}"
            raise ValueError(message)
        vendor_topic, turns = SAMPLES[topic]
        if turns:
            return vendor_topic, self._order_notice(topic, vendor_topic, turns, at).body
        customer = self._shoppers.newcomer(at.replace(microsecond=0))
        if vendor_topic == "customers_email_marketing_consent/update":
            return vendor_topic, _consent(customer, topic.partition(".")[2], at)
        return vendor_topic, self._person_or_shop(vendor_topic, customer, at, shop)

    def _order_notice(self, topic: str, vendor_topic: str, turns: tuple[str, ...], at: datetime) -> Notice:
        begins = at - timedelta(seconds=len(turns))
        order: Order = self._shoppers.basket(_FATE.get(topic, "kept"), begins)
        notices: list[Notice] = []
        for place, turn in enumerate(turns):
            notices = getattr(self._trade, turn)(order, begins + timedelta(seconds=place))
        return next(notice for notice in notices if notice.topic == vendor_topic)

    def _person_or_shop(self, vendor_topic: str, customer: Customer, at: datetime, shop: str) -> Body:
        source: Body = {"shop_id": _SHOP, "shop_domain": shop}
        person: Body = {"id": customer.id, "email": customer.email, "phone": customer.phone}
        made: dict[str, Body] = {
            "customers/delete": {
                "id": customer.id,
                "tax_exemptions": [],
                "admin_graphql_api_id": gid("Customer", customer.id),
            },
            "customers/redact": source | {"customer": person, "orders_to_redact": []},
            "customers/data_request": source
            | {"customer": person, "orders_requested": [], "data_request": {"id": self._shoppers.new_id()}},
            "app/uninstalled": {"id": _SHOP, "name": "Coffee & Sons", "domain": shop, "myshopify_domain": shop},
            "shop/redact": source,
        }
        if vendor_topic in made:
            return made[vendor_topic]
        registered = self._trade.register(customer).body
        return registered if vendor_topic == "customers/create" else self._trade.move(customer, at).body


def _consent(customer: Customer, state: str, at: datetime) -> Body:
    """What a customer ticked, or took back."""
    said = {"state": state, "opt_in_level": "single_opt_in", "consent_updated_at": at.isoformat()}
    return {"customer_id": customer.id, "email_address": customer.email, "email_marketing_consent": said}
