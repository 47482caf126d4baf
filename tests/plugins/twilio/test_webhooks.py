from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import settings as trial
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from stampcard.engine.replying import meaning_of
from stampcard.plugin import (
    CannotVerify,
    Delivery,
    MalformedPayload,
    MessageReceived,
    MessageReported,
    UnverifiedRequest,
    VerifiedRequest,
)
from stampcard.testing.clock import NOON
from stampcard_twilio.payloads import STATES
from stampcard_twilio.settings import TwilioSettings
from stampcard_twilio.webhooks import ANSWERED, FAMILIES, TwilioWebhooks

Decode = Callable[..., list[Any]]
ACCOUNT = "AC" + "0123456789abcdef" * 2
SID = "SM" + "0" * 32
URL = "https://points.example/webhooks/sms"
AT = NOON + timedelta(minutes=3)
STATUS = {"MessageSid": SID, "MessageStatus": "sent", "AccountSid": ACCOUNT, "ApiVersion": "2010-04-01"}
TEXT = {
    "MessageSid": SID,
    "SmsStatus": "received",
    "AccountSid": ACCOUNT,
    "From": "+14155550123",
    "Body": "Hello",
    "ApiVersion": "2010-04-01",
}


def request_of(form: dict[str, str] | bytes, url: str = URL) -> UnverifiedRequest:
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    told = {} if isinstance(form, bytes) else form
    headers = {"x-twilio-signature": RequestValidator("newer token").compute_signature(url, told)}
    return UnverifiedRequest(url=url, headers=headers, body=body, received_at=NOON)


@pytest.fixture
def source(settings: Callable[..., Any]) -> TwilioWebhooks:
    return TwilioWebhooks(settings())


def test_our_id_is_kept_of_the_address(source: TwilioWebhooks) -> None:
    verified = source.verify(request_of(STATUS, f"{URL}?message=msg-1"))
    assert (verified.topic, verified.headers) == ("status", {"message": "msg-1"})
    assert source.delivery_key(verified) == f"{SID}:sent"


@pytest.mark.parametrize("query", ["", "?message=", "?message=%00", "?message=" + "x" * 201, "?other=1"])
def test_without_an_id_of_ours_twilios_own_will_do(source: TwilioWebhooks, query: str) -> None:
    assert source.verify(request_of(STATUS, URL + query)).headers == {}


@pytest.mark.parametrize(
    ("form", "topic", "key"),
    [
        (STATUS, "status", f"{SID}:sent"),
        (TEXT, "inbound", SID),
        ({**TEXT, "SmsStatus": "sent"}, "", ""),
        ({"CallSid": "CA1", "CallStatus": "completed"}, "", ""),
        ({**STATUS, "MessageSid": "nonsense"}, "status", ""),
        ({**STATUS, "MessageStatus": "x" * 5000}, "status", ""),
        ({**TEXT, "MessageSid": "\x00"}, "inbound", ""),
    ],
)
def test_topics_and_keys(source: TwilioWebhooks, form: dict[str, str], topic: str, key: str) -> None:
    verified = source.verify(request_of(form))
    assert verified.topic == topic
    found = source.delivery_key(verified)
    assert found == key if key else len(found) == 64


def test_json_is_stored_and_means_nothing(source: TwilioWebhooks) -> None:
    body = b'{"MessageStatus": "sent"}'
    url = f"{URL}?bodySHA256={RequestValidator('x').compute_hash(body.decode())}"
    verified = source.verify(request_of(body, url))
    assert (verified.topic, len(source.delivery_key(verified))) == ("", 64)


def test_what_is_no_form_cannot_be_tried_out(source: TwilioWebhooks) -> None:
    with pytest.raises(CannotVerify, match="no form"):
        source.unchecked(request_of(b"\xff"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("queued", {"state": "queued"}),
        ("accepted_by_service", {"state": "queued"}),
        ("sent", {"state": "sent"}),
        ("delivered", {"state": "delivered"}),
        (
            "undelivered",
            {
                "state": "failed",
                "code": "30005",
                "because": "address",
                "reason": "the number is unknown, or not in use any more",
            },
        ),
        (
            "failed_opted_out",
            {
                "state": "failed",
                "code": "21610",
                "because": "opted_out",
                "reason": "the person has written STOP to this sender",
            },
        ),
        ("failed_unexplained", {"state": "failed", "code": "39999", "reason": "Twilio calls it failed"}),
        ("canceled", {"state": "failed", "reason": "Twilio calls it canceled"}),
    ],
)
def test_what_reports_say(decode: Decode, name: str, expected: dict[str, Any]) -> None:
    (event,) = decode(f"status__{name}", message="msg-1")
    assert event == MessageReported(
        channel="sms", occurred_at=AT, message="msg-1", reference=event.reference, **expected
    )
    assert event.reference.startswith("SM")


def test_a_report_without_our_id_says_whose_number_it_is(decode: Decode) -> None:
    (event,) = decode("status__failed_opted_out")
    assert (event.message, event.address) == ("", "+14155550123")


@pytest.mark.parametrize("status", [*STATES, "receiving", "received", "teleported", ""])
def test_every_status_is_told_or_ignored(decode: Decode, status: str) -> None:
    told = [event.state for event in decode({**STATUS, "MessageStatus": status})]
    assert told == ([STATES[status]] if status in STATES else [])


def test_what_people_write_arrives_as_they_wrote_it(decode: Decode) -> None:
    assert decode("inbound__question") == [
        MessageReceived(
            channel="sms",
            address="+14155550123",
            text="Wie viele Punkte habe ich? 🙂 a+b=c & more",
            key=f"SM{16:032x}",
            occurred_at=AT,
        )
    ]


@pytest.mark.parametrize(
    ("form", "answered"),
    [
        *[({"Body": word}, True) for word in sorted(ANSWERED)],
        ({"Body": " stop\n"}, True),
        ({"Body": "Stop please"}, False),
        ({"Body": "STOP."}, False),
        ({"Body": "Hello"}, False),
        ({"Body": "ARRET"}, False),
        ({"Body": "ARRET", "OptOutType": "STOP"}, True),
    ],
)
def test_what_twilio_answers_itself_is_answered(decode: Decode, form: dict[str, str], answered: bool) -> None:
    (event,) = decode({**TEXT, **form})
    assert event.answered is answered
    (event,) = decode({**TEXT, **form}, answers_stop=False)
    assert event.answered is False


@pytest.mark.parametrize(
    ("family", "word"), [(family, word) for family, words in FAMILIES.items() for word in sorted(words)]
)
def test_every_word_that_twilio_answers_means_the_same_here(decode: Decode, family: str, word: str) -> None:
    for told in ({}, {"OptOutType": family}):
        (event,) = decode({**TEXT, "Body": word, **told})
        assert event.text == word
        assert meaning_of(event.text) == family.lower()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("word", ["ARRET", "Salut \x00", "", "points"])
@pytest.mark.parametrize("answers", [True, False])
def test_a_word_of_the_owners_own_means_what_twilio_says(decode: Decode, family: str, word: str, answers: bool) -> None:
    for told in (family, family.lower()):
        (event,) = decode({**TEXT, "Body": word, "OptOutType": told}, answers_stop=answers)
        assert meaning_of(event.text) == family.lower()
        assert event.answered is answers


def test_a_stop_in_own_words_is_understood(decode: Decode) -> None:
    (event,) = decode("inbound__stop_in_own_words")
    assert (event.text, event.answered, meaning_of(event.text)) == ("STOP", True, "stop")


def test_a_family_that_nobody_knows_changes_no_words(decode: Decode) -> None:
    (event,) = decode({**TEXT, "Body": "Hello", "OptOutType": "LATER"})
    assert event.text == "Hello"


@pytest.mark.parametrize("sender", ["whatsapp:+14155550123", "72273", "Cafe", "", "+", "+0123"])
def test_who_has_no_number_is_nobody_here(decode: Decode, sender: str) -> None:
    assert decode({**TEXT, "From": sender}) == []


@pytest.mark.parametrize(
    "form",
    [
        {**STATUS, "MessageSid": "nonsense"},
        {**STATUS, "AccountSid": "AC" + "0" * 32},
        {**STATUS, "ErrorCode": "none"},
        {**STATUS, "ErrorCode": "٣"},
        {**STATUS, "ApiVersion": "2010-04-0"},
        {"MessageStatus": "sent"},
        {**TEXT, "From": "x" * 300},
        {**TEXT, "MessageSid": SID + "\n"},
        {"Body": "Hello", "From": "+14155550123"},
    ],
)
def test_what_is_no_payload_is_malformed(decode: Decode, form: dict[str, str]) -> None:
    with pytest.raises(MalformedPayload):
        decode(form)


def test_of_two_values_nobody_knows_which_one_counts(decode: Decode, source: TwilioWebhooks) -> None:
    body = urlencode([*TEXT.items(), ("From", "+14155550199")]).encode()
    delivery = Delivery(connection="sms", key="k", topic="inbound", body=body, received_at=NOON)
    with pytest.raises(MalformedPayload):
        list(source.events(delivery))


def test_an_error_does_not_quote_what_people_wrote(decode: Decode) -> None:
    with pytest.raises(MalformedPayload) as caught:
        decode({**TEXT, "From": "+14155550123" * 30, "Body": "my secret"})
    assert "4155550123" not in str(caught.value)
    assert "my secret" not in str(caught.value)


def test_a_text_can_be_stored_whatever_is_in_it(decode: Decode) -> None:
    (event,) = decode({**TEXT, "Body": "a\x00b"})
    assert event.text == "ab"


@trial(deadline=None, max_examples=100)
@given(body=st.binary(max_size=40))
def test_whatever_the_body_it_has_a_key(body: bytes) -> None:
    told = {"account_sid": ACCOUNT, "auth_token": "made up", "sender": "12345"}
    source = TwilioWebhooks(TwilioSettings.model_validate(told))
    for topic in ("status", "inbound", ""):
        assert source.delivery_key(VerifiedRequest(topic=topic, body=body))
