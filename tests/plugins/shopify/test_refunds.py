from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from stampcard.plugin import MalformedPayload, OrderSeen, Refetch, RefundLine, RefundSeen

Decode = Callable[..., list[Any]]
Load = Callable[[str], Any]


@pytest.fixture
def seen(decode: Decode) -> Callable[..., RefundSeen]:
    """The one refund that a fixture tells of."""

    def run(*args: Any, **more: Any) -> RefundSeen:
        (event,) = decode(*args, **more)
        assert isinstance(event, RefundSeen)
        return event

    return run


def test_a_refund_tells_its_lines_its_money_and_its_shipping(seen: Callable[..., RefundSeen]) -> None:
    event = seen("refunds_create__lines")
    refund = event.refund
    assert (event.order, refund.reference) == ("820982911946154508", "890088186047892319")
    assert refund.occurred_at == refund.stamp.at == datetime(2026, 3, 9, 7, tzinfo=UTC)
    assert refund.lines == (
        RefundLine(line="487817672276298554", quantity=1, subtotal=Decimal("17.91"), tax=Decimal("2.86")),
    )
    assert refund.money == Decimal("22.81")
    assert (refund.shipping, refund.shipping_tax) == (Decimal("4.90"), Decimal("0.78"))


def test_a_refund_may_be_of_money_alone(seen: Callable[..., RefundSeen]) -> None:
    refund = seen("refunds_create__money_only").refund
    assert not refund.lines
    assert (refund.money, refund.shipping) == (Decimal("12.50"), Decimal(0))


def test_older_versions_tell_shipping_as_an_adjustment(seen: Callable[..., RefundSeen]) -> None:
    refund = seen("refunds_create__old_shipping").refund
    assert (refund.shipping, refund.shipping_tax) == (Decimal("4.12"), Decimal("0.78"))


def test_money_counts_only_when_it_went_back(seen: Callable[..., RefundSeen]) -> None:
    assert seen("refunds_create__old_shipping").refund.money == 0


def test_the_same_refund_is_equal_in_an_order_and_by_itself(decode: Decode, seen: Callable[..., RefundSeen]) -> None:
    (order,) = decode("orders_updated__refunded")
    assert isinstance(order, OrderSeen)
    assert order.refunds == (seen("refunds_create__lines").refund,)


def test_a_refund_whose_money_has_arrived_wins_over_its_earlier_state(
    seen: Callable[..., RefundSeen], load: Load
) -> None:
    body = load("refunds_create__old_shipping")
    earlier = seen("refunds_create__old_shipping", body).refund
    body["transactions"][0]["status"] = "success"
    later = seen("refunds_create__old_shipping", body).refund
    assert earlier.stamp < later.stamp
    assert later.money == Decimal("4.90")


def test_the_order_of_lines_does_not_matter(seen: Callable[..., RefundSeen], load: Load) -> None:
    body = load("refunds_create__lines")
    body["refund_line_items"].append(body["refund_line_items"][0] | {"id": 42, "line_item_id": 5, "quantity": 2})
    one = seen("refunds_create__lines", body).refund
    body["refund_line_items"].reverse()
    assert seen("refunds_create__lines", body).refund == one


def test_money_in_the_buyers_currency_makes_us_read_the_order(decode: Decode, load: Load) -> None:
    body = load("refunds_create__money_only")
    body["transactions"][1]["currency"] = "SEK"
    assert decode("refunds_create__money_only", body) == [Refetch(kind="order", reference="820982911946154508")]


def test_refunds_of_test_orders_are_left_out_unless_the_setting_counts_them(decode: Decode, load: Load) -> None:
    body = load("refunds_create__money_only")
    body["transactions"][0]["test"] = True
    assert decode("refunds_create__money_only", body) == []
    assert len(decode("refunds_create__money_only", body, changes={"test_orders": "count"})) == 1


def test_a_refund_needs_its_order_and_a_time(decode: Decode, load: Load) -> None:
    body = load("refunds_create__lines")
    with pytest.raises(MalformedPayload, match="processed_at"):
        decode("refunds_create__lines", body | {"processed_at": None, "created_at": None})
    del body["order_id"]
    with pytest.raises(MalformedPayload, match="order_id"):
        decode("refunds_create__lines", body)
