"""What one event would do, decided as any other and then forgotten: all of it only reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from stampcard.applying.requests import check_attributes, check_fields, event_fields
from stampcard.applying.resolving import effect_of, key_of
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.clock import EPOCH
from stampcard.domain.events import CustomerSeen, CustomEvent, OrderSeen, RefundSeen
from stampcard.domain.members import Member
from stampcard.domain.orders import OrderSnapshot
from stampcard.domain.value import Value, replace
from stampcard.domain.wallets import Lot, Wallet
from stampcard.engine.counting import CounterKey
from stampcard.engine.deciding import UNCHANGED, decide_custom, decide_customer, decide_order
from stampcard.engine.versions import Programs, assembled, compiled
from stampcard.engine.world import NO_FACTS, Decision, Facts, Order, World
from stampcard.errors import NotFound
from stampcard.program.model import Program
from stampcard.storage import loading
from stampcard.storage.reading import counters_of
from stampcard.storage.rows import moment

#: What can be decided without happening.
Triable = OrderSeen | RefundSeen | CustomerSeen | CustomEvent
#: The id of a customer whom nobody knows yet.
NEWCOMER = "m_newcomer"
_MOMENT = timedelta(microseconds=1)


class Question(Value, frozen=True):
    """An event that did not happen. `customer` is the source's reference, `member` our id; an order may have neither.

    `attributes` are taken for the member's own, `program` for the valid one. `as_told`: an order counts as the news that it
    says it is, so that old news changes nothing, nor does an event that counted; otherwise it is the newest.
    """

    event: Triable
    source: str
    now: datetime
    customer: str | None = None
    member: str | None = None
    attributes: Mapping[str, Any] = {}
    facts: Facts = NO_FACTS
    program: Program | None = None
    as_told: bool = False


class Tried(Value, frozen=True):
    """What would be decided, and in which world; `member` is None where nobody is concerned."""

    decision: Decision
    world: World
    member: str | None

    @property
    def opened(self) -> list[tuple[Wallet, Lot]]:
        """The lots that would open, each with its wallet."""
        found = []
        for wallet in self.decision.wallets:
            known = self.world.wallets.get((wallet.member, wallet.name))
            first = known.opened if known else 0
            found += [(wallet, lot) for number, lot in sorted(wallet.lots.items()) if number > first]
        return found

    @property
    def points(self) -> dict[str, int]:
        """What the member's awards would change by, by wallet, in its smallest unit."""
        found: dict[str, int] = {}
        for award in self.decision.awards:
            if award.member == self.member:
                before = self.world.awards.get(award.subject, {}).get((award.member, award.program, award.rule))
                found[award.wallet] = found.get(award.wallet, 0) + award.due - (before.due if before else 0)
        return found


def try_out(connection: Connection, setting: Setting, question: Question) -> Tried:
    """Decide an event that did not happen.

    Raises NotFound for an unknown member or event, RequestRefused for fields that no program declares, EventRefused for
    an event that would be refused.
    """
    if connection.dialect.name != "sqlite":  # there the connections that read cannot write
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
    programs = _replaced(setting.programs, question.program)
    person = _member(connection, setting, programs, question)
    event, source = question.event, question.source
    keys = [(source, reference)] if (reference := _order(event)) is not None else []
    world = _world(connection, setting, programs, question, person, keys)
    if isinstance(event, OrderSeen | RefundSeen):
        if isinstance(event, OrderSeen) and not question.as_told:
            world, event = _told_anew(world, (source, event.reference), event, question.program)
        decision = decide_order(world, event, source, person.id if person else None, question.now, question.facts)
        known = world.orders.get(keys[0])
        if isinstance(event, RefundSeen) and known is not None:
            return Tried(decision=decision, world=world, member=known.member)
    elif isinstance(event, CustomerSeen):
        assert person is not None, "a customer is somebody"
        decision = decide_customer(world, event, person, _seen_at(connection, setting, question))
    else:
        fields = event_fields(programs, event.name, question.now)
        if fields is None or person is None:
            raise NotFound("event", event.name)
        check_fields(fields, event.data, f"event {event.name}")
        once = effect_of(replace(event, key=key_of(setting, source, event)))
        if question.as_told and loading.load_effect(connection, setting.merchant, once) is not None:
            return Tried(decision=UNCHANGED, world=world, member=person.id)
        decision = decide_custom(world, event, person, source, question.facts)
    return Tried(decision=decision, world=world, member=person.id if person else None)


def _order(event: Triable) -> str | None:
    """The reference of the order that an event is about."""
    match event:
        case OrderSeen(reference=reference) | RefundSeen(order=reference):
            return reference
    return None


def _seen_at(connection: Connection, setting: Setting, question: Question) -> datetime | None:
    """The time of the newest record of this customer that is known."""
    key = (question.source, question.customer or "")
    row = loading.load_identities(connection, setting.merchant, [key]).get(key)
    return moment(row.seen_at) if row is not None else None


def _replaced(programs: Programs, program: Program | None) -> Programs:
    """The programs with this one as the version that is, and always was, valid."""
    if program is None:
        return programs
    versions = programs.versions.get(program.program, ())
    number = versions[-1].number + 1 if versions else 1
    others = [live for of in programs.versions.values() for live in of]
    return assembled([*others, compiled(program, number, EPOCH)], programs.revision, programs.stopped)


def _member(connection: Connection, setting: Setting, programs: Programs, question: Question) -> Member | None:
    """Whom the event is about: a known member, or somebody new."""
    id_, merchant = question.member, setting.merchant
    if id_ is None and question.customer is not None:
        key = (question.source, question.customer)
        row = loading.load_identities(connection, merchant, [key]).get(key)
        id_ = row.member if row is not None else NEWCOMER
    if id_ is None:
        return None
    # With segments, and the tiers as time has left them by then.
    unit = Unit(connection, dataclasses.replace(setting, programs=programs), question.now)
    unit.look(id_)
    found = unit.members.get(id_)
    if found is None and id_ == NEWCOMER:
        found = Member(id=NEWCOMER, joined_at=question.now)
    if found is None or not found.is_there:
        raise NotFound("member", id_)
    check_attributes(programs, question.attributes, question.now)
    return replace(found, attributes={**found.attributes, **question.attributes})


def _world(
    connection: Connection,
    setting: Setting,
    programs: Programs,
    question: Question,
    person: Member | None,
    keys: Collection[tuple[str, str]],
) -> World:
    """What a unit of work would load, without a lock and without a place for what is not there."""
    merchant, sealer, hooks = setting.merchant, setting.sealer, setting.hooks
    subjects = [f"order:{source}:{reference}" for source, reference in keys]
    others = loading.load_owners(connection, merchant, keys) - ({person.id} if person else set())
    members = loading.load_members(connection, merchant, others, sealer, attributes=True, lock=False)
    members |= {person.id: person} if person else {}
    if programs.names_members:
        for id_, known in loading.load_identities_of(connection, merchant, list(members)).items():
            names = frozenset(f"{row.connection}:{row.reference}" for row in known)
            members[id_] = replace(members[id_], names=names)
    wallets = loading.load_wallets(connection, merchant, list(members), subjects)
    debits = loading.load_debits(connection, merchant, subjects)
    for debit in (debit for of in debits.values() for debit in of):
        key = (debit.member, debit.wallet)
        if debit.left and key in wallets:
            drawn = loading.load_lots(connection, merchant, wallets[key], [draw.lot for draw in debit.draws])
            wallets[key] = replace(wallets[key], lots={**wallets[key].lots, **drawn})
    return World(
        now=question.now,
        programs=programs,
        members=members,
        orders=loading.load_orders(connection, merchant, keys, sealer, lock=False),
        awards=loading.load_awards(connection, merchant, subjects),
        wallets=wallets,
        debits=debits,
        counters=counters_of(connection, merchant, programs, members),
        pasts=loading.load_pasts(connection, merchant, members, points=True, rewards=True) if programs.recalls else {},
        adjust=hooks.award_adjustments if hooks.implements("award_adjustments") else None,
        work_out=hooks.award_formula,
    )


def _told_anew(
    world: World, key: tuple[str, str], event: OrderSeen, program: Program | None
) -> tuple[World, OrderSeen]:
    """An order that is known already as its newest news; another program decides it as if it were new."""
    known = world.orders.get(key)
    if known is None:
        return world, event
    event = replace(event, snapshot=_newest(event.snapshot, known))
    if program is not None:
        pins = {name: pin for name, pin in known.pins.items() if name != program.program}
        world = _unawarded(world, replace(known, pins=pins), program.program)
    return world, event


def _unawarded(world: World, order: Order, program: str) -> World:
    """The world before a program awarded an order, also for its limits."""
    standing = world.awards.get(order.subject, {})
    counters = dict(world.counters)
    for award in (award for key, award in standing.items() if key[1] == program):
        for charge in award.charges:
            counter = CounterKey(program, charge.scope, charge.period, charge.member)
            counters[counter] = counters.get(counter, 0) - charge.amount
    others = {key: award for key, award in standing.items() if key[1] != program}
    return replace(
        world,
        orders={**world.orders, order.key: order},
        awards={**world.awards, order.subject: others},
        counters=counters,
    )


def _newest(snapshot: OrderSnapshot, known: Order) -> OrderSnapshot:
    before = known.state.snapshot
    if before is None or before.stamp < snapshot.stamp:
        return snapshot
    return replace(snapshot, stamp=replace(snapshot.stamp, at=before.stamp.at + _MOMENT))
