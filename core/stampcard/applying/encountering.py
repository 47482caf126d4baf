"""What one transaction hears of contacts, and how it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from stampcard.applying.registering import changed_attributes
from stampcard.domain.commands import CONTACT, OWN
from stampcard.domain.consents import Consent
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import Own
from stampcard.engine.syncing import Digest
from stampcard.storage import contacts
from stampcard.storage.contacts import Contact, ContactKey, Dispute
from stampcard.storage.fetching import want_records
from stampcard.storage.inboxing import take_in
from stampcard.storage.pushing import owe

if TYPE_CHECKING:
    from stampcard.applying.unit import Unit


@dataclass(slots=True)
class Encounters:
    """What one transaction heard of contacts. `owed`: (connection, member) to whom something is to be shown; `told`: to ourselves."""

    contacts: dict[ContactKey, Contact] = field(default_factory=dict)
    touched: set[ContactKey] = field(default_factory=set)
    candidates: dict[ContactKey, tuple[str, ...]] = field(default_factory=dict)
    disputes: list[Dispute] = field(default_factory=list)
    owed: set[tuple[str, str]] = field(default_factory=set)
    told: list[Own] = field(default_factory=list)
    #: Contacts that are to be read anew.
    wanted: set[ContactKey] = field(default_factory=set)
    #: When members' attributes last changed, and what they said of being addressed, as it was before.
    times: dict[str, dict[str, datetime]] = field(default_factory=dict)
    said: dict[str, list[Consent]] = field(default_factory=dict)
    #: What makes digests, once for the transaction.
    digest: Digest | None = None
    #: Contacts of members of whom a shop tells, as far as a CRM owns any of their fields.
    owning: dict[str, list[Contact]] = field(default_factory=dict)

    def copied(self) -> Encounters:
        """The same, to go back to."""
        return Encounters(
            dict(self.contacts),
            set(self.touched),
            dict(self.candidates),
            list(self.disputes),
            set(self.owed),
            list(self.told),
            set(self.wanted),
            self.times,
            self.said,
            self.digest,
            self.owning,
        )

    def keep(self, one: Contact) -> None:
        """Let a contact be so from now on."""
        self.contacts[one.key] = one
        self.touched.add(one.key)


def save_encounters(unit: Unit) -> None:
    """Write what was heard of contacts, and let what follows of it come to ourselves."""
    found, connection, setting = unit.encounters, unit.connection, unit.setting
    contacts.save_contacts(connection, setting.merchant, [found.contacts[key] for key in found.touched])
    contacts.save_candidates(connection, setting.merchant, found.candidates)
    contacts.save_disputes(connection, setting.merchant, setting.sealer, found.disputes)
    for name, reference in sorted(found.wanted):
        want_records(connection, setting.merchant, name, CONTACT, [reference], unit.now)
    told = [
        Delivery(
            connection=OWN,
            key=f"contact:{setting.numbering.next(unit.now)}",
            topic=str(one.__struct_config__.tag),
            body=msgspec.json.encode(one),
            received_at=unit.now,
        )
        for one in found.told
    ]
    if told:
        take_in(connection, setting.merchant, told, setting.sealer, setting.numbering)


def owe_contacts(unit: Unit) -> None:
    """Let those be shown anew to whom something is owed, or who are described otherwise than before.

    Behind what else is pushed, whose rows are locked first.
    """
    by_name: dict[str, set[str]] = {}
    for id_, before in unit.touched.before.items():
        changed = changed_attributes(before.attributes, unit.members[id_].attributes)
        for name, crm in unit.setting.crms.items():
            if changed and any(pair.ours in changed for pair in crm.pairs):
                by_name.setdefault(name, set()).add(id_)
    for name, member in unit.encounters.owed:
        by_name.setdefault(name, set()).add(member)
    for name, members in sorted(by_name.items()):
        wait = min(unit.setting.coalesce, unit.setting.longest)
        owe(unit.connection, unit.setting.merchant, name, CONTACT, members, unit.now, wait)
