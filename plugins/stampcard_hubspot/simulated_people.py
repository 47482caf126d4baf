"""What people do in the simulated portal's pages, without the API."""

from __future__ import annotations

from collections.abc import Sequence

from stampcard_hubspot.simulated_book import Book, Contact, Writer
from stampcard_hubspot.simulated_lists import CONTACTS, Lists
from stampcard_hubspot.simulated_objects import Merge
from stampcard_hubspot.simulated_statuses import Statuses


class People:
    """Somebody who works in the portal; a Refusal tells what HubSpot would not let them do."""

    def __init__(self, book: Book, lists: Lists, statuses: Statuses, writer: Writer, merge: Merge) -> None:
        self._book, self._lists, self._statuses, self._writer, self._merge = book, lists, statuses, writer, merge

    def add(self, **properties: str) -> str:
        """Make a contact; answers its number."""
        return str(self._book.create(self._book.check(properties), self._writer).id)

    def edit(self, id_: str, **properties: str) -> None:
        """Change properties of a contact; an empty text clears one."""
        contact = self._book.live(id_)
        self._book.change(contact, self._book.check(properties, contact), self._writer)

    def delete(self, id_: str) -> None:
        """Put a contact into the bin."""
        self._book.archive(self._book.live(id_), self._writer)

    def forget(self, id_: str) -> None:
        """Erase a contact for good, as the law asks for."""
        contact = self._book.find(id_)
        if contact is not None:
            self._book.forget(contact, self._writer)

    def restore(self, id_: str) -> None:
        """Take a contact out of the bin."""
        contact = self._book.find(id_)
        if contact is not None and contact.archived:
            self._book.restore(contact, self._writer)

    def merge(self, kept: str, gone: str) -> str:
        """Make one contact of two; answers the number of the one that stands."""
        return str(self._merge(self._book.live(kept), self._book.live(gone), self._writer).id)

    def opt_out(self, id_: str) -> None:
        """Somebody wants no e-mail any more, and says so where HubSpot itself listens."""
        self._statuses.opt_out(self._book.live(id_).get("email"), self._writer)

    def opt_in(self, id_: str) -> None:
        """Somebody wants e-mail again."""
        self._statuses.opt_in(self._book.live(id_), self._writer)

    def make_list(self, name: str, *, dynamic: bool = False) -> str:
        """Make a list of contacts; answers its number."""
        kind = "DYNAMIC" if dynamic else "MANUAL"
        return str(self._lists.make({"name": name, "processingType": kind, "objectTypeId": CONTACTS}).id)

    def add_to_list(self, list_id: str, id_: str) -> None:
        self._lists.change(self._lists.get(list_id), [id_], [])

    def remove_from_list(self, list_id: str, id_: str) -> None:
        self._lists.change(self._lists.get(list_id), [], [id_])

    def list_members(self, list_id: str) -> list[str]:
        """Numbers of the contacts in a list."""
        return [str(id_) for id_ in self._lists.members(self._lists.get(list_id))]

    def contact(self, id_: str) -> Contact:
        """A contact as it is now, also one in the bin; KeyError where there is none."""
        found = self._book.find(id_)
        if found is None:
            raise KeyError(id_)
        return found

    def contacts(self) -> Sequence[Contact]:
        """All that are not in the bin, in the order of their numbers."""
        return list(self._book.page(0))
