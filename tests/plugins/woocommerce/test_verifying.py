from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as trial
from hypothesis import strategies as st
from pydantic import ValidationError

from stampcard.plugin import Delivery, InvalidSignature, MalformedPayload, Reply, UnverifiedRequest, VerifiedRequest
from stampcard.testing.clock import NOON
from stampcard_woocommerce.plugin import WooCommerceSettings
from stampcard_woocommerce.signing import decoded
from stampcard_woocommerce.webhooks import TOPICS, WooCommerceWebhooks

SETTINGS = WooCommerceSettings.model_validate({"shop": "https://shop.example", "webhook_secrets": ["newer secret"]})
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1E999", "-5", "0"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "code", "value"]), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        "id",
        "status",
        "total",
        "currency",
        "customer_id",
        "line_items",
        "refunds",
        "billing",
        "date_modified_gmt",
        "code",
    ]
)


def test_a_ping_is_answered_and_stores_nothing(settings: Any) -> None:
    """Sent when a webhook is made, unsigned; anything but 200 is an error at the shop."""
    ping = UnverifiedRequest(
        url="https://points.example/webhooks/shop",
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=b"webhook_id=31",
        received_at=NOON,
    )
    answer = WooCommerceWebhooks(settings()).verify(ping)
    assert isinstance(answer, Reply)
    assert answer.status == 200


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"webhook_id=31&x=1", {}),
        (b"webhook_id=", {}),
        (b"webhook_id=31\n", {}),
        (b"webhook_id=" + b"1" * 50, {}),
        (b"", {}),
        (b"webhook_id=31", {"x-wc-webhook-topic": "order.updated"}),
        (b"webhook_id=31", {"x-wc-webhook-id": "31"}),
    ],
)
def test_nothing_else_goes_unsigned(settings: Any, body: bytes, headers: dict[str, str]) -> None:
    request = UnverifiedRequest(url="https://points.example", headers=headers, body=body, received_at=NOON)
    with pytest.raises(InvalidSignature):
        WooCommerceWebhooks(settings()).verify(request)


def test_deliveries_of_one_second_are_told_apart_by_their_content(settings: Any, request_of: Any) -> None:
    source = WooCommerceWebhooks(settings())

    def key(body: bytes, **headers: str) -> str:
        verified = source.verify(request_of(body, **headers))
        assert isinstance(verified, VerifiedRequest)
        return source.delivery_key(verified)

    first = key(b'{"id":1}', delivery_id="same")
    assert key(b'{"id":2}', delivery_id="same") != first
    assert key(b'{"id":1}', delivery_id="same", topic="order.created") != first
    assert key(b'{"id":1}', delivery_id="another") == first


@pytest.mark.parametrize(
    ("kept", "signed_with"),
    [
        ("a&amp;b", "a&b"),
        ("&lt;&gt;&quot;&#039;", "<>\"'"),
        ("&#x27;&#X3C;&apos;", "'<'"),
        ("&amp;amp;", "&amp;"),
        ("&eacute;&#233;", "&eacute;&#233;"),
        ("plain", "plain"),
    ],
)
def test_a_secret_is_read_as_wordpress_reads_it(
    settings: Any, request_of: Callable[..., UnverifiedRequest], kept: str, signed_with: str
) -> None:
    assert decoded(kept) == signed_with
    source = WooCommerceWebhooks(settings(webhook_secrets=[kept]))
    for secret in (signed_with, kept):
        assert isinstance(source.verify(request_of(secret=secret)), VerifiedRequest)
    with pytest.raises(InvalidSignature):
        source.verify(request_of(secret=signed_with + " "))


@pytest.mark.parametrize("secrets", [[], [""], "", ["good", ""]])
def test_an_empty_secret_is_refused(settings: Any, secrets: Any) -> None:
    with pytest.raises(ValidationError, match="webhook_secrets"):
        settings(webhook_secrets=secrets)


def test_half_a_key_is_refused_and_no_secret_shows(settings: Any) -> None:
    with pytest.raises(ValidationError, match="both consumer_key and consumer_secret") as raised:
        settings(consumer_secret=None)
    assert "ck_1" not in str(raised.value)
    assert "newer" not in repr(settings())


@pytest.mark.parametrize(
    "shop", ["shop.example", "ftp://shop.example", "https://a@shop.example", "https://shop.example/?a"]
)
def test_a_shop_is_an_address(settings: Any, shop: str) -> None:
    with pytest.raises(ValidationError, match="shop"):
        settings(shop=shop)


@trial(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    topic=st.sampled_from(sorted(TOPICS)), changes=st.dictionaries(FIELDS, JSON, max_size=4), read_at=st.integers(0, 1)
)
def test_whatever_a_signed_body_holds_only_what_the_contract_allows_is_raised(
    topic: str, changes: dict[str, Any], read_at: int
) -> None:
    whole = {
        "id": 7,
        "status": "processing",
        "currency": "EUR",
        "total": "10.00",
        "customer_id": 3,
        "date_created_gmt": "2026-03-10T11:00:00",
        "date_modified_gmt": "2026-03-10T11:59:59",
        "line_items": [{"id": 1, "quantity": 1, "subtotal": "10", "total": "10"}],
    }
    body = whole | changes
    wrapped = {"order": body, "refunds": changes.get("refunds", []), "vanished": 7, "currency": "EUR"}
    raw = json.dumps(wrapped if topic.startswith("fetched/") else body).encode(errors="surrogatepass")
    source = WooCommerceWebhooks(SETTINGS)
    delivery = Delivery(connection="shop", key="k", topic=topic, body=raw, received_at=NOON, read_at=read_at)
    source.subject(delivery)
    with suppress(MalformedPayload):
        list(source.events(delivery))
