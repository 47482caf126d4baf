"""Facts that a source told us, in our own words: what plugins decode deliveries into."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from stampcard.domain.consents import ConsentState
from stampcard.domain.messages import Because, Reported
from stampcard.domain.orders import OrderSnapshot, Refund
from stampcard.domain.value import Value, replace


class OrderSeen(Value, frozen=True, tag="order_seen"):
    """A whole order as it is now: created, paid, updated, edited, cancelled, or fetched."""

    reference: str
    snapshot: OrderSnapshot
    refunds: tuple[Refund, ...] = ()


class RefundSeen(Value, frozen=True, tag="refund_seen"):
    """One refund of an order, which may not be known yet."""

    order: str
    refund: Refund


class CustomerSeen(Value, frozen=True, tag="customer_seen"):
    """A customer as the source shows them; `attributes` holds personal data and is stored sealed.

    Attributes that every program knows: email, phone, first_name, last_name, language, country, timezone. None says that
    the source has none any more; what it cannot tell is left out. `verified`: of email and phone those that the source knows
    to be the customer's own.
    """

    reference: str
    occurred_at: datetime
    attributes: Mapping[str, Any] = {}
    verified: frozenset[str] = frozenset()


class CustomerErased(Value, frozen=True, tag="customer_erased"):
    """The law's request to forget a person at this source, with the identifiers it named."""

    reference: str
    occurred_at: datetime
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()


class ContactSeen(Value, frozen=True, tag="contact_seen"):
    """A contact as a CRM shows it, read whole: who of our members it is, if any, is found out here.

    `occurred_at`: when it last changed there. `fields`: their names → text, of those that the map knows; empty is nothing, and what was not told is left out.
    `emails` and `phones`: all that the contact has, the first the main one. `member`: our id of the member, where it says one.
    """

    reference: str
    occurred_at: datetime
    fields: Mapping[str, str] = {}
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    member: str = ""


class ContactGone(Value, frozen=True, tag="contact_gone"):
    """A contact was put away in the CRM, and may come back; the member stays."""

    reference: str
    occurred_at: datetime


class CustomersMerged(Value, frozen=True, tag="customers_merged"):
    """The source made one customer of two: all of `gone` is `kept` now."""

    kept: str
    gone: str
    occurred_at: datetime


class DataRequested(Value, frozen=True, tag="data_requested"):
    """A person asked for their data: kept as a task for the merchant."""

    reference: str
    occurred_at: datetime
    request: str = ""


class CustomEvent(Value, frozen=True, tag="custom_event"):
    """An event of the merchant's own, declared in the program; `key` makes it count once, an empty one once for a customer."""

    name: str
    customer: str
    key: str
    occurred_at: datetime
    data: Mapping[str, Any] = {}


class CommandSettled(Value, frozen=True, tag="command_settled"):
    """What became of a command whose outcome changes what we keep; we tell it to ourselves.

    `done`: it had its effect, with `result`; else it never will, and `why` says why not.
    """

    kind: str
    key: str
    done: bool
    occurred_at: datetime
    result: Mapping[str, Any] = {}
    why: str = ""


class ConsentSeen(Value, frozen=True, tag="consent_seen"):
    """What a customer said at the source about being addressed by a channel (``email``, ``sms``) for a purpose.

    `state` as with our own consents: given, pending, refused or withdrawn. What is told once more changes nothing.
    `confirmed`: the source has asked back already, so that a yes needs no second confirmation (double opt-in).
    """

    customer: str
    channel: str
    purpose: str
    state: ConsentState
    occurred_at: datetime
    confirmed: bool = False


class MessageReported(Value, frozen=True, tag="message_reported"):
    """What became of a message, as its channel tells; reports come in any order, and more than once.

    `message`: our id, or `reference`: the vendor's. `code`: the vendor's own, for whoever looks into it. `because`: whether it is
    the address that is no good, or its owner who wants nothing more by this channel. `address`: where the report names no
    message of ours, whose it is.
    """

    channel: str
    state: Reported
    occurred_at: datetime
    message: str = ""
    reference: str = ""
    code: str = ""
    reason: str = ""
    because: Because = ""
    address: str = ""


class MessageReceived(Value, frozen=True, tag="message_received"):
    """What somebody wrote back by a channel; `address`: who, in the form in which messages go there.

    `key`: the vendor's name for it, so that it counts once. `answered`: the vendor has answered by itself already, as
    some do to STOP; nothing more is said then.
    """

    channel: str
    address: str
    text: str
    key: str
    occurred_at: datetime
    answered: bool = False


class PassSaved(Value, frozen=True, tag="pass_saved"):
    """Somebody put a card into their phone; `serial`: what we call that pass."""

    serial: str
    occurred_at: datetime


class PassRemoved(Value, frozen=True, tag="pass_removed"):
    """Nobody has the card in a phone any more."""

    serial: str
    occurred_at: datetime


class ConnectionEnded(Value, frozen=True, tag="connection_ended"):
    """The source took our access away: pushes stop and what we stored to reach it is deleted."""

    reason: str
    occurred_at: datetime


class SourceErased(Value, frozen=True, tag="source_erased"):
    """The law's request to forget everybody whom we know only from this source."""

    occurred_at: datetime


class SetAside(Value, frozen=True, tag="set_aside"):
    """A fact that is understood but cannot be applied yet; quarantined with its reason."""

    reason: str
    occurred_at: datetime


class ContactWritten(Value, frozen=True, tag="contact_written"):
    """A contact was made for a member of ours; we tell it to ourselves. `fields`: what both sides show of it, as digests."""

    connection: str
    reference: str
    member: str
    occurred_at: datetime
    fields: Mapping[str, tuple[str, str]] = {}


class HoldAsked(Value, frozen=True, tag="hold_asked"):
    """A CRM says that a member is to be on hold, and why, or is to go on (no reason); we tell it to ourselves."""

    connection: str
    member: str
    reason: str
    occurred_at: datetime


class ContactsListed(Value, frozen=True, tag="contacts_listed"):
    """Contacts came into a CRM's list or left it; we tell it to ourselves."""

    connection: str
    list: str
    occurred_at: datetime
    come: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


#: What we tell ourselves.
Own = CommandSettled | ContactWritten | HoldAsked | ContactsListed | MessageReported
Event = (
    OrderSeen
    | RefundSeen
    | CustomerSeen
    | CustomerErased
    | CustomersMerged
    | ContactSeen
    | ContactGone
    | DataRequested
    | CustomEvent
    | ConsentSeen
    | MessageReported
    | MessageReceived
    | PassSaved
    | PassRemoved
    | CommandSettled
    | ContactWritten
    | HoldAsked
    | ContactsListed
    | ConnectionEnded
    | SourceErased
    | SetAside
)


def plain_numbers(event: Event) -> Event:
    """The event with the numbers of its own fields as JSON has them: plugins tell fractions as Decimal, rules read floats."""
    match event:
        case CustomEvent(data=fields) if _has_fractions(fields):
            return replace(event, data=_plain(fields))
        case CustomerSeen(attributes=fields) if _has_fractions(fields):
            return replace(event, attributes=_plain(fields))
    return event


def _has_fractions(fields: Mapping[str, Any]) -> bool:
    return any(isinstance(value, Decimal) for value in fields.values())


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in fields.items()}


class DayCame(Value, frozen=True, tag="day_came"):
    """A day of the calendar that is a member's own: their birthday, or that of their joining. No source tells it."""

    name: str
    occurred_at: datetime


class HoldChanged(Value, frozen=True, tag="hold_changed"):
    """Somebody put a member on hold (`held`), or let them go on. Why is kept with the member, as long as it lasts."""

    held: bool
    occurred_at: datetime


class ConsentChanged(Value, frozen=True, tag="consent_changed"):
    """A member said something about being addressed; the evidence is kept beside, and goes with the person."""

    channel: str
    purpose: str
    state: str
    occurred_at: datetime


class SegmentChanged(Value, frozen=True, tag="segment_changed"):
    """A member came into a segment (`entered`), or left it."""

    program: str
    segment: str
    entered: bool
    occurred_at: datetime


class MembersMerged(Value, frozen=True, tag="members_merged"):
    """All that another member has became this one's (`merged`), or went back."""

    other: str
    merged: bool
    occurred_at: datetime


class MembershipChanged(Value, frozen=True, tag="membership_changed"):
    """A member confirmed their part in a program, left it, or came back."""

    program: str
    state: str
    occurred_at: datetime


class Refetch(Value, frozen=True, tag="refetch"):
    """A delivery that only names a record: read it at the source, then go on with what is there."""

    kind: str
    reference: str
