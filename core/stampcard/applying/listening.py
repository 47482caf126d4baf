"""What a CRM tells that is applied by itself: holds, lists that make segments, and contacts that became one."""

from __future__ import annotations

from stampcard.applying.holding import hold, let_go
from stampcard.applying.unit import Sourced, Unit
from stampcard.domain.commands import CONTACT
from stampcard.domain.events import ContactsListed, CustomersMerged, HoldAsked
from stampcard.domain.value import replace
from stampcard.errors import Conflict, Merged, NotFound
from stampcard.storage import contacts, loading
from stampcard.storage.contacts import Contact
from stampcard.storage.pushing import owe

OF_CONTACTS = (HoldAsked, ContactsListed)


def apply_told(unit: Unit, event: HoldAsked | ContactsListed) -> str | None:
    """Carry out what a CRM said; answers the member whom it concerns, where that is one."""
    if isinstance(event, ContactsListed):
        _put(unit, event)
        return None
    merchant = unit.setting.merchant
    standing = loading.standing_for(unit.connection, merchant, [event.member]).get(event.member)
    if standing is None:
        return None
    try:
        if event.reason:
            hold(unit, standing, event.reason)
        else:
            _let_go(unit, standing, event.connection)
    except (Conflict, NotFound, Merged):
        return standing  # somebody said so meanwhile, or nobody is there any more
    return standing


def _let_go(unit: Unit, member: str, name: str) -> None:
    """End a hold that this CRM asked for, and no other."""
    merchant, sealer = unit.setting.merchant, unit.setting.sealer
    found = loading.load_members(unit.connection, merchant, [member], sealer, attributes=False, lock=True)
    held = found[member].held
    if held is not None and held.reason.startswith(f"{name}: "):
        let_go(unit, member)


def _put(unit: Unit, event: ContactsListed) -> None:
    """Let the members whose contacts came or went come into the segment or leave it, as far as they take part."""
    crm = unit.setting.crms.get(event.connection)
    segments = [name for name, of in crm.settings.segments.items() if of == event.list] if crm is not None else []
    keys = [(event.connection, reference) for reference in (*event.come, *event.gone)]
    known = contacts.load_contacts(unit.connection, unit.setting.merchant, keys)
    members = {one.reference: one.member for one in known.values() if one.member is not None and one.state == "linked"}
    unit.lock(sorted(set(members.values())), attributes=True)
    unit.count(())
    for live in unit.setting.programs.current(unit.now):
        for segment in segments:
            if segment not in live.program.segments or live.program.segments[segment].when is not None:
                continue
            for reference, member in sorted(members.items()):
                person = unit.members.get(member)
                if person is not None and person.is_there and live.name in person.programs:
                    unit.segmenting.cross(member, live.name, segment, entered=reference in event.come)
                    unit.judge_again(member)


def follow_merge(unit: Unit, sourced: Sourced, event: CustomersMerged) -> None:
    """Let what is known of two contacts go on in the one that they became."""
    name = sourced.source
    if name not in unit.setting.crms:
        return
    merchant, kept, gone = unit.setting.merchant, (name, event.kept), (name, event.gone)
    known = contacts.load_contacts(unit.connection, merchant, [kept, gone], lock=True)
    identities = loading.load_identities(unit.connection, merchant, [kept])
    contacts.forget_contact(unit.connection, merchant, gone)
    member = identities[kept].member if kept in identities and identities[kept].member else None
    if member is None:
        return
    before = known.get(kept) or Contact(connection=name, reference=event.kept, state="linked", at=unit.now)
    # What it shows now is a mixture of both: compared anew when it is read.
    one = replace(before, state="linked", why="", member=member, fields={}, content="", at=unit.now)
    contacts.save_contacts(unit.connection, merchant, [one])
    contacts.save_candidates(unit.connection, merchant, {kept: ()})
    owe(unit.connection, merchant, name, CONTACT, [member], unit.now)
