"""A connection to a CRM as the core sees it: what it can do, its map of fields, and its sinks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from stampcard.domain.commands import CONTACT, ERASE_CONTACT, REMOVE_CONTACT, Command
from stampcard.domain.contacts import FIGURES, ContactPush, FieldPair
from stampcard.plugin.capabilities import Sink
from stampcard.plugin.contacts import Contacts, ContactSettings
from stampcard.plugin.outcomes import Lookup, Outcome, Unknown

#: How many contacts are forgotten in one attempt.
FORGOTTEN = 20


@dataclass(frozen=True)
class Crm:
    """One connection to a CRM: its settings, and the map of fields that comes of them."""

    name: str
    settings: ContactSettings
    pairs: tuple[FieldPair, ...]
    #: Whether all contacts are just being looked through because people wanted it: whoever comes then is brought.
    looking: bool = False
    #: Whether people stopped that: what they say there is heard, and what is to be shown there waits.
    halted: bool = False

    @cached_property
    def figures(self) -> frozenset[str]:
        """What is shown there of what is known here alone."""
        return frozenset(pair.ours for pair in self.pairs) & FIGURES.keys()

    @cached_property
    def makes(self) -> bool:
        """Whether contacts are made for members who have none."""
        return self.settings.make_contacts != "none"

    @cached_property
    def lists_read(self) -> frozenset[str]:
        """The lists there that mean something here."""
        return frozenset(self.settings.segments.values()) | frozenset(self.settings.hold_lists)

    def takes_part(self, fields: Mapping[str, str]) -> bool:
        """Whether a contact with these fields takes part."""
        return all(fields.get(one.field, "") in one.is_ for one in self.settings.only)

    def leaves_out(self, fields: Mapping[str, str]) -> bool:
        """Whether these fields say that a contact takes no part; one that was not told says nothing."""
        return any(one.field in fields and fields[one.field] not in one.is_ for one in self.settings.only)


class ContactSink(Sink[ContactPush]):
    """Shows members at a CRM; sending twice does no harm."""

    kind = CONTACT
    idempotent = True

    def __init__(self, contacts: Contacts) -> None:
        self.contacts = contacts
        self.batch_size, self.rate, self.retry = contacts.batch_size, contacts.rate, contacts.retry

    async def deliver(self, items: Sequence[ContactPush]) -> Sequence[Outcome]:
        return await self.contacts.write(items)

    def pace(self) -> float:
        return self.contacts.pace()


class ContactAction(Sink[Command]):
    """Puts contacts away or forgets them for good; doing it twice does no harm."""

    idempotent = True

    def __init__(self, contacts: Contacts, kind: str) -> None:
        self.kind = kind
        # A vendor may forget one at a time alone: so many fit into one attempt.
        self.batch_size = contacts.batch_size if kind == REMOVE_CONTACT else min(contacts.batch_size, FORGOTTEN)
        self.rate, self.retry = contacts.rate, contacts.retry
        self._contacts = contacts

    async def deliver(self, items: Sequence[Command]) -> Sequence[Outcome]:
        act = {REMOVE_CONTACT: self._contacts.remove, ERASE_CONTACT: self._contacts.erase}[self.kind]
        return await act([item.reference for item in items])

    async def lookup(self, command: Command) -> Lookup:
        return Unknown(reason=f"{command.key} is simply done again")

    def pace(self) -> float:
        return self._contacts.pace()


def sinks_of(contacts: Contacts) -> tuple[ContactSink, ContactAction, ContactAction]:
    """All that is sent to a CRM."""
    return (
        ContactSink(contacts),
        ContactAction(contacts, REMOVE_CONTACT),
        ContactAction(contacts, ERASE_CONTACT),
    )
