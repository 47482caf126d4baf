"""Tables of the settings: what they read, and what is said of one that is wrong."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stampcard.host.sections import read_settings
from stampcard.plugin import CustomerErased, CustomerSeen, CustomEvent, Delivery, Event, MalformedPayload, OrderSeen
from stampcard_standard_webhooks.paths import found, parsed
from stampcard_standard_webhooks.plugin import plugin_manifest
from stampcard_standard_webhooks.settings import StandardWebhooksSettings
from stampcard_standard_webhooks.webhooks import GenericWebhooks

RECEIVED = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECRET = "a-shared-secret-1"
ORDER = {
    "reference": "id",
    "placed_at": {"path": "at", "zone": "Europe/Paris"},
    "currency": {"value": "EUR"},
    "total": "total",
    "paid": "paid",
}
BODY = {"id": 5, "at": "2026-03-10 12:00:00", "total": "10.50", "paid": 1}


def section(mapping: Any, **changes: Any) -> dict[str, Any]:
    return {
        "signature": "hmac-sha256-hex",
        "signature_header": "x-sign",
        "webhook_secrets": SECRET,
        "mapping": mapping,
        **changes,
    }


def source(mapping: Any) -> GenericWebhooks:
    return GenericWebhooks(StandardWebhooksSettings.model_validate(section(mapping)))


def read(topic: Any, body: Any, **mapping: Any) -> list[Event]:
    """What the only topic makes of a body."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    delivery = Delivery(connection="till", key="k", topic="message", body=raw, received_at=RECEIVED)
    return list(source({"topics": {"*": topic}, **mapping}).events(delivery))


def ordered(body: Any = None, **fields: Any) -> OrderSeen:
    (*_, event) = read({"order": {**ORDER, **fields}}, {**BODY, **(body or {})})
    assert isinstance(event, OrderSeen)
    return event


def problems(mapping: Any, **changes: Any) -> list[str]:
    _, found_ = read_settings("till", plugin_manifest(), section(mapping, **changes))
    return [str(one) for one in found_]


def wrong(field: str, written: Any) -> str:
    (said,) = problems({"topics": {"*": {"order": {**ORDER, field: written}}}})
    return said


def test_the_least_that_an_order_needs_is_read() -> None:
    order = ordered()
    assert (order.reference, order.snapshot.total, order.snapshot.paid) == ("5", Decimal("10.5"), True)
    assert order.snapshot.occurred_at == datetime(2026, 3, 10, 11, tzinfo=UTC)
    assert order.snapshot.stamp.at == RECEIVED, "what tells no time of its change is as new as its delivery"


@pytest.mark.parametrize(
    ("written", "value", "due"),
    [
        ("total", 12.5, "12.5"),
        ("total", "12.50", "12.5"),
        ({"path": "total", "as": "minor"}, 1250, "12.5"),
        ({"path": "total", "as": "minor", "places": 0}, "1250", "1250"),
        ({"path": "total", "as": "minor", "places": 3}, 1250, "1.25"),
        ({"path": "total", "unsigned": True}, "-12.50", "12.5"),
        ({"path": "total[].net"}, [{"net": "10"}, {"net": 2.5}, {}], "12.5"),
        ({"path": ["nowhere", "total"]}, "12.50", "12.5"),
        ({"path": "nowhere", "default": "3"}, "12.50", "3"),
        ({"path": "total", "values": {"free": 0}}, "free", "0"),
    ],
)
def test_money_is_told_in_many_ways(written: Any, value: Any, due: str) -> None:
    assert ordered({"total": value}, total=written).snapshot.total == Decimal(due)


@pytest.mark.parametrize(
    ("written", "value", "due"),
    [
        ("at", "2026-03-10T12:00:00+01:00", datetime(2026, 3, 10, 11, tzinfo=UTC)),
        ({"path": "at", "as": "iso", "zone": "UTC"}, "2026-03-10", datetime(2026, 3, 10, tzinfo=UTC)),
        ({"path": "at", "as": "seconds"}, 1773144000, datetime(2026, 3, 10, 12, tzinfo=UTC)),
        ({"path": "at", "as": "milliseconds"}, "1773144000500", datetime(2026, 3, 10, 12, 0, 0, 500_000, tzinfo=UTC)),
        ({"path": "at", "as": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"}, "10.03.2026 13:00", RECEIVED),
        ({"path": "at", "as": "%Y-%m-%d %H:%M:%S UTC", "zone": "UTC"}, "2026-03-10 12:00:00 UTC", RECEIVED),
    ],
)
def test_a_time_is_told_in_many_ways(written: Any, value: Any, due: datetime) -> None:
    assert ordered({"at": value}, placed_at=written).snapshot.occurred_at == due


def test_values_constants_and_presence_say_what_a_field_is() -> None:
    paid = {"path": "state", "values": {"captured": True, "*": False}}
    assert [ordered({"state": state}, paid=paid).snapshot.paid for state in ("captured", "open")] == [True, False]
    gone = {"path": "gone_at", "as": "present"}
    assert [ordered({"gone_at": at}, cancelled=gone).snapshot.cancelled for at in (None, "", "x", {"a": 1})] == [
        False,
        False,
        True,
        True,
    ]
    assert "cancelled" in type(ordered(cancelled=gone).snapshot).__struct_fields__
    assert ordered(currency={"path": "cc", "as": "upper"}, body={"cc": "usd"}).snapshot.currency == "USD"
    assert ordered({"tags": "a, b,,c"}, tags={"path": "tags", "as": "commas"}).snapshot.tags == ("a", "b", "c")
    assert ordered({"promos": [{"code": "X"}, {"code": None}]}, codes="promos[].code").snapshot.codes == ("X",)


def test_lists_have_a_table_for_each_and_a_list_of_one_may_stand_alone() -> None:
    lines = {"each": "rows", "reference": "id", "price": "price", "quantity": "n", "vendor": "$.seller"}
    rows = [{"id": 1, "price": 2, "n": "3"}, {"id": 2, "price": "4.50", "n": 1}]
    order = ordered({"rows": rows, "seller": "Us"}, lines=lines)
    assert [(line.reference, line.gross, line.vendor) for line in order.snapshot.lines] == [
        ("1", Decimal(6), "Us"),
        ("2", Decimal("4.5"), "Us"),
    ]
    assert len(ordered({"rows": rows[0]}, lines=lines).snapshot.lines) == 1
    assert ordered({}, lines=lines).snapshot.lines == ()


def test_a_guest_is_nobody_and_an_attribute_that_is_null_is_gone() -> None:
    customer = {"reference": "who.id", "attributes": {"email": "who.mail", "phone": "who.phone"}}
    assert ordered({"who": None}, customer=customer).snapshot.customer is None
    seen, order = read({"order": {**ORDER, "customer": customer}}, {**BODY, "who": {"id": 7, "mail": None}})
    assert isinstance(seen, CustomerSeen)
    assert seen.attributes == {"email": None}
    assert isinstance(order, OrderSeen)
    assert order.snapshot.customer == "7"


def test_one_body_may_tell_several_things_and_what_is_not_wanted_tells_nothing() -> None:
    topic = {
        "root": "data",
        "when": {"kind": ["good", "better"], "$.live": True},
        "customer": {"reference": "id"},
        "event": {"name": {"value": "visit"}, "customer": "id", "key": "$.nr"},
    }
    told = read(topic, {"live": True, "nr": 9, "data": {"id": "a", "kind": "better"}})
    assert [type(event) for event in told] == [CustomerSeen, CustomEvent]
    assert read(topic, {"live": True, "nr": 9, "data": {"id": "a", "kind": "bad"}}) == []
    assert read(topic, {"live": False, "nr": 9, "data": {"id": "a", "kind": "good"}}) == []
    with pytest.raises(MalformedPayload, match="nothing at 'data'"):
        read(topic, {"live": True})


def test_the_topic_stands_in_the_body_or_in_a_header() -> None:
    tables = {"*": {"erased": {"reference": "id"}}, "sold": {"order": ORDER}}
    by_body = source({"topic": "what", "topics": tables})

    def told(of: GenericWebhooks, body: Any, topic: str = "message") -> list[type]:
        raw = msgspec.json.encode(body)
        found_ = of.events(Delivery(connection="t", key="k", topic=topic, body=raw, received_at=RECEIVED))
        return [type(event) for event in found_]

    assert told(by_body, {**BODY, "what": "sold"}) == [OrderSeen]
    assert told(by_body, {**BODY, "what": "other"}) == [CustomerErased]
    with pytest.raises(MalformedPayload, match=r"no topic at 'what' \(check mapping.topic\)"):
        told(by_body, BODY)
    by_header = source({"topic_header": "X-Topic", "topics": {"sold": {"order": ORDER}}})
    assert told(by_header, BODY, "sold") == [OrderSeen]
    assert told(by_header, BODY, "other") == []


def test_whom_a_body_names_is_found_by_a_path() -> None:
    named = source({"customer": "who[0].id", "topics": {"*": {"order": ORDER}}})
    bodies = {b'{"who":[{"id":7}]}': "7", b'{"who":[{"id":{}}]}': None, b"{}": None, b"[": None}
    for body, due in bodies.items():
        delivery = Delivery(connection="t", key="k", topic="message", body=body, received_at=RECEIVED)
        assert named.subject(delivery) == due


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("total", "ten", "at 'total' stands 'ten', which is no number"),
        ("total", True, "at 'total' stands True, which is no number"),
        ("total", {"net": 1}, "at 'total' stands a table, where a single value should be"),
        ("total", "1E999999", "at 'total' stands '1E999999', which is no number that money or counts have"),
        ("at", "soon", "at 'at' stands 'soon', which is no time that is written so: say how by as"),
        ("paid", "maybe", "at 'paid' stands 'maybe', which is neither true nor false: map it in values"),
        ("id", None, "order: object missing required field `reference`"),
        ("total", "-4", "order.total: must be from 0 to 1000000000000, not -4"),
    ],
)
def test_what_does_not_fit_is_said_with_its_path_and_its_value(field: str, value: Any, said: str) -> None:
    with pytest.raises(MalformedPayload) as error:
        ordered({field: value})
    assert str(error.value) == said


@pytest.mark.parametrize(
    ("field", "written", "said"),
    [
        ("total", "a..b", "order.total.path.0: 'a..b' is no path: write names with dots between them"),
        ("total", 5, "order.total.path.0: must be a path, as text"),
        ("total", {"path": "a", "value": 1}, "order.total: give either path or value"),
        ("total", {"path": "a", "as": "seconds"}, "order.total.as: "),
        ("total", {"path": "a", "decimals": 2}, "order.total.decimals: there is no such setting"),
        ("placed_at", {"path": "a", "as": "days"}, "order.placed_at.as: String should match pattern"),
        ("total", {"value": "many"}, "order.total: 'many' is no number"),
        ("paid", {"path": "a", "values": {"x": "perhaps"}}, "order.paid: 'perhaps' is neither true nor false"),
        ("placed_at", {"path": "a", "zone": "Europe/Pariss"}, "order.placed_at.zone: 'Europe/Pariss' is no time zone"),
        ("totl", "a", "order: there is no field 'totl'; did you mean 'total'?"),
        ("lines", {"reference": "id"}, "order.lines.each: is missing"),
        ("customer", {"attributes": {}}, "order.customer.reference: is missing"),
    ],
)
def test_a_wrong_table_names_the_setting_and_quotes_what_stands_there(field: str, written: Any, said: str) -> None:
    assert wrong(field, written).startswith(f"connections.till.mapping.topics.*.{said}")


def test_what_a_table_lacks_is_said() -> None:
    order = {key: where for key, where in ORDER.items() if key != "total"}
    assert problems({"topics": {"*": {"order": order}}})[0].startswith(
        "connections.till.mapping.topics.*.order.total: is missing"
    )
    assert "say what it becomes" in problems({"topics": {"*": {}}})[0]
    both = {"order": ORDER, "erased": {"reference": "id"}}
    assert "must be all that it becomes" in problems({"topics": {"*": both}})[0]
    assert "say where the topic stands" in problems({"topics": {"sold": {"order": ORDER}}})[0]
    assert "not both" in problems({"topic": "a", "topic_header": "b", "topics": {"*": {"order": ORDER}}})[0]
    assert (
        "mapping.topics.a.when.x..y"
        in problems({"topic": "t", "topics": {"a": {"order": ORDER, "when": {"x..y": 1}}}})[0]
    )


def test_what_erases_is_never_chosen_by_a_header_that_nobody_signs() -> None:
    tables = {"topic_header": "x-topic", "topics": {"gone": {"erased": {"reference": "id"}}}}
    (said,) = problems(tables)
    assert said.startswith("connections.till: mapping.topics.gone erases or merges, and nobody signs topic_header")
    assert problems(tables, signature="token") == []


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("a", [{"b": [1, {"c": 2}], "d.e": 3}]),
        ("a.b[0]", [1]),
        ("a.b[-1].c", [2]),
        ("a.b[].c", [2]),
        ('a."d.e"', [3]),
        ("$.a.b[1].c", [2]),
        ("a.b[7]", []),
        ("a.x.y", []),
        ("$", [{"a": {"b": [1, {"c": 2}], "d.e": 3}}]),
    ],
)
def test_a_path_leads_to_what_stands_there(text: str, due: Any) -> None:
    body = {"a": {"b": [1, {"c": 2}], "d.e": 3}}
    assert found(parsed(text), body, body) == due


@pytest.mark.parametrize(
    "text", ["", ".", "a.", "a..b", "a b", "[x]", "a[-]", 'a."', "a$", ".a", "a]", "a.b." * 15 + "a"]
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no path"):
        parsed(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
FULL = {
    "customer": {"reference": "a.b", "attributes": {"email": "c", "n": {"path": "d", "as": "number"}}},
    "order": {
        **{name: {"path": ["a", "b"], **({"as": "seconds"} if name.endswith("_at") else {})} for name in ORDER},
        "updated_at": {"path": "c", "as": "%Y"},
        "tags": "d[]",
        "cancelled": {"path": "c", "as": "present"},
        "lines": {"each": "d", "price": "a", "quantity": "b"},
        "refunds": {"each": "$.d", "reference": "a", "money": {"path": "b", "as": "minor", "unsigned": True}},
    },
}


@settings(max_examples=150)
@given(body=JSON)
def test_whatever_stands_there_it_is_malformed_or_understood(body: Any) -> None:
    with suppress(MalformedPayload):
        assert read(FULL, body, customer="a[].b")


def test_a_list_of_hundreds_of_thousands_is_refused() -> None:
    with pytest.raises(MalformedPayload, match="more than 5000"):
        ordered({"rows": [{"p": 1}] * 300_000}, lines={"each": "rows", "price": "p"})
