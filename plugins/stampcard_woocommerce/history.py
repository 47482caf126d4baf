"""The shop's orders of the past, whole, a hundred at a time."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from stampcard.plugin import Delivery, HistoryPage, OrderHistory
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.fetching import PAGE, OrderFetch
from stampcard_woocommerce.listing import before, behind, place_of
from stampcard_woocommerce.payloads import Person

#: How long a page may take, so that it is kept before anybody gives it up.
BUDGET = timedelta(seconds=8)


class WooCommerceHistory(OrderHistory):
    """By when they were placed; what lies in the bin is left there."""

    hint = "WooCommerce gives all of them; an order with refunds, and one without an account, takes one more call each"

    def __init__(self, client: Client, fetch: OrderFetch) -> None:
        self._client, self._fetch = client, fetch

    def pace(self) -> float:
        return self._client.pace()

    async def count(self, since: datetime | None) -> int:
        _, total = await self._client.listed("orders", msgspec.Raw, _query(since) | {"per_page": 1, "_fields": "id"})
        return total

    async def read(self, since: datetime | None, place: str = "") -> HistoryPage:
        at, clock = place_of(place), self._client.context.clock
        begun = clock.now()
        rows, total = await self._client.listed("orders", msgspec.Raw, _query(since) | {"offset": at.offset})
        known: dict[str, Person | None] = {}
        found: list[Delivery] = []
        for row in rows:
            await clock.sleep(self.pace())
            found.append(await self._fetch.completed(row, begun, known, kind="past"))
            if clock.now() - begun > BUDGET and len(found) < len(rows):
                break
        after = behind(at, len(rows), total, len(found))
        return HistoryPage(deliveries=tuple(found), place="" if after.bin else str(after))


def _query(since: datetime | None) -> dict[str, str | int]:
    query: dict[str, str | int] = {"status": "any", "per_page": PAGE, "orderby": "date", "order": "asc"}
    return query if since is None else query | {"after": before(since), "dates_are_gmt": "true"}
