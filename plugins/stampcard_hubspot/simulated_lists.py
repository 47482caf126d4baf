"""Lists of contacts in the simulated portal: static ones that anybody fills, and dynamic ones that fill themselves."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from stampcard_hubspot.simulated_book import Book
from stampcard_hubspot.simulated_errors import Body, Refusal, invalid, unreadable
from stampcard_hubspot.simulated_values import iso

CONTACTS = "0-1"
_PAGE, _MOST = 100, 250
_STATIC = frozenset({"MANUAL", "SNAPSHOT"})


@dataclass(slots=True)
class ContactList:
    """A list; `members` are numbers of contacts with the moment each came in."""

    id: int
    name: str
    kind: str
    made: int
    members: dict[int, int] = field(default_factory=dict)

    def body(self) -> Body:
        return {
            "listId": str(self.id),
            "listVersion": 1,
            "name": self.name,
            "objectTypeId": CONTACTS,
            "processingType": self.kind,
            "processingStatus": "COMPLETE",
            "createdAt": iso(self.made),
            "updatedAt": iso(self.made),
            "filtersUpdatedAt": iso(self.made),
            "createdById": "501",
            "updatedById": "501",
        }


class Lists:
    """All lists, by number."""

    def __init__(self, book: Book, now: Callable[[], int]) -> None:
        self.all: dict[int, ContactList] = {}
        self._book, self._now = book, now

    def make(self, asked: Any) -> ContactList:
        """A new list; raises Refusal if its name is taken."""
        name, kind = (asked.get("name"), asked.get("processingType")) if isinstance(asked, dict) else (None, None)
        if not isinstance(name, str) or not name or kind not in {*_STATIC, "DYNAMIC"}:
            raise unreadable("name and processingType are needed")
        if asked.get("objectTypeId") != CONTACTS:
            raise invalid("only contacts are known here", objectTypeId=[str(asked.get("objectTypeId"))])
        if self.named(name) is not None:
            context = {"listName": [name]}
            raise Refusal(
                400,
                f"List with name {name} already exists",
                "VALIDATION_ERROR",
                context=context,
                subCategory="ILS.DUPLICATE_LIST_NAMES",
            )
        made = ContactList(len(self.all) + 1, name, kind, self._now())
        self.all[made.id] = made
        return made

    def named(self, name: str) -> ContactList | None:
        """The list of that name, whatever the case of its letters."""
        return next((one for one in self.all.values() if one.name.lower() == name.lower()), None)

    def get(self, id_: str) -> ContactList:
        found = self.all.get(int(id_)) if id_.isdigit() else None
        if found is None:
            raise Refusal(404, f"List does not exist with ID {id_}.", "OBJECT_NOT_FOUND")
        return found

    def search(self, asked: Any) -> Body:
        """One page of the lists whose name has the words, with their sizes."""
        told = asked if isinstance(asked, dict) else {}
        words, kinds = str(told.get("query") or "").lower(), told.get("processingTypes") or ()
        count, offset = int(told.get("count") or 20), int(told.get("offset") or 0)
        fit = [one for one in self.all.values() if words in one.name.lower() and (not kinds or one.kind in kinds)]
        shown = fit[offset : offset + count]
        sized = [one.body() | {"additionalProperties": {"hs_list_size": str(len(self.members(one)))}} for one in shown]
        more = offset + count < len(fit)
        return {"offset": offset + len(shown), "hasMore": more, "total": len(fit), "lists": sized}

    def change(self, one: ContactList, add: Sequence[Any], remove: Sequence[Any]) -> Body:
        """Let contacts in and out; raises Refusal for a list that fills itself."""
        if one.kind not in _STATIC:
            raise invalid(f"List {one.id} has processing type {one.kind}, so its members cannot be changed by hand")
        added, removed, missing = [], [], []
        for id_ in map(str, add):
            contact = self._book.find(id_)
            if contact is None or contact.archived:
                missing.append(id_)
            elif contact.id not in one.members:
                one.members[contact.id] = self._now()
                added.append(str(contact.id))
        for id_ in map(str, remove):
            contact = self._book.find(id_)
            if contact is None:
                missing.append(id_)
            elif one.members.pop(contact.id, None) is not None:
                removed.append(str(contact.id))
        return {"recordsIdsAdded": added, "recordIdsRemoved": removed, "recordIdsMissing": missing}

    def merged(self, gone: Sequence[int], winner: int) -> None:
        """Whoever was in a list is in it under the new number."""
        for one in self.all.values():
            times = [one.members.pop(id_) for id_ in gone if id_ in one.members]
            if times:
                one.members.setdefault(winner, min(times))

    def members(self, one: ContactList) -> list[int]:
        """Numbers of those in the list that are still there, in order."""
        contacts = self._book.contacts
        return sorted(id_ for id_ in one.members if id_ in contacts and not contacts[id_].archived)

    def page(self, one: ContactList, limit: str, after: str) -> Body:
        most = int(limit) if limit.isdigit() else _PAGE
        if not 0 < most <= _MOST:
            raise invalid(f"the limit must be from 1 to {_MOST}")
        all_ = self.members(one)
        start = bisect_right(all_, int(after)) if after.isdigit() else 0
        shown = all_[start : start + most]
        results = [{"recordId": str(id_), "membershipTimestamp": iso(one.members[id_])} for id_ in shown]
        more = start + most < len(all_)
        paging: Body = {"paging": {"next": {"after": str(shown[-1])}}} if more else {}
        return {"results": results, "total": len(all_), **paging}
