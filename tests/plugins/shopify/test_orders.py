from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as trial
from hypothesis import strategies as st

from stampcard.plugin import MalformedPayload, OrderSeen, OrderSnapshot, Refetch
from stampcard_shopify.decoding import exact

Decode = Callable[..., list[Any]]
Load = Callable[[str], Any]


@pytest.fixture
def seen(decode: Decode) -> Callable[..., OrderSeen]:
    """The one order that a fixture tells of."""

    def run(*args: Any, **more: Any) -> OrderSeen:
        (event,) = decode(*args, **more)
        assert isinstance(event, OrderSeen)
        return event

    return run


def test_an_order_is_told_as_it_was_placed(seen: Callable[..., OrderSeen]) -> None:
    event = seen("orders_paid__discounted")
    order = event.snapshot
    assert event.reference == "820982911946154508"
    assert order.stamp.at == datetime(2026, 3, 1, 9, 0, 5, tzinfo=UTC)
    assert order.stamp.read_at == 0
    assert order.occurred_at == datetime(2026, 3, 1, 8, 59, 58, tzinfo=UTC)
    assert order.occurred_at.tzinfo is UTC
    assert (order.number, order.currency, order.channel) == ("#1042", "EUR", "web")
    assert (order.paid, order.cancelled, order.tax_included) == (True, False, True)
    assert order.customer == "9007199254740993"
    assert order.tags == ("spring", "gift wrap")
    assert order.total == Decimal("99.13")
    assert (order.shipping, order.shipping_tax) == (Decimal("4.90"), Decimal("0.78"))
    cups, pot = order.lines
    assert (cups.reference, cups.quantity, cups.gross) == ("487817672276298554", 3, Decimal("59.70"))
    assert (cups.discount, cups.tax) == (Decimal("5.97"), Decimal("8.58"))
    assert (pot.product, pot.sku, pot.vendor, pot.gift_card) == ("7002", "POT-01", "Kiln & Co", False)


def test_a_sale_at_the_till_is_told_as_such_and_may_name_nobody(decode: Decode, load: Load) -> None:
    body = {name: value for name, value in load("orders_paid__discounted").items() if name != "customer"}
    (event,) = decode("orders_paid__discounted", body | {"source_name": "pos", "location_id": 655441491})
    assert (event.snapshot.channel, event.snapshot.customer) == ("pos", None)


def test_whether_it_is_paid_is_told_by_the_body_not_by_the_topic(seen: Callable[..., OrderSeen]) -> None:
    assert not seen("orders_create__pending", topic="orders/paid").snapshot.paid
    assert seen("orders_paid__discounted", topic="orders/create").snapshot.paid


@pytest.mark.parametrize(
    ("status", "paid"),
    [
        ("paid", True),
        ("partially_refunded", True),
        ("refunded", True),
        ("pending", False),
        ("authorized", False),
        ("partially_paid", False),
        ("voided", False),
        ("something_new", False),
        (None, False),
    ],
)
def test_each_financial_status_is_paid_or_not(
    seen: Callable[..., OrderSeen], load: Load, status: str | None, paid: bool
) -> None:
    body = load("orders_paid__discounted") | {"financial_status": status}
    assert seen("orders_paid__discounted", body).snapshot.paid is paid


def test_a_cancelled_order_is_cancelled(seen: Callable[..., OrderSeen]) -> None:
    assert seen("orders_cancelled__voided").snapshot.cancelled


def _with_numbers(value: Any) -> Any:
    """The same body with every amount as a JSON number."""
    if isinstance(value, list):
        return [_with_numbers(item) for item in value]
    if isinstance(value, dict):
        amounts = {"price", "amount", "total_price", "discounted_price", "total_discount"}
        return {
            name: msgspec.Raw(item.encode()) if name in amounts and isinstance(item, str) else _with_numbers(item)
            for name, item in value.items()
        }
    return value


def test_amounts_may_be_text_or_numbers(seen: Callable[..., OrderSeen], load: Load) -> None:
    body = _with_numbers(load("orders_paid__discounted"))
    assert b'"price":19.90' in msgspec.json.encode(body)
    assert seen("orders_paid__discounted", body) == seen("orders_paid__discounted")


def test_a_currency_may_have_no_decimals(seen: Callable[..., OrderSeen]) -> None:
    order = seen("orders_paid__yen_gift_card").snapshot
    assert (order.currency, order.total) == ("JPY", Decimal(10960))
    assert [line.gross for line in order.lines] == [Decimal(5000), Decimal(5960)]


def test_a_currency_may_have_three_decimals_and_tax_on_top(seen: Callable[..., OrderSeen]) -> None:
    order = seen("orders_paid__dinar").snapshot
    assert (order.currency, order.total, order.tax_included) == ("KWD", Decimal("14.363"), False)
    assert (order.lines[0].gross, order.lines[0].tax) == (Decimal("12.250"), Decimal("0.613"))


def test_gift_cards_are_marked(seen: Callable[..., OrderSeen]) -> None:
    assert [line.gift_card for line in seen("orders_paid__yen_gift_card").snapshot.lines] == [True, False]


def test_an_order_may_have_no_customer(seen: Callable[..., OrderSeen], load: Load) -> None:
    body = load("orders_paid__discounted")
    assert seen("orders_paid__discounted", body | {"customer": None}).snapshot.customer is None
    del body["customer"]
    assert seen("orders_paid__discounted", body).snapshot.customer is None


def test_test_orders_are_left_out_unless_the_setting_counts_them(decode: Decode) -> None:
    assert decode("orders_paid__test") == []
    assert len(decode("orders_paid__test", changes={"test_orders": "count"})) == 1


def test_an_edit_makes_us_read_the_order(decode: Decode) -> None:
    assert decode("orders_edited__removal") == [Refetch(kind="order", reference="820982911946154508")]


def test_units_that_an_edit_removed_take_their_discount_and_tax_with_them(seen: Callable[..., OrderSeen]) -> None:
    order = seen("orders_updated__edited").snapshot
    cups, pot, saucer = order.lines
    assert (cups.quantity, cups.gross, cups.discount, cups.tax) == (
        2,
        Decimal("39.80"),
        Decimal("3.98"),
        Decimal("5.72"),
    )
    assert (saucer.quantity, saucer.gross, saucer.product, saucer.vendor) == (2, Decimal("16.00"), "", "")
    net = sum(line.gross - line.discount for line in (cups, pot, saucer))
    assert order.total == net + order.shipping == Decimal("97.22")


def test_the_total_is_the_same_whether_or_not_the_shop_lowered_it(seen: Callable[..., OrderSeen], load: Load) -> None:
    body = load("orders_updated__edited")
    assert seen("orders_updated__edited", body | {"total_price": "97.22"}).snapshot.total == Decimal("97.22")
    assert seen("orders_updated__edited", body | {"total_price": "115.13"}).snapshot.total == Decimal("97.22")


def test_what_no_line_accounts_for_stays_in_the_total(seen: Callable[..., OrderSeen], load: Load) -> None:
    tipped = load("orders_paid__discounted") | {"total_price": "104.13"}
    assert seen("orders_paid__discounted", tipped).snapshot.total == Decimal("104.13")


def test_refunds_do_not_change_the_order_as_it_was_placed(seen: Callable[..., OrderSeen]) -> None:
    placed, refunded = seen("orders_paid__discounted"), seen("orders_updated__refunded")
    assert refunded.snapshot.lines == placed.snapshot.lines
    assert refunded.snapshot.total == placed.snapshot.total
    assert [refund.reference for refund in refunded.refunds] == ["890088186047892319"]


def test_a_line_of_which_everything_was_removed_is_worth_nothing(seen: Callable[..., OrderSeen], load: Load) -> None:
    body = load("orders_paid__discounted")
    body["line_items"][0]["current_quantity"] = 0
    cups = seen("orders_paid__discounted", body).snapshot.lines[0]
    assert not any((cups.quantity, cups.gross, cups.discount, cups.tax))


def test_without_allocations_the_discount_of_the_line_counts(seen: Callable[..., OrderSeen], load: Load) -> None:
    body = load("orders_paid__discounted")
    body["line_items"][0] |= {"discount_allocations": [], "total_discount": "1.50"}
    assert seen("orders_paid__discounted", body).snapshot.lines[0].discount == Decimal("1.50")


def _turned(value: Any) -> Any:
    if isinstance(value, list):
        return [_turned(item) for item in value]
    return {name: _turned(value[name]) for name in reversed(value)} if isinstance(value, dict) else value


def test_the_digest_is_of_the_content_not_of_the_writing(seen: Callable[..., OrderSeen], load: Load) -> None:
    body = load("orders_paid__discounted")
    other = msgspec.json.format(msgspec.json.encode(_turned(body)), indent=4)
    plain = seen("orders_paid__discounted").snapshot.stamp
    assert seen("orders_paid__discounted", other).snapshot.stamp == plain
    assert seen("orders_paid__discounted", body | {"note": "beside the point"}).snapshot.stamp == plain
    assert seen("orders_paid__discounted", body | {"tags": "other"}).snapshot.stamp.digest != plain.digest


def test_money_in_the_buyers_currency_makes_us_read_the_order(decode: Decode, load: Load) -> None:
    body = load("orders_updated__refunded")
    body["refunds"][0]["transactions"][0]["currency"] = "SEK"
    assert decode("orders_updated__refunded", body) == [Refetch(kind="order", reference="820982911946154508")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b'{"id": 1}',
        b'{"id": "\xff"}',
        b"[" * 100_000,
        b'{"id": ' + b"9" * 5_000 + b"}",
    ],
)
def test_a_body_of_another_shape_is_malformed(decode: Decode, body: bytes) -> None:
    with pytest.raises(MalformedPayload):
        decode("orders_paid__discounted", body)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("total_price",), "Ada pays"),
        (("total_price",), "NaN"),
        (("total_price",), "-Infinity"),
        (("total_price",), "1e999999999"),
        (("updated_at",), "2026-03-01T10:00:00"),
        (("updated_at",), "0001-01-01T00:00:00+23:59"),
        (("customer", "id"), "Ada"),
        (("customer", "id"), 2**64),
        (("line_items", 0, "quantity"), -1),
        (("line_items", 0, "price"), None),
    ],
)
def test_a_wrong_value_is_malformed_and_is_not_repeated(
    decode: Decode, load: Load, path: tuple[str | int, ...], value: Any
) -> None:
    body = load("orders_paid__discounted")
    place: Any = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(MalformedPayload) as caught:
        decode("orders_paid__discounted", body)
    assert "Ada" not in str(caught.value)


def test_where_it_is_malformed_is_told(decode: Decode, load: Load) -> None:
    body = load("orders_paid__discounted")
    body["line_items"][1]["price"] = {}
    with pytest.raises(MalformedPayload, match=r"\$\.line_items\[1\]\.price|\$\.line_items\[\.\.\.\]\.price"):
        decode("orders_paid__discounted", body)


@trial(deadline=None)
@given(st.decimals(min_value="-999999999999", max_value="999999999999", places=9, allow_nan=False))
def test_an_amount_has_one_form_and_keeps_its_value(amount: Decimal) -> None:
    assert exact(amount) == amount
    assert str(exact(amount)) == str(exact(amount.quantize(Decimal("1E-12")))) == str(exact(exact(amount)))


def test_small_noise_of_floats_is_taken_off() -> None:
    assert exact(Decimal("0.30000000000000004")) == Decimal("0.3")


def test_what_we_fetched_wins_over_a_webhook_of_the_same_moment(seen: Callable[..., OrderSeen]) -> None:
    fetched = seen("fetched_order__refunded", read_at=1_773_000_000_000_000).snapshot
    assert seen("orders_updated__refunded").snapshot.stamp < fetched.stamp


def test_a_fetched_order_equals_the_one_of_the_webhook(seen: Callable[..., OrderSeen]) -> None:
    def content(order: OrderSnapshot) -> OrderSnapshot:
        stamp = msgspec.structs.replace(order.stamp, read_at=0)
        return msgspec.structs.replace(order, stamp=stamp, utc_offset=None)

    fetched, told = seen("fetched_order__refunded", read_at=7), seen("orders_updated__refunded")
    assert fetched.reference == told.reference
    assert fetched.refunds == told.refunds
    assert content(fetched.snapshot) == content(told.snapshot)


def test_the_codes_of_an_order_are_told_once_each_and_sorted(seen: Callable[..., OrderSeen], load: Load) -> None:
    assert seen("orders_paid__discounted").snapshot.codes == ("SPRING10",)
    assert seen("orders_paid__yen_gift_card").snapshot.codes == ()
    given = [{"code": code, "amount": "1.00", "type": "fixed_amount"} for code in ("ZOO", "Ant", "ZOO", "", None)]
    body = load("orders_paid__discounted") | {"discount_codes": given}
    assert seen("orders_paid__discounted", body).snapshot.codes == ("Ant", "ZOO")
    turned = body | {"discount_codes": given[::-1]}
    assert seen("orders_paid__discounted", turned) == seen("orders_paid__discounted", body)
    fetched = load("fetched_order__refunded") | {"discountCodes": ["ZOO", "Ant", "ZOO"]}
    assert seen("fetched_order__refunded", fetched, read_at=7).snapshot.codes == ("Ant", "ZOO")


def test_another_code_is_another_content(seen: Callable[..., OrderSeen], load: Load) -> None:
    body = load("orders_paid__discounted") | {"discount_codes": []}
    assert seen("orders_paid__discounted", body).snapshot.stamp != seen("orders_paid__discounted").snapshot.stamp


def test_a_webhook_that_calls_itself_fetched_is_ignored(decode: Decode) -> None:
    assert decode("fetched_order__refunded", read_at=0) == []


@pytest.mark.parametrize(
    "change",
    [
        {"lineItems": None},
        {"totalPriceSet": {}},
        {"refunds": [{"id": 1}]},
        {"id": "gid://shopify/Order/x"},
        {"id": None},
    ],
)
def test_a_fetched_order_of_another_shape_is_malformed(decode: Decode, load: Load, change: dict[str, Any]) -> None:
    with pytest.raises(MalformedPayload):
        decode("fetched_order__refunded", load("fetched_order__refunded") | change, read_at=7)


def test_an_unknown_topic_tells_nothing(decode: Decode) -> None:
    assert decode("orders_paid__discounted", topic="orders/fulfilled") == []
    assert decode("orders_paid__discounted", b"no json at all", topic="customers/delete") == []


def test_an_order_is_fulfilled_when_its_last_part_was_sent(seen: Callable[..., OrderSeen], load: Load) -> None:
    body = load("orders_updated__refunded")
    assert seen("orders_updated__refunded").snapshot.fulfilled_at is None
    parts = [{"created_at": "2026-03-05T10:00:00+01:00"}, {"created_at": "2026-03-07T09:30:00+01:00"}]

    def fulfilled_at(**more: Any) -> datetime | None:
        return seen("orders_updated__refunded", body={**body, **more}).snapshot.fulfilled_at

    assert fulfilled_at(fulfillment_status="partial", fulfillments=parts[:1]) is None
    assert fulfilled_at(fulfillment_status="fulfilled", fulfillments=parts) == datetime(2026, 3, 7, 8, 30, tzinfo=UTC)
    assert fulfilled_at(fulfillment_status="fulfilled") == datetime(2026, 3, 9, 7, 0, 1, tzinfo=UTC)


def test_a_webhook_tells_how_far_the_shops_clock_is_ahead_and_what_was_fetched_does_not(
    seen: Callable[..., OrderSeen],
) -> None:
    assert seen("orders_updated__refunded").snapshot.utc_offset == 60
    assert seen("fetched_order__refunded", read_at=7).snapshot.utc_offset is None
