"""A Shopify shop that exists only here: it sends signed webhooks and serves the Admin API, for tests and the demo.

It shares no code with the plugin, so that each proves the other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from aiohttp import web

from stampcard.plugin import Clock
from stampcard.testing.simulator import ShopSimulator, SignedRequest
from stampcard_shopify.simulated_api import AdminApi, Counters
from stampcard_shopify.simulated_book import Book
from stampcard_shopify.simulated_cards import Cards
from stampcard_shopify.simulated_credits import Credits
from stampcard_shopify.simulated_discounts import Discounts
from stampcard_shopify.simulated_exporting import Exports
from stampcard_shopify.simulated_lines import Body
from stampcard_shopify.simulated_purchasing import PLAIN, Purchasing
from stampcard_shopify.simulated_sampling import DRASTIC, SAMPLES, Sampling
from stampcard_shopify.simulated_shelf import Shelf
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulated_subscriptions import SubscribedTopics
from stampcard_shopify.simulated_tags import Tags
from stampcard_shopify.simulated_tokens import Tokens
from stampcard_shopify.simulated_trade import Step, Trade

API_VERSION = "2026-10"
_SIGNATURE = "X-Shopify-Hmac-Sha256"


#: Query cost points of the demo's shop: so few that it throttles whoever sends several calls at once.
DEMO_BUCKET = 40.0


def build(seed: int) -> ShopifySimulator:
    """The simulator behind the entry point; its shop is on a small plan."""
    return ShopifySimulator(seed, ShopPlan(bucket=DEMO_BUCKET))


class ShopifySimulator(ShopSimulator):
    """One shop with its customers, orders and Admin API."""

    def __init__(self, seed: int, plan: ShopPlan | None = None, clock: Clock | None = None) -> None:
        plan = plan or ShopPlan()
        super().__init__(seed, plan, clock)
        self._plan = plan
        self.book = Book()
        self._shelf = Shelf(self.book, self.tally)
        self._trade = Trade(self.book, self.tally, plan, random.Random(f"history {seed}"))
        self._sampling = Sampling(self.book, plan, random.Random(f"samples {seed}"))
        self._envelopes = random.Random(f"envelopes {seed}")
        made_up = random.Random(f"secrets {seed}")
        self._shop = f"simulated-{made_up.getrandbits(24):06x}.myshopify.com"
        self._client_id, self._secret, self._former_secret = (f"{made_up.getrandbits(128):032x}" for _ in range(3))
        self.tokens = Tokens(self._shop, self._client_id, self._secret, self.clock, made_up)
        self._chance = random.Random(f"api {seed}")
        self.discounts = Discounts(self.book)
        self.cards = Cards(self.book, random.Random(f"cards {seed}"))
        self.credits = Credits(self.book)
        self.tags = Tags(self.book)
        self.subscriptions = SubscribedTopics(API_VERSION)
        self.exports = Exports(self.book)
        self._counters = Counters(
            self._shelf, self.discounts, self.cards, self.credits, self.tags, self.subscriptions, self.exports
        )
        purchases = Trade(self.book, self.tally, PLAIN, random.Random(f"purchases {seed}"))
        self._purchasing = Purchasing(self.book, self.discounts, purchases)

    def settings(self) -> dict[str, object]:
        reached: dict[str, object] = {"api_url": self.api_url} if self.is_serving else {}
        return {
            "shop": self._shop,
            "webhook_secrets": [self._secret, self._former_secret],
            "client_id": self._client_id,
            "client_secret": self._secret,
            **reached,
        }

    def topics(self) -> Sequence[str]:
        return tuple(SAMPLES)

    def drastic(self) -> frozenset[str]:
        return DRASTIC

    def sample(self, topic: str, *, settings: Mapping[str, object] | None = None) -> SignedRequest:
        at = self.clock.now()
        vendor_topic, body = self._sampling.make(topic, at, self._shop)
        given = settings or self.settings()
        secrets = given.get("webhook_secrets") or given["client_secret"]
        secret = str(secrets[0]) if isinstance(secrets, (list, tuple)) else str(secrets)
        return self._sealed(vendor_topic, body, at, str(given["shop"]), secret, uuid.uuid4(), uuid.uuid4())

    def history(self, orders: int) -> Iterator[SignedRequest]:
        for step in self._trade.steps(orders, self.clock.now()):
            yield from self._posted(step)

    def forge(self, request: SignedRequest, chance: random.Random) -> SignedRequest:
        """Under the identifiers of the genuine one, so that a receiver that remembers too early loses that one."""
        return chance.choice(_FORGERIES)(request)

    def application(self) -> web.Application:
        api = AdminApi(self.book, self._counters, self.tokens, self.tally, self._plan, self.clock, self._chance)
        return api.application()

    def expected(self, points_per_unit: Decimal, welcome: int) -> dict[str, int]:
        return self.book.expected(points_per_unit, welcome)

    def shown(self) -> dict[str, int]:
        return self._shelf.points()

    def shown_versions(self) -> dict[str, int]:
        return self._shelf.versions()

    def expire_tokens(self) -> None:
        """Revoke every access token: the next call is answered 401."""
        self.tokens.revoke_all()

    def uninstall(self) -> SignedRequest:
        """Take the app out of the shop: its tokens and subscriptions end, and one last webhook tells it."""
        self.tokens.uninstall()
        self.subscriptions.nodes.clear()
        return self.sample("shop.uninstalled")

    def delete_customer(self, reference: str) -> None:
        """Forget a customer, without telling anybody; what is pushed for them is refused from now on."""
        self.book.customers.pop(int(reference), None)
        self._shelf.clear(int(reference))
        self._trade.shoppers.regulars[:] = self.book.customers.values()

    def buy(self, reference: str, *, code: str = "", product: str = "") -> list[SignedRequest]:
        """The webhooks of an order that a known customer places and pays now; raises CodeRefused.

        `code`: the discount code that they give. `product`: one of `products` that has to be in the cart.
        """
        at = self.clock.now()
        return list(self._posted(Step(at, self._purchasing.buy(int(reference), at, code, product))))

    def give_back(self, reference: str, *, all_of_it: bool) -> list[SignedRequest]:
        """The webhooks of a refund of an order, of one line or of all that is left."""
        at = self.clock.now()
        return list(self._posted(Step(at, self._purchasing.give_back(int(reference), at, all_of_it=all_of_it))))

    def cancel(self, reference: str) -> list[SignedRequest]:
        """The webhooks of an order that is cancelled."""
        at = self.clock.now()
        return list(self._posted(Step(at, self._purchasing.cancel(int(reference), at))))

    def products(self) -> list[str]:
        """References of what can be bought."""
        return self._purchasing.products()

    def lose_answers(self, field: str, *, done: bool, times: int = 1) -> None:
        """Let the answers to the next calls that ask for a field never come; `done`: what they ask for happens."""
        self._counters.losses.plan(field, done=done, times=times)

    def _posted(self, step: Step) -> Iterator[SignedRequest]:
        event = self._identifier()
        for notice in step.notices:
            former = self._envelopes.random() < self._plan.former_secret
            secret = self._former_secret if former else self._secret
            yield self._sealed(notice.topic, notice.body, step.at, self._shop, secret, self._identifier(), event)

    def _identifier(self) -> uuid.UUID:
        return uuid.UUID(int=self._envelopes.getrandbits(128), version=4)

    def _sealed(
        self, topic: str, body: Body, at: datetime, shop: str, secret: str, delivery: uuid.UUID, event: uuid.UUID
    ) -> SignedRequest:
        raw = _written(body)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Shopify-Captain-Hook",
            "X-Shopify-Topic": topic,
            _SIGNATURE: _signature(secret, raw),
            "X-Shopify-Shop-Domain": shop,
            "X-Shopify-API-Version": API_VERSION,
            "X-Shopify-Webhook-Id": str(delivery),
            "X-Shopify-Triggered-At": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z"),
            "X-Shopify-Event-Id": str(event),
        }
        return SignedRequest(headers=headers, body=raw)


def _written(body: Body) -> bytes:
    """As the shop writes JSON: ampersands always escaped, slashes in about every second body."""
    raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode().replace(b"&", b"\\u0026")
    return raw.replace(b"/", b"\\/") if len(raw) % 2 else raw


def _signature(secret: str, raw: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), raw, hashlib.sha256).digest()).decode()


def _resigned(request: SignedRequest, signature: str | None) -> SignedRequest:
    headers = {name: text for name, text in request.headers.items() if name != _SIGNATURE}
    return SignedRequest(headers=headers if signature is None else headers | {_SIGNATURE: signature}, body=request.body)


def _wrongly_signed(request: SignedRequest) -> SignedRequest:
    return _resigned(request, _signature("a guess", request.body))


def _cut_signature(request: SignedRequest) -> SignedRequest:
    return _resigned(request, request.headers[_SIGNATURE][:20])


def _unsigned(request: SignedRequest) -> SignedRequest:
    return _resigned(request, None)


def _altered(request: SignedRequest) -> SignedRequest:
    dearer = request.body.replace(b'"price":"', b'"price":"9').replace(b'"email":"', b'"email":"x')
    return SignedRequest(headers=request.headers, body=dearer if dearer != request.body else request.body + b"\n")


_FORGERIES: tuple[Callable[[SignedRequest], SignedRequest], ...] = (
    _wrongly_signed,
    _cut_signature,
    _unsigned,
    _altered,
)
