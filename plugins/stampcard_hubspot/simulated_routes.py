"""What can be called at the simulated HubSpot, with the scope that each call needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stampcard_hubspot.simulated_batches import Answer, Batches
from stampcard_hubspot.simulated_bodies import Asked
from stampcard_hubspot.simulated_errors import Refusal, invalid, not_found, unreadable
from stampcard_hubspot.simulated_lists import CONTACTS, Lists
from stampcard_hubspot.simulated_objects import Objects
from stampcard_hubspot.simulated_schema import Schema
from stampcard_hubspot.simulated_statuses import Statuses
from stampcard_hubspot.simulated_timeline import Timeline

#: The version that dated paths name.
DATED = "2026-03"
_READ, _WRITE = "crm.objects.contacts.read", "crm.objects.contacts.write"
_READ_SCHEMA, _WRITE_SCHEMA = "crm.schemas.contacts.read", "crm.schemas.contacts.write"
_READ_LISTS, _WRITE_LISTS = "crm.lists.read", "crm.lists.write"
_STATUSES = "communication_preferences.read_write"
_TYPE = "{type:contacts|contact|0-1}"
Work = Callable[[Asked], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One thing to call; a search counts against a limit of its own."""

    method: str
    path: str
    scope: str
    work: Work
    search: bool = False


def of_contacts(one: Objects, many: Batches) -> Iterator[Route]:
    for root in ("/crm/v3/objects/contacts", f"/crm/objects/{DATED}/contacts"):
        yield Route("GET", root, _READ, one.list)
        yield Route("POST", root, _WRITE, one.create)
        yield Route("POST", f"{root}/search", _READ, one.search, search=True)
        yield Route("POST", f"{root}/merge", _WRITE, one.merge)
        yield Route("POST", f"{root}/gdpr-delete", _WRITE, one.forget)
        yield Route("POST", f"{root}/batch/read", _READ, many.read)
        yield Route("POST", f"{root}/batch/create", _WRITE, many.create)
        yield Route("POST", f"{root}/batch/update", _WRITE, many.update)
        yield Route("POST", f"{root}/batch/upsert", _WRITE, many.upsert)
        yield Route("POST", f"{root}/batch/archive", _WRITE, many.archive)
        yield Route("GET", f"{root}/{{id}}", _READ, one.get)
        yield Route("PATCH", f"{root}/{{id}}", _WRITE, one.change)
        yield Route("DELETE", f"{root}/{{id}}", _WRITE, one.archive)


def of_properties(schema: Schema, now: Callable[[], int]) -> Iterator[Route]:
    def group(asked: Asked) -> Answer:
        if asked.path["name"] not in schema.groups:
            raise not_found()
        return 200, schema.group(asked.path["name"])

    def one(asked: Asked) -> Answer:
        known = schema.properties.get(asked.path["name"])
        if known is None:
            raise not_found()
        return 200, known.body()

    def groups(_: Asked) -> Answer:
        return 200, {"results": [schema.group(name) for name in schema.groups]}

    def every(_: Asked) -> Answer:
        return 200, {"results": [known.body() for known in schema.properties.values()]}

    for root in (f"/crm/v3/properties/{_TYPE}", f"/crm/properties/{DATED}/{_TYPE}"):
        yield Route("GET", f"{root}/groups", _READ_SCHEMA, groups)
        yield Route("POST", f"{root}/groups", _WRITE_SCHEMA, lambda asked: (201, schema.add_group(asked.body)))
        yield Route("GET", f"{root}/groups/{{name}}", _READ_SCHEMA, group)
        yield Route("GET", root, _READ_SCHEMA, every)
        yield Route("POST", root, _WRITE_SCHEMA, lambda asked: (201, schema.add(asked.body, now()).body()))
        yield Route("GET", f"{root}/{{name}}", _READ_SCHEMA, one)


def of_lists(lists: Lists) -> Iterator[Route]:
    def named(asked: Asked) -> Answer:
        found = lists.named(asked.path["name"])
        if found is None:
            raise Refusal(404, f"List does not exist with name {asked.path['name']}.", "OBJECT_NOT_FOUND")
        return 200, {"list": found.body()}

    def change(asked: Asked) -> Answer:
        told = asked.body if isinstance(asked.body, dict) else {}
        add, remove = told.get("recordIdsToAdd"), told.get("recordIdsToRemove")
        if not isinstance(add, list) or not isinstance(remove, list):
            raise unreadable("some required fields were not set: [recordIdsToAdd, recordIdsToRemove]")
        return 200, lists.change(lists.get(asked.path["id"]), add, remove)

    def members(asked: Asked) -> Answer:
        return 200, lists.page(lists.get(asked.path["id"]), asked.query.get("limit", ""), asked.query.get("after", ""))

    def create(asked: Asked) -> Answer:
        return 200, {"list": lists.make(asked.body).body()}

    for root in ("/crm/v3/lists", f"/crm/lists/{DATED}"):
        yield Route("POST", root, _WRITE_LISTS, create)
        yield Route("POST", f"{root}/", _WRITE_LISTS, create)
        yield Route("POST", f"{root}/search", _READ_LISTS, lambda asked: (200, lists.search(asked.body)))
        yield Route("GET", f"{root}/object-type-id/{CONTACTS}/name/{{name}}", _READ_LISTS, named)
        yield Route(
            "GET", f"{root}/{{id}}", _READ_LISTS, lambda asked: (200, {"list": lists.get(asked.path["id"]).body()})
        )
        yield Route("GET", f"{root}/{{id}}/memberships", _READ_LISTS, members)
        yield Route("PUT", f"{root}/{{id}}/memberships/add-and-remove", _WRITE_LISTS, change)


def of_timeline(timeline: Timeline) -> Iterator[Route]:
    def tell(asked: Asked) -> Answer:
        told = asked.body.get("inputs") if isinstance(asked.body, dict) else None
        if not isinstance(told, list) or not told:
            raise unreadable("some required fields were not set: [inputs]")
        if len(told) > 100:  # noqa: PLR2004 - as all batches
            raise invalid(f"a batch has from 1 to 100 inputs, not {len(told)}")
        return timeline.add_all(told)

    for root in ("/crm/v3/timeline", "/integrators/timeline/v3"):
        yield Route("POST", f"{root}/events/batch/create", "timeline", tell)


def of_statuses(statuses: Statuses) -> Iterator[Route]:
    for version in ("v4", DATED):
        path = f"/communication-preferences/{version}/statuses/{{address}}/unsubscribe-all"
        yield Route("GET", path, _STATUSES, statuses.get)
        yield Route("POST", path, _STATUSES, statuses.unsubscribe)


def of_account(portal: int) -> Iterator[Route]:
    def details(_: Asked) -> Answer:
        return 200, {
            "portalId": portal,
            "accountType": "STANDARD",
            "timeZone": "Europe/Berlin",
            "companyCurrency": "EUR",
            "additionalCurrencies": [],
            "utcOffset": "+01:00",
            "utcOffsetMilliseconds": 3_600_000,
            "uiDomain": "app-eu1.hubspot.com",
            "dataHostingLocation": "eu1",
        }

    for version in ("v3", DATED):
        yield Route("GET", f"/account-info/{version}/details", "oauth", details)
