"""What we understand, send and simulate, beside the samples that WooCommerce publishes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stampcard.plugin import CustomerSeen, Delivery, OrderSeen, Refetch, Voucher
from stampcard_woocommerce import payloads
from stampcard_woocommerce.coupons import coupon_of
from stampcard_woocommerce.fulfilling import Coupon
from stampcard_woocommerce.simulated_bodies import coupon_body, customer_body, order_body, refund_body
from stampcard_woocommerce.simulator import WooCommerceSimulator
from stampcard_woocommerce.subscribing import Hook
from stampcard_woocommerce.webhooks import WooCommerceWebhooks

pytestmark = pytest.mark.vendor
Sample = Callable[[str], Any]


@pytest.fixture
def sample() -> Sample:
    """Read a published sample by the beginning of its name."""
    folder = os.environ.get("VENDOR_SPECS")
    if not folder:
        pytest.skip("VENDOR_SPECS does not name a folder of vendor schemas and samples")
    shelf = Path(folder) / "woocommerce" / "rest-api-docs-v3"
    return lambda name: json.loads(next(shelf.glob(f"{name}*.json")).read_text(encoding="utf8"))


def decoded(settings: Any, topic: str, body: Any, received: datetime, read_at: int = 0) -> list[Any]:
    raw = msgspec.json.encode(body)
    delivery = Delivery(connection="shop", key="k", topic=topic, body=raw, received_at=received, read_at=read_at)
    return list(WooCommerceWebhooks(settings).events(delivery))


def test_the_published_order_is_a_guests_and_what_is_read_of_it_adds_up(sample: Sample, settings: Any) -> None:
    order = sample("orders__02")
    changed = datetime(2017, 3, 22, 19, 28, 8, tzinfo=UTC)
    assert decoded(settings(), "order.created", order, changed) == [Refetch(kind="order", reference="727")]
    (seen,) = decoded(settings(guests="ignore"), "order.created", order, changed)
    snapshot = seen.snapshot
    assert (snapshot.total, snapshot.currency, snapshot.paid) == (Decimal("29.35"), "USD", True)
    assert (snapshot.stamp.at, snapshot.utc_offset) == (changed, -180)
    lines = sum(line.gross - line.discount + line.tax for line in snapshot.lines)
    assert lines + snapshot.shipping + snapshot.shipping_tax == snapshot.total


def test_all_published_orders_and_refunds_are_understood(sample: Sample, settings: Any) -> None:
    refunds = sample("order-refunds__03")
    for order in sample("orders__03"):
        body = {"order": order, "refunds": refunds if order["refunds"] else [], "owner": 0}
        events = decoded(settings(), "fetched/order", body, datetime(2026, 1, 1, tzinfo=UTC), read_at=1)
        assert isinstance(events[-1], OrderSeen)
        assert len(events[-1].refunds) == len(body["refunds"])


def test_a_published_refund_names_its_lines(sample: Sample, settings: Any) -> None:
    (named,) = (refund for refund in sample("order-refunds__03") if refund["line_items"])
    body = {"order": sample("orders__02"), "refunds": [named], "owner": 0}
    seen = decoded(settings(), "fetched/order", body, datetime(2026, 1, 1, tzinfo=UTC), read_at=1)[-1]
    (refund,) = seen.refunds
    assert len(refund.lines) == len(named["line_items"])
    assert refund.money == Decimal(named["amount"])


def test_published_customers_webhooks_and_coupons_are_understood(sample: Sample, settings: Any) -> None:
    people = sample("customers__03")
    for person in people:
        (seen,) = decoded(settings(), "customer.updated", person, datetime(2026, 1, 1, tzinfo=UTC))
        assert isinstance(seen, CustomerSeen)
        assert seen.attributes["email"] == person["email"]
    hooks = msgspec.convert(sample("webhooks__03"), list[Hook], strict=False)
    assert {hook.status for hook in hooks} == {"active"}
    assert msgspec.convert(sample("coupons__02"), Coupon).code == "10off"


def test_what_is_sent_for_a_coupon_are_fields_that_are_published(sample: Sample, voucher: Any) -> None:
    known = set(sample("coupons__02"))
    made: list[Voucher] = [voucher(kind) for kind in ("amount_off", "percent_off", "free_shipping", "free_product")]
    made.append(voucher(collections=("15",), minimum=Decimal(20)))
    for one in made:
        assert set(coupon_of(one, "ada@mail.example")) <= known


def test_our_fixtures_have_no_field_that_is_not_published_where_we_read_it(sample: Sample, load: Any) -> None:
    order, person = sample("orders__02"), sample("customers__02")
    for name in payloads.OrderBody.__struct_fields__:
        assert name in order, name
        assert name in load("order_updated__paid"), name
    for name in payloads.Line.__struct_fields__:
        assert name in order["line_items"][0], name
    for name in payloads.Person.__struct_fields__:
        assert name in person, name
    refund = sample("order-refunds__02")
    assert set(payloads.RefundBody.__struct_fields__) - {"shipping_lines"} <= set(refund)


def test_the_simulated_shop_answers_with_published_fields_of_the_published_kind(sample: Sample, clock: Any) -> None:
    shop = WooCommerceSimulator(3, clock=clock)
    customer = shop.register()
    order = shop.buy(customer)
    shop.turn(order, "return_some")
    shop.api.writing.make_coupon({"code": "a"})
    simulated = {
        "orders__02": order_body(order),
        "order-refunds__02": refund_body(order.refunds[0]),
        "customers__02": customer_body(shop.book.customers[int(customer)]),
        "coupons__02": coupon_body(next(iter(shop.book.coupons.values()))),
    }
    for name, body in simulated.items():
        published = sample(name)
        for field, value in body.items():
            if name == "order-refunds__02" and field in {"shipping_lines", "tax_lines", "fee_lines"}:
                continue  # newer than the page
            if field == "status" and name == "coupons__02":
                continue  # newer than the page
            assert field in published, f"{name}: {field}"
            if value is not None and published[field] is not None:
                assert type(value) is type(published[field]), f"{name}: {field}"
