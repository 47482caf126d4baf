from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from stampcard.plugin import BalancePush, Delivered, Outcome, Rate, Rejected, RetryLater, Sink
from stampcard_shopify.client import Answer, Client
from stampcard_shopify.posting import CallFailed

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

SET_METAFIELDS = """
mutation SetMetafields($metafields: [MetafieldsSetInput!]!) {
  metafieldsSet(metafields: $metafields) { userErrors { field message code elementIndex } }
}
"""
#: The mutation is atomic: so often the rest of a batch is sent again without what was refused.
ROUNDS = 3
#: Codes that say nothing against the item itself.
_PASSING = frozenset({"INTERNAL_ERROR", "STALE_OBJECT"})


class UserError(Answer, frozen=True):
    message: str
    field: tuple[str, ...] | None = None
    code: str | None = None
    element_index: int | None = None

    @property
    def index(self) -> int | None:
        """Which of the metafields that were sent it speaks of; the path is ("metafields", "3", "value")."""
        path = self.field or ()
        return int(path[1]) if len(path) > 1 and path[1].isdecimal() else self.element_index

    @property
    def outcome(self) -> Outcome:
        if self.code in _PASSING:
            return RetryLater(reason=self.message)
        of_owner = self.field is not None and self.field[-1:] == ("ownerId",)
        return Rejected(reason=self.message, gone=of_owner and self.code != "APP_NOT_AUTHORIZED")


class Setting(Answer, frozen=True):
    user_errors: tuple[UserError, ...]


class SetMetafields(Answer, frozen=True):
    metafields_set: Setting


class BalanceSink(Sink[BalancePush]):
    """Writes each customer's figures into one JSON metafield; 25 is the most that Shopify takes at once."""

    kind = "balance"
    batch_size = 25
    # A mutation costs 10 points; the smallest plan restores 100 a second and holds at least 1000.
    rate = Rate(per_second=10, burst=50)
    idempotent = True

    def __init__(self, client: Client, settings: ShopifySettings) -> None:
        self._client = client
        self._settings = settings

    def pace(self) -> float:
        return self._client.pace()

    async def deliver(self, items: Sequence[BalancePush]) -> Sequence[Outcome]:
        unfit = Rejected(reason="the reference is not a Shopify customer id", gone=True)
        outcomes: dict[int, Outcome] = {i: unfit for i, item in enumerate(items) if not _is_id(item.reference)}
        for _ in range(ROUNDS):
            waiting = [i for i in range(len(items)) if i not in outcomes]
            if not waiting:
                break
            found = await self._send([items[i] for i in waiting])
            outcomes |= {waiting[place]: outcome for place, outcome in found.items() if place < len(waiting)}
        again = RetryLater(reason="sent together with items that Shopify refused")
        return [outcomes.get(i, again) for i in range(len(items))]

    async def _send(self, items: Sequence[BalancePush]) -> dict[int, Outcome]:
        """What became of the items, by their place; those without an outcome were only held up by the others."""
        try:
            answer = await self._client.ask(
                SET_METAFIELDS, {"metafields": list(map(self._field, items))}, SetMetafields
            )
        except CallFailed as failure:
            return dict.fromkeys(range(len(items)), failure.outcome)
        errors = answer.metafields_set.user_errors
        if not errors:
            return dict.fromkeys(range(len(items)), Delivered())
        named = {error.index: error.outcome for error in errors if error.index is not None}
        return named or dict.fromkeys(range(len(items)), errors[0].outcome)

    def _field(self, item: BalancePush) -> dict[str, Any]:
        value = {"version": item.version, "wallets": dict(sorted(item.balances.items()))}
        return {
            "ownerId": f"gid://shopify/Customer/{item.reference}",
            "namespace": self._settings.metafield_namespace,
            "key": self._settings.metafield_key,
            "type": "json",
            "value": msgspec.json.encode(value).decode(),
        }


def _is_id(reference: str) -> bool:
    return reference.isascii() and reference.isdecimal()
