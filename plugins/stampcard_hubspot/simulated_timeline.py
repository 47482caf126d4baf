"""Events on the timelines of contacts in the simulated portal, each with an identifier that is used once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stampcard_hubspot.simulated_book import Book
from stampcard_hubspot.simulated_errors import Body, Refusal, invalid, missing, unreadable
from stampcard_hubspot.simulated_values import iso


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One event as it stands on a contact's timeline."""

    id: str
    template: str
    contact: int
    tokens: Mapping[str, str]
    at: str

    def body(self) -> Body:
        return {
            "id": self.id,
            "eventTemplateId": self.template,
            "objectId": str(self.contact),
            "objectType": "contacts",
            "tokens": dict(self.tokens),
            "timestamp": self.at,
            "createdAt": self.at,
        }


class Timeline:
    """All events, by the template and identifier that were given."""

    def __init__(self, book: Book, now: Callable[[], int]) -> None:
        self.events: dict[tuple[str, str], TimelineEvent] = {}
        self._book, self._now = book, now

    def of(self, contact: int) -> list[TimelineEvent]:
        """What stands on a contact's timeline, also what came before it was merged."""
        found = (self._book.find(str(event.contact)) for event in self.events.values())
        return [event for event, one in zip(self.events.values(), found, strict=True) if one and one.id == contact]

    def add_all(self, inputs: Sequence[Any]) -> tuple[int, Body]:
        """A batch of them: one alone is refused as a whole, of several each by itself."""
        results, errors, at = [], [], iso(self._now())
        for one in inputs:
            try:
                results.append(self.add(one).body())
            except Refusal as refusal:
                if len(inputs) == 1:
                    raise
                errors.append(refusal.entry({"id": [str(one.get("id", ""))] if isinstance(one, dict) else []}))
        body = {"status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at}
        return (207, body | {"numErrors": len(errors), "errors": errors}) if errors else (201, body)

    def add(self, asked: Any) -> TimelineEvent:
        """Put one there; raises Refusal, also when the identifier was used before."""
        template, tokens = (asked.get("eventTemplateId"), asked.get("tokens")) if isinstance(asked, dict) else ("", {})
        if not isinstance(template, str) or not template or not isinstance(tokens, dict):
            raise unreadable("some required fields were not set: [eventTemplateId, tokens]")
        if not all(isinstance(value, str | int | float) for value in tokens.values()):
            raise invalid("the values of tokens are texts")
        id_ = str(asked.get("id") or uuid.uuid4())
        if (template, id_) in self.events:
            raise Refusal(400, "Event ID already in use, please choose a new unique ID", "VALIDATION_ERROR")
        whom, by = (
            (str(asked.get("objectId") or ""), "") if asked.get("objectId") else (str(asked.get("email")), "email")
        )
        contact = self._book.find(whom, by)
        if contact is None or contact.archived:
            raise missing([whom])
        told = {name: str(value) for name, value in tokens.items()}
        event = TimelineEvent(id_, template, contact.id, told, str(asked.get("timestamp") or iso(self._now())))
        self.events[template, id_] = event
        return event
