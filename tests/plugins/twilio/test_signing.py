"""Signatures beside those of Twilio's own library."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import settings as trial
from hypothesis import strategies as st
from multidict import MultiDict
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from stampcard.plugin import InvalidSignature, UnverifiedRequest
from stampcard.testing.clock import NOON
from stampcard_twilio.signing import addresses, check, form_of

TOKEN = "a made-up token"
URL = "https://points.example/webhooks/sms?message=msg-1"
Fields = Sequence[tuple[str, str]]


def official(url: str, fields: Fields | None = None, token: str = TOKEN) -> str:
    return str(RequestValidator(token).compute_signature(url, MultiDict(fields or ())))


def request_of(url: str, body: bytes, signature: str) -> UnverifiedRequest:
    return UnverifiedRequest(url=url, headers={"x-twilio-signature": signature}, body=body, received_at=NOON)


def fits(url: str, body: bytes, signature: str, *tokens: str) -> bool:
    try:
        check([token.encode() for token in tokens or (TOKEN,)], request_of(url, body, signature))
    except InvalidSignature:
        return False
    return True


VECTORS: Mapping[str, Fields] = {
    "plain": [("To", "+14155550123"), ("From", "+14155550100"), ("Body", "Hello")],
    "nothing": [],
    "empty values": [("Body", ""), ("ToCity", "")],
    "twice the same": [("Digits", "5"), ("Digits", "5")],
    "twice and different": [("Digits", "5"), ("Digits", "12"), ("Digits", "5")],
    "one key begins with another": [("ReasonConferenceEnded", "a"), ("Reason", "z")],
    "blanks stay": [("Body", "  two blanks \n")],
    "letters of all kinds": [("Body", "Grüße 🙂 a+b=c&d %41"), ("Ä", "ö")],
    "capitals first": [("body", "1"), ("Body", "2"), ("BODY", "3")],
}


@pytest.mark.parametrize("fields", VECTORS.values(), ids=VECTORS.keys())
def test_forms_fit_as_the_official_library_signs_them(fields: Fields) -> None:
    body = urlencode(fields).encode()
    assert fits(URL, body, official(URL, fields))
    assert fits(URL, urlencode(fields[::-1]).encode(), official(URL, fields))
    assert not fits(URL, body, official(URL, fields, "another token"))
    assert not fits(URL, body + b"&More=1", official(URL, fields))
    assert not fits(URL.replace("msg-1", "msg-2"), body, official(URL, fields))


def test_the_keys_alone_are_sorted() -> None:
    """Whoever sorted keys together with their values would put Reason behind ReasonConferenceEnded."""
    fields = VECTORS["one key begins with another"]
    wrong = sorted(name + value for name, value in fields)
    assert wrong[0].startswith("ReasonConferenceEnded")
    assert not fits(URL, urlencode(fields).encode(), official(URL + "".join(wrong)))
    assert fits(URL, urlencode(fields).encode(), official(URL + "Reasonz" + "ReasonConferenceEndeda"))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("https://points.example/hook", "https://points.example/hook"),
        ("https://points.example/hook", "https://points.example:443/hook"),
        ("http://points.example/hook?a=1", "http://points.example:80/hook?a=1"),
        ("https://points.example:8443/hook", "https://points.example:8443/hook"),
        ("https://points.example:8443/hook", "https://points.example/hook"),
        ("https://points.example", "https://points.example:443"),
        ("http://127.0.0.1:8080/hook", "http://127.0.0.1:8080/hook"),
    ],
)
def test_the_port_may_be_signed_or_not(ours: str, theirs: str) -> None:
    fields = VECTORS["plain"]
    signature = official(theirs, fields)
    assert RequestValidator(TOKEN).validate(ours, MultiDict(fields), signature)
    assert fits(ours, urlencode(fields).encode(), signature)


@pytest.mark.parametrize(
    "ours", ["https://points.example:8443/hook", "https://points.example/hook", "ftp://x", "", "https://[::1]:9/hook"]
)
def test_another_port_does_not_fit(ours: str) -> None:
    assert not fits(ours, b"", official("https://points.example:9999/hook"))


def test_an_address_of_version_six_keeps_its_brackets() -> None:
    assert addresses("https://[2001:db8::1]/hook") == (
        "https://[2001:db8::1]/hook",
        "https://[2001:db8::1]:443/hook",
    )
    assert addresses("http://[::1]:8080/hook") == ("http://[::1]/hook", "http://[::1]:8080/hook")


def test_any_of_several_tokens_will_do() -> None:
    body, signature = b"Body=Hello", official(URL, [("Body", "Hello")])
    assert fits(URL, body, signature, "newer", TOKEN)
    assert fits(URL, body, signature, TOKEN, "older")
    assert not fits(URL, body, signature, "newer", "older")


def test_json_is_proven_by_the_hash_in_the_address() -> None:
    body = b'{"type": "com.twilio.messaging.message.delivered", "text": "\xc3\xa4"}'
    url = f"{URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    assert RequestValidator(TOKEN).validate(url, body.decode(), official(url))
    assert fits(url, body, official(url))
    assert not fits(url, body + b" ", official(url))
    assert not fits(url, body, official(url, token="another token"))
    assert not fits(url.replace("bodySHA256=", "bodySHA256=0"), body, official(url))


def test_a_form_cannot_pass_for_json_nor_json_for_a_form() -> None:
    """A hash in the address that is not the body's is refused, however the rest is signed."""
    form = [("MessageSid", "SM1")]
    url = f"{URL}&bodySHA256={hashlib.sha256(b'{}').hexdigest()}"
    assert not fits(url, urlencode(form).encode(), official(url, form))
    assert not fits(url, urlencode(form).encode(), official(url))
    assert not fits(URL, b"{}", official(URL))


@pytest.mark.parametrize(
    "body",
    [b"Body=\xc3\xa4", b"Body=%ff", b"Body=%ED%A0%80", b"&".join([b"a=1"] * 5000), b"Body=" + b"a" * 70_000],
    ids=["no ASCII", "no UTF-8", "half a letter", "many fields", "long"],
)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    assert not fits(URL, body, official(URL))
    with pytest.raises(ValueError):
        form_of(body)


@trial(deadline=None, max_examples=200)
@given(
    fields=st.lists(st.tuples(st.text(max_size=6), st.text(max_size=6)).map(lambda pair: (pair[0] + "k", pair[1]))),
    token=st.text(min_size=1, max_size=40),
)
def test_whatever_the_official_library_signs_fits(fields: Fields, token: str) -> None:
    assert fits(URL, urlencode(fields).encode(), official(URL, fields, token), token)


@trial(deadline=None, max_examples=100)
@given(body=st.binary(max_size=60), url=st.text(max_size=40), signature=st.text(max_size=40))
def test_nothing_else_is_raised(body: bytes, url: str, signature: str) -> None:
    assert not fits(url, body, signature)


def test_an_address_with_bytes_that_are_no_text_does_no_harm() -> None:
    assert not fits("https://points.example/\udcff?bodySHA256=\udcff", b"", official(URL))


def test_the_longest_text_of_the_widest_letters_is_a_form_still() -> None:
    fields = [("Body", "\U0001f642" * 1600), ("MessageSid", "SM" + "0" * 32)]
    assert fits(URL, urlencode(fields).encode(), official(URL, fields))


def test_who_looks_into_it_is_told_which_settings_matter() -> None:
    with pytest.raises(InvalidSignature, match=r"auth_token and http\.public_url"):
        check([b"x"], request_of(URL, b"Body=1", "no signature"))
