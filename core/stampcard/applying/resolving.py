"""From a source's reference to a member."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from stampcard.applying.unit import Sourced, Unit, occurred_at
from stampcard.clock import to_micros
from stampcard.domain.events import CustomerSeen, CustomEvent, OrderSeen
from stampcard.storage import loading, saving
from stampcard.storage.numbering import new_member_id

#: (source, reference)
IdentityKey = tuple[str, str]


def fingerprint_of(unit: Unit, key: IdentityKey) -> str:
    """What is kept of an identity where the reference itself must not be."""
    return unit.setting.sealer.fingerprint("\0".join(key))


def customer_of(sourced: Sourced) -> IdentityKey | None:
    """The customer that an event names, if it names one."""
    match sourced.event:
        case OrderSeen(snapshot=snapshot):
            reference = snapshot.customer
        case CustomerSeen(reference=reference) | CustomEvent(customer=reference):
            pass
        case _:
            reference = None
    return (sourced.source, reference) if reference else None


def resolve(unit: Unit, events: Iterable[Sourced]) -> dict[IdentityKey, Any]:
    """Identity key → its row, making a member for everyone who is new; data older than an erasure finds nobody.

    Two units that meet the same new customer agree: the first inserts, the second waits for it and reads.
    """
    merchant = unit.setting.merchant
    latest: dict[IdentityKey, datetime] = {}
    for sourced in events:
        key = customer_of(sourced)
        if key is not None:
            when = occurred_at(sourced.event)
            latest[key] = max(when, latest.get(key, when))
    known = loading.load_identities(unit.connection, merchant, latest)
    new = latest.keys() - known.keys()
    if new:
        prints = {key: fingerprint_of(unit, key) for key in new}
        erased = loading.load_tombstones(unit.connection, merchant, list(prints.values()))
        known |= _welcome(unit, [key for key in new if erased.get(prints[key], -1) < to_micros(latest[key])])
    return known


def _welcome(unit: Unit, keys: list[IdentityKey]) -> dict[IdentityKey, Any]:
    merchant = unit.setting.merchant
    offered = {key: new_member_id() for key in keys}
    identities = [{"merchant": merchant, "connection": c, "reference": r, "member": m} for (c, r), m in offered.items()]
    saving.insert_new(unit.connection, "identity", identities)
    found = loading.load_identities(unit.connection, merchant, keys)
    joined = to_micros(unit.now)
    members = [
        {"merchant": merchant, "id": row.member, "joined_at": joined, "version": 0}
        for key, row in found.items()
        if row.member == offered[key]
    ]
    saving.insert(unit.connection, "member", members)
    return found
