"""What the simulated API changes: customers' fields, coupons and webhooks."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from stampcard.plugin import Clock
from stampcard.testing.simulator import Tally
from stampcard_woocommerce.simulated_bodies import Body, coupon_body, customer_body
from stampcard_woocommerce.simulated_book import Book, Coupon, Customer
from stampcard_woocommerce.simulated_hooks import Hook, Hooks

#: The field in which a balance is expected.
BALANCE = "stampcard_balance"


class Unfit(Exception):
    """Something that WooCommerce refuses, in its own word."""


class Writing:
    def __init__(self, book: Book, hooks: Hooks, tally: Tally, clock: Clock) -> None:
        self._book, self._hooks, self._tally, self._clock = book, hooks, tally, clock

    def change_customer(self, asked: Any) -> Body:
        customer = self._book.customers.get(int(asked["id"]))
        if customer is None:
            raise Unfit("woocommerce_rest_invalid_id")
        for entry in asked.get("meta_data", ()):
            self._write(customer, entry["key"], entry["value"])
        customer.modified_at = self._clock.now().replace(microsecond=0)
        self._hooks.tell("customer.updated", customer.id)
        return customer_body(customer)

    def _write(self, customer: Customer, key: str, value: Any) -> None:
        if value is None:
            customer.meta.pop(key, None)
            return
        if key == BALANCE:
            self._tally.pushes_received += 1
            self._tally.regressions += _version(str(value)) < _version(customer.meta.get(key, ""))
        customer.meta[key] = str(value)

    def make_coupon(self, asked: Any) -> Body:
        code = str(asked.get("code", "")).strip().lower()
        if not code:
            raise Unfit("woocommerce_rest_empty_coupon_code")
        if self._book.coupon(code) is not None:
            raise Unfit("woocommerce_rest_coupon_code_already_exists")
        coupon = Coupon(
            self._book.new_id(),
            code,
            asked.get("discount_type", "fixed_cart"),
            Decimal(asked.get("amount", "0")),
            self._clock.now().replace(microsecond=0),
            # Nothing reads date_expires_gmt.
            expires_at=_moment(asked.get("date_expires")),
            usage_limit=asked.get("usage_limit") or 0,
            emails=tuple(email.lower() for email in asked.get("email_restrictions", ())),
            minimum=Decimal(asked.get("minimum_amount", "0")),
            products=tuple(asked.get("product_ids", ())),
            categories=tuple(asked.get("product_categories", ())),
            pieces=asked.get("limit_usage_to_x_items") or 0,
            alone=asked.get("individual_use", False),
            free_shipping=asked.get("free_shipping", False),
            description=asked.get("description", ""),
        )
        self._book.coupons[coupon.id] = coupon
        return coupon_body(coupon)

    def change_coupon(self, number: int, asked: Any) -> Body:
        coupon = self._book.coupons.get(number)
        if coupon is None:
            raise Unfit("woocommerce_rest_shop_coupon_invalid_id")
        if asked.get("date_expires") is not None:
            coupon.expires_at = _moment(asked["date_expires"])
        return coupon_body(coupon)

    def make_hook(self, asked: Any) -> Body:
        url, topic = str(asked.get("delivery_url", "")), str(asked.get("topic", ""))
        if topic.partition(".")[0] not in {"order", "customer", "coupon", "product"}:
            raise Unfit("woocommerce_rest_shop_webhook_invalid_topic")
        if not url.startswith(("http://", "https://")):
            raise Unfit("woocommerce_rest_shop_webhook_invalid_delivery_url")
        hook = Hook(self._book.new_id(), topic, url, str(asked.get("secret") or "made up by the shop"))
        hook.name = str(asked.get("name", ""))
        self._hooks.all[hook.id] = hook
        return hook.body(self._clock.now())

    def change_hook(self, asked: Any) -> Body:
        hook = self._hook(asked["id"])
        hook.status = asked.get("status", hook.status)
        hook.secret = asked.get("secret") or hook.secret
        return hook.body(self._clock.now())

    def end_hook(self, number: Any) -> Body:
        hook = self._hook(number)
        del self._hooks.all[hook.id]
        return hook.body(self._clock.now())

    def _hook(self, number: Any) -> Hook:
        hook = self._hooks.all.get(int(number))
        if hook is None:
            raise Unfit("woocommerce_rest_shop_webhook_invalid_id")
        return hook


def balance_of(customer: Customer) -> dict[str, Any]:
    """What a customer's account shows; nothing if nothing was pushed."""
    shown = json.loads(customer.meta.get(BALANCE, "null"))
    return shown if isinstance(shown, dict) else {}


def _version(text: str) -> int:
    return int(json.loads(text)["version"]) if text else 0


def _moment(text: Any) -> datetime | None:
    """A time with its zone, for which alone the shop's own clock does not matter; empty for none."""
    if not text:
        return None
    at = datetime.fromisoformat(str(text))
    if at.tzinfo is None:
        raise Unfit("a_time_by_the_clock_of_the_shop")
    return at.astimezone(UTC)
