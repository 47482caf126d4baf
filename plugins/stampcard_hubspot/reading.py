"""Contacts read at HubSpot: by their numbers or addresses, by search, and one after another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from stampcard.plugin import Delivery
from stampcard_hubspot.calling import MISSING, in_words, later
from stampcard_hubspot.client import Client
from stampcard_hubspot.payloads import Found, Record
from stampcard_hubspot.settings import ContactMap

#: The topics of what we read: a contact, and that there is none.
CONTACT, VANISHED = "contact", "contact.gone"
#: The most that a batch has, and a page of a search (https://developers.hubspot.com/docs/api-reference/latest/crm/search-the-crm).
BATCH, SEARCHED = 100, 200
T = TypeVar("T")


class Read(msgspec.Struct, frozen=True):
    """A contact as it was read, and the delivery that tells of it."""

    record: Record
    delivery: Delivery

    @property
    def ids(self) -> set[str]:
        """Its number, and those of contacts that were merged into it."""
        return {self.record.id, *self.get("hs_merged_object_ids").split(";")}

    @property
    def emails(self) -> set[str]:
        return {one.strip().lower() for one in (self.get("email"), *self.get("hs_additional_emails").split(";"))} - {""}

    @property
    def phones(self) -> set[str]:
        return {self.get("phone"), self.get("mobilephone")} - {""}

    def get(self, name: str) -> str:
        return self.record.properties.get(name) or ""


class Reader:
    """Reads contacts, with all properties that matter. Raises CallFailed."""

    def __init__(self, client: Client, fields: ContactMap) -> None:
        self._client, self._fields = client, fields

    async def by_ids(self, ids: Sequence[str], by: str = "") -> list[Read]:
        """Those of these contacts that are there, by their numbers or by the values of another property."""
        found: list[Read] = []
        for some in chunks(ids, BATCH):
            body = {
                "properties": self._fields.read,
                "propertiesWithHistory": [],
                "inputs": [{"id": id_} for id_ in some],
            }
            if by:
                body["idProperty"] = by
            path = self._client.path("objects", "batch", "read")
            found += self._read(await self._client.ask("POST", path, Found, body))
        return found

    async def searched(
        self, groups: Sequence[Sequence[Mapping[str, Any]]], limit: int = SEARCHED
    ) -> tuple[list[Read], int]:
        """The first of the contacts that fit one of these groups of filters, by their numbers, and how many there are."""
        body = {
            "filterGroups": [{"filters": filters} for filters in groups],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": self._fields.read,
            "limit": limit,
        }
        answer = await self._client.search(Found, body)
        if answer.total is None:
            raise later("HubSpot does not say how many there are")
        return self._read(answer), answer.total

    async def listed(self, place: str) -> tuple[list[Read], str]:
        """The next contacts of all, behind a place, and the next place."""
        query = {"limit": str(BATCH), "properties": ",".join(self._fields.read)} | ({"after": place} if place else {})
        answer = await self._client.ask("GET", self._client.path("objects"), Found, query=query)
        return self._read(answer), answer.after

    def _read(self, answer: Found) -> list[Read]:
        # What is not there may be missing from an answer; whatever else is missing is not known to be gone.
        if strange := [trouble for trouble in answer.errors if trouble.category != MISSING]:
            raise later(f"HubSpot does not give every contact{in_words(strange[0])}")
        try:
            records = [msgspec.json.decode(raw, type=Record) for raw in answer.results]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise later("HubSpot's answer does not have the published shape") from None
        return [
            Read(record, self._brought(record, bytes(raw))) for record, raw in zip(records, answer.results, strict=True)
        ]

    def _brought(self, record: Record, raw: bytes) -> Delivery:
        # Some of what is read changes without its date, such as an opt-out: the content is a part of the key.
        told = sorted((name, text) for name, text in record.properties.items() if text)
        digest = hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:16]
        changed = (record.properties.get("lastmodifieddate") or record.updated_at or "")[:40]
        return self.delivery(f"contact:{record.id}:{changed}:{digest}", CONTACT, raw)

    def delivery(self, key: str, topic: str, body: bytes) -> Delivery:
        """What is read now."""
        now = self._client.context.clock.now()
        return Delivery(
            connection=self._client.context.name,
            key=key,
            topic=topic,
            body=body,
            received_at=now,
            read_at=int(now.timestamp() * 1_000_000),
        )


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, so many at a time."""
    all_ = list(items)
    for start in range(0, len(all_), size):
        yield all_[start : start + size]
