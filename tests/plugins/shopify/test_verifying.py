from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as trial
from hypothesis import strategies as st

from stampcard.domain.value import replace
from stampcard.plugin import InvalidSignature, UnverifiedRequest
from stampcard_shopify.plugin import ShopifySettings
from stampcard_shopify.webhooks import ShopifyWebhooks

RequestOf = Callable[..., UnverifiedRequest]


@pytest.fixture
def source(settings: Callable[..., ShopifySettings]) -> ShopifyWebhooks:
    return ShopifyWebhooks(settings())


@pytest.mark.parametrize("secret", ["shhh-newer", "shhh-older"])
@pytest.mark.parametrize("family", ["x-", ""])
def test_each_secret_and_each_family_of_headers_is_good(
    source: ShopifyWebhooks, request_of: RequestOf, secret: str, family: str
) -> None:
    verified = source.verify(request_of(secret=secret, family=family))
    assert verified.topic == "orders/paid"
    assert verified.body == b'{"id":1}'
    assert dict(verified.headers) == {
        "webhook-id": "b54557e4",
        "triggered-at": "2026-03-10T11:59:59Z",
        "api-version": "2026-10",
    }


def test_two_families_of_headers_that_differ_vouch_for_nothing(source: ShopifyWebhooks, request_of: RequestOf) -> None:
    old, new = request_of(), request_of(family="")
    assert source.verify(replace(old, headers={**new.headers, **old.headers})).topic == "orders/paid"
    for wrong in (request_of(secret="a guess", family=""), request_of(family="", shop_domain="other.myshopify.com")):
        with pytest.raises(InvalidSignature, match="different things"):
            source.verify(replace(old, headers={**wrong.headers, **old.headers}))


def test_shopifys_own_library_signs_alike(source: ShopifyWebhooks, request_of: RequestOf) -> None:
    # It knows no webhooks; but what it signs of an OAuth query is a text that can be a body as well.
    from shopify import Session

    Session.setup(api_key="app", secret="shhh-older")
    digest = Session.calculate_hmac({"shop": "acme.myshopify.com", "code": "0907a61c"})
    signature = base64.b64encode(bytes.fromhex(digest)).decode()
    body = b"code=0907a61c&shop=acme.myshopify.com"
    assert source.verify(request_of(body, hmac_sha256=signature)).body == body


@pytest.mark.parametrize(
    "body", [b'{"title":"T\\u0026C \\/ 5"}\n', '{"title":"Künstler ☕"}'.encode(), b"\xff\x00", b" "]
)
def test_any_bytes_can_be_signed(source: ShopifyWebhooks, request_of: RequestOf, body: bytes) -> None:
    assert source.verify(request_of(body)).body == body


@pytest.mark.parametrize(
    "headers",
    [
        {"hmac_sha256": None},
        {"hmac_sha256": ""},
        {"hmac_sha256": "ümlaut"},
        {"hmac_sha256": "not base64!"},
        {"hmac_sha256": "c2hvcnQ="},
        {"hmac_sha256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
        {"shop_domain": "other.myshopify.com"},
        {"shop_domain": "äcme.myshopify.com"},
    ],
)
def test_a_wrong_header_is_refused_as_an_invalid_signature(
    source: ShopifyWebhooks, request_of: RequestOf, headers: dict[str, Any]
) -> None:
    with pytest.raises(InvalidSignature) as caught:
        source.verify(request_of(**headers))
    assert "shhh" not in str(caught.value)


def test_a_truncated_signature_is_refused(source: ShopifyWebhooks, request_of: RequestOf) -> None:
    whole = request_of().header("x-shopify-hmac-sha256")
    for length in range(len(whole)):
        with pytest.raises(InvalidSignature):
            source.verify(request_of(hmac_sha256=whole[:length]))


def test_another_secret_is_refused_and_the_setting_named(source: ShopifyWebhooks, request_of: RequestOf) -> None:
    with pytest.raises(InvalidSignature, match="webhook_secrets"):
        source.verify(request_of(secret="of the shop's admin"))


def test_an_empty_body_is_refused_though_it_can_be_signed(source: ShopifyWebhooks, request_of: RequestOf) -> None:
    with pytest.raises(InvalidSignature, match="empty"):
        source.verify(request_of(b""))


def test_a_body_that_was_parsed_and_written_again_is_refused(source: ShopifyWebhooks, request_of: RequestOf) -> None:
    signature = request_of(b'{"a": 1}').header("x-shopify-hmac-sha256")
    with pytest.raises(InvalidSignature):
        source.verify(request_of(b'{"a":1}', hmac_sha256=signature))


def test_the_shop_may_be_missing_or_in_other_letters(source: ShopifyWebhooks, request_of: RequestOf) -> None:
    assert source.verify(request_of(shop_domain=None)).topic == "orders/paid"
    assert source.verify(request_of(shop_domain="ACME.myshopify.com")).topic == "orders/paid"


@trial(deadline=None)
@given(body=st.binary(), signature=st.text(), topic=st.text(), domain=st.text(), key=st.text())
def test_whatever_comes_is_vouched_for_or_an_invalid_signature(
    body: bytes, signature: str, topic: str, domain: str, key: str
) -> None:
    source = ShopifyWebhooks(
        ShopifySettings.model_validate({"shop": "a.myshopify.com", "webhook_secrets": "s", "access_token": "t"})
    )
    names = ("hmac-sha256", "topic", "shop-domain", "webhook-id")
    headers = {f"x-shopify-{name}": v for name, v in zip(names, (signature, topic, domain, key), strict=True)}
    request = UnverifiedRequest(url="", headers=headers, body=body, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidSignature):
        source.verify(request)


def test_the_webhook_id_is_the_key(source: ShopifyWebhooks, request_of: RequestOf) -> None:
    assert source.delivery_key(source.verify(request_of())) == "b54557e4"


@pytest.mark.parametrize("unfit", [None, "", "x" * 201, "ünfit", "a\x00b"])
def test_without_a_fit_webhook_id_topic_and_body_are_the_key(
    source: ShopifyWebhooks, request_of: RequestOf, unfit: str | None
) -> None:
    def key(body: bytes, topic: str | None) -> str:
        return source.delivery_key(source.verify(request_of(body, webhook_id=unfit, topic=topic)))

    assert key(b"1", "orders/paid") == key(b"1", "orders/paid")
    assert len({key(b"1", "orders/paid"), key(b"2", "orders/paid"), key(b"1", "orders/create"), key(b"1", None)}) == 4
