from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from stampcard.plugin import (
    ConnectionEnded,
    ConsentSeen,
    CustomerErased,
    CustomerSeen,
    CustomersMerged,
    CustomEvent,
    DataRequested,
    MalformedPayload,
    SourceErased,
)

Decode = Callable[..., list[Any]]
Load = Callable[[str], Any]
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def test_a_customer_is_told_with_what_every_program_knows(decode: Decode) -> None:
    assert decode("customers_create__full") == [
        CustomerSeen(
            reference="9007199254740993",
            occurred_at=datetime(2026, 3, 1, 9, tzinfo=UTC),
            attributes={
                "email": "ada@shop.example",
                "phone": "+4930123456",
                "first_name": "Ada",
                "last_name": "Muster",
                "country": "DE",
            },
            verified=frozenset({"email"}),
        )
    ]


def test_an_address_that_the_shop_has_not_verified_proves_nobody(decode: Decode, load: Load) -> None:
    for told in (False, None):
        (event,) = decode("customers_create__full", load("customers_create__full") | {"verified_email": told})
        assert event.verified == frozenset()


def test_what_a_customer_does_not_tell_any_more_is_none_so_that_it_goes(decode: Decode) -> None:
    (event,) = decode("customers_update__bare")
    nothing = dict.fromkeys(("phone", "first_name", "last_name", "country"))
    assert event.attributes == {"email": "ada@shop.example", **nothing}


def test_without_times_a_customer_was_seen_when_the_webhook_came(decode: Decode, load: Load) -> None:
    (event,) = decode(
        "customers_update__bare", load("customers_update__bare") | {"updated_at": None, "created_at": None}
    )
    assert event.occurred_at == NOW


def test_a_merge_names_both_when_it_succeeded_and_is_nothing_when_it_failed(decode: Decode, load: Load) -> None:
    assert decode("customers_merge__completed") == [CustomersMerged(kept="1", gone="2", occurred_at=NOW)]
    assert decode("customers_merge__failed") == []
    nobody = load("customers_merge__completed") | {"admin_graphql_api_customer_deleted_id": "gid://shopify/Order/2"}
    with pytest.raises(MalformedPayload, match="is no customer"):
        decode("customers_merge__completed", nobody)


def test_who_subscribes_agrees_and_joins_the_newsletter_once(decode: Decode, load: Load) -> None:
    at = datetime(2026, 3, 10, 15, 58, tzinfo=UTC)
    agreed, joined = decode("customers_email_marketing_consent_update__subscribed")
    assert agreed == ConsentSeen(customer="7001", channel="email", purpose="marketing", state="given", occurred_at=at)
    assert joined == CustomEvent(name="newsletter", customer="7001", key="", occurred_at=at)
    body = load("customers_email_marketing_consent_update__subscribed")
    left = body | {"email_marketing_consent": {"state": "unsubscribed", "consent_updated_at": None}}
    assert decode("customers_email_marketing_consent_update__subscribed", left) == [
        ConsentSeen(customer="7001", channel="email", purpose="marketing", state="withdrawn", occurred_at=NOW)
    ]


def test_who_never_said_anything_is_not_heard(decode: Decode, load: Load) -> None:
    body = load("customers_email_marketing_consent_update__subscribed")
    for said in (None, {"state": "not_subscribed"}, {"state": "redacted"}, {"state": "made up"}, {}):
        assert (
            decode("customers_email_marketing_consent_update__subscribed", body | {"email_marketing_consent": said})
            == []
        )


def test_text_messages_are_another_channel(decode: Decode) -> None:
    (said,) = decode("customers_marketing_consent_update__unsubscribed")
    assert isinstance(said, ConsentSeen)
    assert (said.customer, said.channel, said.state) == ("7001", "sms", "withdrawn")


def test_an_erasure_names_every_identifier(decode: Decode) -> None:
    assert decode("customers_redact__person") == [
        CustomerErased(
            reference="9007199254740993", occurred_at=NOW, emails=("ada@shop.example",), phones=("+4930123456",)
        )
    ]


def test_an_erasure_may_name_an_address_alone(decode: Decode) -> None:
    assert decode("customers_redact__email_only") == [
        CustomerErased(reference="", occurred_at=NOW, emails=("guest@shop.example",))
    ]


def test_a_request_for_data_is_kept(decode: Decode) -> None:
    assert decode("customers_data_request__person") == [
        DataRequested(reference="9007199254740993", occurred_at=NOW, request="9999")
    ]


def test_a_shop_may_be_erased_and_an_app_uninstalled(decode: Decode) -> None:
    assert decode("shop_redact__plain") == [SourceErased(occurred_at=NOW)]
    (event,) = decode("app_uninstalled__plain")
    assert isinstance(event, ConnectionEnded)
    assert "acme.myshopify.com" in event.reason


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("customers_redact__person", "shop_domain"),
        ("customers_data_request__person", "shop_domain"),
        ("shop_redact__plain", "shop_domain"),
        ("app_uninstalled__plain", "myshopify_domain"),
    ],
)
def test_a_destructive_body_about_another_shop_is_refused(decode: Decode, load: Load, name: str, field: str) -> None:
    with pytest.raises(MalformedPayload, match="check shop"):
        decode(name, load(name) | {field: "other.myshopify.com"})


def test_an_uninstallation_without_a_shop_is_refused(decode: Decode, load: Load) -> None:
    with pytest.raises(MalformedPayload):
        decode("app_uninstalled__plain", load("app_uninstalled__plain") | {"myshopify_domain": None, "domain": None})


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("customers_data_request__person", "customers/redact"),
        ("customers_data_request__person", "shop/redact"),
        ("customers_redact__person", "shop/redact"),
        ("customers_update__bare", "customers/redact"),
        ("customers_update__bare", "app/uninstalled"),
        ("orders_paid__discounted", "customers/redact"),
        ("orders_paid__discounted", "app/uninstalled"),
        ("shop_redact__plain", "app/uninstalled"),
    ],
)
def test_a_body_sent_again_under_a_destructive_topic_destroys_nothing(decode: Decode, name: str, topic: str) -> None:
    with pytest.raises(MalformedPayload):
        decode(name, topic=topic)


@pytest.mark.parametrize(
    ("topic", "body", "reference"),
    [
        ("checkouts/create", b'{"id": 1, "customer": {"id": 7, "email": "ada@shop.example"}}', "7"),
        ("orders/paid", b'{"customer": {"id": 7}}', "7"),
        ("fetched/order", b'{"customer": {"id": "gid://shopify/Customer/7"}}', "7"),
        ("customers/delete", b'{"id": 7}', "7"),
        ("customers/redact", b'{"id": 1, "customer": {"id": 7}}', "7"),
        ("products/create", b'{"id": 7}', None),
        ("orders/paid", b'{"customer": null}', None),
        ("orders/paid", b'{"customer": {"id": "gid://shopify/Order/7"}}', None),
        ("orders/paid", b'{"customer": {"id": true}}', None),
        ("orders/paid", b'{"customer": "7"}', None),
        ("orders/paid", b"[7]", None),
        ("orders/paid", b"not JSON", None),
    ],
)
def test_whom_a_body_is_about_is_read_from_its_customer_whatever_the_topic(
    subject_of: Callable[[bytes, str], str | None], topic: str, body: bytes, reference: str | None
) -> None:
    assert subject_of(body, topic) == reference


def test_a_test_order_leads_to_nothing_and_still_says_whose_it_is(
    decode: Decode, load: Load, subject_of: Callable[[bytes, str], str | None]
) -> None:
    assert decode("orders_paid__test") == []
    assert subject_of(msgspec.json.encode(load("orders_paid__test")), "orders/paid") == "9007199254740993"
