"""A WooCommerce shop that exists only here: it sends signed webhooks and serves its REST API, for tests and the demo.

It shares no code with the plugin, so that each proves the other.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from aiohttp import web

from stampcard.plugin import Clock
from stampcard.testing.simulator import ShopSimulator, SignedRequest
from stampcard_woocommerce.simulated_api import RestApi
from stampcard_woocommerce.simulated_bodies import Body, customer_body, order_body
from stampcard_woocommerce.simulated_book import Book, Order
from stampcard_woocommerce.simulated_faults import Fault, Faults
from stampcard_woocommerce.simulated_hooks import Hooks, signature, signed, written
from stampcard_woocommerce.simulated_trade import PRODUCTS, Notice, Trade, WooPlan
from stampcard_woocommerce.simulated_writing import balance_of

_SIGNATURE = "X-WC-Webhook-Signature"
#: Our topic to WooCommerce's, and to the turns that lead up to it.
_SAMPLES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "order.created": ("order.created", ()),
    "order.paid": ("order.updated", ("pay",)),
    "order.updated": ("order.updated", ("pay", "send")),
    "order.refunded": ("order.updated", ("pay", "send", "return_some")),
    "order.cancelled": ("order.updated", ("pay", "cancel")),
    "order.deleted": ("order.deleted", ("pay", "bin")),
    "customer.created": ("customer.created", ()),
    "customer.updated": ("customer.updated", ()),
    "customer.deleted": ("customer.deleted", ()),
}
#: Number of the webhook that samples and the history come from.
_HOOK = 11


def build(seed: int) -> WooCommerceSimulator:
    """The simulator behind the entry point."""
    return WooCommerceSimulator(seed)


class WooCommerceSimulator(ShopSimulator):
    """One shop with its customers, orders, coupons, webhooks and REST API."""

    def __init__(self, seed: int, plan: WooPlan | None = None, clock: Clock | None = None) -> None:
        plan = plan or WooPlan()
        super().__init__(seed, plan, clock)
        self.book = Book(random.Random(f"numbers {seed}").randrange(10**6, 10**9))
        made_up = random.Random(f"secrets {seed}")
        # Letters that HTML has entities for, as in secrets that WooCommerce makes up.
        self._secret = f"{made_up.getrandbits(96):024x}<&>'\""
        self.hooks = Hooks(self._built, self.clock.now, self._address)
        self._faults = Faults(self.tally, random.Random(f"faults {seed}"), plan.api_failures)
        self.api = RestApi(self.book, self.hooks, self.tally, self.clock, self._faults, made_up)
        self._key, self._key_secret = self.api.new_key()
        self._trade = Trade(self.book, self.tally, plan, random.Random(f"history {seed}"))
        self._sampling = Trade(self.book, type(self.tally)(), plan, random.Random(f"samples {seed}"))

    def settings(self) -> dict[str, object]:
        return {
            "shop": self._address(),
            "webhook_secrets": [self._secret],
            "consumer_key": self._key,
            "consumer_secret": self._key_secret,
        }

    def _address(self) -> str:
        return self.api_url if self.is_serving else "https://simulated.example"

    def topics(self) -> Sequence[str]:
        return tuple(_SAMPLES)

    def sample(self, topic: str, *, settings: Mapping[str, object] | None = None) -> SignedRequest:
        if topic not in _SAMPLES:
            message = f"no sample of {topic!r}; there are {', '.join(_SAMPLES)}"
            raise ValueError(message)
        kind, turns = _SAMPLES[topic]
        at = self.clock.now()
        customer, _ = self._sampling.register(at)
        record = customer.id
        if topic.startswith("order."):
            order, _ = self._sampling.place(customer.id, at)
            for turn in turns:
                getattr(self._sampling, turn)(order, at)
            record = order.id
        told = (settings or self.settings())["webhook_secrets"]
        secret = str(told[0] if isinstance(told, list | tuple) else told)
        return signed(kind, self._built(kind, record), secret, _HOOK, at, self._address())

    def history(self, orders: int) -> Iterator[SignedRequest]:
        for at, notices in self._trade.steps(orders, self.clock.now()):
            for notice in notices:
                body = self._built(notice.topic, notice.record)
                yield signed(notice.topic, body, self._secret, _HOOK, at, self._address())

    def forge(self, request: SignedRequest, chance: random.Random) -> SignedRequest:
        return chance.choice(_FORGERIES)(request)

    def application(self) -> web.Application:
        return self.api.application()

    def expected(self, points_per_unit: Decimal, welcome: int) -> dict[str, int]:
        return self.book.expected(points_per_unit, welcome)

    def shown(self) -> dict[str, int]:
        shown = {customer.id: balance_of(customer) for customer in self.book.known()}
        return {str(id_): told["wallets"]["points"]["active"] for id_, told in shown.items() if told}

    def shown_versions(self) -> dict[str, int]:
        shown = {customer.id: balance_of(customer) for customer in self.book.known()}
        return {str(id_): told["version"] for id_, told in shown.items() if told}

    def register(self, email: str = "") -> str:
        """Somebody opens an account; webhooks are queued. Answers their number."""
        customer, notices = self._trade.register(self.clock.now(), email)
        self._queue(notices)
        return str(customer.id)

    def buy(
        self, reference: str = "", *, email: str = "", codes: Sequence[str] = (), products: Sequence[int] = ()
    ) -> Order:
        """An order that somebody places and pays now, as a guest if no account is named; raises CodeRefused."""
        at = self.clock.now()
        order, placed = self._trade.place(int(reference or 0), at, email=email, codes=codes, products=products)
        self._queue([*placed, *self._trade.pay(order, at)])
        return order

    def turn(self, order: Order, name: str) -> None:
        """Let one of the things happen that happen to orders: send, return_some, return_all, cancel, bin, restore …"""
        self._queue(getattr(self._trade, name)(order, self.clock.now()))

    def delete(self, order: Order) -> None:
        """Delete an order for good, of which no webhook tells."""
        del self.book.orders[order.id]

    def fail(self, part: str, status: int = 0, *, retry_after: int = 0, done: bool = False, times: int = 1) -> None:
        """Let the next calls with this in their path fail; status 0: no answer at all."""
        self._faults.plan(part, Fault(status, retry_after, done), times)

    def products(self) -> list[str]:
        """References of what can be bought."""
        return [str(product.id) for product in PRODUCTS]

    def _queue(self, notices: Sequence[Notice]) -> None:
        for notice in notices:
            self.hooks.tell(notice.topic, notice.record)

    def _built(self, topic: str, record: int) -> Body:
        """A record as it is when the webhook is sent; an error where it is gone, as WooCommerce does."""
        if topic.endswith(".deleted"):
            return {"id": record}
        if topic.startswith("customer."):
            customer = self.book.customers.get(record)
            return customer_body(customer) if customer else _missing("user")
        order = self.book.orders.get(record)
        return order_body(order) if order else _missing("shop_order")


def _missing(kind: str) -> Body:
    return {"code": f"woocommerce_rest_{kind}_invalid_id", "message": "Invalid ID.", "data": {"status": 404}}


def _resigned(request: SignedRequest, told: str | None) -> SignedRequest:
    headers = {name: text for name, text in request.headers.items() if name != _SIGNATURE}
    return SignedRequest(headers=headers if told is None else headers | {_SIGNATURE: told}, body=request.body)


def _wrongly_signed(request: SignedRequest) -> SignedRequest:
    return _resigned(request, signature("a guess", request.body))


def _emptily_signed(request: SignedRequest) -> SignedRequest:
    return _resigned(request, signature("", request.body))


def _unsigned(request: SignedRequest) -> SignedRequest:
    return _resigned(request, None)


def _altered(request: SignedRequest) -> SignedRequest:
    body = json.loads(request.body) | {"customer_id": 1}
    return SignedRequest(headers=request.headers, body=written(body))


_FORGERIES: tuple[Callable[[SignedRequest], SignedRequest], ...] = (
    _wrongly_signed,
    _emptily_signed,
    _unsigned,
    _altered,
)
