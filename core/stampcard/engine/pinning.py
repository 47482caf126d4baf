"""What an order keeps of the moment when a program first decided it, so that every later decision is about the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stampcard.domain.members import Member
from stampcard.domain.orders import OrderSnapshot
from stampcard.domain.value import replace
from stampcard.engine.describing import Past, history_variables, member_variables
from stampcard.engine.matching import barred
from stampcard.engine.versions import LiveProgram, Programs
from stampcard.engine.world import Draft, Facts, Order, Pin

#: Beside the conditions' variables: the member's zone and names, where a rule asks for them.
ZONE, NAMES = "member.zone", "member.names"
#: What an order stays refused with although its member takes part again by now.
_FOR_GOOD = frozenset({"membership_frozen", "membership_closed"})
_NO_PAST = Past()


def pinned(draft: Draft, order: Order, snapshot: OrderSnapshot, member: str, facts: Facts) -> Order:
    """The order with a pin for every program, once it is paid by a member."""
    if not snapshot.paid:
        return order
    pins = dict(order.pins)
    for newest in draft.world.programs.current(draft.world.now):
        known = pins.get(newest.name)
        if known is not None and known.refused in _FOR_GOOD and known.owner == member:
            continue
        if known is None or known.refused:
            pins[newest.name] = _pin(draft, order, snapshot, member, newest.name, facts)
        elif known.owner != member:
            live = draft.world.programs.numbered(newest.name, known.version) or newest
            pins[newest.name] = replace(known, owner=member, member=_seen(draft, live, order, member, facts))
        elif known.lacking.keys() & facts.known.keys():
            now_known = {**known.member.get("facts", {}), **facts.known}
            lacking = {name: why for name, why in known.lacking.items() if name not in facts.known}
            pins[newest.name] = replace(known, member={**known.member, "facts": now_known}, lacking=lacking)
    return replace(order, pins=pins) if pins != order.pins else order


def unseen(order: Order) -> Order:
    """The order without what was seen of a former owner; an erasure looks for it only at who has the order now."""
    if all(pin.owner == order.member or not pin.member for pin in order.pins.values()):
        return order
    pins = {
        name: pin if pin.owner == order.member else replace(pin, owner="", member={})
        for name, pin in order.pins.items()
    }
    return replace(order, pins=pins)


def stopped_of(programs: Programs, program: str) -> tuple[str, ...]:
    """What is switched off now and concerns a program."""
    if not programs.stopped:
        return ()
    mine = (f"rule:{program}/", f"reward:{program}/", f"campaign:{program}/")
    return tuple(sorted(one for one in programs.stopped if one == f"program:{program}" or one.startswith(mine)))


def _pin(draft: Draft, order: Order, snapshot: OrderSnapshot, member: str, program: str, facts: Facts) -> Pin:
    live = draft.world.programs.valid_at(program, snapshot.occurred_at)
    if live is None:
        return Pin(version=0, refused="before_program")
    if order.first_seen_at - snapshot.occurred_at > live.program.accept_late:
        return Pin(version=0, refused="late")
    closed = barred(live, draft.person(member), snapshot.occurred_at)
    if closed:
        return Pin(version=0, refused=closed, owner=member if closed in _FOR_GOOD else "")
    return Pin(
        version=live.number,
        owner=member,
        member=_seen(draft, live, order, member, facts),
        stopped=stopped_of(draft.world.programs, program),
        lacking=facts.lacking if "facts" in live.reads else {},
        offset=snapshot.utc_offset,
    )


def _seen(draft: Draft, live: LiveProgram, order: Order, member: str, facts: Facts) -> dict[str, Any]:
    """What the conditions for orders read of a member."""
    person = draft.member if draft.member and draft.member.id == member else draft.world.members[member]
    snapshot = order.state.snapshot
    at = snapshot.occurred_at if snapshot else order.first_seen_at
    past = draft.world.pasts.get(member, _NO_PAST)
    return seen_of(person, live, live.order_reads, at, past, facts.known, order.key)


def seen_of(
    person: Member,
    live: LiveProgram,
    reads: frozenset[str],
    at: Any,
    past: Past,
    facts: Mapping[str, Any],
    leaving_out: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Everything that rules see of a member at a moment: attributes, history, facts, zone and names."""
    seen = member_variables(person, reads, at, live.name)
    if live.recalls:
        seen |= history_variables(past, live.program, reads, at, leaving_out)
    if "facts" in reads:
        seen["facts"] = dict(facts)
    zone = person.attributes.get("timezone") if person.attributes else None
    if zone and live.program.asks_for_zones:
        seen[ZONE] = str(zone)
    if person.names and live.program.names_members:
        seen[NAMES] = sorted(person.names)
    return seen
