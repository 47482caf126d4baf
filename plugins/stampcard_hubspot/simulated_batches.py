"""Batches of contacts in the simulated HubSpot: all or nothing, or, where each input is traced, each by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stampcard_hubspot.simulated_bodies import Asked, inputs, properties, shown
from stampcard_hubspot.simulated_book import Book, Contact
from stampcard_hubspot.simulated_errors import Body, Refusal, invalid, missing, unreadable
from stampcard_hubspot.simulated_values import iso

_TRACE = "objectWriteTraceId"
Answer = tuple[int, Body | None]
#: Checks an input and answers what writes it.
Prepare = Callable[[dict[str, Any]], Callable[[], Body]]


class Batches:
    """The batch operations on contacts."""

    def __init__(self, book: Book, now: Callable[[], int]) -> None:
        self._book, self._now = book, now

    def read(self, asked: Asked) -> Answer:
        told = inputs(asked.body)
        names, past = asked.body.get("properties") or [], asked.body.get("propertiesWithHistory") or []
        archived = asked.query.get("archived") == "true"
        results, lost = [], []
        for id_ in (str(one.get("id", "")) for one in told):
            contact = self._book.find(id_, str(asked.body.get("idProperty") or ""))
            if contact is None or contact.archived is not archived:
                lost.append(id_)
            else:
                results.append(shown(contact, names, past))
        return self._answered(200, results, [missing(lost).entry({})] if lost else [])

    def create(self, asked: Asked) -> Answer:
        def prepare(one: dict[str, Any]) -> Callable[[], Body]:
            given = properties(one)
            self._book.check(given)
            return lambda: shown(self._book.create(self._book.check(given), asked.writer), given)

        return self._carried(asked, prepare, 201)

    def update(self, asked: Asked) -> Answer:
        by = {str(one["idProperty"]) for one in inputs(asked.body) if one.get("idProperty")}

        def prepare(one: dict[str, Any]) -> Callable[[], Body]:
            id_, given = str(one.get("id", "")), properties(one)
            contact = self._book.find(id_, next(iter(by), ""))
            if contact is None or contact.archived:
                raise missing([id_])
            self._book.check(given, contact)
            return lambda: self._changed(contact, given, asked)

        return self._carried(asked, prepare, 200)

    def upsert(self, asked: Asked) -> Answer:
        def prepare(one: dict[str, Any]) -> Callable[[], Body]:
            id_, given = one.get("id"), properties(one)
            by = str(one.get("idProperty") or "")
            if not isinstance(id_, str) or not id_:
                raise unreadable("some required fields were not set: [id]")
            if by in {"", "hs_object_id"}:
                raise invalid("an upsert needs an idProperty: email or a unique property", idProperty=[by])
            contact = self._book.find(id_, by)
            values = given if contact else {by: id_} | given
            self._book.check(values, contact)
            return lambda: self._put(id_, by, values, asked)

        return self._carried(asked, prepare, 200)

    def archive(self, asked: Asked) -> Answer:
        for id_ in [str(one.get("id", "")) for one in inputs(asked.body)]:
            contact = self._book.find(id_)
            if contact is not None and not contact.archived:
                self._book.archive(contact, asked.writer)
        return 204, None

    def _put(self, id_: str, by: str, values: dict[str, str], asked: Asked) -> Body:
        contact = self._book.find(id_, by)
        if contact is not None:
            return self._changed(contact, values, asked) | {"new": False}
        return shown(self._book.create(self._book.check(values), asked.writer), values) | {"new": True}

    def _changed(self, contact: Contact, given: dict[str, str], asked: Asked) -> Body:
        self._book.change(contact, self._book.check(given, contact), asked.writer)
        return shown(contact, given)

    def _carried(self, asked: Asked, prepare: Prepare, status: int) -> Answer:
        """Do it input by input if each has a trace; else refuse all for one that is unfit, but for records not there."""
        told = inputs(asked.body)
        traced = all(isinstance(one.get(_TRACE), str) for one in told)
        results, errors, lost, ready = [], [], [], []
        for one in told:
            ids = {"ids": [str(one["id"])]} if "id" in one else {}
            try:
                if traced:
                    results.append(prepare(one)() | {_TRACE: one[_TRACE]})
                else:
                    ready.append(prepare(one))
            except Refusal as refusal:
                if traced:
                    errors.append(refusal.entry({**ids, _TRACE: [one[_TRACE]]}))
                elif refusal.category == "OBJECT_NOT_FOUND":
                    lost += ids["ids"]
                else:
                    raise
        results += [write() for write in ready]
        return self._answered(status, results, errors + ([missing(lost).entry({})] if lost else []))

    def _answered(self, status: int, results: list[Body], errors: list[Body]) -> Answer:
        at = iso(self._now())
        body: Body = {"status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at}
        if errors:
            return 207, body | {"numErrors": len(errors), "errors": errors}
        return status, body
