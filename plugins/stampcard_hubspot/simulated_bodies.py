"""Contacts and calls of the simulated HubSpot as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stampcard_hubspot.simulated_book import Contact, Values, Writer
from stampcard_hubspot.simulated_errors import Body, invalid, unreadable
from stampcard_hubspot.simulated_values import iso

#: The most inputs of one batch.
MOST = 100
_USUAL = ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname")
_ALWAYS = ("createdate", "hs_object_id", "lastmodifieddate")


@dataclass(frozen=True, slots=True)
class Asked:
    """One call: what stands in its path and query and, parsed, in its body, and who makes it."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    writer: Writer

    def names(self, parameter: str) -> list[str]:
        """A list of names in the query, with commas between."""
        return [name for name in self.query.get(parameter, "").split(",") if name]


def shown(contact: Contact, names: Iterable[str] = (), history: Iterable[str] = ()) -> Body:
    """A contact with these properties, or the usual ones; what was never set is null."""
    told = dict.fromkeys([*_ALWAYS, *names] if names else _USUAL)
    body = {
        "id": str(contact.id),
        "properties": {name: contact.properties.get(name) for name in told},
        "createdAt": iso(contact.created),
        "updatedAt": iso(contact.updated),
        "archived": contact.archived,
    }
    if contact.archived:
        body["archivedAt"] = iso(contact.archived_at)
    if history:
        body["propertiesWithHistory"] = {name: versions(contact, name) for name in history}
    return body


def found(id_: int, values: Values, names: Sequence[str]) -> Body:
    """A search result, as of when the search saw the contact."""
    told = dict.fromkeys([*_ALWAYS, *names] if names else _USUAL)
    return {
        "id": str(id_),
        "properties": {name: values.get(name) for name in told},
        "createdAt": values["createdate"],
        "updatedAt": values["lastmodifieddate"],
        "archived": False,
    }


def versions(contact: Contact, name: str) -> list[Body]:
    """Every value that a property had and who wrote it, the newest first."""
    return [
        {
            "value": write.values[name],
            "timestamp": iso(write.at),
            "sourceType": write.writer.source,
            "sourceId": write.writer.source_id,
        }
        for write in reversed(contact.writes)
        if name in write.values
    ]


def properties(asked: Any) -> dict[str, str]:
    """The properties of a request; raises Refusal unless all values are texts. Null clears, as an empty text does."""
    told = asked.get("properties") if isinstance(asked, dict) else None
    if not isinstance(told, dict):
        raise unreadable("some required fields were not set: [properties]")
    for name, value in told.items():
        if value is not None and not isinstance(value, str):
            raise unreadable(f"the value of {name} is no text")
    return {name: value or "" for name, value in told.items()}


def inputs(asked: Any) -> list[dict[str, Any]]:
    """The inputs of a batch; raises Refusal for none, too many, and a number that stands there twice."""
    told = asked.get("inputs") if isinstance(asked, dict) else None
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise unreadable("some required fields were not set: [inputs]")
    if not 0 < len(told) <= MOST:
        raise invalid(f"a batch has from 1 to {MOST} inputs, not {len(told)}")
    ids = [str(one["id"]) for one in told if "id" in one]
    if twice := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
        raise invalid(f"Duplicate IDs found in batch input: [{', '.join(twice)}]. IDs must be unique", ids=twice)
    return told


def number_of_inputs(asked: Any) -> int:
    """How many records a call is about."""
    if not isinstance(asked, dict):
        return 0 if asked is None else 1
    lists = [asked.get(name) for name in ("inputs", "recordIdsToAdd", "recordIdsToRemove")]
    counted = [len(one) for one in lists if isinstance(one, list)]
    return sum(counted) if counted else 1
