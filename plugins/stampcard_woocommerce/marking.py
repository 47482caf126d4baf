from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stampcard.plugin import Outcome, Rate, Sink, TagPush
from stampcard_woocommerce.balances import sent, without_a_call
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.payloads import is_number

if TYPE_CHECKING:
    from stampcard_woocommerce.plugin import WooCommerceSettings


class TagSink(Sink[TagPush]):
    """Marks customers with what they are entitled to, in a field of its own: WooCommerce has no tags for customers."""

    kind = "tags"
    batch_size = 50
    rate = Rate(per_second=1, burst=4)
    idempotent = True

    def __init__(self, client: Client, settings: WooCommerceSettings) -> None:
        self._client = client
        self._key = settings.perks_key

    def pace(self) -> float:
        return self._client.pace()

    async def deliver(self, items: Sequence[TagPush]) -> Sequence[Outcome]:
        updates = {
            place: {"id": int(item.reference), "meta_data": [{"key": self._key, "value": ",".join(item.tags) or None}]}
            for place, item in enumerate(items)
            if is_number(item.reference)
        }
        done = await sent(self._client, updates)
        return [done.get(place) or without_a_call(item.reference) for place, item in enumerate(items)]
