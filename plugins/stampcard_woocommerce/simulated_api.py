"""The REST API of the simulated shop, and the page where its owner hands keys over."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from stampcard.plugin import Clock
from stampcard.testing.simulator import Tally
from stampcard_woocommerce import simulated_listing as listing
from stampcard_woocommerce.simulated_bodies import CURRENCY, Body, coupon_body, customer_body, order_body, refund_body
from stampcard_woocommerce.simulated_book import Book
from stampcard_woocommerce.simulated_faults import Faults, answer, refused
from stampcard_woocommerce.simulated_hooks import Hooks
from stampcard_woocommerce.simulated_writing import Unfit, Writing

_ROOT = "/wp-json/wc/v3"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Change = Callable[[Any], Body]


class RestApi:
    """Serves the book; every call needs a key that the shop gave out."""

    def __init__(
        self, book: Book, hooks: Hooks, tally: Tally, clock: Clock, faults: Faults, chance: random.Random
    ) -> None:
        self.keys: dict[str, str] = {}
        self.calls: list[str] = []
        self._book, self._hooks, self._tally, self._clock, self._faults = book, hooks, tally, clock, faults
        self._chance = chance
        self.writing = Writing(book, hooks, tally, clock)

    def application(self) -> web.Application:
        server = web.Application(middlewares=[self._guard], client_max_size=8 * 1024 * 1024)
        writing = self.writing
        server.add_routes(
            [
                web.get(f"{_ROOT}/orders", self._orders),
                web.get(f"{_ROOT}/orders/{{id}}", self._order),
                web.get(f"{_ROOT}/orders/{{id}}/refunds", self._refunds),
                web.get(f"{_ROOT}/customers", self._customers),
                web.post(f"{_ROOT}/customers/batch", self._batch(update=writing.change_customer)),
                web.get(f"{_ROOT}/coupons", self._coupons),
                web.put(f"{_ROOT}/coupons/{{id}}", self._coupon),
                web.post(f"{_ROOT}/coupons/batch", self._batch(create=writing.make_coupon)),
                web.get(f"{_ROOT}/webhooks", self._webhooks),
                web.post(f"{_ROOT}/webhooks/batch", self._change_webhooks),
                web.get(f"{_ROOT}/data/currencies/current", self._currency),
                web.get("/wc-auth/v1/authorize", self._ask_owner),
                web.get("/wc-auth/v1/access_granted", self._grant),
            ]
        )
        return server

    def new_key(self) -> tuple[str, str]:
        key, secret = (f"{prefix}_{self._chance.getrandbits(160):040x}" for prefix in ("ck", "cs"))
        self.keys[key] = secret
        return key, secret

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check the key; then fail, if it is to, before or after doing what is asked for."""
        if not request.path.startswith(_ROOT):
            return await handler(request)
        if not self._opens(request.headers.get("Authorization", "")):
            return refused(401, "woocommerce_rest_cannot_view")
        self.calls.append(f"{request.method} {request.path_qs.removeprefix(_ROOT)}")
        fault = self._faults.next(request.path)
        if fault is not None and not fault.done:
            return await answer(fault, request, self._tally)
        done = await handler(request)
        return done if fault is None else await answer(fault, request, self._tally)

    def _opens(self, header: str) -> bool:
        try:
            key, _, secret = base64.b64decode(header.removeprefix("Basic "), validate=True).decode().partition(":")
        except ValueError:
            return False
        return bool(secret) and self.keys.get(key) == secret

    async def _orders(self, request: web.Request) -> web.Response:
        return listing.paged(request, listing.orders(request, self._book), order_body)

    async def _order(self, request: web.Request) -> web.Response:
        order = self._book.orders.get(int(request.match_info["id"]))
        if order is None:
            return refused(404, "woocommerce_rest_shop_order_invalid_id")
        return web.json_response(order_body(order))

    async def _refunds(self, request: web.Request) -> web.Response:
        order = self._book.orders.get(int(request.match_info["id"]))
        if order is None:
            return refused(404, "woocommerce_rest_invalid_order_id")
        return listing.paged(request, order.refunds, refund_body)

    async def _customers(self, request: web.Request) -> web.Response:
        return listing.paged(request, listing.customers(request, self._book), customer_body)

    async def _coupons(self, request: web.Request) -> web.Response:
        found = self._book.coupon(request.query.get("code", ""))
        return listing.paged(request, [found] if found else [], coupon_body)

    async def _coupon(self, request: web.Request) -> web.Response:
        try:
            made = self.writing.change_coupon(int(request.match_info["id"]), await request.json())
        except Unfit as error:
            return refused(400, str(error))
        return web.json_response(made)

    async def _webhooks(self, request: web.Request) -> web.Response:
        hooks = sorted(self._hooks.all.values(), key=lambda hook: hook.id)
        return listing.paged(request, hooks, lambda hook: hook.body(self._clock.now()), offsets=False)

    async def _change_webhooks(self, request: web.Request) -> web.Response:
        """Like any batch, but for the pings, which WooCommerce sends before it answers."""
        before = set(self._hooks.all)
        writing = self.writing
        changes: dict[str, Change] = {
            "create": writing.make_hook,
            "update": writing.change_hook,
            "delete": writing.end_hook,
        }
        done = _changed(await request.json(), changes)
        for number in sorted(set(self._hooks.all) - before):
            await self._hooks.ping(self._hooks.all[number])
        return web.json_response(done)

    async def _currency(self, _: web.Request) -> web.Response:
        return web.json_response({"code": CURRENCY, "name": "Dollar", "symbol": "$"})

    def _batch(self, **changes: Change) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            asked = await request.json()
            if sum(map(len, asked.values())) > 100:  # noqa: PLR2004 - the most that WooCommerce takes
                return refused(413, "woocommerce_rest_request_entity_too_large")
            self._tally.push_calls += "customers" in request.path
            return web.json_response(_changed(asked, changes))

        return handle

    async def _ask_owner(self, request: web.Request) -> web.Response:
        """The page on which somebody who manages the shop says yes or no."""
        if problem := _unfit_query(request):
            return web.Response(status=401, text=f"Error: {problem}.")
        return web.Response(
            text=f"<h1>{request.query['app_name']} would like to connect to your store</h1>", content_type="text/html"
        )

    async def _grant(self, request: web.Request) -> web.Response:
        """The owner said yes: a key is made, sent, and taken back if anything but 200 comes."""
        if problem := _unfit_query(request):
            return web.Response(status=401, text=f"Error: {problem}.")
        key, secret = self.new_key()
        state = request.query["user_id"]
        body = {"key_id": 1, "user_id": state, "consumer_key": key, "consumer_secret": secret}
        content = json.dumps({**body, "key_permissions": request.query["scope"]})
        headers = {"Content-Type": "application/json;charset=UTF-8"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(request.query["callback_url"], data=content, headers=headers) as answered,
        ):
            await answered.read()
        if answered.status != 200:  # noqa: PLR2004 - WooCommerce takes no other
            del self.keys[key]
            return web.Response(status=401, text="Error: unable to send the consumer data.")
        back = f"{request.query['return_url']}?{urlencode({'success': 1, 'user_id': state})}"
        return web.Response(status=302, headers={"Location": back})


def _unfit_query(request: web.Request) -> str:
    """What class-wc-auth.php finds wrong; only here may the callback be http, and only on this machine."""
    for name in ("app_name", "user_id", "return_url", "callback_url", "scope"):
        if not request.query.get(name):
            return f"Missing parameter {name}"
    if not request.query["callback_url"].startswith(("https://", "http://127.0.0.1:")):
        return "The callback_url needs to be over SSL"
    return "" if request.query["scope"] in {"read", "write", "read_write"} else "Invalid scope"


def _changed(asked: dict[str, list[Any]], changes: dict[str, Change]) -> dict[str, list[Body]]:
    """Each succeeds or fails by itself."""
    done: dict[str, list[Body]] = {}
    for verb, items in asked.items():
        for item in items:
            try:
                made = changes[verb](item)
            except Unfit as error:
                number = item.get("id", 0) if isinstance(item, dict) else item
                made = {"id": number, "error": {"code": str(error), "message": str(error), "data": {"status": 400}}}
            done.setdefault(verb, []).append(made)
    return done
