"""How events are kept: as long as the ledger, and without what names or describes a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from stampcard.clock import to_micros
from stampcard.domain.decisions import Reason
from stampcard.domain.events import (
    CommandSettled,
    ConsentSeen,
    ContactGone,
    ContactSeen,
    ContactsListed,
    ContactWritten,
    CustomerErased,
    CustomerSeen,
    CustomersMerged,
    CustomEvent,
    DataRequested,
    Event,
    HoldAsked,
    MessageReceived,
    MessageReported,
    OrderSeen,
    PassRemoved,
    PassSaved,
    RefundSeen,
)
from stampcard.domain.happenings import Happened
from stampcard.domain.value import replace
from stampcard.storage import rows
from stampcard.storage.packing import pack_reasons


def event_row(
    merchant: str,
    number: int,
    now: datetime,
    event: Event | Happened,
    subject: str,
    member: str | None,
    reasons: Sequence[Reason],
) -> dict[str, Any]:
    """An event that no delivery brought, as a row; whoever knows its delivery adds it."""
    return {
        "merchant": merchant,
        "id": number,
        "kind": event.__struct_config__.tag,
        "subject": subject,
        "member": member,
        "connection": None,
        "delivery": None,
        "occurred_at": to_micros(occurred_at(event)),
        "applied_at": to_micros(now),
        "body": rows.to_json(event),
        "reasons": pack_reasons(reasons),
    }


def occurred_at(event: Event | Happened) -> datetime:
    """When the source says it happened."""
    if isinstance(event, OrderSeen):
        return event.snapshot.occurred_at
    return event.refund.occurred_at if isinstance(event, RefundSeen) else event.occurred_at


#: What of an event names or describes the person.
_PERSONAL: Mapping[type, Mapping[str, Any]] = {
    CustomerSeen: {"reference": "", "attributes": {}},
    CustomEvent: {"customer": ""},
    ConsentSeen: {"customer": ""},
    CustomerErased: {"reference": "", "emails": (), "phones": ()},
    CustomersMerged: {"kept": "", "gone": ""},
    CommandSettled: {"result": {}},
    ContactSeen: {"reference": "", "fields": {}, "emails": (), "phones": ()},
    ContactGone: {"reference": ""},
    ContactWritten: {"reference": "", "fields": {}},
    HoldAsked: {"reason": ""},
    PassSaved: {"serial": ""},
    PassRemoved: {"serial": ""},
    ContactsListed: {"come": (), "gone": ()},
    DataRequested: {"reference": ""},
    MessageReported: {"address": "", "reason": ""},
    MessageReceived: {"address": "", "text": ""},
}


def impersonal(event: Event) -> Event:
    """The event as it is kept with the ledger: without what names or describes the person."""
    return replace(event, **_PERSONAL.get(type(event), {}))
