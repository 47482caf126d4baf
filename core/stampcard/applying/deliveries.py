"""A batch of prepared deliveries becomes one transaction."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError

from stampcard.applying.concerning import (
    contact_key,
    counter_keys,
    freed_order,
    needs_attributes,
    order_key,
    sign_up_keys,
)
from stampcard.applying.consenting import hear_consent, waits
from stampcard.applying.erasing import SPECIAL, apply_special
from stampcard.applying.hearing import OF_MESSAGES, Told, hear_told, listen
from stampcard.applying.listening import OF_CONTACTS, apply_told, follow_merge
from stampcard.applying.matching import heard
from stampcard.applying.meeting import ERASED, Meeting, meet, members_met
from stampcard.applying.merging import merge_customers
from stampcard.applying.outgoing import push
from stampcard.applying.passes import hear_pass
from stampcard.applying.redeeming import Asked, asked_rewards, settle_command
from stampcard.applying.resolving import IdentityKey, Resolved, customer_of, effect_of, fingerprint_of, key_of, resolve
from stampcard.applying.rewarding import print_of
from stampcard.applying.setting import Setting, check_revision
from stampcard.applying.settling import settle_members
from stampcard.applying.syncing import hear_contact, load_met, load_owning, lose_contact, note_times, owned, take_over
from stampcard.applying.unit import Sourced, Unit
from stampcard.clock import to_micros
from stampcard.domain.commands import CONTACT
from stampcard.domain.decisions import Change
from stampcard.domain.events import (
    CommandSettled,
    ConsentSeen,
    ContactGone,
    ContactSeen,
    ContactWritten,
    CustomerSeen,
    CustomersMerged,
    CustomEvent,
    DataRequested,
    OrderSeen,
    PassRemoved,
    PassSaved,
    Refetch,
    RefundSeen,
    SetAside,
)
from stampcard.domain.value import Value, replace
from stampcard.engine.deciding import UNCHANGED, decide_custom, decide_customer, decide_order
from stampcard.engine.world import Decision
from stampcard.errors import EventRefused, PluginSuspended
from stampcard.program.events import CARD_SAVED, NEWSLETTER
from stampcard.storage import loading, saving
from stampcard.storage.contacts import ContactKey
from stampcard.storage.data_requests import keep_request
from stampcard.storage.rows import moment, to_json
from stampcard.storage.tables import inbox

_NOBODY_MET: Mapping[ContactKey, Meeting] = {}
_NOTHING_TOLD = Told()
_OF_CONTACTS = (ContactSeen, ContactGone, ContactWritten)


class Known(Value, frozen=True):
    """Who the customers of a batch are, whose its contacts, and what its reports of messages are about."""

    identities: Resolved
    met: Mapping[ContactKey, Meeting]
    told: Told


Status = Literal["done", "quarantined", "failed", "later"]
#: How often a delivery that fails for a reason of ours is tried, and the wait (microseconds) that grows by itself.
TRIES = 3
RETRY_AFTER = 2_000_000
LONGEST_WAIT = 60_000_000


class Prepared(Value, frozen=True):
    """One claimed delivery, decoded: its events, the records it wants fetched, or why it cannot be understood.

    `waits_for` names what must be mended before it can be decoded at all. `subject` is whom its body tells about where no
    event names a customer. `past`: a backfill brought it.
    """

    delivery: int
    connection: str
    source: str
    events: tuple[Sourced, ...] = ()
    refetches: tuple[Refetch, ...] = ()
    refusal: tuple[str, str] | None = None
    waits_for: str = ""
    subject: str | None = None
    past: bool = False


class Settled(Value, frozen=True):
    """What became of one delivery; `failed` is tried again a few times, `later` waits for the next batch.

    `forget` means that its body tells of somebody who was erased and must not be kept.
    """

    delivery: int
    status: Status
    code: str = ""
    detail: str = ""
    member: str | None = None
    subject_print: str | None = None
    forget: bool = False


class Applied(Value, frozen=True):
    """What became of a batch."""

    settled: tuple[Settled, ...]
    changes: tuple[Change, ...] = ()


#: What they agree to who subscribe to the newsletter.
_MAILS = "email.marketing"
_SETTLE = (
    update(inbox)
    .where(inbox.c.merchant == bindparam("b_merchant"), inbox.c.id == bindparam("b_id"))
    .values(
        {
            name: bindparam(name)
            for name in (
                "status",
                "attempts",
                "next_at",
                "member",
                "subject_print",
                "code",
                "detail",
                "settled_at",
            )
        }
        | {"claimed_by": None, "claimed_until": None}
    )
)


def apply_deliveries(
    connection: Connection, setting: Setting, batch: Sequence[Prepared], now: datetime, owner: str
) -> Applied:
    """Apply a batch in the transaction of `connection`; raises Stale, or what the database raises when saving.

    What a backfill brought is applied as an import is: balances are pushed, and nobody is told of anything.
    """
    check_revision(connection, setting)
    batch = _still_ours(connection, setting, batch, now, owner)
    unit = Unit(connection, setting, now, silent=any(prepared.past for prepared in batch))
    alone = len(batch) == 1 and is_special(batch[0])
    settled = [_apply_alone(unit, batch[0])] if alone else decide_all(unit, batch)
    changes = unit.save()
    if unit.silent:
        push(connection, setting, now, changes)
        changes = unit.former
    _save_refetches(connection, setting, batch, now)
    _settle_rows(connection, setting, settled, now)
    return Applied(settled=tuple(settled), changes=tuple(changes))


def is_special(prepared: Prepared) -> bool:
    """Whether a delivery must be applied alone, because it forgets or moves what others of the batch may have loaded."""
    return any(map(_is_apart, prepared.events))


def _is_apart(sourced: Sourced) -> bool:
    return isinstance(sourced.event, (*SPECIAL, CustomersMerged, *OF_CONTACTS))


def _apply_alone(unit: Unit, prepared: Prepared) -> Settled:
    """What else the delivery tells comes first: somebody who has just come can be merged at once."""
    before = _apply_before(unit, replace(prepared, events=tuple(e for e in prepared.events if not _is_apart(e))))
    if before.status != "done":
        return before
    member = before.member
    for sourced in filter(_is_apart, prepared.events):
        if isinstance(sourced.event, CustomersMerged):
            member = merge_customers(unit, sourced, sourced.event)
            follow_merge(unit, sourced, sourced.event)
        elif isinstance(sourced.event, OF_CONTACTS):
            member = apply_told(unit, sourced.event)
        else:
            apply_special(unit, sourced)
    forget = before.forget or any(isinstance(sourced.event, SPECIAL) for sourced in prepared.events)
    return replace(before, member=member, forget=forget)


def _apply_before(unit: Unit, prepared: Prepared) -> Settled:
    """Apply a delivery's ordinary events, if there are any, so that the others find what came of them."""
    if not prepared.events:
        return Settled(delivery=prepared.delivery, status="done")
    own = Unit(unit.connection, unit.setting, unit.now)
    (settled,) = decide_all(own, [prepared])
    if settled.status == "done":
        unit.former += own.save()
    return settled


def _still_ours(
    connection: Connection, setting: Setting, batch: Sequence[Prepared], now: datetime, owner: str
) -> list[Prepared]:
    """The deliveries whose claim still holds; another worker may have taken over what we were slow with."""
    statement = select(inbox.c.id).where(
        inbox.c.merchant == setting.merchant,
        inbox.c.id.in_([prepared.delivery for prepared in batch]),
        inbox.c.status == "ready",
    )
    if connection.dialect.name != "sqlite":
        statement = statement.where(inbox.c.claimed_by == owner, inbox.c.claimed_until > to_micros(now))
        statement = statement.order_by(inbox.c.id).with_for_update()
    ours = set(connection.execute(statement).scalars())
    return [prepared for prepared in batch if prepared.delivery in ours]


def decide_all(unit: Unit, batch: Sequence[Prepared]) -> list[Settled]:
    events = [sourced for prepared in batch for sourced in prepared.events]
    identities = resolve(unit, events)
    freed = {key for sourced in events if (key := freed_order(sourced)) is not None}
    orders = sorted({key for sourced in events if (key := order_key(sourced)) is not None} | freed)
    owners = loading.load_owners(unit.connection, unit.setting.merchant, orders) | {
        row.member for row in identities.rows.values()
    }
    asked = asked_rewards(unit, events, orders)
    owners |= asked.owners
    met, told = meet(unit, events), listen(unit, events)
    owners |= {*members_met(met)} | told.owners
    often = {key for key, times in Counter(map(order_key, events)).items() if key is not None and times > 1}
    repeated = {
        row.member
        for e in events
        if (order_key(e) in often or freed_order(e) is not None) and (row := identities.of(e)) is not None
    }
    if unit.silent:  # what time alone brought them is paid and told as ever
        unit.former += settle_members(unit.connection, unit.setting, unit.now, owners)
    unit.lock(sorted(owners), orders, attributes=bool(met) or needs_attributes(unit, events), repeated=repeated)
    merged = any(one.merged_into is not None for one in unit.members.values())
    if merged or _have_parted(unit, identities) or _show_others(unit, asked):
        # Two members became one, or two again, or an order showed a code, between our look and the lock: all of it is looked up again.
        return [Settled(delivery=one.delivery, status="later", code="changed_meanwhile") for one in batch]
    if asked.is_needed:
        unit.know_rewards(ids=asked.ids, prints=asked.prints, subjects=asked.subjects)
    keys = {key for sourced in events for key in counter_keys(unit, sourced, identities)}
    unit.count(keys | set(sign_up_keys(unit, members_met(met), unit.now)))
    load_met(unit, {key for sourced in events if (key := contact_key(sourced)) is not None}, members_met(met))
    load_owning(
        unit, {row.member for one in events if (row := identities.of(one)) and isinstance(one.event, CustomerSeen)}
    )
    known = Known(identities=identities, met=met, told=told)
    return [_decide(unit, prepared, known) for prepared in batch]


def _have_parted(unit: Unit, identities: Resolved) -> bool:
    """Whether somebody is another member's by now; in SQLite nobody else writes meanwhile."""
    if unit.connection.dialect.name == "sqlite":
        return False
    now = loading.load_identities(unit.connection, unit.setting.merchant, identities.rows)
    return any(key not in now or now[key].member != row.member for key, row in identities.rows.items())


def _show_others(unit: Unit, asked: Asked) -> bool:
    """Whether an order shows a code by now whose redemption was not looked up, though what it takes off is counted."""
    if not unit.setting.programs.discounts:
        return False
    known = set(asked.prints)
    return any(print_ not in known for order in unit.orders.values() for print_ in order.state.codes)


def _decide(unit: Unit, prepared: Prepared, known: Known) -> Settled:
    """One delivery by itself: all of its events, or nothing of it."""
    identities = known.identities
    print_ = _subject_print(unit, prepared)
    if prepared.refusal is not None:
        code, detail = prepared.refusal
        return Settled(delivery=prepared.delivery, status="quarantined", code=code, detail=detail, subject_print=print_)
    if prepared.waits_for:
        return Settled(delivery=prepared.delivery, status="later", code="waits", detail=prepared.waits_for)
    if not all(_is_locked(unit, sourced, identities) for sourced in prepared.events):
        return Settled(delivery=prepared.delivery, status="later", code="changed_meanwhile")
    # What one event leads to is decided step by step, too: a tier, a segment, and what rules pay for it.
    steps = len(prepared.events) > 1 or unit.follows
    checkpoint, minted = unit.checkpoint() if steps else None, unit.rewarding.copied()
    member: str | None = None
    try:
        for sourced in prepared.events:
            member = decide_event(unit, sourced, identities, known.met, known.told) or member
    except SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001 - one delivery's trouble is its own
        if checkpoint is not None:
            unit.restore(checkpoint)
        unit.rewarding = minted
        return _failed(prepared, error, print_)
    forget = any(identities.is_buried(sourced) for sourced in prepared.events) or _is_left_over(
        unit, prepared, print_, known
    )
    return Settled(delivery=prepared.delivery, status="done", member=member, subject_print=print_, forget=forget)


def _failed(prepared: Prepared, error: Exception, print_: str | None) -> Settled:
    if isinstance(error, EventRefused):
        return Settled(
            delivery=prepared.delivery, status="quarantined", code=error.code, detail=error.detail, subject_print=print_
        )
    name = type(error).__name__
    if isinstance(error, PluginSuspended):
        return Settled(delivery=prepared.delivery, status="later", code=name, detail=str(error), subject_print=print_)
    return Settled(delivery=prepared.delivery, status="failed", code=name, detail=str(error), subject_print=print_)


def _subject_print(unit: Unit, prepared: Prepared) -> str | None:
    keys = [key for sourced in prepared.events if (key := customer_of(sourced)) is not None]
    if not keys and prepared.subject is not None:
        keys = [(prepared.source, prepared.subject)]
    return fingerprint_of(unit, keys[0]) if keys else None


def _is_left_over(unit: Unit, prepared: Prepared, print_: str | None, known: Known) -> bool:
    """Whether a body that led to nothing tells of somebody who was erased: nobody needs it any more."""
    if prepared.subject is None or print_ is None:
        return False
    met = known.met.get((prepared.source, prepared.subject))
    if met is not None:
        return met.why == ERASED
    return bool(loading.load_tombstones(unit.connection, unit.setting.merchant, [print_]))


def _is_locked(unit: Unit, sourced: Sourced, identities: Resolved) -> bool:
    """Whether what was looked up before locking still holds: nobody was erased, the order did not change hands."""
    row, key = identities.of(sourced), order_key(sourced)
    if row is not None and not unit.members[row.member].is_there:
        return False
    if key is None:
        return True
    order = unit.orders.get(key)
    subject = f"order:{key[0]}:{key[1]}"
    owners = {owner for owner, _, _ in unit.awards.get(subject, ())}
    owners |= {debit.member for debit in unit.debits.get(subject, ())}
    if order is not None and order.member is not None:
        owners.add(order.member)
    return owners <= unit.members.keys()


def decide_event(
    unit: Unit,
    sourced: Sourced,
    identities: Resolved,
    met: Mapping[ContactKey, Meeting] = _NOBODY_MET,
    told: Told = _NOTHING_TOLD,
) -> str | None:
    """Decide one event inside the unit and take the decision in; answers the member it concerned."""
    if isinstance(sourced.event, (*OF_MESSAGES, *_OF_CONTACTS)):
        return _decide_heard(unit, sourced, met, told)
    key, row = customer_of(sourced), identities.of(sourced)
    member: str | None = row.member if row is not None else None
    decision = UNCHANGED
    match sourced.event:
        case OrderSeen() | RefundSeen() as event:
            if identities.is_buried(sourced):  # what an erased person had bought stays where it was
                member = _owner(unit, sourced)
            event = _unnamed(unit, sourced.source, event)
            sourced = replace(sourced, event=event)
            decision = decide_order(
                unit.world, event, sourced.source, member, sourced.received_at, sourced.facts, past=sourced.past
            )
            member = decision.order.member if decision.order else member
        case CustomerSeen() if key is not None and row is not None:
            decision = _decide_customer(unit, sourced.event, key, row)
        case CustomEvent() | PassSaved() | PassRemoved() as event if row is not None:
            sourced, decision = _decide_reported(unit, sourced, event, row.member)
        case ConsentSeen() if row is not None:
            hear_consent(unit, row.member, sourced.event, sourced.connection)
        case SetAside(reason=reason):
            raise EventRefused("set_aside", reason)
        case CommandSettled() as event:
            told_of = unit.redemptions.get(event.key.partition(":")[0])
            member = told_of.member if told_of is not None else None
            decision = settle_command(unit, event)
        case DataRequested() as event:
            member = _keep_request(unit, sourced, event)
        case _:
            pass
    unit.absorb(decision, sourced, member)
    return member


def _decide_heard(unit: Unit, sourced: Sourced, met: Mapping[ContactKey, Meeting], told: Told) -> str | None:
    """What a channel tells of messages, a CRM of a contact, or what we made there."""
    match sourced.event:
        case ContactSeen() as event:
            return hear_contact(unit, sourced, event, met.get((sourced.source, event.reference)))
        case ContactGone() as event:
            return lose_contact(unit, sourced, event)
        case ContactWritten() as event:
            return take_over(unit, event, met.get((event.connection, event.reference)))
    return hear_told(unit, sourced, told)


def _decide_reported(
    unit: Unit, sourced: Sourced, event: CustomEvent | PassSaved | PassRemoved, member: str
) -> tuple[Sourced, Decision]:
    """Decide an event of the merchant's own under the key by which it counts once."""
    if not isinstance(event, CustomEvent):
        return _decide_pass(unit, sourced, event, member)
    is_keyed = bool(event.key)
    event = replace(event, key=key_of(unit.setting, sourced.source, event))
    sourced = replace(sourced, event=event)
    if not is_keyed and event.name == NEWSLETTER and waits(unit, member, _MAILS):
        return sourced, UNCHANGED  # they have subscribed once they confirm it, which tells the same
    return sourced, _decide_custom(unit, sourced, event, member, is_keyed=is_keyed)


def _decide_pass(unit: Unit, sourced: Sourced, event: PassSaved | PassRemoved, member: str) -> tuple[Sourced, Decision]:
    """Write down what somebody did with a pass; whoever saves a card for the first time has earned what that earns."""
    hear_pass(unit, sourced.connection, event)
    if isinstance(event, PassRemoved):
        return sourced, UNCHANGED
    merchant = unit.setting.merchant
    for one in loading.sources_of(unit.connection, merchant, [member]):  # the same person, who has earned it already
        if loading.load_effect(unit.connection, merchant, effect_of(_saved(event, one))) is not None:
            return sourced, UNCHANGED
    saved = _saved(event, member)
    sourced = replace(sourced, event=saved)
    return sourced, _decide_custom(unit, sourced, saved, member, is_keyed=False)


def _saved(event: PassSaved, member: str) -> CustomEvent:
    return CustomEvent(name=CARD_SAVED, customer=event.serial, key=member, occurred_at=event.occurred_at)


def _keep_request(unit: Unit, sourced: Sourced, event: DataRequested) -> str | None:
    """Keep a person's request as a task; answers who it is."""
    merchant = unit.setting.merchant
    known = loading.load_identities(unit.connection, merchant, [(sourced.source, event.reference)])
    member = next((row.member for row in known.values() if row.member), None)
    unit.record(sourced, (), None, member)
    keep_request(unit.connection, merchant, sourced.connection, event.request, member, event.occurred_at)
    return member


def _owner(unit: Unit, sourced: Sourced) -> str | None:
    key = order_key(sourced)
    order = unit.orders.get(key) if key is not None else None
    return None if order is None else order.member


def _decide_customer(unit: Unit, event: CustomerSeen, key: IdentityKey, row: Any) -> Decision:
    seen_at = unit.seen[key][1] if key in unit.seen else moment(row.seen_at)
    if seen_at is None or event.occurred_at > seen_at:
        unit.seen[key] = (row.member, event.occurred_at)
        unit.touched.addresses |= heard(unit.setting, key[0], event, row.member)
    before = unit.members[row.member]
    decision = decide_customer(unit.world, owned(unit, event, before), before, seen_at)
    note_times(unit, before, decision.member, event.occurred_at)
    return decision


def _decide_custom(unit: Unit, sourced: Sourced, event: CustomEvent, member: str, *, is_keyed: bool) -> Decision:
    """A custom event counts once by its key; the same key with other content is a conflict, unless it names the customer."""
    merchant, key = unit.setting.merchant, effect_of(event)
    content = _content(event, member)
    # Decided first: an event that is refused must leave its key free.
    minted = unit.rewarding.copied()
    decision = decide_custom(unit.world, event, unit.members[member], sourced.source, sourced.facts)
    row = {"merchant": merchant, "key": key, "body_hash": content, "created_at": to_micros(unit.now)}
    if saving.insert_new(unit.connection, "effect", [row]):
        unit.touched.effects.append(key)
        return decision
    unit.rewarding = minted
    if not is_keyed or _is_same(unit, event, member, loading.load_effect(unit.connection, merchant, key)):
        return UNCHANGED
    raise EventRefused("conflict", f"an event {event.name!r} with key {event.key!r} and other content is known")


def _is_same(unit: Unit, event: CustomEvent, member: str, known: str | None) -> bool:
    """Whether an event is the known one; whoever was merged into a member is the same person."""
    merged = loading.sources_of(unit.connection, unit.setting.merchant, [member])
    return known in {_content(event, one) for one in (member, *merged)}


def _content(event: CustomEvent, member: str) -> str:
    return hashlib.sha256(to_json((member, dict(sorted(event.data.items())))).encode()).hexdigest()


def _unnamed(unit: Unit, source: str, event: OrderSeen | RefundSeen) -> OrderSeen | RefundSeen:
    """An order event whose customer and codes are only fingerprints: enough to compare, nothing to find a person by."""
    if isinstance(event, RefundSeen):
        return event
    snapshot = event.snapshot
    if snapshot.codes:
        prints = dict.fromkeys(print_of(unit.setting, code) for code in snapshot.codes)
        snapshot = replace(snapshot, codes=tuple(prints))
    if snapshot.customer:
        snapshot = replace(snapshot, customer=fingerprint_of(unit, (source, snapshot.customer)))
    return replace(event, snapshot=snapshot)


def _save_refetches(connection: Connection, setting: Setting, batch: Sequence[Prepared], now: datetime) -> None:
    at = to_micros(now)
    wanted = {
        (p.connection, r.kind, r.reference)
        for p in batch
        for r in p.refetches
        if p.connection in setting.fetching and (r.kind != CONTACT or p.connection in setting.crms)
    }
    rows = [
        {"merchant": setting.merchant, "connection": c, "kind": k, "reference": r, "wanted_at": at, "due_at": at}
        for c, k, r in wanted
    ]
    saving.upsert(connection, "fetch", rows)


def settle_alone(connection: Connection, setting: Setting, settled: Settled, now: datetime) -> None:
    """Write down that one delivery could not be saved."""
    _settle_rows(connection, setting, [settled], now)


def _settle_rows(connection: Connection, setting: Setting, settled: Sequence[Settled], now: datetime) -> None:
    """Write what became of each delivery into its row."""
    ids = [one.delivery for one in settled if one.status in {"failed", "later"}]
    known: dict[int, Any] = {}
    if ids:
        statement = select(inbox.c.id, inbox.c.attempts, inbox.c.received_at).where(
            inbox.c.merchant == setting.merchant, inbox.c.id.in_(ids)
        )
        known = {row.id: row for row in connection.execute(statement)}
    rows = [_settled_row(setting, one, known.get(one.delivery), to_micros(now)) for one in settled]
    if rows:
        saving.execute_many(connection, _SETTLE, rows)
    forgotten = [one.delivery for one in settled if one.forget]
    if forgotten:
        connection.execute(
            update(inbox)
            .where(inbox.c.merchant == setting.merchant, inbox.c.id.in_(forgotten))
            .values(body_sealed=None, headers="{}")
        )


def _settled_row(setting: Setting, one: Settled, known: Any, now: int) -> dict[str, Any]:
    status: str = one.status
    attempts = next_at = 0
    if status == "failed" and known is not None:
        attempts = known.attempts + 1
        status = "quarantined" if attempts >= TRIES else "ready"
        next_at = now + attempts * RETRY_AFTER
    elif status == "later" and known is not None:
        # The longer it has waited the longer it may wait on, so that many waiting rows do not stand before new ones.
        attempts, status = known.attempts, "ready"
        next_at = now + min(LONGEST_WAIT, max(RETRY_AFTER, (now - known.received_at) // 4))
    return {
        "b_merchant": setting.merchant,
        "b_id": one.delivery,
        "status": status,
        "attempts": attempts,
        "next_at": next_at,
        "member": one.member,
        "subject_print": one.subject_print,
        "code": one.code or None,
        "detail": one.detail[:2000] or None,
        "settled_at": now if status != "ready" else None,
    }
