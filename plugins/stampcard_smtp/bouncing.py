"""What became of mails later: bounces (RFC 3464) and complaints (RFC 5965), as the mail server hands them over.

They come to the address that mails come from. Postfix, say, passes them on by a line of ``/etc/aliases``::

    bounces: "|curl -sf -m 30 -H @/etc/postfix/stampcard -H 'Content-Type: message/rfc822' --data-binary @- \
        https://loyalty.example/webhooks/mail || exit 75"

The file has the one line ``Authorization: Bearer …`` with a token of the setting `bounce_tokens`, so that no list of
processes shows it; 75 lets Postfix come again where nobody answers.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from email import message_from_bytes, message_from_string
from email.errors import CloseBoundaryNotFoundDefect, StartBoundaryNotFoundDefect
from email.message import EmailMessage, Message
from email.policy import default
from typing import TYPE_CHECKING

from stampcard.plugin import (
    ConnectionContext,
    Delivery,
    Event,
    InvalidSignature,
    MalformedPayload,
    MessageReported,
    Refetch,
    Reported,
    UnverifiedRequest,
    VerifiedRequest,
    WebhookSource,
)
from stampcard_smtp.composing import message_id
from stampcard_smtp.judging import reported

if TYPE_CHECKING:
    from stampcard_smtp.settings import SmtpSettings

TOPIC = "bounce"
CHANNEL = "email"
#: What a status notification says was done (RFC 3464, 2.3.3); what went on somewhere else is sent.
ACTIONS: Mapping[str, Reported] = {
    "failed": "bounced",
    "delayed": "deferred",
    "delivered": "delivered",
    "relayed": "sent",
    "expanded": "sent",
}
#: Kinds of feedback (RFC 5965, 7.3). Two are no complaints: `not-spam` is the opposite, `auth-failure` is no person's.
FEEDBACK: Mapping[str, Reported] = {
    "abuse": "complained",
    "fraud": "complained",
    "virus": "complained",
    "other": "complained",
    "opt-out": "unsubscribed",
    "opt-out-list": "unsubscribed",
}
_RETURNED = frozenset({"message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"})
_CUT_OFF = (CloseBoundaryNotFoundDefect, StartBoundaryNotFoundDefect)
_OWN_ID = re.compile(rb"^message-id:[ \t]*(?:\r?\n[ \t]+)?<([!-;=?-~]{1,250})>", re.IGNORECASE | re.MULTILINE)
_HEADERS_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")


class Bounces(WebhookSource):
    """Mails that a mail server passes on as they are, with a token beside them.

    Anybody can send a bounce that is made up. So only those count that quote the Message-ID of a mail of ours, which none
    but its recipient has seen, and nothing is believed of whose address it says it was.
    """

    def __init__(self, context: ConnectionContext[SmtpSettings]) -> None:
        tokens = context.settings.bounce_tokens
        self._passes = tuple(f"Bearer {token.get_secret_value()}".encode() for token in tokens)
        self._ending = message_id("", context.name, context.settings.domain).removeprefix("<").lower()

    def verify(self, request: UnverifiedRequest) -> VerifiedRequest:
        shown = request.header("authorization").encode(errors="surrogatepass")
        fits = False
        for known in self._passes:
            fits |= hmac.compare_digest(known, shown)
        if not fits:
            raise InvalidSignature("the header Authorization has none of our tokens", "bounce_tokens")
        return self.unchecked(request)

    def unchecked(self, request: UnverifiedRequest) -> VerifiedRequest:
        return VerifiedRequest(topic=TOPIC, body=request.body)

    def delivery_key(self, request: VerifiedRequest) -> str:
        """A mail's own Message-ID: where it is passed on twice, other headers have changed."""
        found = _OWN_ID.search(_HEADERS_END.split(request.body, 1)[0])
        return found[1].decode() if found else hashlib.sha256(request.body).hexdigest()

    def events(self, delivery: Delivery) -> Iterable[Event | Refetch]:
        if delivery.topic != TOPIC:
            return ()
        try:
            return tuple(self._events(delivery))
        except MalformedPayload:
            raise
        except Exception as error:  # noqa: BLE001 - the library raises about anything for headers of strangers
            raise MalformedPayload(f"the mail cannot be read ({type(error).__name__})") from None

    def _events(self, delivery: Delivery) -> Iterator[MessageReported]:
        mail = message_from_bytes(delivery.body, policy=default)
        kind = KINDS.get(_parameter(mail, "report-type"))
        if mail.get_content_type() != "multipart/report" or kind is None:
            return
        if any(isinstance(defect, _CUT_OFF) for defect in mail.defects):
            raise MalformedPayload("the mail was cut off")
        message = self._message(mail)
        if message:
            yield from kind(mail, delivery, message)

    def _message(self, mail: EmailMessage) -> str:
        """Our id of the message whose mail is returned; the empty text if it is none of ours."""
        for part in mail.iter_parts():
            if part.get_content_type() in _RETURNED:
                own = _text(_headers_in(part), "message-id").removeprefix("<")
                if own.lower().endswith(self._ending):
                    return own[: -len(self._ending)]
        return ""


def _statuses(mail: EmailMessage, delivery: Delivery, message: str) -> Iterator[MessageReported]:
    """One report for each recipient, who was one only unless somebody passed it on to several."""
    seen = set[str]()
    for fields in _recipients(mail):
        state = ACTIONS.get(_text(fields, "action").lower())
        code = _status(fields)
        if state is None or (found := f"{state} {code}") in seen:
            continue
        seen.add(found)
        meaning = reported(code) if state == "bounced" else None
        yield MessageReported(
            channel=CHANNEL,
            state=state,
            occurred_at=delivery.received_at,
            message=message,
            code=code,
            reason=meaning.words if meaning else "",
            because=meaning.because if meaning else "",
        )


def _complaints(mail: EmailMessage, delivery: Delivery, message: str) -> Iterator[MessageReported]:
    kind = _text(_headers_in(_part(mail, "message/feedback-report")), "feedback-type").lower()
    state = FEEDBACK.get(kind)
    if state is not None:
        yield MessageReported(
            channel=CHANNEL,
            state=state,
            occurred_at=delivery.received_at,
            message=message,
            code=kind,
            because="opted_out",
        )


KINDS = {"delivery-status": _statuses, "feedback-report": _complaints}


def _recipients(mail: EmailMessage) -> list[Message]:
    """What is said of each recipient; the first group is of the whole mail."""
    groups = _part(mail, "message/delivery-status").get_payload()
    if not isinstance(groups, list) or not groups:
        raise MalformedPayload("the mail says of nobody what became of it")
    return [group for group in groups if isinstance(group, Message) and group["action"] is not None]


def _part(mail: EmailMessage, kind: str) -> EmailMessage:
    for part in mail.iter_parts():
        if part.get_content_type() == kind and isinstance(part, EmailMessage):
            return part
    raise MalformedPayload(f"the mail has no part {kind}")


def _headers_in(part: Message) -> Message:
    """The headers that a part consists of, whether they are read already or are its text."""
    inside = part.get_payload()
    if isinstance(inside, list) and inside and isinstance(inside[0], Message):
        return inside[0]
    content = part.get_payload(decode=True)
    text = content.decode(errors="replace") if isinstance(content, bytes) else ""
    return message_from_string(text, policy=default)


def _text(fields: Message, name: str) -> str:
    return str(fields.get(name, "")).strip()


def _parameter(mail: EmailMessage, name: str) -> str:
    found = mail.get_param(name)
    return found.lower() if isinstance(found, str) else ""


def _status(fields: Message) -> str:
    """The status in figures; some write words behind it."""
    found = _STATUS.match(_text(fields, "status"))
    return found[0] if found else ""
