"""Which orders the shop has, by when they last changed."""

from __future__ import annotations

from datetime import UTC, datetime

from stampcard.plugin import Listing, Listings, OrderList, RetryLater
from stampcard_shopify.client import Answer, Client
from stampcard_shopify.posting import CallFailed

#: Orders of the last 60 days, or of all time with the scope read_all_orders
#: (https://shopify.dev/docs/api/admin-graphql/2026-10/queries/orders).
CHANGED = """
query Changed($query: String!, $after: String) {
  orders(first: 100, query: $query, sortKey: UPDATED_AT, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes { legacyResourceId updatedAt }
  }
}
"""


class Node(Answer, frozen=True):
    legacy_resource_id: str
    updated_at: datetime


class PageInfo(Answer, frozen=True):
    has_next_page: bool = False
    end_cursor: str | None = None


class Page(Answer, frozen=True):
    nodes: tuple[Node, ...]
    page_info: PageInfo


class Orders(Answer, frozen=True):
    orders: Page


class ShopifyOrders(OrderList):
    """Asks the Admin API, a hundred orders at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def pace(self) -> float:
        return self._client.pace()

    async def changed(self, since: datetime, place: str = "") -> Listings:
        moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        variables = {"query": f"updated_at:>='{moment}'", "after": place or None}
        page = (await self._client.ask(CHANGED, variables, Orders)).orders
        after = page.page_info.end_cursor or ""
        if page.page_info.has_next_page and after in {"", place}:
            raise CallFailed(RetryLater(reason="Shopify says that there is more, and not where"))
        return Listings(
            orders=tuple(Listing(reference=node.legacy_resource_id, changed_at=node.updated_at) for node in page.nodes),
            place=after if page.page_info.has_next_page else "",
        )
