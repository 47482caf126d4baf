"""The parts of Twilio's payloads that we read; other fields are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct, field

from stampcard.plugin import Reported

Sid = Annotated[str, Meta(pattern=r"^(SM|MM)[0-9a-fA-F]{32}\Z")]
AccountSid = Annotated[str, Meta(pattern=r"^AC[0-9a-fA-F]{32}\Z")]
Code = Annotated[int, Meta(ge=0, lt=1_000_000)]
Address = Annotated[str, Meta(max_length=200)]

#: Twilio's statuses of what we send; the others are of what comes in.
STATES: Mapping[str, Reported] = {
    "accepted": "queued",
    "scheduled": "queued",
    "queued": "queued",
    "sending": "queued",
    "sent": "sent",
    "partially_delivered": "sent",
    "delivered": "delivered",
    "read": "opened",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}


class Made(Struct, frozen=True):
    """A message as the API gives it."""

    sid: Sid
    status: str
    body: str | None = None
    date_created: str | None = None
    error_code: Code | None = None


class Page(Struct, frozen=True):
    """A page of messages; the last one has no next."""

    messages: tuple[Made, ...]
    next_page_uri: str | None = None


class Account(Struct, frozen=True):
    sid: AccountSid
    status: str


class Trouble(Struct, frozen=True):
    """An error of the API; its message is never told on, for it may quote a person's number."""

    code: Code = 0


class Posted(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What every webhook about a message has; all values of a form are texts."""

    message_sid: Sid
    account_sid: AccountSid
    api_version: Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
    to: Address = ""


class StatusPosted(Posted, frozen=True, kw_only=True, rename="pascal"):
    """What became of a message."""

    message_status: str
    error_code: Annotated[str, Meta(pattern=r"^[0-9]{0,6}\Z")] = ""


class TextPosted(Posted, frozen=True, kw_only=True, rename="pascal"):
    """What somebody wrote to us."""

    from_: Address = field(name="From")
    body: str
    #: Which family of words it is, where the words of a messaging service are its owner's own.
    opt_out_type: str = ""
