"""Whose a contact is that a CRM tells of: known already, found by an address, for people to decide, or nobody's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from stampcard.applying.resolving import fingerprint_of, welcome
from stampcard.applying.unit import Sourced, Unit
from stampcard.domain.addresses import AddressKind, normal
from stampcard.domain.events import ContactSeen, ContactWritten
from stampcard.domain.value import Value
from stampcard.host.contacts import Crm
from stampcard.storage import addressing, contacts, loading, saving
from stampcard.storage.contacts import Contact, ContactKey

#: Why a contact is not linked.
BY_HAND, NOBODY, EXCLUDED, ERASED, UNDONE = "by_hand", "nobody", "excluded", "erased", "undone"
SEVERAL, UNVERIFIED, ANOTHER = "several", "unverified", "another_contact"
_PRINTS: Mapping[AddressKind, Literal["email_print", "phone_print"]] = {"email": "email_print", "phone": "phone_print"}


class Meeting(Value, frozen=True):
    """Whom a contact is (`member`), or why that is open, and who it may be. `is_new`: the link, `made`: the member, too."""

    member: str | None = None
    why: str = ""
    candidates: tuple[str, ...] = ()
    is_new: bool = False
    made: bool = False

    @property
    def is_doubtful(self) -> bool:
        return self.member is None and self.why in {SEVERAL, UNVERIFIED, ANOTHER}


@dataclass(slots=True)
class _Found:
    """What was looked up for contacts that nobody knows yet."""

    verified: Mapping[AddressKind, Mapping[str, set[str]]]
    claimed: Mapping[AddressKind, Mapping[str, set[str]]]
    named: Mapping[str, str]
    linked: Mapping[str, Mapping[str, list[Contact]]]


def meet(unit: Unit, events: Collection[Sourced]) -> dict[ContactKey, Meeting]:
    """Find out whose the contacts are of which these events tell; links are written, so that two units of work agree."""
    latest: dict[ContactKey, ContactSeen] = {}
    written = [one.event for one in events if isinstance(one.event, ContactWritten)]
    standing = loading.standing_for(unit.connection, unit.setting.merchant, {one.member for one in written})
    ours = {
        (one.connection, one.reference): Meeting(member=standing[one.member], is_new=True)
        for one in written
        if one.member in standing
    }
    _write_links(unit, ours)
    for sourced in events:
        event, key = sourced.event, (sourced.source, getattr(sourced.event, "reference", ""))
        if isinstance(event, ContactSeen) and sourced.source in unit.setting.crms:
            known = latest.get(key)
            latest[key] = event if known is None or event.occurred_at >= known.occurred_at else known
    if not latest and not ours:
        return {}
    merchant = unit.setting.merchant
    identities = loading.load_identities(unit.connection, merchant, {*latest, *ours})
    met = {key: _known(unit, key, latest.get(key), row.member) for key, row in identities.items() if row.member}
    open_ = {key: event for key, event in latest.items() if key not in met}
    if open_:
        met |= _judged(unit, open_)
        met = _made(unit, met, open_)
        _write_links(unit, met)
    return met


def _known(unit: Unit, key: ContactKey, event: ContactSeen | None, member: str) -> Meeting:
    """A contact that is linked, as long as it takes part; of one that we just made nothing is read yet."""
    if event is None or unit.setting.crms[key[0]].takes_part(event.fields):
        return Meeting(member=member)
    return Meeting(why=EXCLUDED, candidates=(member,))


def _judged(unit: Unit, open_: Mapping[ContactKey, ContactSeen]) -> dict[ContactKey, Meeting]:
    connection, merchant = unit.connection, unit.setting.merchant
    known = contacts.load_contacts(connection, merchant, open_)
    prints = {key: fingerprint_of(unit, key) for key in open_}
    buried = loading.load_tombstones(connection, merchant, list(prints.values()))
    found = _look_up(unit, open_)
    met: dict[ContactKey, Meeting] = {}
    taken: set[tuple[str, str]] = set()
    for key, event in sorted(open_.items()):
        crm = unit.setting.crms[key[0]]
        one = _whose(unit, crm, event, found)
        before = known.get(key)
        if before is not None and before.why in {BY_HAND, UNDONE}:
            one = Meeting(why=before.why)
        elif prints[key] in buried:
            one = Meeting(why=ERASED)
        elif not crm.takes_part(event.fields):
            one = Meeting(why=EXCLUDED, candidates=(one.member,) if one.member else one.candidates)
        elif one.member is not None and (key[0], one.member) in taken:
            one = Meeting(why=ANOTHER, candidates=(one.member,))
        if one.member is not None:
            taken.add((key[0], one.member))
        met[key] = one
    return met


def _look_up(unit: Unit, open_: Mapping[ContactKey, ContactSeen]) -> _Found:
    """Everything that finding members by addresses needs, in a few questions for all contacts together."""
    connection, setting = unit.connection, unit.setting
    verified: dict[AddressKind, Mapping[str, set[str]]] = {}
    claimed: dict[AddressKind, Mapping[str, set[str]]] = {}
    for kind in get_args(AddressKind):
        written = {text for event in open_.values() for text in _addresses(event, kind)}
        same = {print_ for text in written if (print_ := _verified_print(unit, kind, text)) is not None}
        verified[kind] = addressing.members_at(connection, setting.merchant, kind, same)
        own = {print_ for text in written for print_ in _claimed_prints(unit, kind, text)}
        claimed[kind] = contacts.by_prints(connection, setting.merchant, _PRINTS[kind], own)
    named = loading.standing_for(connection, setting.merchant, {e.member for e in open_.values() if e.member})
    people = {id_ for of in (*verified.values(), *claimed.values()) for ids in of.values() for id_ in ids}
    people |= set(named.values())
    linked = {
        name: contacts.contacts_of(connection, setting.merchant, name, people) for name in {name for name, _ in open_}
    }
    return _Found(verified=verified, claimed=claimed, named=named, linked=linked)


def _whose(unit: Unit, crm: Crm, event: ContactSeen, found: _Found) -> Meeting:
    """By our own id, or else by what shops verified, or else by what is only claimed."""
    if event.member in found.named:
        return _free(crm, event, found.named[event.member], found)
    for kind in crm.settings.match:
        texts = _addresses(event, kind)
        sure = _members(found.verified[kind], (_verified_print(unit, kind, text) for text in texts))
        if len(sure) == 1:
            return _free(crm, event, sure.pop(), found)
        if sure:
            return Meeting(why=SEVERAL, candidates=tuple(sorted(sure)))
        likely = _members(
            found.claimed[kind], (print_ for text in texts for print_ in _claimed_prints(unit, kind, text))
        )
        if len(likely) == 1 and crm.settings.trust_addresses:
            return _free(crm, event, likely.pop(), found)
        if likely:
            return Meeting(why=SEVERAL if len(likely) > 1 else UNVERIFIED, candidates=tuple(sorted(likely)))
    return Meeting(why=NOBODY)


def _free(crm: Crm, event: ContactSeen, member: str, found: _Found) -> Meeting:
    """A link, unless the member has another contact there that stands."""
    others = found.linked[crm.name].get(member, [])
    if any(one.state == "linked" and one.reference != event.reference for one in others):
        return Meeting(why=ANOTHER, candidates=(member,))
    return Meeting(member=member, is_new=True)


def _members(known: Mapping[str, set[str]], prints: Iterable[str | None]) -> set[str]:
    return {id_ for print_ in prints if print_ is not None for id_ in known.get(print_, ())}


def _addresses(event: ContactSeen, kind: AddressKind) -> tuple[str, ...]:
    return event.emails if kind == "email" else event.phones


def _verified_print(unit: Unit, kind: AddressKind, written: str) -> str | None:
    same = normal(kind, written)
    return unit.setting.sealer.fingerprint(f"address:{kind}:{same}") if same else None


def _claimed_prints(unit: Unit, kind: AddressKind, written: str) -> set[str]:
    """As members' own attributes have it: phone numbers may stand there in any form."""
    texts = {written.strip().lower()} if kind == "email" else {written, normal(kind, written) or written}
    return {unit.setting.sealer.fingerprint(f"{kind}:{text}") for text in texts}


def _made(
    unit: Unit, met: dict[ContactKey, Meeting], open_: Mapping[ContactKey, ContactSeen]
) -> dict[ContactKey, Meeting]:
    """The same, with members for those who are nobody's where the settings want that."""
    wanted = sorted(
        key for key, one in met.items() if one.why == NOBODY and unit.setting.crms[key[0]].settings.make_members
    )
    if not wanted:
        return met
    addresses = {key: open_[key].emails[0] for key in wanted if open_[key].emails}
    found, made, _ = welcome(unit, wanted, addresses)
    return met | {key: Meeting(member=row.member, is_new=True, made=key in made) for key, row in found.items()}


def _write_links(unit: Unit, met: Mapping[ContactKey, Meeting]) -> None:
    if not met:
        return
    rows = [
        {"merchant": unit.setting.merchant, "connection": name, "reference": reference, "member": one.member}
        for (name, reference), one in met.items()
        if one.is_new and one.member is not None
    ]
    saving.insert_new(unit.connection, "identity", rows)


def members_met(met: Mapping[ContactKey, Meeting]) -> Collection[str]:
    """The members whom contacts are."""
    return {one.member for one in met.values() if one.member is not None}


def suppose(unit: Unit, read: Iterable[tuple[str, ContactSeen]]) -> dict[ContactKey, Meeting]:
    """Whose these contacts of connections are or would be; nothing is written."""
    latest = {(name, event.reference): event for name, event in read}
    identities = loading.load_identities(unit.connection, unit.setting.merchant, latest)
    met = {key: _known(unit, key, latest[key], row.member) for key, row in identities.items() if row.member}
    open_ = {key: event for key, event in latest.items() if key not in met}
    return met | (_judged(unit, open_) if open_ else {})
