"""Who sent a webhook; `standardwebhooks` and `cryptography` are the oracles."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from stampcard.plugin import InvalidSignature, UnverifiedRequest, VerifiedRequest
from stampcard_standard_webhooks.settings import StandardWebhooksSettings
from stampcard_standard_webhooks.webhooks import GenericWebhooks

NOW = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - the published library looks at the same clock
BODY = '{"type":"order.updated","note":"Zoë \\u0026 5 €"}\n'.encode()
NEWER = "whsec_dGhlIG5ld2VyIHNlY3JldCBvZiBmb3J0eSBieXRlcywgcmFuZG9tPw=="
OLDER = "whsec_YW4gb2xkZXIgb25lIG9mIDI0IGJ5dGVz"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = "whpk_" + base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()
#: Made once by cryptography 50: the signature of "msg_1.1773144000.{}" with the key whose seed is the bytes 0 to 31.
VECTOR = "v1a,wIYjTXtZq789hv0pagbIl/Rn31VJNPwA8ao6pFC3xCCV3RgWRqWwvCBfTU7Tg3U5pbQuuENhpNFSiAWSBEJODw=="


def source(**changes: Any) -> GenericWebhooks:
    return GenericWebhooks(StandardWebhooksSettings.model_validate({"webhook_secrets": [NEWER, OLDER], **changes}))


def request(headers: Mapping[str, str], body: bytes = BODY, at: datetime = NOW) -> UnverifiedRequest:
    return UnverifiedRequest(url="https://points.example/webhooks/till", headers=headers, body=body, received_at=at)


def signed(secret: str = NEWER, *, id_: str = "msg_1", at: datetime = NOW, body: bytes = BODY) -> dict[str, str]:
    """The headers as the published library makes them."""
    signature = Webhook(secret).sign(id_, at, body.decode())
    return {"webhook-id": id_, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}


def asymmetric(body: bytes = BODY, id_: str = "msg_1", at: datetime = NOW) -> dict[str, str]:
    timestamp = str(int(at.timestamp()))
    made = PRIVATE.sign(f"{id_}.{timestamp}.".encode() + body)
    signature = f"v1a,{base64.b64encode(made).decode()}"
    return {"webhook-id": id_, "webhook-timestamp": timestamp, "webhook-signature": signature}


def refused(headers: Mapping[str, str], of: GenericWebhooks | None = None, **more: Any) -> str:
    with pytest.raises(InvalidSignature) as said:
        (of or source()).verify(request(headers, **more))
    return str(said.value)


@pytest.mark.parametrize("secret", [NEWER, OLDER])
def test_what_the_published_library_signs_is_genuine_under_any_of_the_secrets(secret: str) -> None:
    verified = source().verify(request(signed(secret)))
    assert verified == VerifiedRequest(topic="message", body=BODY, headers={"webhook-id": "msg_1"})


def test_its_id_is_the_key_of_the_delivery_also_when_it_comes_again() -> None:
    later = NOW + timedelta(hours=5)
    keys = [source().delivery_key(source().verify(request(signed(at=at), at=at))) for at in (NOW, later)]
    assert keys == ["msg_1", "msg_1"]


@settings(max_examples=40)
@given(body=st.text(max_size=40), cut=st.integers(0, 60), extra=st.sampled_from(["", "v2,x ", "v1,AAAA ", "v1a,AAAA "]))
def test_it_judges_as_the_published_library_does(body: str, cut: int, extra: str) -> None:
    raw = ("{" + body).encode(errors="replace")
    headers = signed(body=raw)
    whole = headers["webhook-signature"]
    headers["webhook-signature"] = extra + (whole[:-cut] if cut and cut % 2 else whole)
    try:
        Webhook(NEWER).verify(raw, headers)
        theirs = True
    except ValueError as error:  # the signature fits, and the text is no JSON
        theirs = "JSON" in type(error).__name__
    except Exception:  # noqa: BLE001 - whatever it says no with
        theirs = False
    try:
        source().verify(request(headers, raw))
        ours = True
    except InvalidSignature:
        ours = False
    assert ours is theirs


def test_a_public_key_vouches_for_what_its_private_key_signed() -> None:
    known = source(webhook_secrets=[NEWER, PUBLIC])
    assert isinstance(known.verify(request(asymmetric())), VerifiedRequest)
    assert isinstance(known.verify(request(signed())), VerifiedRequest)
    assert "no signature fits" in refused(asymmetric(), known, body=BODY + b" ")
    assert "no signature fits" in refused(asymmetric(), source())


def test_a_signature_that_was_made_once_stays_good() -> None:
    at = datetime.fromtimestamp(1773144000, UTC)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1773144000", "webhook-signature": VECTOR}
    known = source(webhook_secrets=PUBLIC)
    assert isinstance(known.verify(request(headers, b"{}", at)), VerifiedRequest)
    assert "no signature fits" in refused({**headers, "webhook-id": "msg_2"}, known, body=b"{}", at=at)


def test_unknown_versions_are_skipped_and_any_one_that_fits_is_enough() -> None:
    headers = signed()
    others = "v0,x v2,a,b v1a, v1,AAAA"
    headers["webhook-signature"] = f"{others} {headers['webhook-signature']}  v9,!"
    assert isinstance(source().verify(request(headers)), VerifiedRequest)
    assert "no signature fits" in refused({**headers, "webhook-signature": others})


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("webhook-id", "", "must all be there"),
        ("webhook-id", "msg.1", "without dots"),
        ("webhook-id", "msg 1", "without dots"),
        ("webhook-id", "ä", "without dots"),
        ("webhook-id", "x" * 201, "at most 200"),
        ("webhook-timestamp", "", "must all be there"),
        ("webhook-timestamp", "soon", "not a number of seconds"),
        ("webhook-timestamp", "9" * 5000, "not a number of seconds"),
        ("webhook-timestamp", "-5", "not a number of seconds"),
        ("webhook-timestamp", "1.5", "not a number of seconds"),
        ("webhook-timestamp", "٣", "not a number of seconds"),
        ("webhook-timestamp", "1773144000", "no signature fits"),
        ("webhook-signature", "", "must all be there"),
        ("webhook-signature", "v1", "VERSION,SIGNATURE"),
        ("webhook-signature", "v1,a,b", "not base64"),
        ("webhook-signature", "v1,!!!", "not base64"),
        ("webhook-signature", "v1,AAA", "not base64"),
        ("webhook-signature", "v1,é", "no signature has"),
        ("webhook-signature", "v1,\ud800", "no signature has"),
        ("webhook-signature", "v1,AAAA " * 2000, "too long"),
        ("webhook-signature", "v1a,AAAA " * 21, "more signatures than anybody sends"),
        ("webhook-signature", " ", "no signature fits"),
    ],
)
def test_whatever_is_wrong_with_a_header_is_said_in_plain_words(name: str, value: str, reason: str) -> None:
    assert reason in refused({**signed(), name: value})
    if not value:
        assert reason in refused({key: kept for key, kept in signed().items() if key != name})


def test_a_time_that_is_too_far_away_is_refused_both_ways_and_the_setting_is_named() -> None:
    for seconds, good in ((300, True), (301, False), (-300, True), (-301, False)):
        at = NOW + timedelta(seconds=seconds)
        if good:
            source().verify(request(signed(), at=at))
        else:
            assert refused(signed(), at=at).endswith("(check tolerance)")
    source(tolerance=4000).verify(request(signed(), at=NOW + timedelta(hours=1)))


Sign = Callable[[bytes, bytes], str]


@pytest.mark.parametrize(
    ("way", "sign"),
    [
        ("hmac-sha256-hex", lambda key, body: hmac.new(key, body, hashlib.sha256).hexdigest()),
        ("hmac-sha256-hex", lambda key, body: "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest().upper()),
        ("hmac-sha256-base64", lambda key, body: base64.b64encode(hmac.digest(key, body, "sha256")).decode()),
    ],
)
def test_a_plain_signature_of_the_body_is_enough_where_a_system_has_no_other(way: str, sign: Sign) -> None:
    secrets = ["a-shared-secret-1", "a-shared-secret-2"]
    known = source(signature=way, signature_header="X-Sign", webhook_secrets=secrets)
    for secret in secrets:
        verified = known.verify(request({"x-sign": sign(secret.encode(), BODY)}))
        assert isinstance(verified, VerifiedRequest)
        assert known.delivery_key(verified) == hashlib.sha256(b"message\n" + BODY).hexdigest()
    assert "(check webhook_secrets)" in refused({"x-sign": sign(b"another", BODY)}, known)
    assert "(check webhook_secrets)" in refused({"x-sign": sign(secrets[0].encode(), BODY)}, known, body=BODY + b" ")
    assert "x-sign is missing (check signature_header)" in refused({}, known)
    for odd in ("x", "é" * 64, "\ud800", "0" * 63, "sha1=" + "0" * 64):
        refused({"x-sign": odd}, known)


def test_a_token_proves_the_sender_and_nothing_about_the_body() -> None:
    known = source(signature="token", signature_header="Authorization", webhook_secrets=["Bearer 0123456789abcdef"])
    assert isinstance(known.verify(request({"authorization": "Bearer 0123456789abcdef"}, b"any")), VerifiedRequest)
    for odd in ("Bearer 0123456789abcdeg", "bearer 0123456789abcdef", "é", "\udcff", "x" * 10**5):
        assert "(check webhook_secrets)" in refused({"authorization": odd}, known)
    assert "(check signature_header)" in refused({}, known)


@settings(max_examples=60)
@given(
    headers=st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]),
        st.text(max_size=30) | st.sampled_from(["msg_1", "1773144000", "v1,AAAA", "v1a,AAAA"]),
    )
)
def test_whatever_stands_in_the_headers_it_is_one_refusal(headers: dict[str, str]) -> None:
    known = source(webhook_secrets=[NEWER, PUBLIC])
    with pytest.raises(InvalidSignature):
        known.verify(request({**signed(body=b"another"), **headers}))


def test_an_empty_body_is_refused() -> None:
    assert "empty" in refused(signed(body=b""), body=b"")
