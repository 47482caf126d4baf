"""What a first look at a CRM would come to: read, matched and compared as ever, and nothing of it written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from stampcard.applying.meeting import NOBODY, Meeting, suppose
from stampcard.applying.setting import Setting
from stampcard.applying.showing import attribute_texts, consent_texts, pictures
from stampcard.applying.unit import Unit
from stampcard.domain.contacts import HOLD
from stampcard.domain.events import ContactSeen
from stampcard.engine.syncing import Shown, heard, judge, same_address, seen
from stampcard.host.contacts import Crm
from stampcard.storage import contacts, loading
from stampcard.storage.consenting import load_consents

#: How many examples of each outcome are kept.
EXAMPLES = 5


@dataclass(slots=True)
class Supposed:
    """What was found so far: outcomes of contacts with examples, and by field how many values would go which way."""

    contacts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    taken: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    #: Members who have a contact or may have one, as short as can be told apart.
    met: set[int] = field(default_factory=set)
    to_make: int = 0

    def note(self, outcome: str, reference: str) -> None:
        """Count what becomes of a contact."""
        self.outcomes[outcome] += 1
        kept = self.examples.setdefault(outcome, [])
        if len(kept) < EXAMPLES:
            kept.append(reference)


def suppose_contacts(
    connection: Connection, setting: Setting, crm: Crm, read: Sequence[ContactSeen], now: datetime, found: Supposed
) -> None:
    """Add a page of contacts."""
    unit = Unit(connection, setting, now)
    met = suppose(unit, [(crm.name, event) for event in read])
    ids = {one.member for one in met.values() if one.member is not None}
    people = loading.load_members(connection, setting.merchant, ids, setting.sealer, attributes=True, lock=False)
    said = load_consents(connection, setting.merchant, ids, setting.sealer, evidence=False)
    known = contacts.load_contacts(connection, setting.merchant, met)
    digest = contacts.digester(setting.sealer)
    for event in read:
        one = met[crm.name, event.reference]
        found.contacts += 1
        found.note(_outcome(crm, one), event.reference)
        found.met |= {hash(id_) for id_ in (one.member, *one.candidates) if id_ is not None}
        person = people.get(one.member or "")
        if person is None:
            continue
        texts = attribute_texts(person) | consent_texts(said.get(person.id, ()))
        before = known.get((crm.name, event.reference))
        for pair in crm.pairs:
            if pair.is_figure or pair.ours == HOLD:
                continue
            ours = seen(pair, texts.get(pair.ours, ""))
            theirs = heard(pair, event.fields.get(pair.theirs, ""))
            if pair.ours == "email" and same_address(ours, event.emails):
                continue
            shown = Shown(ours=ours, theirs=theirs, ours_at=None, theirs_at=event.occurred_at)
            verdict = judge(pair, shown, before.fields.get(pair.theirs) if before is not None else None, digest)
            found.taken[pair.ours] += verdict.takes
            found.written[pair.ours] += verdict.writes


def _outcome(crm: Crm, one: Meeting) -> str:
    if one.member is not None:
        return "would be linked" if one.is_new else "is linked"
    if one.why == NOBODY and crm.settings.make_members:
        return "would become a member"
    return f"{'doubtful' if one.is_doubtful else 'skipped'}: {one.why}"


def suppose_members(
    connection: Connection, setting: Setting, crm: Crm, members: Collection[str], now: datetime, found: Supposed
) -> None:
    """Add members of whom some have no contact and would get one."""
    alone = [id_ for id_ in members if hash(id_) not in found.met]
    kind, _, segment = crm.settings.make_contacts.partition(":")
    if kind == "none" or not alone:
        return
    shown = pictures(connection, setting, crm, alone, now).values()
    found.to_make += sum(one.takes_part and (kind == "all" or segment in one.segments) for one in shown)
