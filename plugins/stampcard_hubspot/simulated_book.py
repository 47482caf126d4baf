"""The contacts of the simulated portal: their properties, who wrote them, which e-mail addresses are taken, and merges."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from stampcard_hubspot.simulated_errors import Refusal, not_found, taken, unfit_values
from stampcard_hubspot.simulated_schema import Schema
from stampcard_hubspot.simulated_values import iso

#: What HubSpot itself writes, of which no webhook tells.
SYSTEM = frozenset({"hs_object_id", "createdate", "lastmodifieddate", "hs_object_source", "hs_object_source_id"})
_MERGED = "hs_merged_object_ids"
_OTHERS = "hs_additional_emails"
Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Writer:
    """Who changes something: `INTEGRATION` with an app's number, or `CRM_UI` with a person's."""

    source: str
    source_id: str


@dataclass(frozen=True, slots=True)
class Write:
    """One change of a contact, for its history."""

    at: int
    writer: Writer
    values: Values


@dataclass(slots=True)
class Contact:
    """One record; its `properties` are replaced, never changed, so that the search may keep older ones."""

    id: int
    properties: Values
    created: int
    updated: int
    archived: bool = False
    archived_at: int = 0
    writes: list[Write] = field(default_factory=list)

    def get(self, name: str) -> str:
        return self.properties.get(name, "")

    def emails(self) -> Iterator[str]:
        """The address and the additional ones."""
        yield from (one for one in (self.get("email"), *self.get(_OTHERS).split(";")) if one)


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened to a contact; `changed` are the properties that webhooks tell of, `merged` the one that is gone."""

    kind: str
    contact: int
    at: int
    writer: Writer
    changed: Values = field(default_factory=dict)
    primary: int = 0
    merged: int = 0


Listener = Callable[[Happening], None]
#: Told with what the search saw before, if anything.
Indexer = Callable[[Contact, Values | None], None]


class Book:
    """All contacts by number, with what makes them unique; `tell` and `index` hear of each change."""

    def __init__(self, schema: Schema, first: int, now: Callable[[], int], tell: Listener, index: Indexer) -> None:
        self.schema = schema
        self.contacts: dict[int, Contact] = {}
        self.blocked: set[str] = set()
        self._order: list[int] = []
        self._aliases: dict[int, int] = {}
        self._unique: dict[tuple[str, str], int] = {}
        self._next = first
        self._now, self._tell, self._index = now, tell, index

    def find(self, id_: str, by: str = "") -> Contact | None:
        """The contact of that number, of a merged one's, or with that value of a unique property."""
        if by in {"", "hs_object_id"}:
            return self._numbered(int(id_)) if id_.isascii() and id_.isdigit() else None
        if by != "email" and by not in self.schema.unique:
            raise Refusal(400, f"{by} is not a unique property", "VALIDATION_ERROR", context={"idProperty": [by]})
        holder = self._unique.get((by, id_.strip().lower() if by == "email" else id_))
        return None if holder is None else self.contacts[holder]

    def live(self, id_: str, by: str = "") -> Contact:
        """The contact that is not archived; raises Refusal."""
        found = self.find(id_, by)
        if found is None or found.archived:
            raise not_found()
        return found

    def page(self, after: int, *, archived: bool = False) -> Iterator[Contact]:
        """Contacts in the order of their numbers, after that one."""
        for place in range(bisect_right(self._order, after), len(self._order)):
            found = self.contacts.get(self._order[place])
            if found is not None and found.archived == archived:
                yield found

    def check(self, given: Values, contact: Contact | None = None) -> dict[str, str]:
        """The values in HubSpot's form if they may be written; raises Refusal."""
        values, problems = self.schema.taken(given)
        if problems:
            raise unfit_values(problems)
        self._check_unique(values, contact)
        return values

    def create(self, values: Values, writer: Writer) -> Contact:
        """A new contact of values that were checked."""
        now, id_ = self._now(), self._next
        self._next += 1
        at = iso(now)
        system = {"hs_object_id": str(id_), "createdate": at, "lastmodifieddate": at}
        source = {"hs_object_source": writer.source, "hs_object_source_id": writer.source_id}
        staged = {"lifecyclestage": "lead"} | {name: text for name, text in values.items() if text}
        contact = Contact(id_, staged | system | source, now, now, writes=[Write(now, writer, staged)])
        self.contacts[id_] = contact
        self._order.append(id_)
        self._hold(contact)
        self._index(contact, None)
        self._tell(Happening("contact.creation", id_, now, writer, staged))
        return contact

    def change(self, contact: Contact, values: Values, writer: Writer) -> dict[str, str]:
        """Write values that were checked; answers those that are others than before."""
        now = self._now()
        changed = {name: text for name, text in values.items() if contact.get(name) != text}
        if changed:
            self._write(contact, changed, now, writer)
            self._tell(Happening("contact.propertyChange", contact.id, now, writer, changed))
        return changed

    def archive(self, contact: Contact, writer: Writer) -> None:
        before, now = contact.properties, self._now()
        self._let_go(contact)
        contact.archived, contact.archived_at = True, now
        self._index(contact, before)
        self._tell(Happening("contact.deletion", contact.id, now, writer))

    def restore(self, contact: Contact, writer: Writer) -> None:
        """Take it out of the bin; raises Refusal if somebody else has its address by now."""
        self._check_unique(contact.properties, contact)
        contact.archived, contact.archived_at, contact.updated = False, 0, self._now()
        self._hold(contact)
        self._index(contact, None)
        self._tell(Happening("contact.restore", contact.id, contact.updated, writer))

    def forget(self, contact: Contact, writer: Writer) -> None:
        """Erase it for good, with all that was merged into it; the deletion is told of, too."""
        now, was = self._now(), contact.archived
        self._let_go(contact)
        before, contact.archived = contact.properties, True
        self._index(contact, None if was else before)
        del self.contacts[contact.id]
        self._aliases = {old: new for old, new in self._aliases.items() if new != contact.id}
        self._tell(Happening("contact.privacyDeletion", contact.id, now, writer))
        self._tell(Happening("contact.deletion", contact.id, now, writer))

    def merge(self, kept: Contact, gone: Contact, writer: Writer, *, anew: bool) -> Contact:
        """One contact of two, with the primary's values first; `anew`: under a number of its own, as since 2025."""
        now = self._now()
        moved = {name: text for name, text in gone.properties.items() if text and not kept.get(name)}
        others = dict.fromkeys([*kept.get(_OTHERS).split(";"), *gone.emails()])
        others.pop(kept.get("email") or gone.get("email"), None)
        ids = [*kept.get(_MERGED).split(";"), *gone.get(_MERGED).split(";"), str(gone.id)]
        moved |= {_OTHERS: _joined(others), _MERGED: _joined(ids)}
        for one in (kept, gone):
            self._let_go(one)
        winner = self._heir(kept, now) if anew else kept
        if anew:
            moved[_MERGED] = _joined([*moved[_MERGED].split(";"), str(kept.id)])
        changed = {name: text for name, text in moved.items() if name not in SYSTEM and winner.get(name) != text}
        for old in {kept.id, gone.id} - {winner.id}:
            self._retire(old, winner.id)
        winner.writes += gone.writes
        winner.writes.sort(key=lambda write: write.at)
        self._write(winner, changed, now, writer)
        self._tell(Happening("contact.merge", winner.id, now, writer, changed, kept.id, gone.id))
        return winner

    def _heir(self, kept: Contact, now: int) -> Contact:
        id_ = self._next
        self._next += 1
        heir = Contact(id_, {**kept.properties, "hs_object_id": str(id_)}, kept.created, now, writes=list(kept.writes))
        self.contacts[id_] = heir
        self._order.append(id_)
        self._index(heir, None)
        return heir

    def _retire(self, old: int, winner: int) -> None:
        contact = self.contacts.pop(old)
        before, contact.archived = contact.properties, True
        self._index(contact, before)
        self._aliases = {name: winner if to == old else to for name, to in self._aliases.items()} | {old: winner}

    def _numbered(self, id_: int) -> Contact | None:
        return self.contacts.get(self._aliases.get(id_, id_))

    def _write(self, contact: Contact, changed: Values, now: int, writer: Writer) -> None:
        before = contact.properties
        self._let_go(contact)
        contact.properties = {**before, **changed, "lastmodifieddate": iso(now)}
        contact.updated = now
        contact.writes.append(Write(now, writer, changed))
        self._hold(contact)
        self._index(contact, None if contact.archived else before)

    def _check_unique(self, values: Values, contact: Contact | None) -> None:
        mine = contact.id if contact else 0
        for address in [values.get("email", ""), *values.get(_OTHERS, "").split(";")]:
            if self._unique.get(("email", address), mine) != mine:
                raise taken(self._unique["email", address])
            if address and address in self.blocked:
                told = {"message": f"{address} is blocklisted", "error": "INVALID_EMAIL", "name": "email"}
                raise unfit_values([told])
        for name in self.schema.unique:
            holder = self._unique.get((name, values.get(name, "")), mine)
            if holder != mine:
                told = {"message": f"{holder} already has that value.", "error": "CONFLICTING_UNIQUE_VALUE"}
                raise unfit_values([told | {"name": name}])

    def _keys(self, contact: Contact) -> Iterator[tuple[str, str]]:
        yield from (("email", address) for address in contact.emails())
        yield from ((name, contact.get(name)) for name in self.schema.unique if contact.get(name))

    def _hold(self, contact: Contact) -> None:
        if not contact.archived:
            self._unique.update((key, contact.id) for key in self._keys(contact))

    def _let_go(self, contact: Contact) -> None:
        for key in self._keys(contact):
            if self._unique.get(key) == contact.id:
                del self._unique[key]


def _joined(texts: Iterable[str]) -> str:
    return ";".join(dict.fromkeys(text for text in texts if text))
