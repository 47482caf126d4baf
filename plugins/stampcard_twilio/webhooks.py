from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from stampcard.plugin import (
    CannotVerify,
    Delivery,
    Event,
    MalformedPayload,
    MessageReceived,
    MessageReported,
    UnverifiedRequest,
    VerifiedRequest,
    WebhookSource,
)
from stampcard_twilio.codes import MEANINGS
from stampcard_twilio.payloads import STATES, Posted, StatusPosted, TextPosted
from stampcard_twilio.sending import MESSAGE, SMS
from stampcard_twilio.settings import TwilioSettings
from stampcard_twilio.signing import check, form_of, hash_of

STATUS, INBOUND = "status", "inbound"
#: Single words that Twilio answers by itself, whatever their case, by what it calls their family; in a longer text it
#: leaves them alone (https://help.twilio.com/articles/223134027).
FAMILIES: Mapping[str, frozenset[str]] = {
    "STOP": frozenset({"STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"}),
    "START": frozenset({"START", "YES", "UNSTOP"}),
    "HELP": frozenset({"HELP", "INFO"}),
}
ANSWERED = frozenset[str]().union(*FAMILIES.values())
#: Whoever writes from elsewhere (``whatsapp:+1…``) or without a number is nobody to whom a text message goes.
_PHONE = re.compile(r"\+[1-9][0-9]{1,14}")
_ID = re.compile(r"[A-Za-z0-9._:-]{1,200}")
_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
P = TypeVar("P", bound=Posted)


class TwilioWebhooks(WebhookSource):
    """What became of messages, and what people write; the address is signed, and holds our id of the message."""

    #: Twilio reads the answer to an inbound text as TwiML, and warns of any other (12300); this one says nothing to the sender.
    ack, ack_type = b"<Response/>", "text/xml"

    def __init__(self, settings: TwilioSettings) -> None:
        self._settings = settings
        self._secrets = [token.get_secret_value().encode() for token in settings.auth_token]

    def verify(self, request: UnverifiedRequest) -> VerifiedRequest:
        check(self._secrets, request)
        return self.unchecked(request)

    def unchecked(self, request: UnverifiedRequest) -> VerifiedRequest:
        if hash_of(request.url) is not None:  # what is no form tells of no message
            return VerifiedRequest(topic="", body=request.body)
        try:
            form = form_of(request.body)
        except ValueError:
            raise CannotVerify("the body is no form") from None
        ids = parse_qs(urlsplit(request.url).query).get(MESSAGE, [])
        headers = {MESSAGE: ids[0]} if ids and _ID.fullmatch(ids[0]) else {}
        return VerifiedRequest(topic=_topic(form), body=request.body, headers=headers)

    def delivery_key(self, request: VerifiedRequest) -> str:
        try:
            form = form_of(request.body) if request.topic else {}
        except ValueError:
            form = {}
        sid, status = (next(iter(form.get(name, ())), "") for name in ("MessageSid", "MessageStatus"))
        if not _SID.fullmatch(sid) or not (request.topic == INBOUND or status in STATES):
            return hashlib.sha256(request.body).hexdigest()
        return sid if request.topic == INBOUND else f"{sid}:{status}"

    def events(self, delivery: Delivery) -> Iterable[Event]:
        topic = TOPICS.get(delivery.topic)
        return () if topic is None else tuple(topic(delivery, self._settings))


def _topic(form: Mapping[str, object]) -> str:
    if "MessageStatus" in form:
        return STATUS
    return INBOUND if {"Body", "From"} <= form.keys() and form.get("SmsStatus") == ["received"] else ""


def _reported(delivery: Delivery, settings: TwilioSettings) -> Iterable[Event]:
    told = _read(delivery.body, StatusPosted, settings)
    state, code = STATES.get(told.message_status), told.error_code
    if state is None:
        return
    message = delivery.headers.get(MESSAGE, "")
    meaning = MEANINGS.get(int(code or 0)) if state == "failed" else None
    reason = f"Twilio calls it {told.message_status}" if state == "failed" else ""
    yield MessageReported(
        channel=SMS,
        state=state,
        occurred_at=delivery.received_at,
        message=message,
        reference=told.message_sid,
        code=code,
        reason=meaning.text if meaning is not None else reason,
        because=meaning.because if meaning is not None else "",
        address="" if message else told.to,
    )


def _received(delivery: Delivery, settings: TwilioSettings) -> Iterable[Event]:
    told = _read(delivery.body, TextPosted, settings)
    if not _PHONE.fullmatch(told.from_):
        return
    word, family = told.body.strip().upper(), told.opt_out_type.strip().upper()
    # A word of the owner's own is known to Twilio alone: the family's name says what it means.
    is_foreign = family in FAMILIES and word not in FAMILIES[family]
    yield MessageReceived(
        channel=SMS,
        address=told.from_,
        text=family if is_foreign else told.body.replace("\x00", ""),
        key=told.message_sid,
        occurred_at=delivery.received_at,
        answered=settings.answers_stop and (bool(family) or word in ANSWERED),
    )


TOPICS: Mapping[str, Callable[[Delivery, TwilioSettings], Iterable[Event]]] = {STATUS: _reported, INBOUND: _received}


def _read(body: bytes, shape: type[P], settings: TwilioSettings) -> P:
    """The form in the given shape, or MalformedPayload, which says where but never what stands there."""
    try:
        form = form_of(body)
    except ValueError:
        raise MalformedPayload("not what Twilio sends: the body is no form") from None
    # The order of values is not signed, so that of several nobody could tell which one counts.
    fields = {name: values[0] for name, values in form.items() if len(set(values)) == 1}
    try:
        told = msgspec.convert(fields, type=shape)
    except msgspec.ValidationError as error:
        raise MalformedPayload(f"not what Twilio sends: {error}") from None
    if told.account_sid != settings.account_sid:
        raise MalformedPayload("it is about another account than account_sid says")
    return told
