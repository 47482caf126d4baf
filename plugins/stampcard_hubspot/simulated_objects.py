"""Single contacts of the simulated HubSpot: read, listed, written, searched, merged and erased over the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stampcard_hubspot.simulated_batches import Answer
from stampcard_hubspot.simulated_bodies import Asked, found, properties, shown
from stampcard_hubspot.simulated_book import Book, Contact, Writer
from stampcard_hubspot.simulated_errors import invalid, not_found, unreadable
from stampcard_hubspot.simulated_search import Index
from stampcard_hubspot.simulated_search import found as fitting

_PAGE, _USUAL = 100, 10
Merge = Callable[[Contact, Contact, Writer], Contact]


class Objects:
    """The operations on contacts one by one."""

    def __init__(self, book: Book, index: Index, merge: Merge) -> None:
        self._book, self._index, self._merge = book, index, merge

    def list(self, asked: Asked) -> Answer:
        """One page; what it costs depends on its size alone."""
        limit, after = asked.query.get("limit", str(_USUAL)), asked.query.get("after", "0")
        if not limit.isdigit() or not 0 < int(limit) <= _PAGE:
            raise invalid(f"the limit must be from 1 to {_PAGE}")
        if not after.isdigit():
            raise invalid(f"'{after}' is no cursor")
        names, past = asked.names("properties"), asked.names("propertiesWithHistory")
        page: list[Contact] = []
        more = False
        for contact in self._book.page(int(after), archived=asked.query.get("archived") == "true"):
            more = len(page) == int(limit)
            if more:
                break
            page.append(contact)
        results = [shown(contact, names, past) for contact in page]
        return 200, {"results": results} | ({"paging": {"next": _next(page[-1].id, limit)}} if more else {})

    def get(self, asked: Asked) -> Answer:
        contact = self._book.find(asked.path["id"], asked.query.get("idProperty", ""))
        if contact is None or contact.archived is not (asked.query.get("archived") == "true"):
            raise not_found()
        return 200, shown(contact, asked.names("properties"), asked.names("propertiesWithHistory"))

    def create(self, asked: Asked) -> Answer:
        given = properties(asked.body)
        return 201, shown(self._book.create(self._book.check(given), asked.writer), given)

    def change(self, asked: Asked) -> Answer:
        contact = self._book.live(asked.path["id"], asked.query.get("idProperty", ""))
        given = properties(asked.body)
        self._book.change(contact, self._book.check(given, contact), asked.writer)
        return 200, shown(contact, given)

    def archive(self, asked: Asked) -> Answer:
        """Put it into the bin; nobody hears whether it was there."""
        contact = self._book.find(asked.path["id"])
        if contact is not None and not contact.archived:
            self._book.archive(contact, asked.writer)
        return 204, None

    def search(self, asked: Asked) -> Answer:
        page, told = fitting(self._book, self._index, asked.body)
        names = [str(name) for name in asked.body.get("properties") or []]
        return 200, {"results": [found(id_, values, names) for id_, values in page], **told}

    def merge(self, asked: Asked) -> Answer:
        primary, other = (_text(asked.body, name) for name in ("primaryObjectId", "objectIdToMerge"))
        kept, gone = self._book.live(primary), self._book.live(other)
        if kept is gone:
            raise invalid(f"{primary} and {other} are one contact", ids=[primary, other])
        return 200, shown(self._merge(kept, gone, asked.writer))

    def forget(self, asked: Asked) -> Answer:
        """Erase somebody for good; an address that nobody has can never be used again."""
        id_ = _text(asked.body, "objectId")
        by = str(asked.body.get("idProperty") or "")
        contact = self._book.find(id_, by)
        if contact is not None:
            self._book.forget(contact, asked.writer)
        elif by == "email":
            self._book.blocked.add(id_.lower())
        else:
            raise not_found()
        return 204, None


def _next(after: int, limit: str) -> dict[str, str]:
    return {"after": str(after), "link": f"?after={after}&limit={limit}"}


def _text(body: Any, name: str) -> str:
    told = body.get(name) if isinstance(body, dict) else None
    if not isinstance(told, str) or not told:
        raise unreadable(f"some required fields were not set: [{name}]")
    return told
