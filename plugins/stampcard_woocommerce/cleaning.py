"""What we showed at the shop is taken away: the fields of balances, and of perks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from stampcard.plugin import Cleaner, Delivered, Outcome, Rejected
from stampcard_woocommerce.balances import sent
from stampcard_woocommerce.calling import CallFailed
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.payloads import Id, Payload, is_number

if TYPE_CHECKING:
    from stampcard_woocommerce.plugin import WooCommerceSettings


class Field(Payload, frozen=True):
    key: str


class Shown(Payload, frozen=True):
    id: Id
    meta_data: tuple[Field, ...] = ()


class WooCommerceCleaner(Cleaner):
    """Looks which of our fields customers have, of whichever wallets; guests never had any."""

    batch_size = 50

    def __init__(self, client: Client, settings: WooCommerceSettings) -> None:
        self._client = client
        self._key, self._perks = settings.balance_key, settings.perks_key
        self.what = f"the customers' fields {self._key}, {self._key}_… and {self._perks}"

    def pace(self) -> float:
        return self._client.pace()

    async def clean(self, references: Sequence[str]) -> Sequence[Outcome]:
        asked = sorted({reference for reference in references if is_number(reference)})
        try:
            shown = await self._shown(asked) if asked else {}
        except CallFailed as failure:
            return [failure.outcome if is_number(one) else Delivered() for one in references]
        updates = {
            place: {"id": int(one), "meta_data": [{"key": key, "value": None} for key in shown[one]]}
            for place, one in enumerate(references)
            if shown.get(one)
        }
        done = await sent(self._client, updates)
        return [_over(done.get(place, Delivered())) for place in range(len(references))]

    async def _shown(self, references: Sequence[str]) -> Mapping[str, list[str]]:
        query: dict[str, str | int] = {"include": ",".join(references), "role": "all", "per_page": 100}
        people, _ = await self._client.listed("customers", Shown, query)
        return {str(one.id): [field.key for field in one.meta_data if self._is_ours(field.key)] for one in people}

    def _is_ours(self, key: str) -> bool:
        return key in {self._key, self._perks} or key.startswith(f"{self._key}_")


def _over(outcome: Outcome) -> Outcome:
    """Somebody who is no more shows nothing any more."""
    return Delivered() if isinstance(outcome, Rejected) and outcome.gone else outcome
