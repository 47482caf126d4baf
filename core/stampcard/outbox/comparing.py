"""What is new of members at their contacts: which fields are to be written, and where a contact is to be found or made."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row

from stampcard.applying.showing import Picture, ours, theirs
from stampcard.domain.contacts import HOLD, ContactPush, Person
from stampcard.domain.value import Value, replace
from stampcard.engine.syncing import NO, YES, Base, Digest, heard, is_opt_out, outgoing
from stampcard.host.contacts import Crm
from stampcard.storage.contacts import Contact

#: What the names of lists are kept under, beside those of fields.
LIST = "list:"


class DueContact(Value, frozen=True):
    """One contact to show somebody at, or one to find or make.

    `digests`: of what both sides show once that is done, by their name of the field. `looks`: it is to be read first, because their side may
    have changed, too. `person`: how to look for the contact of somebody who has none.
    """

    item: ContactPush
    attempts: int
    sent: int
    due_at: int
    digests: Mapping[str, str] = {}
    looks: bool = False
    person: Person | None = None

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to call the vendor for."""
        return self.person is None and not (self.item.fields or self.item.lists)


def compared(
    row: Row[Any],
    crm: Crm,
    picture: Picture | None,
    known: Sequence[Contact],
    doubtful: Collection[str],
    digest: Digest,
) -> list[DueContact]:
    """What is to be done for one member: at each contact that stands, or at one that is to be made."""
    blank = ContactPush(member=row.member, reference="", version=row.version)
    idle = DueContact(item=blank, attempts=row.attempts, sent=row.sent, due_at=row.due_at)
    linked = [one for one in known if one.state == "linked"]
    if picture is None or (not linked and not _is_wanted(crm, picture, known, doubtful)):
        return [idle]
    if linked:
        # What a vendor lets one contact alone have is shown at the first.
        first = min(linked, key=lambda one: (one.at, one.reference))
        return [_news(idle, crm, picture, one, digest, is_first=one is first) for one in linked]
    pairs = [pair for pair in crm.pairs if pair.ours != HOLD]
    texts = {pair.theirs: theirs(pair, picture.texts) for pair in pairs}
    fields = {name: text for name, text in texts.items() if text}
    digests = {pair.theirs: digest(ours(pair, picture.texts)) for pair in pairs}
    lists = {name: True for name, inside in picture.lists.items() if inside}
    by = crm.settings.match
    person = Person(
        member=row.member,
        emails=picture.emails if "email" in by else (),
        phones=picture.phones if "phone" in by else (),
    )
    return [replace(idle, item=replace(blank, fields=fields, lists=lists), digests=digests, person=person)]


def _is_wanted(crm: Crm, picture: Picture, known: Sequence[Contact], doubtful: Collection[str]) -> bool:
    """Whether a contact is to be made: none that was put away there comes back, and none is made beside a doubtful one."""
    if known or picture.member.id in doubtful or not picture.takes_part:
        return False
    kind, _, segment = crm.settings.make_contacts.partition(":")
    return kind == "all" or (kind == "segment" and segment in picture.segments)


def _news(idle: DueContact, crm: Crm, picture: Picture, one: Contact, digest: Digest, *, is_first: bool) -> DueContact:
    """What is to be written at a contact that is known, and whether it is to be read first."""
    texts = picture.texts if is_first else {**picture.texts, "member_id": ""}
    fields: dict[str, str] = {}
    digests: dict[str, str] = {}
    looks = False
    for pair in crm.pairs:
        if pair.ours == HOLD or (pair.ours == "email" and not is_first):
            continue
        text = ours(pair, texts)
        way = outgoing(pair, text, one.fields.get(pair.theirs), digest)
        looks |= way == "look"
        if way == "write":
            fields[pair.theirs] = theirs(pair, texts)
            digests[pair.theirs] = digest(text)
    if any(pair.ours == "email" and pair.theirs in fields for pair in crm.pairs):
        # A CRM may keep who wants nothing by the address: with another one it has to be said once more.
        for pair in crm.pairs:
            if is_opt_out(pair) and ours(pair, texts) == NO:
                fields[pair.theirs], digests[pair.theirs] = theirs(pair, texts), digest(NO)
    lists = {name: inside for name, inside in picture.lists.items() if _is_new(one, name, digest, inside=inside)}
    item = replace(idle.item, reference=one.reference, fields=fields, lists=lists)
    return replace(idle, item=item, digests=digests, looks=looks)


def _is_new(one: Contact, name: str, digest: Digest, *, inside: bool) -> bool:
    """Whether a list there does not have the contact as it should."""
    base = one.fields.get(f"{LIST}{name}")
    return inside if base is None else base.ours != digest(YES if inside else NO)


def bases_of(
    due: DueContact, crm: Crm, shown: Mapping[str, Any], refused: Collection[str], digest: Digest
) -> dict[str, Base]:
    """What both sides show of what was written; `shown`: their name of a field → what the vendor answered that it shows now.

    What was refused stays as it was: it is written once more with the next change.
    """
    turn = {pair.theirs: pair for pair in crm.pairs}
    bases = {}
    for field in due.digests.keys() - set(refused):
        now = shown.get(field, due.item.fields.get(field, ""))
        bases[field] = Base(due.digests[field], digest(heard(turn[field], str(now))))
    for name, inside in due.item.lists.items():
        said = digest(YES if inside else NO)
        bases[f"{LIST}{name}"] = Base(said, said)
    return bases
