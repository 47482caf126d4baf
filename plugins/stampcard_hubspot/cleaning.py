"""What we showed at HubSpot is taken away: the values of the properties that were made for us."""

from __future__ import annotations

from collections.abc import Sequence

from stampcard.plugin import Cleaner, ContactPush, Delivered, Outcome, Rejected
from stampcard_hubspot.calling import CallFailed
from stampcard_hubspot.client import Client
from stampcard_hubspot.payloads import Properties
from stampcard_hubspot.reading import BATCH
from stampcard_hubspot.settings import ContactMap
from stampcard_hubspot.writing import Writing


class HubSpotCleaner(Cleaner):
    """Empties those of our properties that are still there, the member's id among them."""

    batch_size = BATCH

    def __init__(self, client: Client, fields: ContactMap) -> None:
        self._client, self._made = client, fields.made
        self._writing = Writing(client, fields)
        prefix = client.context.settings.property_prefix
        self.what = (
            f"the values of the contacts' properties {prefix}… (the properties, their group and lists themselves stay)"
        )

    def pace(self) -> float:
        return self._client.pace()

    async def clean(self, references: Sequence[str]) -> Sequence[Outcome]:
        try:
            there = {
                one.name for one in (await self._client.ask("GET", self._client.path("properties"), Properties)).results
            }
        except CallFailed as failed:
            return [failed.outcome] * len(references)
        empty = {name: "" for name in self._made if name in there}
        items = [ContactPush(member="", reference=one, version=0, fields=empty) for one in references]
        return [_over(outcome) for outcome in await self._writing.write(items)]


def _over(outcome: Outcome) -> Outcome:
    """Somebody who is no more shows nothing any more."""
    return (
        Delivered() if isinstance(outcome, Delivered) or (isinstance(outcome, Rejected) and outcome.gone) else outcome
    )
