from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from stampcard.plugin import (
    ContactPage,
    ContactPush,
    Contacts,
    Delivered,
    Delivery,
    FieldPair,
    MemberPage,
    Outcome,
    Person,
    Rate,
)
from stampcard_hubspot.calling import CallFailed
from stampcard_hubspot.client import Client
from stampcard_hubspot.listing import Lists
from stampcard_hubspot.opting import OptOuts
from stampcard_hubspot.preparing import Preparing
from stampcard_hubspot.reading import BATCH, Read, Reader, chunks
from stampcard_hubspot.settings import ContactMap
from stampcard_hubspot.writing import Writing

#: How many contacts are forgotten at once, each with a call of its own.
_AT_ONCE = 8
#: Where a phone number may stand.
_PHONES = ("phone", "mobilephone")


class HubSpotContacts(Contacts):
    """HubSpot's contacts. What people wait for goes first: what changed and the whole of them are read with what is left.

    An opt-out of e-mail cannot be written as a property; it is said of the contact's address, one call for each that is new
    (see opting.py). A search sees a change some moments late (`lag`).
    """

    batch_size = BATCH
    #: An app that somebody installed may make 110 calls in ten seconds, a private one 100 at least
    #: (https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines).
    rate = Rate(per_second=8, burst=20)

    def __init__(self, client: Client, fields: ContactMap, reader: Reader) -> None:
        settings = client.context.settings
        self.defaults = settings.defaults
        self._client, self._reader, self._member = client, reader, fields.member
        self._preparing, self._lists = Preparing(client, settings), Lists(client)
        self._writing, self._opt_outs = Writing(client, fields), OptOuts(client, reader)

    async def prepare(self, pairs: Sequence[FieldPair], *, dry_run: bool = False) -> Sequence[str]:
        return await self._preparing.prepare(pairs, dry_run=dry_run)

    async def write(self, items: Sequence[ContactPush]) -> Sequence[Outcome]:
        outcomes = await self._writing.write(items)
        outcomes = await self._opt_outs.say(items, outcomes)
        return await self._lists.keep(items, outcomes)

    async def find(self, people: Sequence[Person]) -> Sequence[Sequence[Delivery]]:
        """By our id and by e-mail addresses, the additional ones too; who is not found so, by phone numbers as they are written."""
        ids = sorted({person.member for person in people})
        ours = _by(await self._reader.by_ids(ids, self._member), lambda one: [one.get(self._member)])
        emails = {email.strip().lower() for person in people for email in person.emails} - {""}
        found = await self._reader.by_ids(sorted(emails), "email") if emails else []
        by_email = _by(found, lambda one: one.emails)
        matches = [
            _matching(ours, [person.member]) or _matching(by_email, (email.strip().lower() for email in person.emails))
            for person in people
        ]
        left = [place for place, match in enumerate(matches) if not match and people[place].phones]
        phones = {phone for place in left for phone in people[place].phones if phone}
        by_phone = await self._with_phones(sorted(phones))
        for place in left:
            matches[place] = _matching(by_phone, people[place].phones)
        return [[one.delivery for one in match] for match in matches]

    async def changed(self, since: datetime, place: str = "") -> ContactPage:
        """A search anew for each page, behind the last number: none is lost to its cap, and what moves in between is found."""
        await self._client.give_way()
        filters = [
            {"propertyName": "lastmodifieddate", "operator": "GTE", "value": str(int(since.timestamp() * 1000))},
            {"propertyName": "hs_object_id", "operator": "GT", "value": place or "0"},
        ]
        found, total = await self._reader.searched([filters])
        last = found[-1].record.id if found and total > len(found) else ""
        return ContactPage(deliveries=tuple(one.delivery for one in found), place=last)

    async def read(self, place: str = "") -> ContactPage:
        await self._client.give_way()
        found, after = await self._reader.listed(place)
        return ContactPage(deliveries=tuple(one.delivery for one in found), place=after)

    async def count(self) -> int | None:
        return (await self._reader.searched([], limit=1))[1]

    async def remove(self, references: Sequence[str]) -> Sequence[Outcome]:
        """HubSpot answers the same whether one was there, gone before, or never was."""
        outcomes: list[Outcome] = []
        for some in chunks(references, BATCH):
            body = {"inputs": [{"id": one} for one in dict.fromkeys(some)]}
            try:
                await self._client.drop(self._client.path("objects", "batch", "archive"), body)
            except CallFailed as failed:
                outcomes += [failed.outcome] * len(some)
            else:
                outcomes += [Delivered()] * len(some)
        return outcomes

    async def erase(self, references: Sequence[str]) -> Sequence[Outcome]:
        found: list[Outcome] = []
        for some in chunks(references, _AT_ONCE):
            found += await asyncio.gather(*map(self._erased, some))
        return found

    async def in_list(self, list_id: str, place: str = "") -> MemberPage:
        await self._client.give_way()
        return await self._lists.members(list_id, place)

    def pace(self) -> float:
        return self._client.pace()

    async def _erased(self, reference: str) -> Outcome:
        # By its number alone: an address that nobody has would be blocked for good.
        try:
            await self._client.quota_back()
            await self._client.drop(self._client.path("objects", "gdpr-delete"), {"objectId": reference})
        except CallFailed as failed:
            # A page that is not found is no contact that is gone: an error of HubSpot's has a message.
            is_gone = failed.status == httpx.codes.NOT_FOUND and bool(failed.trouble.message)
            return Delivered() if is_gone else failed.outcome
        return Delivered()

    async def _with_phones(self, phones: Sequence[str]) -> Mapping[str, Sequence[Read]]:
        found: list[Read] = []
        for some in chunks(phones, BATCH):
            last, left = "0", 1
            while left > 0:
                behind: dict[str, Any] = {"propertyName": "hs_object_id", "operator": "GT", "value": last}
                groups = [[{"propertyName": name, "operator": "IN", "values": some}, behind] for name in _PHONES]
                page, total = await self._reader.searched(groups)
                found += page
                last, left = page[-1].record.id if page else last, total - len(page) if page else 0
        return _by(found, lambda one: one.phones)


def _by(found: Sequence[Read], addresses: Callable[[Read], Iterable[str]]) -> Mapping[str, Sequence[Read]]:
    """Contacts by each of their addresses."""
    by: dict[str, list[Read]] = {}
    for one in found:
        for address in addresses(one):
            by.setdefault(address, []).append(one)
    return by


def _matching(by: Mapping[str, Sequence[Read]], addresses: Iterable[str]) -> list[Read]:
    """The contacts that have one of the addresses, each once."""
    return list({one.record.id: one for address in addresses for one in by.get(address, ())}.values())
