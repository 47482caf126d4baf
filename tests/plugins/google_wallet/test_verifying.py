"""ECv2SigningOnly: what Google signed for us counts, and nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from stampcard.plugin import InvalidSignature
from stampcard.testing.clock import NOON
from stampcard_google_wallet.verifying import Envelope, UnknownRoot, check, lengths, public_key, root_keys

ISSUER, SENDER, PROTOCOL = "3388000000022", "GooglePayPasses", "ECv2SigningOnly"
ROOT, BETWEEN, STRANGER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
LATER, EARLIER = NOON + timedelta(hours=1), NOON - timedelta(seconds=1)
MESSAGE = {
    "classId": f"{ISSUER}.club", "objectId": f"{ISSUER}.{'a0' * 12}", "eventType": "save", "count": 1, "nonce": "n-1",
}  # fmt: skip


def public(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, form)).decode()


def millis(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


def signed(key: ec.EllipticCurvePrivateKey, content: bytes) -> str:
    return base64.b64encode(key.sign(content, ec.ECDSA(hashes.SHA256()))).decode()


def of_bytes(*parts: str) -> bytes:
    return b"".join(len(part.encode()).to_bytes(4, "little") + part.encode() for part in parts)


def root(key: ec.EllipticCurvePrivateKey = ROOT, **changes: Any) -> dict[str, Any]:
    told = {"keyValue": public(key), "protocolVersion": PROTOCOL, "keyExpiration": millis(LATER), **changes}
    return {name: one for name, one in told.items() if one is not None}


ROOTS = root_keys(json.dumps({"keys": [root()]}).encode())


def envelope(
    message: Mapping[str, Any] = MESSAGE,
    *,
    sender: str = SENDER,
    issuer: str = ISSUER,
    protocol: str = PROTOCOL,
    by: ec.EllipticCurvePrivateKey = ROOT,
    key_ends: datetime | None = LATER,
    ends: datetime | None = LATER,
    counted: Any = of_bytes,
) -> dict[str, Any]:
    """A callback as Google signs it, but for what is said otherwise."""
    between = {"keyValue": public(BETWEEN), **({"keyExpiration": millis(key_ends)} if key_ends else {})}
    key = json.dumps(between)
    ending = {"expTimeMillis": int(millis(ends))} if ends else {}
    text = json.dumps({**message, **ending}, ensure_ascii=False)
    return {
        "protocolVersion": protocol,
        "signature": signed(BETWEEN, counted(sender, issuer, protocol, text)),
        "intermediateSigningKey": {"signedKey": key, "signatures": [signed(by, counted(sender, protocol, key))]},
        "signedMessage": text,
    }


def judged(told: Mapping[str, Any], roots: Sequence[Any] = ROOTS, issuer: str = ISSUER, now: datetime = NOON) -> None:
    check(msgspec.convert(told, Envelope), roots, issuer, now)


def test_what_google_signed_for_us_counts() -> None:
    judged(envelope())


def test_what_google_signed_for_another_issuer_does_not_count_whatever_it_is_about() -> None:
    with pytest.raises(InvalidSignature, match="issuer_id"):
        judged(envelope(issuer="3388000000023"))
    with pytest.raises(InvalidSignature):
        judged(envelope(), issuer="3388000000023")


def test_another_sender_does_not_count() -> None:
    """Google's own page named this one for a while."""
    with pytest.raises(InvalidSignature):
        judged(envelope(sender="GoogleWalletPasses"))


@pytest.mark.parametrize("protocol", ["ECv1", "ECv2", "", "ECv2SigningOnly "])
def test_another_protocol_does_not_count(protocol: str) -> None:
    with pytest.raises(InvalidSignature):
        judged(envelope(protocol=protocol))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"key_ends": EARLIER}, "the key that signed it is over"),
        ({"key_ends": NOON}, "the key that signed it is over"),
        ({"key_ends": None}, "the key that signed it is over"),
        ({"ends": EARLIER}, "the message is over"),
        ({"ends": NOON}, "the message is over"),
        ({"ends": None}, "the message is over"),
        ({"by": STRANGER}, "no key of Google's vouches"),
    ],
)
def test_what_is_over_or_vouched_for_by_nobody_does_not_count(changes: Mapping[str, Any], told: str) -> None:
    with pytest.raises(InvalidSignature, match=told):
        judged(envelope(**changes))


def test_a_root_key_that_is_over_vouches_for_nothing() -> None:
    judged(envelope(key_ends=LATER + timedelta(days=1), ends=LATER + timedelta(days=1)))
    with pytest.raises(UnknownRoot):
        judged(envelope(key_ends=LATER + timedelta(days=1), ends=LATER + timedelta(days=1)), now=LATER)


@pytest.mark.parametrize(
    "changes",
    [
        {"keyExpiration": None},
        {"keyExpiration": ""},
        {"keyExpiration": "soon"},
        {"keyExpiration": "-1"},
        {"keyExpiration": 1.5e12},
        {"keyExpiration": "9" * 400},
        {"protocolVersion": "ECv1"},
        {"protocolVersion": None},
        {"keyValue": "AAAA"},
        {"keyValue": "ä"},
        {"keyValue": public(ec.generate_private_key(ec.SECP384R1()))},
    ],
)
def test_a_root_key_that_does_not_say_how_long_it_counts_or_is_none_is_left_out(changes: Mapping[str, Any]) -> None:
    listed = [{**root(STRANGER), **changes}, root()]
    found = root_keys(
        json.dumps({"keys": [{k: v for k, v in one.items() if v is not None} for one in listed]}).encode()
    )
    assert len(found) == 1
    judged(envelope(), found)


@pytest.mark.parametrize("form", [lambda one: {"keys": [one]}, lambda one: [one], lambda one: one])
def test_root_keys_may_be_listed_in_any_form(form: Any) -> None:
    judged(envelope(), root_keys(json.dumps(form(root())).encode()))


@pytest.mark.parametrize("content", [b"", b"null", b"7", b"[]", b"{}", b'{"keys": null}', b"[" * 100_000, b"<html>"])
def test_what_lists_no_keys_has_none(content: bytes) -> None:
    assert root_keys(content) == []


def test_one_of_several_root_keys_and_one_of_several_signatures_is_enough() -> None:
    told = envelope()
    between = told["intermediateSigningKey"]
    between["signatures"] = [signed(STRANGER, b"x"), *between["signatures"]]
    judged(told, root_keys(json.dumps({"keys": [root(STRANGER), root()]}).encode()))


def test_a_single_signature_need_not_be_a_list() -> None:
    told = envelope()
    told["intermediateSigningKey"]["signatures"] = told["intermediateSigningKey"]["signatures"][0]
    judged(told)


def test_a_stranger_cannot_keep_us_busy_with_signatures() -> None:
    told = envelope()
    told["intermediateSigningKey"]["signatures"] *= 1000
    with pytest.raises(InvalidSignature):
        judged(told)


def test_lengths_are_of_bytes_also_where_letters_have_several() -> None:
    message = {**MESSAGE, "nonce": "نقطة ☕"}
    judged(envelope(message))

    def of_letters(*parts: str) -> bytes:
        return b"".join(len(part).to_bytes(4, "little") + part.encode() for part in parts)

    with pytest.raises(InvalidSignature):
        judged(envelope(message, counted=of_letters))
    assert lengths("é", "ab") == b"\x02\x00\x00\x00\xc3\xa9\x02\x00\x00\x00ab"


def test_what_belongs_to_one_part_cannot_be_moved_to_the_next() -> None:
    assert lengths("ab", "c") != lengths("a", "bc") != lengths("abc", "")


@given(place=st.integers(min_value=0), other=st.integers(min_value=1, max_value=255))
def test_no_single_changed_byte_of_the_message_counts(place: int, other: int) -> None:
    told = envelope()
    content = bytearray(told["signedMessage"].encode())
    content[place % len(content)] ^= other
    with pytest.raises(InvalidSignature):
        judged({**told, "signedMessage": content.decode("utf-8", "replace")})


@given(place=st.integers(min_value=0), other=st.integers(min_value=1, max_value=255))
def test_no_single_changed_byte_of_the_key_between_counts(place: int, other: int) -> None:
    told = envelope()
    content = bytearray(told["intermediateSigningKey"]["signedKey"].encode())
    content[place % len(content)] ^= other
    changed = {**told["intermediateSigningKey"], "signedKey": content.decode("utf-8", "replace")}
    with pytest.raises(InvalidSignature):
        judged({**told, "intermediateSigningKey": changed})


def test_the_key_of_the_message_cannot_stand_for_the_root() -> None:
    told = envelope(by=BETWEEN)
    with pytest.raises(UnknownRoot):
        judged(told)


def test_a_key_is_one_on_the_curve_that_google_uses() -> None:
    assert public_key(public(ROOT)) is not None
    assert public_key("") is public_key("%") is None
