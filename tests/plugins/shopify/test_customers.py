from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from stampcard.plugin import (
    ConnectionEnded,
    CustomerErased,
    CustomerSeen,
    DataRequested,
    MalformedPayload,
    SetAside,
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
        )
    ]


def test_what_a_customer_does_not_tell_any_more_is_none_so_that_it_goes(decode: Decode) -> None:
    (event,) = decode("customers_update__bare")
    nothing = dict.fromkeys(("phone", "first_name", "last_name", "country"))
    assert event.attributes == {"email": "ada@shop.example", **nothing}


def test_without_times_a_customer_was_seen_when_the_webhook_came(decode: Decode, load: Load) -> None:
    (event,) = decode(
        "customers_update__bare", load("customers_update__bare") | {"updated_at": None, "created_at": None}
    )
    assert event.occurred_at == NOW


def test_a_merge_is_set_aside_when_it_succeeded_and_nothing_when_it_failed(decode: Decode) -> None:
    (event,) = decode("customers_merge__completed")
    assert isinstance(event, SetAside)
    assert "merging members is not possible yet" in event.reason
    assert decode("customers_merge__failed") == []


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
