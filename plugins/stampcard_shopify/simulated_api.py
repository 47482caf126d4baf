"""The simulated Admin API: tokens, query cost, throttling, and failures at a planned rate."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from stampcard.plugin import Clock
from stampcard.testing.simulator import Tally
from stampcard_shopify.simulated_asking import Asked, fields_of
from stampcard_shopify.simulated_book import Book
from stampcard_shopify.simulated_bulk import BulkCreations
from stampcard_shopify.simulated_cards import Cards
from stampcard_shopify.simulated_credits import Credits
from stampcard_shopify.simulated_discounts import Discounts
from stampcard_shopify.simulated_exporting import Exports
from stampcard_shopify.simulated_listing import ListedOrders
from stampcard_shopify.simulated_losing import Losses
from stampcard_shopify.simulated_nodes import order_node
from stampcard_shopify.simulated_shelf import Shelf
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulated_subscriptions import SubscribedTopics
from stampcard_shopify.simulated_tags import Tags
from stampcard_shopify.simulated_tokens import Tokens

Json = dict[str, Any]
Resolve = Callable[[Asked, datetime], Any]


class Bucket:
    """Query cost points: taken by calls, restored by time."""

    def __init__(self, size: float, restore_rate: float, clock: Clock) -> None:
        self.size = size
        self.restore_rate = restore_rate
        self._clock = clock
        self._left = size
        self._seen: datetime = clock.now()

    @property
    def left(self) -> float:
        now = self._clock.now()
        passed = (now - self._seen).total_seconds()
        self._left, self._seen = min(self.size, self._left + passed * self.restore_rate), now
        return self._left

    def take(self, points: float) -> bool:
        """Whether there were enough; takes nothing otherwise. A call dearer than the whole bucket takes all of it."""
        points = min(points, self.size)
        enough = self.left >= points
        self._left -= points if enough else 0.0
        return enough

    def status(self) -> Json:
        return {
            "maximumAvailable": self.size,
            "currentlyAvailable": math.floor(self.left),
            "restoreRate": self.restore_rate,
        }


@dataclass(slots=True)
class Counters:
    """What the shop keeps beside its books: values for others, and rewards."""

    shelf: Shelf
    discounts: Discounts
    cards: Cards
    credits: Credits
    tags: Tags
    subscriptions: SubscribedTopics
    exports: Exports
    losses: Losses = field(default_factory=Losses)
    bulk: BulkCreations = field(init=False)

    def __post_init__(self) -> None:
        self.bulk = BulkCreations(self.discounts)


class AdminApi:
    """Answers as Shopify's Admin API does for the few operations that are called here."""

    def __init__(
        self,
        book: Book,
        counters: Counters,
        tokens: Tokens,
        tally: Tally,
        plan: ShopPlan,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self._book = book
        self._counters = counters
        self._tokens = tokens
        self._tally = tally
        self._plan = plan
        self._clock = clock
        self._chance = chance
        self._bucket = Bucket(plan.bucket, plan.restore_rate, clock)
        self._fields: dict[str, tuple[float, Resolve]] = {
            "shop": (1.0, self._shop),
            "nodes": (10.0, self._nodes),
            "node": (2.0, self._node),
            "order": (2.0, self._node),
            "orders": (10.0, ListedOrders(book).list),
            "ordersCount": (10.0, ListedOrders(book).count),
            "bulkOperationRunQuery": (10.0, counters.exports.run),
            "bulkOperations": (2.0, counters.exports.list),
            "bulkOperation": (1.0, counters.exports.look),
            "metafieldsSet": (10.0, self._metafields_set),
            "metafieldsDelete": (10.0, self._metafields_delete),
            "tagsAdd": (10.0, counters.tags.add),
            "tagsRemove": (10.0, counters.tags.remove),
            "discountCodeBasicCreate": (10.0, counters.discounts.create),
            "discountCodeFreeShippingCreate": (10.0, counters.discounts.create),
            "discountCodeBasicUpdate": (10.0, counters.discounts.update),
            "discountCodeFreeShippingUpdate": (10.0, counters.discounts.update),
            "discountCodeActivate": (10.0, counters.discounts.activate),
            "discountCodeDeactivate": (10.0, counters.discounts.deactivate),
            "codeDiscountNodeByCode": (2.0, counters.discounts.by_code),
            "discountRedeemCodeBulkAdd": (10.0, counters.bulk.add),
            "discountCodeRedeemCodeBulkDelete": (10.0, counters.discounts.delete),
            "discountRedeemCodeBulkCreation": (4.0, counters.bulk.creation),
            "giftCardCreate": (10.0, counters.cards.create),
            "giftCardDeactivate": (10.0, counters.cards.deactivate),
            "giftCards": (4.0, counters.cards.search),
            "storeCreditAccountCredit": (10.0, counters.credits.credit),
            "storeCreditAccountDebit": (10.0, counters.credits.debit),
            "customer": (20.0, counters.credits.customer),
            "webhookSubscriptions": (4.0, counters.subscriptions.list),
            "webhookSubscriptionCreate": (10.0, counters.subscriptions.create),
            "webhookSubscriptionUpdate": (10.0, counters.subscriptions.update),
            "webhookSubscriptionDelete": (10.0, counters.subscriptions.delete),
        }
        self._failures: tuple[Callable[[web.Request, Handler], Any], ...] = (
            self._fail_inside,
            self._be_unavailable,
            self._hang_up,
            self._hang_up_after,
            self._be_slow,
        )

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._misbehave], client_max_size=10 * 1024 * 1024)
        app.router.add_get("/admin/oauth/authorize", self._authorize)
        app.router.add_post("/admin/oauth/access_token", self._access_token)
        app.router.add_get(r"/bulk-operation-outputs/{number:\d+}.jsonl", self._counters.exports.file)
        app.router.add_post(r"/admin/api/{version:\d{4}-\d{2}}/graphql.json", self._graphql)
        return app

    async def _access_token(self, request: web.Request) -> web.Response:
        is_json = request.content_type == "application/json"
        form: Mapping[str, Any] = await request.json() if is_json else dict(await request.post())
        granted = self._tokens.issue(form)
        if isinstance(granted, str):
            return web.json_response({"error": granted}, status=400)
        return web.json_response(granted)

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        """The page on which a person agrees; this one always does."""
        back = self._tokens.agree(request.query)
        if back is None:
            return web.Response(status=400, text="Oauth error invalid_request")
        return web.Response(status=302, headers={"Location": back})

    async def _graphql(self, request: web.Request) -> web.Response:
        if not self._tokens.accepts(request.headers.get("X-Shopify-Access-Token", "")):
            return web.json_response({"errors": "[API] Invalid API key or access token"}, status=401)
        self._counters.exports.origin = f"{request.scheme}://{request.host}"
        given = await request.json()
        asked = fields_of(str(given.get("query", "")), given.get("variables") or {})
        strange = [one.field for one in asked if one.field not in self._fields]
        if strange or not asked:
            return web.json_response({"errors": [_unknown("".join(strange[:1]))]})
        cost = sum(self._fields[one.field][0] for one in asked)
        if not self._bucket.take(cost):
            return self._throttled(cost)
        loss = self._counters.losses.next(one.field for one in asked)
        if loss is not None and not loss.done:
            return _cut(request)
        data = {one.alias: self._fields[one.field][1](one, self._clock.now()) for one in asked}
        if loss is not None:
            return _cut(request)
        return web.json_response({"data": data, "extensions": self._cost(cost, cost)})

    def _shop(self, _asked: Asked, _now: datetime) -> Json:
        return {"name": "Coffee & Sons", "currencyCode": "USD", "ianaTimezone": "America/New_York"}

    def _nodes(self, asked: Asked, _now: datetime) -> list[Json | None]:
        ids = asked.argument("ids")
        return [self._order(gid) for gid in (ids if isinstance(ids, list) else asked.gids())]

    def _node(self, asked: Asked, _now: datetime) -> Json | None:
        gid = asked.argument("id")
        return self._order(gid if isinstance(gid, str) else "".join(asked.gids()[:1]))

    def _order(self, gid: str) -> Json | None:
        kind, _, number = gid.removeprefix("gid://shopify/").partition("/")
        if kind == "Customer" and number.isdecimal() and int(number) in self._book.customers:
            return {"id": gid, "tags": sorted(self._counters.tags.of(int(number)))}
        order = self._book.orders.get(int(number)) if kind == "Order" and number.isdecimal() else None
        return order_node(order) if order else None

    def _metafields_set(self, asked: Asked, now: datetime) -> Json:
        return self._counters.shelf.put(asked.argument("metafields") or [], now)

    def _metafields_delete(self, asked: Asked, _now: datetime) -> Json:
        return self._counters.shelf.delete(asked.argument("metafields") or [])

    def _throttled(self, cost: float) -> web.Response:
        self._tally.throttled += 1
        wait = math.ceil((cost - self._bucket.left) / self._bucket.restore_rate) or 1
        if self._chance.random() < self._plan.answered_429:
            headers = {"Retry-After": str(wait)}
            return web.json_response({"errors": "Exceeded rate limit."}, status=429, headers=headers)
        error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
        return web.json_response({"errors": [error], "extensions": self._cost(cost, None)})

    def _cost(self, requested: float, actual: float | None) -> Json:
        return {
            "cost": {
                "requestedQueryCost": requested,
                "actualQueryCost": actual,
                "throttleStatus": self._bucket.status(),
            }
        }

    @property
    def _misbehave(self) -> Any:
        @web.middleware
        async def misbehave(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self._chance.random() >= self._plan.api_failures:
                return await handler(request)
            self._tally.failures_injected += 1
            answer: web.StreamResponse = await self._chance.choice(self._failures)(request, handler)
            return answer

        return misbehave

    async def _fail_inside(self, _request: web.Request, _handler: Handler) -> web.StreamResponse:
        error = {"message": "Internal error", "extensions": {"code": "INTERNAL_SERVER_ERROR", "requestId": "simulated"}}
        return web.json_response({"errors": [error]}, status=500)

    async def _be_unavailable(self, _request: web.Request, _handler: Handler) -> web.StreamResponse:
        return web.Response(status=503, text="Service Unavailable")

    async def _hang_up(self, request: web.Request, _handler: Handler) -> web.StreamResponse:
        return _cut(request)

    async def _hang_up_after(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The worst case: everything was done, and nobody is told."""
        await handler(request)
        return _cut(request)

    async def _be_slow(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        await self._clock.sleep(self._plan.slowness)
        return await handler(request)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _unknown(field: str) -> Json:
    message = f"Field '{field}' doesn't exist on type 'QueryRoot'" if field else "syntax error, unexpected end of file"
    return {"message": message, "extensions": {"code": "undefinedField"}}
