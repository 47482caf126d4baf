"""What events concern: which orders, whose counters, whose attributes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from stampcard.applying.recording import occurred_at
from stampcard.applying.resolving import Resolved
from stampcard.applying.unit import Sourced, Unit
from stampcard.domain.events import (
    ContactGone,
    ContactSeen,
    ContactWritten,
    CustomerSeen,
    CustomEvent,
    OrderSeen,
    PassSaved,
    RefundSeen,
)
from stampcard.engine.counting import CounterKey, keys_for
from stampcard.program.agreeing import ORDER
from stampcard.program.events import CARD_SAVED, PURCHASE, REFUND, SIGN_UP
from stampcard.storage.contacts import ContactKey


def order_key(sourced: Sourced) -> tuple[str, str] | None:
    """The order that an event is about."""
    match sourced.event:
        case OrderSeen(reference=reference) | RefundSeen(order=reference):
            return sourced.source, reference
    return None


def contact_key(sourced: Sourced) -> ContactKey | None:
    """The contact that an event is about."""
    match sourced.event:
        case ContactSeen(reference=reference) | ContactGone(reference=reference):
            return sourced.source, reference
        case ContactWritten(connection=name, reference=reference):
            return name, reference
    return None


def freed_order(sourced: Sourced) -> tuple[str, str] | None:
    """The order whose waiting points an event frees."""
    order = sourced.event.data.get(ORDER) if isinstance(sourced.event, CustomEvent) else None
    return (sourced.source, order) if isinstance(order, str) else None


def counter_keys(unit: Unit, sourced: Sourced, identities: Resolved) -> Iterator[CounterKey]:
    """The counters that deciding an event may read, whatever it comes to."""
    programs, key = unit.setting.programs, order_key(sourced)
    if not programs.counts:
        return
    order = unit.orders.get(key) if key is not None else None
    row, moments = identities.of(sourced), {occurred_at(sourced.event)}
    if order is not None and order.state.snapshot is not None:
        # An older state of the order that says another day tells nothing of that, but may bring a refund.
        moments.add(order.state.snapshot.occurred_at)
    members: set[str] = {row.member} if row is not None else set()
    members |= {order.member} if order is not None and order.member is not None else set()
    kinds: tuple[str, ...] = (PURCHASE, REFUND) if key is not None else ()
    if isinstance(sourced.event, CustomEvent):
        kinds = (sourced.event.name,)
    if isinstance(sourced.event, PassSaved):
        kinds = (CARD_SAVED,)
    for at in moments:
        yield from sign_up_keys(unit, members, at)
        for live in (live for versions in programs.versions.values() for live in versions if live.counts):
            yield from (one for member in members for on in kinds for one in keys_for(live, on, at, member))


def sign_up_keys(unit: Unit, members: Collection[str], at: datetime) -> Iterator[CounterKey]:
    """The counters that enrolling members may read: of that moment, and of now for programs that began after it."""
    for versions in unit.setting.programs.versions.values():
        for live in versions:
            if live.counts:
                for moment in {at, unit.now}:
                    yield from (one for member in members for one in keys_for(live, SIGN_UP, moment, member))


def needs_attributes(unit: Unit, events: Iterable[Sourced]) -> bool:
    programs = unit.setting.programs
    return (
        any(isinstance(sourced.event, CustomerSeen) for sourced in events)
        or "member.attributes" in programs.reads
        or (programs.gives and "member.attributes" in programs.reward_reads)
        or any(live.program.asks_for_zones for versions in programs.versions.values() for live in versions)
    )
