"""Lists of contacts at HubSpot (its pages call them segments): static ones that we fill, and any that we read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import httpx

from stampcard.plugin import ContactPush, Delivered, MemberPage, Outcome, Rejected
from stampcard_hubspot.calling import CallFailed
from stampcard_hubspot.client import Client
from stampcard_hubspot.payloads import Anything, Listed, Memberships

CONTACTS = "0-1"
#: Kinds of list whose members are not HubSpot's own affair (https://developers.hubspot.com/docs/api-reference/latest/crm/lists/guide).
_OPEN = frozenset({"MANUAL", "SNAPSHOT"})
_PAGE = "250"


class Lists:
    """Keeps contacts in lists and out of them; a list is found by its name, and made where none is there."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ids: dict[str, str] = {}

    async def keep(self, items: Sequence[ContactPush], outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Change the lists of contacts that were written, a call for each list; what fails then is the contact's outcome."""
        done = list(outcomes)
        changes: dict[str, dict[int, bool]] = defaultdict(dict)
        for place, (item, outcome) in enumerate(zip(items, outcomes, strict=True)):
            if isinstance(outcome, Delivered) and not outcome.result.get("found"):
                for name, is_in in item.lists.items():
                    changes[name][place] = is_in
        for name, wanted in sorted(changes.items()):
            references = {
                place: str(outcome.result["reference"])
                for place in wanted
                if isinstance(outcome := outcomes[place], Delivered)
            }
            try:
                await self._change(name, references, wanted)
            except CallFailed as failed:
                done = [failed.outcome if place in wanted else outcome for place, outcome in enumerate(done)]
        return done

    async def members(self, list_id: str, place: str) -> MemberPage:
        """The next contacts in a list; raises CallFailed."""
        query = {"limit": _PAGE} | ({"after": place} if place else {})
        page = await self._client.ask(
            "GET", self._client.path("lists", list_id, "memberships"), Memberships, query=query
        )
        return MemberPage(references=tuple(one.record_id for one in page.results), place=page.after)

    async def _change(self, name: str, references: dict[int, str], wanted: dict[int, bool]) -> None:
        body = {
            "recordIdsToAdd": [references[place] for place, is_in in wanted.items() if is_in],
            "recordIdsToRemove": [references[place] for place, is_in in wanted.items() if not is_in],
        }
        known = name in self._ids
        try:
            await self._client.ask("PUT", await self._memberships(name), Anything, body)
        except CallFailed as failed:
            self._ids.pop(name, None)
            if failed.status != httpx.codes.NOT_FOUND or not known:
                raise
            # It was deleted: it is looked for, or made, once more.
            await self._client.ask("PUT", await self._memberships(name), Anything, body)

    async def _memberships(self, name: str) -> str:
        return self._client.path("lists", await self._id(name), "memberships", "add-and-remove")

    async def _id(self, name: str) -> str:
        if name not in self._ids:
            found = await self._named(name) or await self._made(name)
            if found.list.processing_type not in _OPEN:
                raise CallFailed(Rejected(reason=f"HubSpot itself fills the list {name}: name a static one in lists"))
            self._ids[name] = found.list.list_id
        return self._ids[name]

    async def _named(self, name: str) -> Listed | None:
        try:
            return await self._client.ask(
                "GET", self._client.path("lists", "object-type-id", CONTACTS, "name", name), Listed
            )
        except CallFailed as failed:
            if failed.status != httpx.codes.NOT_FOUND:
                raise
            return None

    async def _made(self, name: str) -> Listed:
        body = {"name": name, "objectTypeId": CONTACTS, "processingType": "MANUAL"}
        try:
            return await self._client.ask("POST", self._client.path("lists"), Listed, body)
        except CallFailed:
            # Somebody else may have made it meanwhile.
            found = await self._named(name)
            if found is None:
                raise
            return found
