"""From a source's reference to a member."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete

from stampcard.applying.identifying import claim
from stampcard.applying.recording import occurred_at
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Sourced, Unit
from stampcard.clock import to_micros
from stampcard.domain.events import ConsentSeen, CustomerSeen, CustomEvent, OrderSeen, PassRemoved, PassSaved
from stampcard.domain.value import Value
from stampcard.storage import loading, saving
from stampcard.storage.numbering import new_member_id
from stampcard.storage.tables import identity, member

#: (source, reference)
IdentityKey = tuple[str, str]


def fingerprint_of(unit: Unit, key: IdentityKey) -> str:
    """What is kept of an identity where the reference itself must not be."""
    return unit.setting.sealer.fingerprint("\0".join(key))


def key_of(setting: Setting, source: str, event: CustomEvent) -> str:
    """By what an event of the merchant's own counts once; what is kept of it must not name the customer."""
    return event.key or setting.sealer.fingerprint(f"{source}\0{event.customer}")


def effect_of(event: CustomEvent) -> str:
    """The key of the effect of an event whose own key is there."""
    return f"event:{event.name}:{event.key}"


def customer_of(sourced: Sourced) -> IdentityKey | None:
    """The customer that an event names, if it names one."""
    match sourced.event:
        case OrderSeen(snapshot=snapshot):
            reference = snapshot.customer
        case CustomerSeen(reference=reference) | CustomEvent(customer=reference) | ConsentSeen(customer=reference):
            pass
        case PassSaved(serial=reference) | PassRemoved(serial=reference):
            pass
        case _:
            reference = None
    return (sourced.source, reference) if reference else None


class Resolved(Value, frozen=True):
    """Identity key → its row, and, for who was erased, when (microseconds). `claimed`: members of an import until now."""

    rows: Mapping[IdentityKey, Any]
    erased: Mapping[IdentityKey, int]
    claimed: Collection[IdentityKey] = ()

    def of(self, sourced: Sourced) -> Any:
        """The row of the customer that an event names; None for nobody, and for data older than an erasure."""
        key = customer_of(sourced)
        if key is None or self.is_buried(sourced):
            return None
        return self.rows.get(key)

    def is_buried(self, sourced: Sourced) -> bool:
        """Whether an event tells of somebody who was erased after it happened."""
        key = customer_of(sourced)
        return key is not None and key in self.erased and to_micros(occurred_at(sourced.event)) <= self.erased[key]


def resolve(unit: Unit, events: Iterable[Sourced]) -> Resolved:
    """Who the events' customers are, making a member for everyone who is new, but not of a pass that nobody was given.

    Two units that meet the same new customer agree: the first inserts, the second waits for it and reads. What an
    erasure forbids is looked up after that waiting, since it may be an erasure that was waited for.
    """
    merchant = unit.setting.merchant
    latest: dict[IdentityKey, datetime] = {}
    addresses: dict[IdentityKey, str] = {}
    serials: set[IdentityKey] = set()
    for sourced in events:
        key = customer_of(sourced)
        if key is not None:
            if isinstance(sourced.event, PassSaved | PassRemoved):
                serials.add(key)
            if isinstance(sourced.event, CustomerSeen) and sourced.event.attributes.get("email"):
                addresses[key] = str(sourced.event.attributes["email"])
            when = occurred_at(sourced.event)
            latest[key] = max(when, latest.get(key, when))
    known = loading.load_identities(unit.connection, merchant, latest)
    new = latest.keys() - known.keys() - serials
    prints = {key: fingerprint_of(unit, key) for key in latest}
    found, made, claimed = welcome(unit, sorted(new), addresses) if new else ({}, set(), set())
    buried = loading.load_tombstones(unit.connection, merchant, list(prints.values()))
    erased = {key: buried[print_] for key, print_ in prints.items() if print_ in buried}
    unwanted = {key for key in made if erased.get(key, -1) >= to_micros(latest[key])}
    _turn_away(unit, unwanted, found)
    rows = {key: row for key, row in {**known, **found}.items() if key not in unwanted and row.member}
    return Resolved(rows=rows, erased=erased, claimed=claimed)


def _turn_away(unit: Unit, keys: Collection[IdentityKey], found: Mapping[IdentityKey, Any]) -> None:
    """Take back members that were made before their erasure was seen."""
    for key in keys:
        merchant = unit.setting.merchant
        unit.connection.execute(
            delete(identity).where(
                identity.c.merchant == merchant, identity.c.connection == key[0], identity.c.reference == key[1]
            )
        )
        unit.connection.execute(delete(member).where(member.c.merchant == merchant, member.c.id == found[key].member))


def welcome(
    unit: Unit, keys: list[IdentityKey], addresses: Mapping[IdentityKey, str]
) -> tuple[dict[IdentityKey, Any], set[IdentityKey], set[IdentityKey]]:
    """The rows of identities that were unknown, which of them are ours, and whose members an import made.

    `addresses` as far as they are told.
    """
    merchant = unit.setting.merchant
    offered = {key: new_member_id() for key in keys}
    identities = [{"merchant": merchant, "connection": c, "reference": r, "member": m} for (c, r), m in offered.items()]
    saving.insert_new(unit.connection, "identity", identities)
    found = loading.load_identities(unit.connection, merchant, keys)
    joined = to_micros(unit.now)
    made = {key for key, row in found.items() if row.member == offered[key]}
    waiting = {key: addresses[key] for key in sorted(made) if key in addresses}
    taken = claim(unit.connection, unit.setting, waiting) if waiting else set[IdentityKey]()
    if taken:
        found |= loading.load_identities(unit.connection, merchant, taken)
        made -= taken
    members = [{"merchant": merchant, "id": offered[key], "joined_at": joined, "version": 0} for key in made]
    saving.insert(unit.connection, "member", members)
    return found, made, taken
