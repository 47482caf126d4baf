"""Contacts that people decide about, and a first look at a CRM that is taken back."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete

from stampcard.applying.locking import lock_member
from stampcard.applying.meeting import BY_HAND, EXCLUDED, UNDONE
from stampcard.applying.outgoing import queue
from stampcard.applying.setting import Setting, check_revision
from stampcard.applying.syncing import end_hold
from stampcard.applying.undoing import forget_idle
from stampcard.applying.unit import Unit
from stampcard.clock import to_micros
from stampcard.domain.commands import CONTACT, REMOVE_CONTACT, Command
from stampcard.domain.value import replace
from stampcard.errors import Conflict, NotFound
from stampcard.storage import contacts, loading, saving
from stampcard.storage.contacts import Contact, ContactKey
from stampcard.storage.fetching import want_records
from stampcard.storage.pushing import owe
from stampcard.storage.tables import consent, identity


def link(unit: Unit, key: ContactKey, member: str) -> Contact:
    """Say that a contact is a member; it is read and compared then.

    Raises NotFound for an unknown contact or member, Conflict where either has another already.
    """
    connection, merchant = unit.connection, unit.setting.merchant
    lock_member(unit, member)
    known = _known(unit, key)
    if known.member == member and known.state == "linked":
        return known
    if known.why == EXCLUDED:
        raise Conflict(
            EXCLUDED, f"the contact {key[1]} takes no part: `only` of the connection's settings leaves it out"
        )
    if known.member is not None and known.state == "linked":
        raise Conflict("linked", f"the contact {key[1]} is {known.member}: part them first")
    others = contacts.contacts_of(connection, merchant, key[0], [member]).get(member, [])
    other = next((one for one in others if one.state == "linked" and one.reference != key[1]), None)
    if other is not None:
        raise Conflict("another_contact", f"{member} is the contact {other.reference} at {key[0]}: part them first")
    row = {"merchant": merchant, "connection": key[0], "reference": key[1], "member": member}
    saving.upsert(connection, "identity", [row])
    linked = replace(known, state="linked", why="", member=member, fields={}, content="", at=unit.now)
    _keep(unit, linked)
    want_records(connection, merchant, key[0], CONTACT, [key[1]], unit.now)
    owe(connection, merchant, key[0], CONTACT, [member], unit.now)
    return linked


def part(unit: Unit, key: ContactKey) -> Contact:
    """Say that a contact is nobody here, whoever it may look like; what was written there stays. Raises NotFound."""
    known = _known(unit, key)
    if known.why == BY_HAND:
        return known
    if known.member is not None:
        lock_member(unit, known.member)
        end_hold(unit, key[0], known.member)
    _unlink(unit.connection, unit.setting.merchant, [key])
    apart = replace(known, state="skipped", why=BY_HAND, member=None, fields={}, content="", at=unit.now)
    # Whoever it may have been is shown there otherwise from now on.
    free = contacts.candidates_of(unit.connection, unit.setting.merchant, key)
    owe(unit.connection, unit.setting.merchant, key[0], CONTACT, free, unit.now)
    # Their id stands there on: whoever made another contact for them would find this one by it.
    _keep(unit, apart, () if known.member is None else (known.member,))
    return apart


def _known(unit: Unit, key: ContactKey) -> Contact:
    found = contacts.load_contacts(unit.connection, unit.setting.merchant, [key], lock=True).get(key)
    if found is None:
        raise NotFound("contact", ":".join(key))
    return found


def _keep(unit: Unit, one: Contact, candidates: Collection[str] = ()) -> None:
    contacts.save_contacts(unit.connection, unit.setting.merchant, [one])
    contacts.save_candidates(unit.connection, unit.setting.merchant, {one.key: candidates})


def _unlink(connection: Connection, merchant: str, keys: Collection[ContactKey]) -> None:
    for name, reference in sorted(keys):
        place = (identity.c.connection == name, identity.c.reference == reference)
        connection.execute(delete(identity).where(identity.c.merchant == merchant, *place))


class TakenBack(NamedTuple):
    """How many of the contacts that were made, and of the members, go; none is the end."""

    there: int
    here: int
    left: int


def take_back(
    connection: Connection, setting: Setting, now: datetime, name: str, since: datetime, until: datetime, limit: int
) -> TakenBack:
    """Take back the next of what was made between two moments: contacts there, and members here who did nothing since.

    Contacts that were there before stay linked, with what is shown there; none is made again until everybody is looked at.
    """
    check_revision(connection, setting)
    merchant = setting.merchant
    found = contacts.made_between(connection, merchant, name, to_micros(since), to_micros(until), limit)
    there = [one for one in found if one.made == "there"]
    commands = [
        (
            name,
            Command(
                kind=REMOVE_CONTACT,
                key=f"remove:{one.reference}:{to_micros(until)}",
                member="",
                reference=one.reference,
            ),
        )
        for one in there
    ]
    queue(connection, setting, now, commands)
    _unlink(connection, merchant, [one.key for one in there])
    gone = [replace(one, state="gone", why=UNDONE, made="", content="", fields={}, at=now) for one in there]
    contacts.save_contacts(connection, merchant, gone)
    here = {one.member: one for one in found if one.made == "here" and one.member is not None}
    people = loading.load_members(connection, merchant, here, setting.sealer, attributes=False, lock=True)
    idle = forget_idle(connection, setting, now, f"contact:{name}", people, but=(consent,))
    _unlink(connection, merchant, [here[id_].key for id_ in idle])
    parted = [
        replace(here[id_], state="skipped", why=UNDONE, member=None, made="", content="", fields={}, at=now)
        for id_ in sorted(idle)
    ]
    kept = [replace(one, made="") for id_, one in here.items() if id_ not in idle]
    contacts.save_contacts(connection, merchant, [*parted, *kept])
    return TakenBack(there=len(there), here=len(idle), left=len(found))
