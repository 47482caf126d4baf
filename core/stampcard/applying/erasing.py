"""Forgetting a person, a source, or our access to it; each alone in its unit of work."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import ColumnElement, Table, and_, delete, or_, select, update

from stampcard.applying.addressing import email_print, phone_print
from stampcard.applying.messaging import reach_print
from stampcard.applying.outgoing import queue
from stampcard.applying.resolving import fingerprint_of
from stampcard.applying.unit import Sourced, Unit
from stampcard.clock import to_micros
from stampcard.domain.commands import END_PASS, ERASE_CONTACT, Command
from stampcard.domain.events import ConnectionEnded, CustomerErased, SourceErased
from stampcard.storage import addressing, audiences, contacts, loading, saving
from stampcard.storage.contacts import ContactKey
from stampcard.storage.inboxing import ids_about
from stampcard.storage.passes import passes_of
from stampcard.storage.revising import bump
from stampcard.storage.stating import was_resumed
from stampcard.storage.tables import (
    act,
    address,
    base_use,
    card,
    card_moment,
    consent,
    data_request,
    entry,
    idempotency,
    identity,
    imported,
    inbox,
    member,
    merge,
    message,
    order_state,
    outbox,
    pass_,
    perk,
    perk_use,
    plan,
    plan_term,
    pool,
    progress,
    proof,
    proof_request,
    push,
    redemption,
    segment_member,
    store,
    suppression,
    tier,
)

SPECIAL = (CustomerErased, SourceErased, ConnectionEnded)


#: How many members one statement concerns: databases bound the number of parameters.
CHUNK = 500
#: Stands in an identity's row while it is being erased, so that two units of work meet there.
NOBODY = ""


def apply_special(unit: Unit, sourced: Sourced) -> None:
    """Carry out an event that makes us forget."""
    unit.record(sourced, (), None, None)
    match sourced.event:
        case CustomerErased():
            _erase_customer(unit, sourced, sourced.event)
        case SourceErased():
            _erase_source(unit, sourced)
        case ConnectionEnded(reason=reason, occurred_at=at):
            # News of an end may come after somebody connected anew.
            if not was_resumed(unit.connection, unit.setting.merchant, sourced.connection, at):
                end_connection(unit, sourced.connection, reason)
        case _:
            pass


def _erase_customer(unit: Unit, sourced: Sourced, event: CustomerErased) -> None:
    sealer = unit.setting.sealer
    found: set[str] = set()
    prints: list[str] = []
    if event.reference:
        _hold_place(unit, sourced.source, event.reference)
        prints.append(fingerprint_of(unit, (sourced.source, event.reference)))
        found |= _members(unit, identity.c.connection == sourced.source, identity.c.reference == event.reference)
    else:
        emails = [email_print(sealer, email) for email in event.emails]
        phones = [phone_print(sealer, phone) for phone in event.phones]
        known = select(member.c.id).where(
            member.c.merchant == unit.setting.merchant,
            or_(member.c.email_print.in_(emails), member.c.phone_print.in_(phones)),
        )
        found |= _members(unit, identity.c.connection == sourced.source, identity.c.member.in_(known))
    erase_members(unit, found - {NOBODY}, prints)
    _delete(unit, identity, identity.c.connection == sourced.source, identity.c.member == NOBODY)


def _hold_place(unit: Unit, source: str, reference: str) -> None:
    """Wait for whoever is making a member of this person right now, and let whoever comes later wait for us."""
    row = {"merchant": unit.setting.merchant, "connection": source, "reference": reference, "member": NOBODY}
    saving.insert_new(unit.connection, "identity", [row])


def _erase_source(unit: Unit, sourced: Sourced) -> None:
    """Erase everybody known from this source alone; whoever is known elsewhere loses only this identity."""
    here = _members(unit, identity.c.connection == sourced.source)
    # A card in a phone is of somebody whom something else made known.
    in_phones = select(pass_.c.serial).where(
        pass_.c.merchant == identity.c.merchant, pass_.c.connection == identity.c.connection,
        pass_.c.serial == identity.c.reference,
    )  # fmt: skip
    elsewhere = _members(unit, identity.c.connection != sourced.source, ~in_phones.exists())
    keys = _identity_prints(unit, and_(identity.c.connection == sourced.source))
    _bury(unit, keys)
    both = sorted(here & elsewhere)
    for start in range(0, len(both), CHUNK):
        chunk = identity.c.member.in_(both[start : start + CHUNK])
        _delete(unit, identity, identity.c.connection == sourced.source, chunk)
    erase_members(unit, here - elsewhere)


def end_connection(unit: Unit, name: str, reason: str) -> None:
    """Stop pushing to a connection and delete what was stored to reach it."""
    merchant, now = unit.setting.merchant, to_micros(unit.now)
    row = {"merchant": merchant, "connection": name, "state": "ended", "reason": reason, "since": now}
    saving.upsert(unit.connection, "connection_state", [row])
    _delete(unit, store, store.c.connection == name)
    bump(unit.connection, merchant)


def erase_members(unit: Unit, members: Iterable[str], prints: Sequence[str] = ()) -> None:
    """Remove every trace of these people but the anonymous ledger; older source data about them is ignored later.

    `prints`: fingerprints of identifiers that stay forbidden although no member was found for them.
    """
    ids = sorted(members)
    for start in range(0, max(1, len(ids)), CHUNK):
        _erase(unit, ids[start : start + CHUNK], prints if start == 0 else ())


def _erase(unit: Unit, ids: Sequence[str], prints: Sequence[str]) -> None:
    # Whoever was merged into them is the same person.
    ids = sorted({*ids, *loading.sources_of(unit.connection, unit.setting.merchant, ids)})
    # Whoever is deciding about these members right now ends first, and whoever comes later finds them erased.
    loading.load_members(unit.connection, unit.setting.merchant, ids, unit.setting.sealer, attributes=False, lock=True)
    places = contacts.places_of(unit.connection, unit.setting.merchant, ids)
    addresses = _address_prints(unit, ids)
    prints = [*prints, *_identity_prints(unit, identity.c.member.in_(ids)), *addresses]
    prints += [fingerprint_of(unit, place) for place in places]
    _bury(unit, prints)
    _forget_reach(unit, ids)
    _end_passes(unit, ids)
    _forget_there(unit, ids, {place for place, made in places.items() if made == "there"})
    contacts.forget_contacts(unit.connection, unit.setting.merchant, ids)
    _delete(unit, identity, identity.c.member.in_(ids))
    _delete(unit, push, push.c.member.in_(ids))
    # Their hashes are kept until they are out of every audience, and are forgotten with that.
    audiences.owe(unit.connection, unit.setting.merchant, (), ids, unit.now)
    nothing = {"attributes_sealed": None, "email_print": None, "phone_print": None, "birthday_print": None}
    nothing |= {"held_at": None, "held_for": None}
    _update(unit, member, member.c.id.in_(ids), **nothing, erased_at=to_micros(unit.now))
    theirs = inbox.c.id.in_(ids_about(unit.setting.merchant, ids, prints))
    _update(unit, inbox, and_(theirs, inbox.c.status == "quarantined"), status="dropped")
    _update(unit, inbox, theirs, body_sealed=None, headers="{}", detail=None)
    waiting = and_(outbox.c.member.in_(ids), outbox.c.status.in_(("ready", "attempting", "unknown")))
    _update(unit, outbox, waiting, status="dropped")
    _update(unit, outbox, outbox.c.member.in_(ids), data_sealed=None, result_sealed=None, reference="", error=None)
    unsent = and_(message.c.member.in_(ids), message.c.state.in_(("waiting", "attempting", "unknown")))
    _update(unit, message, unsent, state="dropped", reason="erased", changed_at=to_micros(unit.now))
    _update(
        unit,
        message,
        message.c.member.in_(ids),
        data_sealed=None,
        content_sealed=None,
        answer_sealed=None,
        choice="",
        to_print=None,
    )
    _update(unit, idempotency, idempotency.c.member.in_(ids), answer_sealed=None)
    _forget_counter(unit, ids, addresses)
    _update(unit, order_state, order_state.c.member.in_(ids), pinned_member_sealed=None)
    mine = select(redemption.c.id).where(redemption.c.merchant == unit.setting.merchant, redemption.c.member.in_(ids))
    _delete(unit, pool, pool.c.redemption.in_(mine))
    # What was issued still works at the shop; here nobody can tell any more whose it was.
    _update(unit, redemption, redemption.c.member.in_(ids), voucher_sealed=None, reason="")
    _update(unit, merge, or_(merge.c.source.in_(ids), merge.c.target.in_(ids)), data_sealed=None, note="")
    _update(unit, data_request, data_request.c.member.in_(ids), note="")
    addressing.forget_duplicates(unit.connection, unit.setting.merchant, ids)
    for table in (
        address, consent, tier, progress, segment_member, perk, perk_use, plan, plan_term, proof, proof_request, base_use,
        card, pass_,
    ):  # fmt: skip
        _delete(unit, table, table.c.member.in_(ids))
    # What this unit of work found out about them before must not be written behind it.
    unit.tiers.forget(ids)
    unit.crossings.forget(ids)
    _update(unit, imported, imported.c.member.in_(ids), note="", referral_sealed=None)
    unit.grants.forget(ids)
    unit.terms.forget(ids)
    unit.verdicts.forget(ids)
    unit.bases.forget(ids)
    _update(unit, entry, and_(entry.c.member.in_(ids), entry.c.note != ""), note="")


def _forget_counter(unit: Unit, ids: Sequence[str], addresses: Sequence[str]) -> None:
    """Keep of what was done at counters only that it was, and nothing of when their cards were shown.

    `addresses`: what they are found by in acts of nobody.
    """
    told = or_(act.c.member.in_(ids), and_(act.c.member.is_(None), act.c.asked_print.in_(addresses)))
    _update(unit, act, told, body_sealed=None, body_hash="", note="", asked_print=None)
    numbers = select(card.c.number).where(card.c.merchant == unit.setting.merchant, card.c.member.in_(ids))
    _delete(unit, card_moment, card_moment.c.number.in_(numbers))


def _forget_reach(unit: Unit, ids: Sequence[str]) -> None:
    """Addresses that get nothing stay so, without anybody being able to read them."""
    merchant, sealer = unit.setting.merchant, unit.setting.sealer
    people = loading.load_members(unit.connection, merchant, ids, sealer, attributes=True, lock=False)
    theirs = {str(one.attributes.get(name) or "") for one in people.values() for name in ("email", "phone")} - {""}
    sent = select(message.c.to_print).where(message.c.merchant == merchant, message.c.member.in_(ids))
    prints = set(unit.connection.execute(sent.distinct()).scalars()) - {None}
    channels = select(suppression.c.channel).where(suppression.c.merchant == merchant).distinct()
    for channel in unit.connection.execute(channels).scalars():
        prints |= {reach_print(unit.setting, channel, address) for address in theirs}
    found = sorted(prints)
    for start in range(0, len(found), CHUNK):
        chunk = suppression.c.print.in_(found[start : start + CHUNK])
        _update(unit, suppression, chunk, address_sealed=None, note="")


def _forget_there(unit: Unit, ids: Sequence[str], made: Collection[ContactKey]) -> None:
    """Let CRMs forget them, too, where the settings want that; `made`: contacts that were made there for them."""
    names = [name for name, crm in unit.setting.crms.items() if crm.settings.erase_contacts]
    if not names:
        return
    known = loading.load_identities_of(unit.connection, unit.setting.merchant, ids)
    commands = [
        (name, Command(kind=ERASE_CONTACT, key=f"erase:{reference}", member="", reference=reference))
        for name, reference in sorted(
            {*made} | {(row.connection, row.reference) for of in known.values() for row in of}
        )
        if name in names
    ]
    queue(unit.connection, unit.setting, unit.now, commands)


def _end_passes(unit: Unit, ids: Sequence[str]) -> None:
    """Let the cards that they have in phones show nothing of them."""
    commands = [
        (one.connection, Command(kind=END_PASS, key=f"end:{one.serial}", member="", reference=one.serial))
        for one in passes_of(unit.connection, unit.setting.merchant, ids)
    ]
    queue(unit.connection, unit.setting, unit.now, commands)


def _members(unit: Unit, *conditions: ColumnElement[bool]) -> set[str]:
    statement = select(identity.c.member).where(identity.c.merchant == unit.setting.merchant, *conditions)
    return set(unit.connection.execute(statement).scalars())


def _identity_prints(unit: Unit, condition: ColumnElement[bool]) -> list[str]:
    statement = select(identity.c.connection, identity.c.reference).where(
        identity.c.merchant == unit.setting.merchant, condition
    )
    return [fingerprint_of(unit, (row.connection, row.reference)) for row in unit.connection.execute(statement)]


def _address_prints(unit: Unit, ids: Sequence[str]) -> list[str]:
    statement = select(member.c.email_print, member.c.phone_print).where(
        member.c.merchant == unit.setting.merchant, member.c.id.in_(ids)
    )
    return [print_ for row in unit.connection.execute(statement) for print_ in row if print_]


def _bury(unit: Unit, prints: Iterable[str]) -> None:
    now = to_micros(unit.now)
    rows = [{"merchant": unit.setting.merchant, "print": print_, "erased_at": now} for print_ in set(prints)]
    saving.upsert(unit.connection, "tombstone", rows)


def _update(unit: Unit, table: Table, condition: ColumnElement[bool], **values: object) -> None:
    unit.connection.execute(update(table).where(table.c.merchant == unit.setting.merchant, condition).values(**values))


def _delete(unit: Unit, table: Table, *conditions: ColumnElement[bool]) -> None:
    unit.connection.execute(delete(table).where(table.c.merchant == unit.setting.merchant, *conditions))
