"""What became of mails later: bounces (RFC 3464) and complaints (RFC 5965), as the mail server hands them over.

They come to the address that mails come from. Postfix, say, passes them on by a line of ``/etc/aliases``::

    bounces: "|curl -sf -m 30 -H @/etc/postfix/stampcard -H 'Content-Type: message/rfc822' --data-binary @-
        https://loyalty.example/webhooks/mail || exit 75"

The file has the one line ``Authorization: Bearer …`` with a token of the setting `bounce_tokens`, so that no list of
processes shows it, and whoever Postfix runs commands as must be able to read it; 75 lets Postfix come again where nobody
answers.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from email import message_from_bytes, message_from_string
from email.errors import CloseBoundaryNotFoundDefect, StartBoundaryNotFoundDefect
from email.message import Message
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
from stampcard_smtp.judging import reported
from stampcard_smtp.naming import MARK, Naming

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
#: Of a mail, and bytes in the type of each.
MOST_PARTS, LONGEST_KIND = 60, 2000
_KINDS_TOLD = re.compile(rb"content-type:(?:[^\r\n]|(?:\r\n|\r|\n)[ \t])*", re.IGNORECASE)
_STATUSES = ("message/delivery-status", "message/global-delivery-status")
_RETURNED = frozenset({"message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"})
_CUT_OFF = (CloseBoundaryNotFoundDefect, StartBoundaryNotFoundDefect)
_OWN_ID = re.compile(rb"^message-id:[ \t]*(?:\r?\n[ \t]+)?<([!-;=?-~]{1,250})>", re.IGNORECASE | re.MULTILINE)
_HEADERS_END = re.compile(rb"\r?\n\r?\n")
_GROUPS_END = re.compile(r"(?:\r?\n){2,}")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_DIAGNOSTIC = re.compile(r"smtp\s*;\s*\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})\b", re.IGNORECASE)


class Bounces(WebhookSource):
    """Mails that a mail server passes on as they are, with a token beside them.

    Anybody can send a bounce that is made up. So only those count that quote the name of a mail of ours, as its Message-ID
    or beside another one, which none but its recipient has seen or can guess, and nothing is believed of whose address they
    say it was.
    """

    def __init__(self, context: ConnectionContext[SmtpSettings]) -> None:
        tokens = context.settings.bounce_tokens
        self._passes = tuple(f"Bearer {token.get_secret_value()}".encode() for token in tokens)
        self._names = Naming(context.settings, context.name)

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
        mail = _opened(delivery.body)
        kind = KINDS.get(_parameter(mail, "report-type"))
        if mail.get_content_type() != "multipart/report" or kind is None:
            return
        if any(isinstance(defect, _CUT_OFF) for defect in mail.defects):
            raise MalformedPayload("the mail was cut off")
        message = self._message(mail)
        if message:
            yield from kind(mail, delivery, message)

    def _message(self, mail: Message) -> str:
        """Our id of the message whose mail is returned; the empty text if it is none of ours."""
        for part in _parts(mail):
            if part.get_content_type() in _RETURNED:
                headers = _headers_in(part)
                found = (self._names.meant(_text(headers, name)) for name in ("message-id", MARK.lower()))
                return next(filter(None, found), "")
        return ""


def _opened(body: bytes) -> Message:
    """The mail, unless it is made to be read for hours: the library's time grows by the square of its parts and types."""
    kinds = _KINDS_TOLD.findall(body)
    if len(kinds) > MOST_PARTS or any(len(kind) > LONGEST_KIND for kind in kinds):
        raise MalformedPayload("the mail has more parts than any report has")
    return message_from_bytes(body)


def _statuses(mail: Message, delivery: Delivery, message: str) -> Iterator[MessageReported]:
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


def _complaints(mail: Message, delivery: Delivery, message: str) -> Iterator[MessageReported]:
    kind = _text(_headers_in(_part(mail, "message/feedback-report")), "feedback-type").lower()
    state = FEEDBACK.get(kind)
    if state is not None:
        yield MessageReported(
            channel=CHANNEL,
            state=state,
            occurred_at=delivery.received_at,
            message=message,
            code=kind,
        )


#: What reports are read, by their type.
KINDS: Mapping[str, Callable[[Message, Delivery, str], Iterator[MessageReported]]] = {
    "delivery-status": _statuses,
    "feedback-report": _complaints,
}


def _recipients(mail: Message) -> list[Message]:
    """What is said of each recipient; the first group is of the whole mail."""
    part = _part(mail, *_STATUSES)
    groups = part.get_payload()
    if not isinstance(groups, list) or not groups:
        raise MalformedPayload("the mail says of nobody what became of it")
    if part.get_content_type() != _STATUSES[0]:
        groups = _parted(groups[0])
    return [group for group in groups if isinstance(group, Message) and _text(group, "action")]


def _parted(first: Message | str) -> list[Message | str]:
    """The groups of a status with letters beyond ASCII (RFC 6533), which the library takes for a mail: one, and its text."""
    rest = first.get_payload() if isinstance(first, Message) else ""
    told = _GROUPS_END.split(rest) if isinstance(rest, str) else []
    return [first, *(message_from_string(group) for group in told)]


def _parts(mail: Message) -> list[Message]:
    found = mail.get_payload()
    return [part for part in found if isinstance(part, Message)] if isinstance(found, list) else []


def _part(mail: Message, *kinds: str) -> Message:
    for part in _parts(mail):
        if part.get_content_type() in kinds:
            return part
    raise MalformedPayload(f"the mail has no part {kinds[0]}")


def _headers_in(part: Message) -> Message:
    """The headers that a part consists of, whether they are read already or are its text."""
    inside = part.get_payload()
    if isinstance(inside, list) and inside and isinstance(inside[0], Message):
        return inside[0]
    content = part.get_payload(decode=True)
    text = content.decode(errors="replace") if isinstance(content, bytes) else ""
    return message_from_string(text)


def _text(fields: Message, name: str) -> str:
    """A header as it was written, on one line: the library stumbles over some that strangers write, such as an id of <>."""
    told = next((str(value) for key, value in fields.raw_items() if key.lower() == name), "")
    return " ".join(told.split())


def _parameter(mail: Message, name: str) -> str:
    found = mail.get_param(name)
    return found.lower() if isinstance(found, str) else ""


def _status(fields: Message) -> str:
    """The status in figures. Exim tells 5.0.0 whatever happened; the other server's own words are exacter then."""
    found = _STATUS.match(_text(fields, "status"))
    quoted = _DIAGNOSTIC.match(_text(fields, "diagnostic-code"))
    if found is None or found[0].endswith(".0.0"):
        return quoted[1] if quoted else found[0] if found else ""
    return found[0]
