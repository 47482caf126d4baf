"""Our own schema: what it comes to, and what is said of a body that is wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stampcard.plugin import (
    CustomerSeen,
    CustomEvent,
    Delivery,
    Event,
    MalformedPayload,
    OrderLine,
    OrderSeen,
    RefundLine,
    RefundSeen,
)
from stampcard_standard_webhooks.settings import StandardWebhooksSettings
from stampcard_standard_webhooks.webhooks import GenericWebhooks

FIXTURES = Path(__file__).parent / "fixtures"
SECRET = "whsec_YW4gb2xkZXIgb25lIG9mIDI0IGJ5dGVz"
RECEIVED = datetime(2026, 3, 10, 12, tzinfo=UTC)


def decoded(body: Any, **changes: Any) -> list[Event]:
    source = GenericWebhooks(StandardWebhooksSettings.model_validate({"webhook_secrets": SECRET, **changes}))
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return list(source.events(Delivery(connection="till", key="k", topic="message", body=raw, received_at=RECEIVED)))


@pytest.fixture
def load() -> Callable[[str], Any]:
    return lambda name: msgspec.json.decode((FIXTURES / f"message__{name}.json").read_bytes())


def problem(body: Any) -> str:
    with pytest.raises(MalformedPayload) as said:
        decoded(body)
    return str(said.value)


def test_an_order_is_told_whole(load: Callable[[str], Any]) -> None:
    customer, order = decoded(load("order"))
    assert customer == CustomerSeen(
        reference="7",
        occurred_at=datetime(2026, 3, 10, 11, 59, 30, tzinfo=UTC),
        attributes={"email": "ada@shop.example", "first_name": "Ada", "phone": None},
        verified=frozenset({"email"}),
    )
    assert isinstance(order, OrderSeen)
    snapshot = order.snapshot
    assert (order.reference, snapshot.number, snapshot.customer) == ("A-1001", "#1001", "7")
    assert (snapshot.total, snapshot.currency, snapshot.paid, snapshot.cancelled) == (
        Decimal("61.8"),
        "EUR",
        True,
        False,
    )
    assert snapshot.occurred_at == datetime(2026, 3, 10, 11, 50, tzinfo=UTC)
    assert snapshot.stamp.at == datetime(2026, 3, 10, 11, 59, 30, tzinfo=UTC)
    assert snapshot.lines[0] == OrderLine(
        reference="1",
        quantity=2,
        gross=Decimal("49.8"),
        discount=Decimal(3),
        tax=Decimal("3.05"),
        product="p-1",
        sku="BEANS-1KG",
        vendor="Hill Roasters",
        collections=("beans",),
        tags=("coffee",),
    )
    assert (snapshot.lines[1].gross, snapshot.lines[1].gift_card) == (Decimal(10), True)
    assert (snapshot.shipping, snapshot.shipping_tax, snapshot.tax_included) == (Decimal(5), Decimal("0.8"), True)
    assert (snapshot.channel, snapshot.tags, snapshot.codes, snapshot.utc_offset) == ("pos", ("vip",), ("SPRING",), 60)
    assert snapshot.fulfilled_at == datetime(2026, 3, 10, 11, 58, tzinfo=UTC)
    (refund,) = order.refunds
    assert (refund.reference, refund.money) == ("R-1", Decimal("21.9"))
    assert refund.lines == (RefundLine(line="1", quantity=1, subtotal=Decimal("21.9"), tax=Decimal("1.43")),)


def test_a_guest_has_no_customer_and_what_has_a_time_of_cancelling_is_cancelled(load: Callable[[str], Any]) -> None:
    (order,) = decoded(load("guest"))
    assert isinstance(order, OrderSeen)
    assert (order.snapshot.customer, order.snapshot.cancelled, order.snapshot.number) == (None, True, "A-1002")


def test_the_same_amount_written_otherwise_is_the_same_state(load: Callable[[str], Any]) -> None:
    other = load("order")
    other["data"] |= {"total": 61.8, "placed_at": "2026-03-10T11:50:00Z", "shipping": "5"}
    assert decoded(load("order")) == decoded(other)


def test_of_two_states_of_the_same_second_the_one_that_is_further_along_is_newer(load: Callable[[str], Any]) -> None:
    def stamp(**changes: Any) -> Any:
        body = load("bare")
        body["data"] |= changes
        (order,) = decoded(body)
        assert isinstance(order, OrderSeen)
        return order.snapshot.stamp

    states: list[dict[str, Any]] = [
        {"paid": False},
        {"paid": True},
        {"paid": True, "fulfilled_at": "2026-03-10T11:59:30Z"},
        {"paid": False, "cancelled": True},
        {"paid": True, "cancelled": True},
    ]
    stamps = [stamp(total=total, **state) for state in states for total in ("20", "21", "22")]
    assert sorted(stamps, key=lambda one: one.digest[:3]) == stamps
    groups = [stamps[place : place + 3] for place in range(0, len(stamps), 3)]
    assert all(max(earlier) < min(later) for earlier, later in itertools.pairwise(groups))


def test_of_two_refunds_of_the_same_second_the_one_that_gives_more_back_is_newer(load: Callable[[str], Any]) -> None:
    stamps = []
    for money in ("0", "5.00", "10", "100"):
        body = load("refund")
        body["data"]["money"] = money
        (told,) = decoded(body)
        assert isinstance(told, RefundSeen)
        stamps.append(told.refund.stamp)
    assert sorted(stamps) == stamps


def test_a_refund_alone_and_an_event_and_a_customer_are_told(load: Callable[[str], Any]) -> None:
    (refund,) = decoded(load("refund"))
    assert isinstance(refund, RefundSeen)
    assert (refund.order, refund.refund.money, refund.refund.shipping) == ("A-1001", Decimal(5), Decimal(5))
    (event,) = decoded(load("event"))
    assert event == CustomEvent(
        name="review",
        customer="7",
        key="review-219",
        occurred_at=datetime(2026, 3, 10, 11, 59, 50, tzinfo=UTC),
        data={"stars": 5, "photo": False, "product": "p-1", "weight": Decimal("0.5")},
    )
    (customer,) = decoded(load("customer"))
    assert isinstance(customer, CustomerSeen)
    assert customer.attributes["phone"] is None


def test_refunds_can_be_left_to_another_connection(load: Callable[[str], Any]) -> None:
    body = load("order")
    body["data"]["lists_all_refunds"] = True
    *_, whole = decoded(body)
    *_, order = decoded(body, refunds="ignore")
    assert isinstance(whole, OrderSeen)
    assert isinstance(order, OrderSeen)
    assert (whole.snapshot.lists_all_refunds, whole.snapshot.refund_references) == (True, ("R-1",))
    assert (order.refunds, order.snapshot.refund_references) == ((), ())
    assert not order.snapshot.lists_all_refunds, "or what the other tells would be taken for gone"
    assert decoded(load("refund"), refunds="ignore") == []


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("total", True, "data.total: expected `decimal`, got `bool`, not True"),
        ("total", "12,50", "data.total: invalid decimal string, not '12,50'"),
        ("total", "-1", "data.total: must be from 0 to 1000000000000, not -1"),
        ("total", "1E13", "data.total: must be from 0 to 1000000000000, not 1E+13"),
        ("currency", "euro", "data.currency: expected `str` matching regex '^[A-Z]{3}$', not 'euro'"),
        ("paid", "yes", "data.paid: expected `bool`, got `str`, not 'yes'"),
        ("placed_at", "2026-03-10T12:00:00", "data.placed_at: expected `datetime` with a timezone component, not "),
        ("placed_at", "0001-01-01T00:00:00Z", "data.placed_at: lies outside of the calendar"),
        ("reference", "", "data.reference: expected `str` of length >= 1, not ''"),
        ("totl", 1, "data: object contains unknown field `totl`"),
        ("lines", [{"price": "x"}], "data.lines[0].price: invalid decimal string, not 'x'"),
        ("lines", [{"sku": "A"}], "data.lines[0]: give price, of one item, or gross, of the whole line"),
        ("lines", [{"price": 1, "gross": 1}], "data.lines[0]: give price, of one item, or gross, of the whole line"),
        ("lines", [{"price": 1, "quantity": -1}], "data.lines[0].quantity: expected `int` >= 0, not -1"),
        ("lines", [{"price": 1, "reference": "2"}, {"price": 1}], "data.lines: two of them have the reference '2'"),
        ("refunds", [{"reference": "R"}] * 2, "data.refunds: two of them have the reference 'R'"),
        ("customer", {"reference": 7}, "data.customer.reference: expected `str`, got `int`"),
        ("customer", {"reference": "7", "attributes": {"email": 5}}, "data.customer.attributes.email: must be text"),
        ("customer", {"reference": "7", "attributes": {"x": 1e300}}, "data.customer.attributes.x: must be text of at"),
        ("customer", {"reference": "7", "attributes": {"x": 2**53}}, "data.customer.attributes.x: must be text of at"),
        (
            "customer",
            {"reference": "7", "attributes": {"x": [1]}},
            "data.customer.attributes.x: must be text of at most",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_field_and_its_value(
    load: Callable[[str], Any], place: str, value: Any, said: str
) -> None:
    body = load("bare")
    body["data"][place] = value
    assert problem(body).startswith(said)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "type: must be text such as order.updated"),
        ([], "type: must be text"),
        ({"type": 5}, "type: must be text"),
        ({"type": "order.updated"}, "timestamp: is missing"),
        ({"type": "order.updated", "timestamp": "2026-03-10T12:00:00Z"}, "data: is missing"),
        ({"type": "order.updated", "timestamp": 5, "data": {}}, "timestamp: expected `datetime`, got `int`"),
        ({"type": "order.updated", "timestamp": "2026-03-10T12:00:00Z", "data": []}, "data: expected `object`, got "),
        ({"type": "order.updated", "timestamp": "2026-03-10T12:00:00Z", "data": {}}, "data: object missing required "),
        ({"type": "customer.erased", "timestamp": "2026-03-10T12:00:00Z", "data": {}}, "data: names nobody"),
        (b"\xff\xfe", "not JSON: "),
        ("Zoë".encode("utf-16"), "not JSON: "),
        (b"9" * 5000, "not JSON: "),
        (b"[" * 200_000, "not JSON: "),
    ],
)
def test_what_is_no_message_says_what_one_is(body: Any, said: str) -> None:
    assert problem(body).startswith(said)


def test_nothing_personal_is_shown_in_what_is_said() -> None:
    data = {"reference": "7", "attributes": {"email": ["ada@shop.example"]}, "verified": []}
    said = [problem({"type": "customer.updated", "timestamp": "2026-03-10T12:00:00Z", "data": data})]
    named = {"emails": [{"ada@shop.example": 1}]}
    said.append(problem({"type": "customer.erased", "timestamp": "2026-03-10T12:00:00Z", "data": named}))
    assert not [text for text in said if "ada@" in text]


@pytest.mark.parametrize("lines", [[{"price": "1"}] * 700_000, "x" * 10_000_000, [[[1]]] * 200_000])
def test_ten_megabytes_are_refused_in_a_moment_and_in_few_words(load: Callable[[str], Any], lines: Any) -> None:
    body = load("bare")
    body["data"]["lines"] = lines
    assert len(problem(body)) < 200
