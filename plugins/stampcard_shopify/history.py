"""The shop's orders of the past: a few are fetched one by one, many are exported by Shopify first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from stampcard.plugin import ConnectionContext, Delivery, HistoryPage, OrderHistory, RetryLater
from stampcard_shopify.client import Answer, Client
from stampcard_shopify.exporting import Export
from stampcard_shopify.fetching import FETCHED, OrderFetch, PageInfo
from stampcard_shopify.posting import CallFailed

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

#: Up to so many orders are fetched one by one.
FEW = 250
#: How long a page may take, so that it is kept before anybody gives it up.
BUDGET = timedelta(seconds=8)
COUNT = "query Count($query: String) { ordersCount(query: $query, limit: null) { count } }"
#: By when they were placed, as the decoder reads it: an order that was brought from elsewhere may have been made much later.
LISTED = """
query Listed($query: String, $after: String) {
  orders(first: 50, query: $query, sortKey: PROCESSED_AT, after: $after) {
    pageInfo { hasNextPage }
    edges { cursor node { legacyResourceId } }
  }
}
"""


class Count(Answer, frozen=True):
    count: int


class Counted(Answer, frozen=True):
    orders_count: Count


class Node(Answer, frozen=True):
    legacy_resource_id: str


class Edge(Answer, frozen=True):
    cursor: str
    node: Node


class Page(Answer, frozen=True):
    edges: tuple[Edge, ...]
    page_info: PageInfo


class Listed(Answer, frozen=True):
    orders: Page


class ShopifyHistory(OrderHistory):
    """Places: `page:CURSOR` behind an order that was fetched, `bulk:…` where an export is read."""

    hint = "Shopify gives the orders of the last 60 days; for older ones the app needs the scope read_all_orders"

    def __init__(self, client: Client, context: ConnectionContext[ShopifySettings]) -> None:
        self._client = client
        self._context = context
        self._fetch = OrderFetch(client, context)
        self._export = Export(client, context)

    def pace(self) -> float:
        return self._client.pace()

    async def count(self, since: datetime | None) -> int:
        return (await self._client.ask(COUNT, {"query": placed_since(since)}, Counted)).orders_count.count

    async def read(self, since: datetime | None, place: str = "") -> HistoryPage:
        kind, _, rest = place.partition(":")
        if kind == "bulk":
            return await self._exported(since, rest)
        if not place and await self.count(since) > FEW:
            part = await self._export.begin(placed_since(since), 0)
            return HistoryPage(place=part.place, wait=part.wait, note=part.note)
        return await self._fetched(since, rest)

    async def _fetched(self, since: datetime | None, after: str) -> HistoryPage:
        """The next orders, each fetched as it is now."""
        variables = {"query": placed_since(since), "after": after or None}
        page = (await self._client.ask(LISTED, variables, Listed)).orders
        found, begun = list[Delivery](), self._context.clock.now()
        for number, edge in enumerate(page.edges, start=1):
            delivery = await self._delivery(edge.node.legacy_resource_id)
            found += [delivery] if delivery is not None else []
            if self._context.clock.now() - begun > BUDGET and number < len(page.edges):
                return HistoryPage(deliveries=tuple(found), place=f"page:{edge.cursor}")
        if page.page_info.has_next_page and not page.edges:
            raise CallFailed(RetryLater(reason="Shopify says that there is more, and not where"))
        place = f"page:{page.edges[-1].cursor}" if page.page_info.has_next_page else ""
        return HistoryPage(deliveries=tuple(found), place=place)

    async def _exported(self, since: datetime | None, rest: str) -> HistoryPage:
        """The next orders of an export; those with refunds are fetched, because no export shows what was refunded."""
        part = await self._export.read(placed_since(since), rest)
        found, begun, place = list[Delivery](), self._context.clock.now(), part.place
        for number, order in enumerate(part.orders, start=1):
            reference = str(order.node["id"]).rpartition("/")[2]
            if order.is_whole:
                whole: Delivery | None = self._made(reference, order.node, order.read_at)
            else:
                whole = await self._delivery(reference)
            found += [whole] if whole is not None else []
            if self._context.clock.now() - begun > BUDGET and number < len(part.orders):
                place = order.behind
                break
        wait = part.wait if place == part.place else 0.0
        return HistoryPage(deliveries=tuple(found), place=place, wait=wait, note=part.note)

    async def _delivery(self, reference: str) -> Delivery | None:
        await self._context.clock.sleep(self._client.pace())
        now = self._context.clock.now()
        node = await self._fetch.order(reference)
        return None if node is None else self._made(reference, node, now)

    def _made(self, reference: str, node: Mapping[str, Any], read_at: datetime) -> Delivery:
        return Delivery(
            connection=self._context.name,
            key=f"past:order:{reference}",
            topic=FETCHED,
            body=msgspec.json.encode(node),
            received_at=self._context.clock.now(),
            read_at=int(read_at.timestamp() * 1_000_000),
        )


def placed_since(since: datetime | None) -> str | None:
    """Shopify's words for orders that were placed since a moment; nothing for all."""
    return None if since is None else f"processed_at:>='{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'"
