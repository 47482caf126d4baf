"""Messages to members: what one is as it leaves, and how far it came."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, get_args

from stampcard.domain.value import Value

#: What kind of text a way of sending takes: a mail (subject, text, HTML), a text alone, a note (title, text, link).
Form = Literal["mail", "text", "note"]
#: What a member must have to be reached: an address, a reference at that connection, or nothing.
Need = Literal["email", "phone", "reference", "nothing"]

#: Waiting: for its moment. Attempting: a call is under way. Unknown: whether it left cannot be told. Dropped: it never left.
#: The others are what channels report; opened also counts what was read where it was fetched.
MessageState = Literal[
    "waiting",
    "attempting",
    "unknown",
    "dropped",
    "queued",
    "deferred",
    "sent",
    "delivered",
    "opened",
    "clicked",
    "rejected",
    "failed",
    "bounced",
    "unsubscribed",
    "complained",
]
#: What a channel may report, in no order that could be relied on.
Reported = Literal[
    "queued",
    "deferred",
    "sent",
    "delivered",
    "opened",
    "clicked",
    "rejected",
    "failed",
    "bounced",
    "unsubscribed",
    "complained",
]
REPORTED: tuple[Reported, ...] = get_args(Reported)
#: A message is in the state of the highest rank that was reported, whatever was reported last.
RANKS: Mapping[str, int] = {
    "waiting": 0,
    "attempting": 1,
    "dropped": 2,
    "unknown": 3,
    "queued": 10,
    "deferred": 11,
    "sent": 20,
    "delivered": 30,
    "opened": 40,
    "clicked": 50,
    "rejected": 60,
    "failed": 60,
    "bounced": 61,
    "unsubscribed": 70,
    "complained": 80,
}
#: States in which a message did not reach anybody, so that another channel is tried where one is to work.
LOST = frozenset({"dropped", "rejected", "failed", "bounced"})

#: What a failure says of whom it was sent to: the address is no good, or its owner wants nothing by this channel.
Because = Literal["", "address", "opted_out"]

#: Before the name of a channel, in the kind of the commands that bring its messages.
MESSAGE = "message:"
#: Receipts and what a person asked for; all other purposes are told only to those who agreed.
TRANSACTIONAL = "transactional"


class Message(Value, frozen=True):
    """One message as it leaves, written out in the member's language.

    `id`: ours, the same for every attempt and in every report. `to`: the address or reference. `subject` is the title of a
    note. `html`: of a mail, never without `text`. `unsubscribe`: the https address at which a POST ends messages of this
    purpose (RFC 8058); empty where there is nothing to end. `reports`: the https address of the connection's webhook, where
    the vendor may tell what became of it. `until`: later than this it is worth nothing. `link`: where a note leads.
    """

    id: str
    name: str
    member: str
    to: str
    purpose: str
    language: str
    direction: Literal["ltr", "rtl"]
    text: str
    subject: str = ""
    html: str = ""
    link: str = ""
    unsubscribe: str = ""
    reports: str = ""
    until: datetime | None = None
    to_name: str = ""
