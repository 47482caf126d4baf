"""What an order is worth, whose it is, and when it has to be read at the shop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as trial
from hypothesis import strategies as st

from stampcard.plugin import Delivery, MalformedPayload, OrderSeen, Refetch
from stampcard_woocommerce.decoding import read, snapshot_of
from stampcard_woocommerce.payloads import OrderBody
from stampcard_woocommerce.webhooks import WooCommerceWebhooks

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def seen(events: list[Any]) -> OrderSeen:
    order = events[-1]
    assert isinstance(order, OrderSeen)
    return order


def test_amounts_are_before_tax_and_times_are_utc(decode: Any) -> None:
    order = seen(decode("order_updated__paid"))
    snapshot = order.snapshot
    assert (order.reference, snapshot.number, snapshot.currency) == ("7100", "7100", "EUR")
    assert (snapshot.total, snapshot.shipping, snapshot.shipping_tax) == (
        Decimal("41.6"),
        Decimal("4.1"),
        Decimal("0.9"),
    )
    assert [(line.gross, line.discount, line.tax, line.quantity) for line in snapshot.lines] == [
        (Decimal(20), Decimal(0), Decimal("4.4"), 2),
        (Decimal(10), Decimal(0), Decimal("2.2"), 1),
    ]
    assert not snapshot.tax_included
    assert snapshot.occurred_at == datetime(2026, 3, 10, 11, 58, tzinfo=UTC)
    assert snapshot.stamp.at == datetime(2026, 3, 10, 11, 59, 58, tzinfo=UTC)
    assert snapshot.utc_offset == 120
    assert (snapshot.customer, snapshot.channel) == ("58", "checkout")
    assert snapshot.lists_all_refunds


def test_what_coupons_and_negative_fees_take_off_is_discount_and_other_fees_earn_nothing(decode: Any) -> None:
    snapshot = seen(decode("order_updated__discounted")).snapshot
    # 3.40 off, spread over 24.00 and 10.00.
    assert [line.discount for line in snapshot.lines] == [Decimal("8.4"), Decimal(1)]
    assert [line.gross for line in snapshot.lines] == [Decimal(30), Decimal(10)]
    assert snapshot.codes == ("spring-abcd",)
    assert snapshot.fulfilled_at == datetime(2026, 3, 10, 11, 59, 50, tzinfo=UTC)


def test_the_tax_of_what_fees_take_off_is_off_as_well(decode: Any, load: Any) -> None:
    lines, fees = load("order_updated__paid")["line_items"], [{"id": 1, "total": "-6.00", "total_tax": "-1.32"}]
    taxes = sum((Decimal(line["total_tax"]) for line in lines), Decimal(0))
    snapshot = seen(decode("order_updated__paid", {"fee_lines": fees})).snapshot
    assert sum(line.tax for line in snapshot.lines) == taxes - Decimal("1.32")


def test_fees_never_take_off_more_than_there_is(decode: Any) -> None:
    fees = [{"id": 1, "total": "-99.00", "total_tax": "0"}]
    snapshot = seen(decode("order_updated__paid", {"fee_lines": fees})).snapshot
    assert sum(line.gross - line.discount for line in snapshot.lines) == 0


@trial(max_examples=50, deadline=None, derandomize=True, database=None)
@given(
    totals=st.lists(st.decimals(0, 500, places=2), min_size=1, max_size=6),
    off=st.decimals(0, 900, places=2),
)
def test_what_a_fee_takes_off_is_spread_to_the_cent(totals: list[Decimal], off: Decimal) -> None:
    lines = [
        {"id": place, "quantity": 1, "subtotal": str(total), "total": str(total)}
        for place, total in enumerate(totals, start=1)
    ]
    body = {
        "id": 1,
        "status": "processing",
        "currency": "EUR",
        "total": "0",
        "customer_id": 0,
        "date_created_gmt": "2026-03-10T11:00:00",
        "date_modified_gmt": "2026-03-10T11:00:00",
        "line_items": lines,
        "fee_lines": [{"id": 9, "total": f"-{off}"}],
    }
    snapshot = snapshot_of(read(msgspec.json.encode(body), OrderBody), None, (), 0)
    left = [line.gross - line.discount for line in snapshot.lines]
    assert sum(left) == max(Decimal(0), sum(totals, Decimal(0)) - off)
    assert all(amount >= 0 for amount in left)


@pytest.mark.parametrize(
    ("status", "paid", "cancelled"),
    [
        ("pending", False, False),
        ("on-hold", False, False),
        ("processing", True, False),
        ("completed", True, False),
        ("refunded", True, False),
        ("shipped", True, False),
        ("cancelled", False, True),
        ("failed", False, True),
        ("trash", False, True),
    ],
)
def test_an_order_is_paid_by_its_status_or_where_that_says_nothing_by_the_noted_payment(
    decode: Any, status: str, paid: bool, cancelled: bool
) -> None:
    snapshot = seen(decode("order_updated__paid", {"status": status})).snapshot
    assert (snapshot.paid, snapshot.cancelled) == (paid, cancelled)


@pytest.mark.parametrize("status", ["refunded", "shipped"])
def test_without_a_noted_payment_a_status_of_the_shops_own_is_not_paid(decode: Any, status: str) -> None:
    changes = {"status": status, "date_paid_gmt": None}
    assert not seen(decode("order_updated__paid", changes)).snapshot.paid


def test_which_statuses_count_can_be_chosen(decode: Any) -> None:
    assert not seen(decode("order_updated__paid", paid_statuses=["completed"])).snapshot.paid
    changes = {"status": "on-hold"}
    assert seen(decode("order_updated__paid", changes, paid_statuses=["on-hold"])).snapshot.paid


def test_an_order_with_refunds_is_read_at_the_shop(decode: Any) -> None:
    assert decode("order_updated__refunded") == [Refetch(kind="order", reference="7101")]


def test_an_update_that_did_not_move_the_time_of_change_is_read_at_the_shop(decode: Any) -> None:
    assert isinstance(decode("order_updated__paid")[0], OrderSeen)
    late = decode("order_updated__paid", received=NOW + timedelta(minutes=3))
    assert late == [Refetch(kind="order", reference="7100")]
    new = decode("order_created__pending", received=NOW + timedelta(hours=3))
    assert isinstance(new[0], OrderSeen)


def test_an_order_that_goes_into_the_bin_is_read_there_and_is_cancelled(decode: Any) -> None:
    assert decode("order_deleted__plain") == [Refetch(kind="order", reference="7101")]
    assert decode("order_deleted__plain", {"id": "7101"}) == [Refetch(kind="order", reference="7101")]
    assert seen(decode("fetched_order__binned")).snapshot.cancelled


def test_an_order_that_the_shop_has_no_more_is_worth_nothing(decode: Any) -> None:
    order = seen(decode("fetched_nothing__plain"))
    assert order.reference == "7109"
    assert (order.snapshot.cancelled, order.snapshot.total, order.snapshot.paid) == (True, Decimal(0), False)
    assert order.snapshot.currency == "EUR"


def test_what_nobody_has_placed_yet_is_no_order(decode: Any) -> None:
    assert decode("order_created__draft") == []
    assert decode("fetched_order__refunded", {"status": "checkout-draft"}) == []


def test_an_error_in_place_of_a_body_names_the_webhooks_user(decode: Any) -> None:
    assert decode("order_updated__vanished") == []
    with pytest.raises(MalformedPayload, match="webhook's user"):
        decode("order_updated__vanished", {"code": "woocommerce_rest_cannot_view"})


def test_refunds_name_lines_or_an_amount(decode: Any) -> None:
    order = seen(decode("fetched_order__refunded"))
    by_line, by_amount = order.refunds
    assert [(line.line, line.quantity, line.subtotal, line.tax) for line in by_line.lines] == [
        ("801", 1, Decimal(10), Decimal("2.2"))
    ]
    assert by_line.money == Decimal("12.2")
    assert (by_amount.lines, by_amount.money) == ((), Decimal("2.5"))
    assert order.snapshot.refund_references == ("7190", "7191")
    assert order.snapshot.stamp.read_at > 0


def test_a_fetched_body_that_comes_by_webhook_is_nothing(decode: Any, settings: Any, load: Any) -> None:
    for name, topic in (("fetched_order__refunded", "fetched/order"), ("fetched_nothing__plain", "fetched/nothing")):
        delivery = Delivery(
            connection="shop", key="k", topic=topic, body=msgspec.json.encode(load(name)), received_at=NOW
        )
        assert list(WooCommerceWebhooks(settings()).events(delivery)) == []


def test_weights_count_as_whole_pieces(decode: Any, load: Any) -> None:
    lines = load("order_updated__paid")["line_items"]
    lines[0]["quantity"] = 1.25
    assert [line.quantity for line in seen(decode("order_updated__paid", {"line_items": lines})).snapshot.lines] == [
        2,
        1,
    ]


def test_two_equal_orders_have_one_digest_however_money_is_written(decode: Any, load: Any) -> None:
    lines = load("order_updated__paid")["line_items"]
    lines[0] |= {"subtotal": "20", "total": "20.000"}
    one, other = decode("order_updated__paid"), decode("order_updated__paid", {"line_items": lines})
    assert one == other
