"""What we showed at the shop is taken away: the balance's metafield, and tags that begin with our prefix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stampcard.plugin import Cleaner, Delivered, Outcome
from stampcard_shopify.asking import Field, Made, Step, refusal, written
from stampcard_shopify.client import Answer, Client
from stampcard_shopify.posting import CallFailed
from stampcard_shopify.tagging import REMOVE

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

TAGGED = """
query Tagged($ids: [ID!]!) {
  nodes(ids: $ids) { ... on Customer { id tags } }
}
"""
DELETE = Field(
    "mutation",
    "metafieldsDelete",
    {"metafields": "[MetafieldIdentifierInput!]!"},
    "userErrors { field message }",
)


class Customer(Answer, frozen=True):
    id: str = ""
    tags: tuple[str, ...] = ()


class Customers(Answer, frozen=True):
    nodes: tuple[Customer | None, ...]


class ShopifyCleaner(Cleaner):
    """Cleans ten customers a call; of those who are gone nothing is left to take away."""

    what = "the balance and the tags of perks that each customer shows"
    batch_size = 10

    def __init__(self, client: Client, settings: ShopifySettings) -> None:
        self._client, self._settings = client, settings

    def pace(self) -> float:
        return self._client.pace()

    async def clean(self, references: Sequence[str]) -> Sequence[Outcome]:
        try:
            await self._clean(
                [f"gid://shopify/Customer/{one}" for one in references if one.isascii() and one.isdecimal()]
            )
        except CallFailed as failure:
            return [failure.outcome] * len(references)
        return [Delivered()] * len(references)

    async def _clean(self, ids: Sequence[str]) -> None:
        if not ids:
            return
        found = [one for one in (await self._client.ask(TAGGED, {"ids": ids}, Customers)).nodes if one and one.id]
        if not found:
            return
        settings = self._settings
        place = {"namespace": settings.metafield_namespace, "key": settings.metafield_key}
        steps = {"shown": Step(DELETE, {"metafields": [{"ownerId": one.id, **place} for one in found]})}
        prefix = settings.tag_prefix.lower()
        for number, one in enumerate(found):
            ours = [tag for tag in one.tags if tag.lower().startswith(prefix)]
            if ours:
                steps[f"c{number}"] = Step(REMOVE, {"id": one.id, "tags": ours})
        document, variables = written(steps)
        made = await self._client.ask(document, variables, dict[str, Made])
        errors = [error for answer in made.values() for error in answer.user_errors]
        if errors:
            outcome = refusal(errors)
            assert not isinstance(outcome, Delivered)
            raise CallFailed(outcome)
