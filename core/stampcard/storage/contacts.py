"""Contacts as rows: whose each is, what both sides last agreed on, and where they did not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, func, select, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.contacts import FieldPair
from stampcard.domain.events import ContactSeen
from stampcard.domain.value import Value
from stampcard.engine.syncing import OWED, Base, Digest, heard
from stampcard.sealing import Sealer
from stampcard.storage import saving
from stampcard.storage.rows import open_object, seal_object, to_json
from stampcard.storage.tables import contact, contact_candidate, contact_conflict, contact_list, identity, member, push

State = Literal["linked", "doubtful", "skipped", "gone"]
Made = Literal["", "there", "here"]
Kept = Literal["ours", "theirs", "neither"]
#: Tries after which nobody waits for a push any more; looking for a contact, and reading it, takes one.
AGAIN = 3
#: Stands in place of the digest of a contact that is to be read anew.
ASKED = "asked"
#: (connection, reference)
ContactKey = tuple[str, str]
_BASES = msgspec.json.Decoder(dict[str, Base])
_TIMES = msgspec.json.Decoder(dict[str, int])
_M: Any = bindparam("merchant")
_C: Any = bindparam("connection")
_IDS: Any = bindparam("ids", expanding=True)
_CONTACTS = (
    select(contact)
    .where(contact.c.merchant == _M, contact.c.connection == _C, contact.c.reference.in_(_IDS))
    .order_by(contact.c.reference)
)
_OF_MEMBERS = select(contact).where(contact.c.merchant == _M, contact.c.member.in_(_IDS), contact.c.connection == _C)
_CANDIDATES = select(contact_candidate.c.member).where(
    contact_candidate.c.merchant == _M, contact_candidate.c.member.in_(_IDS), contact_candidate.c.connection == _C
)


def digester(sealer: Sealer) -> Digest:
    """What makes digests of texts: the same for the same text, and of no use without our key."""
    known: dict[str, str] = {}

    def digest(text: str) -> str:
        if text not in known:
            known[text] = sealer.fingerprint(f"field:{text}")[:16]
        return known[text]

    return digest


class Contact(Value, frozen=True):
    """What is known of a contact. `fields`: their name → what both last agreed on. `made`: which side was made for the other.

    `content`: the digest of what was heard of it last; empty where it was written to since, or is to be looked at anyway.
    """

    connection: str
    reference: str
    state: State
    at: datetime
    member: str | None = None
    why: str = ""
    changed_at: int = 0
    content: str = ""
    fields: Mapping[str, Base] = {}
    made: Made = ""
    seen_in: str = ""

    @property
    def key(self) -> ContactKey:
        return self.connection, self.reference

    @property
    def owed(self) -> list[str]:
        """Their fields in which something of ours is to be written, whatever else happens."""
        return [name for name, base in self.fields.items() if base.ours == OWED]


class Dispute(Value, frozen=True):
    """A field of which both sides said something of their own: what each said, which rule decided, and whose was kept."""

    connection: str
    reference: str
    member: str
    field: str
    rule: str
    kept: Kept
    at: datetime
    ours: str = ""
    theirs: str = ""
    id: int = 0


def contact_of(row: Row[Any]) -> Contact:
    return Contact(
        connection=row.connection,
        reference=row.reference,
        state=row.state,
        at=from_micros(row.at),
        member=row.member,
        why=row.why,
        changed_at=row.changed_at,
        content=row.content,
        fields=_BASES.decode(row.fields),
        made=row.made,
        seen_in=row.seen_in,
    )


def load_contacts(
    connection: Connection, merchant: str, keys: Iterable[ContactKey], *, lock: bool = False
) -> dict[ContactKey, Contact]:
    """Contacts by (connection, reference)."""
    named: dict[str, list[str]] = {}
    for name, reference in keys:
        named.setdefault(name, []).append(reference)
    statement = _CONTACTS.with_for_update() if lock else _CONTACTS
    found = (
        contact_of(row)
        for name, references in sorted(named.items())
        for row in connection.execute(statement, {"merchant": merchant, "connection": name, "ids": sorted(references)})
    )
    return {one.key: one for one in found}


def contacts_of(connection: Connection, merchant: str, name: str, members: Collection[str]) -> dict[str, list[Contact]]:
    """Member → their contacts at a connection, whatever their state."""
    found: dict[str, list[Contact]] = {}
    if members:
        asked = {"merchant": merchant, "connection": name, "ids": sorted(members)}
        for row in connection.execute(_OF_MEMBERS, asked):
            found.setdefault(row.member, []).append(contact_of(row))
    return found


def linked_since(connection: Connection, merchant: str, name: str, members: Collection[str], since: int) -> set[str]:
    """Those of these members who were linked to a contact after a moment (microseconds): they were shown then."""
    statement = select(contact.c.member).where(
        contact.c.merchant == merchant,
        contact.c.connection == name,
        contact.c.member.in_(sorted(members)),
        contact.c.state == "linked",
        contact.c.at >= since,
    )
    return {one for one in connection.execute(statement).scalars() if one is not None}


def candidates_at(connection: Connection, merchant: str, name: str, members: Collection[str]) -> set[str]:
    """Those of these members who may be a contact at a connection that is not linked."""
    if not members:
        return set()
    asked = {"merchant": merchant, "connection": name, "ids": sorted(members)}
    return set(connection.execute(_CANDIDATES, asked).scalars())


def candidates_of(connection: Connection, merchant: str, key: ContactKey) -> list[str]:
    """Whom a contact may be."""
    mine = _of_candidates(merchant, key)
    return list(connection.execute(select(contact_candidate.c.member).where(*mine).order_by("member")).scalars())


def save_contacts(connection: Connection, merchant: str, contacts: Iterable[Contact]) -> None:
    """Write contacts as they are now."""
    rows = [
        {
            "merchant": merchant,
            "connection": one.connection,
            "reference": one.reference,
            "member": one.member,
            "state": one.state,
            "why": one.why,
            "changed_at": one.changed_at,
            "content": one.content,
            "fields": to_json(one.fields),
            "pending": int(bool(one.owed)),
            "made": one.made,
            "seen_in": one.seen_in,
            "at": to_micros(one.at),
        }
        for one in contacts
    ]
    saving.upsert(connection, "contact", rows)


def save_candidates(connection: Connection, merchant: str, found: Mapping[ContactKey, Collection[str]]) -> None:
    """Write whom contacts may be; nobody for those that were decided."""
    for key in sorted(found):
        connection.execute(delete(contact_candidate).where(*_of_candidates(merchant, key)))
    rows = [
        {"merchant": merchant, "connection": name, "reference": reference, "member": id_}
        for (name, reference), members in found.items()
        for id_ in sorted(set(members))
    ]
    saving.insert(connection, "contact_candidate", rows)


def _of_candidates(merchant: str, key: ContactKey) -> tuple[Any, ...]:
    name, reference = key
    return (
        contact_candidate.c.merchant == merchant,
        contact_candidate.c.connection == name,
        contact_candidate.c.reference == reference,
    )


def save_disputes(connection: Connection, merchant: str, sealer: Sealer, disputes: Sequence[Dispute]) -> None:
    """Add conflicts; what both sides said lies sealed."""
    rows = [
        {
            "merchant": merchant,
            "id": one.id,
            "connection": one.connection,
            "reference": one.reference,
            "member": one.member,
            "field": one.field,
            "rule": one.rule,
            "kept": one.kept,
            "at": to_micros(one.at),
            "sides_sealed": seal_object(sealer, {"ours": one.ours, "theirs": one.theirs}, _about(merchant, one.id)),
        }
        for one in disputes
    ]
    saving.insert(connection, "contact_conflict", rows)


def disputes_before(
    connection: Connection, merchant: str, sealer: Sealer, name: str, of: str, before: int | None, limit: int
) -> list[Dispute]:
    """Conflicts at a connection or of a member, or all, the newest first, behind one."""
    statement = select(contact_conflict).where(contact_conflict.c.merchant == merchant)
    if name:
        statement = statement.where(contact_conflict.c.connection == name)
    if of:
        statement = statement.where(contact_conflict.c.member == of)
    if before is not None:
        statement = statement.where(contact_conflict.c.id < before)
    found = connection.execute(statement.order_by(contact_conflict.c.id.desc()).limit(limit))
    return [_dispute(row, merchant, sealer) for row in found]


def last_dispute(connection: Connection, merchant: str, sealer: Sealer, key: ContactKey, field: str) -> Dispute | None:
    """The newest conflict of a contact's field."""
    name, reference = key
    statement = select(contact_conflict).where(
        contact_conflict.c.merchant == merchant,
        contact_conflict.c.connection == name,
        contact_conflict.c.reference == reference,
        contact_conflict.c.field == field,
    )
    row = connection.execute(statement.order_by(contact_conflict.c.id.desc()).limit(1)).one_or_none()
    return _dispute(row, merchant, sealer) if row is not None else None


def _dispute(row: Row[Any], merchant: str, sealer: Sealer) -> Dispute:
    return Dispute(
        id=row.id,
        connection=row.connection,
        reference=row.reference,
        member=row.member,
        field=row.field,
        rule=row.rule,
        kept=row.kept,
        at=from_micros(row.at),
        **open_object(sealer, row.sides_sealed, _about(merchant, row.id)),
    )


def _about(merchant: str, number: int) -> str:
    return f"contact_conflict:{merchant}:{number}"


def contacts_after(
    connection: Connection, merchant: str, name: str, state: State, why: str, after: str, limit: int
) -> list[Contact]:
    """A connection's contacts in a state, and for a reason, by reference, behind one."""
    statement = select(contact).where(
        contact.c.merchant == merchant,
        contact.c.connection == name,
        contact.c.state == state,
        contact.c.reference > after,
    )
    if why:
        statement = statement.where(contact.c.why == why)
    return [contact_of(row) for row in connection.execute(statement.order_by(contact.c.reference).limit(limit))]


def places_of(connection: Connection, merchant: str, members: Collection[str]) -> dict[ContactKey, Made]:
    """The contacts that these members are, or that nobody else may be; which side of each was made for the other."""
    ids = sorted(members)
    maybe = (
        select(contact_candidate.c.connection, contact_candidate.c.reference)
        .where(contact_candidate.c.merchant == merchant)
        .group_by(contact_candidate.c.connection, contact_candidate.c.reference)
    )
    named = maybe.where(contact_candidate.c.member.in_(ids))
    of_others = maybe.where(contact_candidate.c.member.not_in(ids))
    theirs: set[ContactKey] = {(row.connection, row.reference) for row in connection.execute(named)}
    theirs -= {
        place
        for place in theirs
        if connection.execute(of_others.where(*_of_candidates(merchant, place)).limit(1)).first() is not None
    }
    mine = select(contact).where(contact.c.merchant == merchant, contact.c.member.in_(ids))
    found = {one.key: one.made for one in map(contact_of, connection.execute(mine))}
    known = load_contacts(connection, merchant, theirs)
    return found | {key: one.made for key, one in known.items() if one.member is None}


def made_between(connection: Connection, merchant: str, name: str, since: int, until: int, limit: int) -> list[Contact]:
    """The next contacts of which either side was made for the other between two moments (microseconds)."""
    statement = select(contact).where(
        contact.c.merchant == merchant,
        contact.c.connection == name,
        contact.c.state == "linked",
        contact.c.made != "",
        contact.c.at >= since,
        contact.c.at <= until,
    )
    return [contact_of(row) for row in connection.execute(statement.order_by(contact.c.reference).limit(limit))]


def undone_anew(connection: Connection, merchant: str, name: str) -> None:
    """Let contacts that were taken back be looked at once more."""
    mine = (contact.c.merchant == merchant, contact.c.connection == name, contact.c.why == "undone")
    connection.execute(delete(contact).where(*mine))


def count_contacts(connection: Connection, merchant: str, name: str) -> dict[tuple[str, str, str], int]:
    """(state, why, which side was made) → how many contacts."""
    columns = (contact.c.state, contact.c.why, contact.c.made)
    counted = select(*columns, func.count()).where(contact.c.merchant == merchant, contact.c.connection == name)
    return {(state, why, made): int(n) for state, why, made, n in connection.execute(counted.group_by(*columns))}


def attribute_times(connection: Connection, merchant: str, members: Collection[str]) -> dict[str, dict[str, datetime]]:
    """Member → when each of their attributes last changed here."""
    statement = select(member.c.id, member.c.attributes_at).where(
        member.c.merchant == merchant, member.c.id.in_(sorted(members)), member.c.attributes_at != "{}"
    )
    return {
        row.id: {name: from_micros(at) for name, at in _TIMES.decode(row.attributes_at).items()}
        for row in connection.execute(statement)
    }


def by_prints(
    connection: Connection, merchant: str, column: Literal["email_print", "phone_print"], prints: Collection[str]
) -> dict[str, set[str]]:
    """Fingerprint of an address, as members' own attributes have it → the members who are there with it."""
    found: dict[str, set[str]] = {}
    if prints:
        of = member.c[column]
        statement = select(of.label("print"), member.c.id).where(
            member.c.merchant == merchant,
            of.in_(sorted(prints)),
            member.c.erased_at.is_(None),
            member.c.merged_into.is_(None),
        )
        for row in connection.execute(statement):
            found.setdefault(row.print, set()).add(row.id)
    return found


def wait_for_pushes(
    connection: Connection, merchant: str, name: str, kind: str, most: int, until: int | None = None
) -> int:
    """How many pushes of a kind wait at a connection; nobody counts beyond `most`.

    `until`: only those that wait since this moment (microseconds) or longer, and were not tried in vain again and again.
    """
    waiting = select(push.c.member).where(
        push.c.merchant == merchant,
        push.c.connection == name,
        push.c.kind == kind,
        push.c.wanted > push.c.sent,
        push.c.dead == 0,
    )
    if until is not None:
        waiting = waiting.where(push.c.attempts < AGAIN, push.c.since <= until)
    return connection.execute(select(func.count()).select_from(waiting.limit(most).subquery())).scalar() or 0


def content_of(sealer: Sealer, event: ContactSeen) -> str:
    """A digest of all that was read of a contact: what is known so is not looked at again."""
    told = (sorted(event.fields.items()), event.emails, event.phones, event.member)
    return sealer.fingerprint(f"contact:{to_json(told)}")


def shows_known(sealer: Sealer, pairs: Iterable[FieldPair], known: Contact, event: ContactSeen) -> bool:
    """Whether a linked contact shows what was heard of it last, or what we have written since and nothing else in its fields.

    Who is on hold there is not remembered by contact: with that on the map, what we wrote is heard, too.
    """
    if known.state != "linked":
        return False
    digest, fields = digester(sealer), known.fields
    written = to_micros(event.occurred_at) == known.changed_at and all(
        pair.theirs in fields and fields[pair.theirs].theirs == digest(heard(pair, event.fields[pair.theirs]))
        for pair in pairs
        if pair.theirs in event.fields
    )
    return written or known.content == content_of(sealer, event)


def look_again(connection: Connection, merchant: str, name: str, references: Collection[str]) -> None:
    """Let these contacts be compared once more when they are read, whatever they show."""
    mine = (contact.c.merchant == merchant, contact.c.connection == name)
    connection.execute(update(contact).where(*mine, contact.c.reference.in_(sorted(references))).values(content=""))


def count_given_up(connection: Connection, merchant: str, name: str, kind: str) -> int:
    """How many pushes of a kind to a connection were given up."""
    mine = (push.c.merchant == merchant, push.c.connection == name, push.c.kind == kind, push.c.dead == 1)
    return connection.execute(select(func.count()).where(*mine, push.c.wanted > push.c.sent)).scalar() or 0


def note_seen(connection: Connection, merchant: str, name: str, references: Collection[str], seen_in: str) -> None:
    """Write that a look at everybody found these contacts."""
    if references:
        mine = (contact.c.merchant == merchant, contact.c.connection == name)
        found = contact.c.reference.in_(sorted(references))
        connection.execute(update(contact).where(*mine, found).values(seen_in=seen_in))


def unseen(connection: Connection, merchant: str, name: str, seen_in: str, before: int, limit: int) -> list[str]:
    """Linked contacts that a look at everybody did not find, of those that were known when it began."""
    statement = select(contact.c.reference).where(
        contact.c.merchant == merchant,
        contact.c.connection == name,
        contact.c.state == "linked",
        contact.c.seen_in != seen_in,
        contact.c.at < before,
    )
    return list(connection.execute(statement.order_by(contact.c.reference).limit(limit)).scalars())


def lists_of(connection: Connection, merchant: str, name: str, references: Collection[str]) -> dict[str, set[str]]:
    """Reference → the lists that the contact is in, of those that mean something here."""
    found: dict[str, set[str]] = {}
    statement = select(contact_list).where(
        contact_list.c.merchant == merchant,
        contact_list.c.connection == name,
        contact_list.c.reference.in_(sorted(references)),
    )
    for row in connection.execute(statement):
        found.setdefault(row.reference, set()).add(row.list)
    return found


def in_list(connection: Connection, merchant: str, name: str, list_id: str) -> set[str]:
    """The contacts that were in a list when it was last looked at."""
    return set(connection.execute(select(contact_list.c.reference).where(*_of_list(merchant, name, list_id))).scalars())


def move_in_list(
    connection: Connection, merchant: str, name: str, list_id: str, come: Collection[str], gone: Collection[str]
) -> None:
    """Write who came into a list, and who left it."""
    rows = [{"merchant": merchant, "connection": name, "list": list_id, "reference": one} for one in come]
    saving.insert_new(connection, "contact_list", rows)
    if gone:
        mine = _of_list(merchant, name, list_id)
        connection.execute(delete(contact_list).where(*mine, contact_list.c.reference.in_(sorted(gone))))


def _of_list(merchant: str, name: str, list_id: str) -> tuple[Any, ...]:
    return (
        contact_list.c.merchant == merchant,
        contact_list.c.connection == name,
        contact_list.c.list == list_id,
    )


def move_candidates(connection: Connection, merchant: str, source: str, target: str) -> None:
    """Let whatever one member may be be what another may be, who has all of theirs."""
    mine = (contact_candidate.c.merchant == merchant, contact_candidate.c.member == source)
    found = connection.execute(select(contact_candidate).where(*mine)).all()
    connection.execute(delete(contact_candidate).where(*mine))
    rows = [
        {"merchant": merchant, "connection": row.connection, "reference": row.reference, "member": target}
        for row in found
    ]
    saving.insert_new(connection, "contact_candidate", rows)


def forget_connection(connection: Connection, merchant: str, name: str) -> None:
    """Delete what is known of all contacts of a connection, and who they are; what was disputed can still be read."""
    ours = select(contact.c.reference).where(contact.c.merchant == merchant, contact.c.connection == name)
    places = (identity.c.merchant == merchant, identity.c.connection == name, identity.c.reference.in_(ours))
    connection.execute(delete(identity).where(*places))
    for table in (contact, contact_candidate, contact_list):
        connection.execute(delete(table).where(table.c.merchant == merchant, table.c.connection == name))


def forget_contacts(connection: Connection, merchant: str, members: Collection[str]) -> None:
    """Delete everything that is known of these members' contacts, and of those that may be nobody but them."""
    for key in sorted(places_of(connection, merchant, members)):
        forget_contact(connection, merchant, key)
    for table in (contact_candidate, contact_conflict):
        connection.execute(delete(table).where(table.c.merchant == merchant, table.c.member.in_(sorted(members))))


def forget_contact(connection: Connection, merchant: str, key: ContactKey) -> None:
    """Delete what is known of one contact."""
    name, reference = key
    for table in (contact, contact_candidate, contact_list):
        mine = (table.c.merchant == merchant, table.c.connection == name, table.c.reference == reference)
        connection.execute(delete(table).where(*mine))
