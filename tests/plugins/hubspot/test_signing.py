"""Version 3 of HubSpot's signature: what is signed, for how long it counts, and that nothing else does."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hubspot.utils.signature import Signature

from stampcard.plugin import InvalidSignature, UnverifiedRequest
from stampcard.testing.clock import NOON
from stampcard_hubspot.plugin import HubSpotSettings
from stampcard_hubspot.signing import PLAIN, plainly
from stampcard_hubspot.webhooks import HubSpotWebhooks

SECRET = "newer secret"
URL = "https://points.example/webhooks/crm"
SETTINGS = {"portal_id": 4711, "access_token": "pat", "webhook_secrets": [SECRET, "older secret"]}
Sign = Callable[..., UnverifiedRequest]


def digest(secret: str, text: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha256).digest()).decode()


@pytest.fixture
def source() -> HubSpotWebhooks:
    return HubSpotWebhooks(HubSpotSettings.model_validate(SETTINGS))


@pytest.fixture
def request_of() -> Sign:
    def make(
        body: bytes = b"[]", *, secret: str = SECRET, url: str = URL, signed: str = "", age: float = 0, **headers: Any
    ) -> UnverifiedRequest:
        stamp = str(int((NOON.timestamp() - age) * 1000))
        text = f"POST{signed or url}".encode() + body + stamp.encode()
        told = {"x-hubspot-signature-v3": digest(secret, text), "x-hubspot-request-timestamp": stamp}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in told.items() if value is not None}
        return UnverifiedRequest(url=url, headers=kept, body=body, received_at=NOON)

    return make


def test_a_fixed_vector_is_signed_the_same(source: HubSpotWebhooks) -> None:
    """Worked out by hand with openssl: HMAC-SHA256 of POST, the address, the body and the milliseconds, in base64."""
    stamp = "1773144000000"
    text = b'POSThttps://points.example/webhooks/crm[{"objectId":1}]' + stamp.encode()
    headers = {"x-hubspot-signature-v3": digest(SECRET, text), "x-hubspot-request-timestamp": stamp}
    request = UnverifiedRequest(url=URL, headers=headers, body=b'[{"objectId":1}]', received_at=NOON)
    assert source.verify(request).body == request.body
    assert headers["x-hubspot-signature-v3"] == "3Y3oi/B35jaQodnH9tuNxYSHdpoY5Peob6FkYZtIthE="


@pytest.mark.parametrize("secret", [SECRET, "older secret"])
def test_each_secret_counts_while_one_is_rotated(source: HubSpotWebhooks, request_of: Sign, secret: str) -> None:
    assert source.verify(request_of(secret=secret)).topic == "events"


@pytest.mark.parametrize("age", [-299, 0, 299])
def test_five_minutes_are_not_too_long(source: HubSpotWebhooks, request_of: Sign, age: int) -> None:
    source.verify(request_of(age=age))


@pytest.mark.parametrize("age", [-301, 301, 86_400])
def test_what_is_older_or_lies_ahead_is_refused(source: HubSpotWebhooks, request_of: Sign, age: int) -> None:
    with pytest.raises(InvalidSignature, match="too old, or lies ahead"):
        source.verify(request_of(age=age))


@pytest.mark.parametrize("stamp", [None, "", "soon", "-1", "1e9", "٣", "9" * 17, "1773144000.5"])
def test_without_a_timestamp_nothing_counts(source: HubSpotWebhooks, request_of: Sign, stamp: str | None) -> None:
    with pytest.raises(InvalidSignature):
        source.verify(request_of(x_hubspot_request_timestamp=stamp))


def test_the_timestamp_is_signed(source: HubSpotWebhooks, request_of: Sign) -> None:
    with pytest.raises(InvalidSignature, match="does not fit"):
        source.verify(request_of(x_hubspot_request_timestamp=str(int(NOON.timestamp() * 1000) + 1)))


def test_the_address_is_signed(source: HubSpotWebhooks, request_of: Sign) -> None:
    with pytest.raises(InvalidSignature, match=r"webhook_secrets and http\.public_url"):
        source.verify(request_of(signed=URL.replace("https", "http")))


@pytest.mark.parametrize(("version", "text"), [("v1", f"{SECRET}[]"), ("v2", f"{SECRET}POST{URL}[]")])
def test_the_older_signatures_are_refused_in_words(
    source: HubSpotWebhooks, request_of: Sign, version: str, text: str
) -> None:
    """Neither says when it was sent, so that whoever overheard one could send it again."""
    old = hashlib.sha256(text.encode()).hexdigest()
    request = request_of(x_hubspot_signature=old, x_hubspot_signature_version=version, x_hubspot_signature_v3=None)
    with pytest.raises(InvalidSignature, match="only version 3"):
        source.verify(request)


@pytest.mark.parametrize(("escaped", "plain"), sorted(PLAIN.items()))
def test_these_escapes_are_written_plainly_before_the_address_is_signed(
    source: HubSpotWebhooks, request_of: Sign, escaped: str, plain: str
) -> None:
    for text in (escaped, escaped.lower()):
        source.verify(request_of(url=f"{URL}?a={text}", signed=f"{URL}?a={plain}"))


@pytest.mark.parametrize("text", ["%20", "%25", "%26", "%3D", "%2B", "%23", "%C3%A4", "+", "%", "%2", "%zz"])
def test_nothing_else_of_an_address_is_decoded(source: HubSpotWebhooks, request_of: Sign, text: str) -> None:
    assert plainly(text) == text
    source.verify(request_of(url=f"{URL}?a={text}"))


def test_what_was_decoded_is_not_decoded_again() -> None:
    assert plainly("%252F%2F") == "%252F/"


def test_an_empty_body_is_refused(source: HubSpotWebhooks, request_of: Sign) -> None:
    with pytest.raises(InvalidSignature, match="empty"):
        source.verify(request_of(body=b""))


@pytest.mark.parametrize("body", ["[]", '[{"objectId":1}]', '[{"propertyValue":"Ada \u00fc \U0001f600 %3A"}]'])
def test_what_hubspots_own_library_signs_is_good(source: HubSpotWebhooks, body: str) -> None:
    """The official client says what the signature is; of anything else it is none."""
    stamp = str(int(NOON.timestamp() * 1000))
    signed = Signature.get_signature(SECRET, body, "v3", URL, "POST", stamp)
    headers = {"x-hubspot-signature-v3": signed, "x-hubspot-request-timestamp": stamp}

    def sent(raw: bytes) -> UnverifiedRequest:
        return UnverifiedRequest(url=URL, headers=headers, body=raw, received_at=NOON + timedelta(seconds=1))

    assert source.verify(sent(body.encode())).body == body.encode()
    with pytest.raises(InvalidSignature):
        source.verify(sent(body.encode() + b" "))
