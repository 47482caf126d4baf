"""Orders read by ourselves: asked for by GraphQL, then brought into the shape of a webhook's body."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from stampcard.plugin import ConnectionContext, Delivery, MalformedPayload, Refetch, RetryLater
from stampcard_shopify.client import Answer, Client
from stampcard_shopify.decoding import read
from stampcard_shopify.payloads import OrderBody
from stampcard_shopify.posting import CallFailed

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

FETCHED = "fetched/order"
#: How many refunds, and lines of each, are asked for: at first, and when that was not all (the most there is).
SMALL, LARGE = 30, 250
# One order a call, in pages of 50 lines: by Shopify's table of costs that stays below the 1000 points that a single
# query may cost (https://shopify.dev/docs/api/usage/limits).
ORDERS = """
query Orders($ids: [ID!]!, $after: String, $size: Int!) {
  nodes(ids: $ids) {
    ... on Order {
      id name createdAt processedAt updatedAt cancelledAt currencyCode displayFinancialStatus test taxesIncluded
      sourceName tags discountCodes displayFulfillmentStatus
      fulfillments(first: 50) { createdAt }
      customer { id }
      totalPriceSet { shopMoney { amount } }
      shippingLines(first: 5) {
        nodes { discountedPriceSet { shopMoney { amount } } taxLines { priceSet { shopMoney { amount } } } }
      }
      lineItems(first: 50, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes {
          id quantity currentQuantity isGiftCard sku vendor
          product { id }
          originalUnitPriceSet { shopMoney { amount } }
          discountAllocations { allocatedAmountSet { shopMoney { amount } } }
          taxLines { priceSet { shopMoney { amount } } }
        }
      }
      refunds(first: $size) {
        id createdAt processedAt
        refundLineItems(first: $size) {
          pageInfo { hasNextPage }
          nodes {
            quantity lineItem { id } subtotalSet { shopMoney { amount } } totalTaxSet { shopMoney { amount } }
          }
        }
        refundShippingLines(first: 5) {
          nodes { subtotalAmountSet { shopMoney { amount } } taxAmountSet { shopMoney { amount } } }
        }
        transactions(first: 10) { nodes { kind status amountSet { shopMoney { amount } } } }
      }
    }
  }
}
"""
#: Where the webhook's word is not just the same in snake case; a money set under another word becomes its shop money.
WORDS: Mapping[str, str] = {
    "allocatedAmountSet": "amount",
    "amountSet": "amount",
    "currencyCode": "currency",
    "discountedPriceSet": "discounted_price",
    "displayFinancialStatus": "financial_status",
    "displayFulfillmentStatus": "fulfillment_status",
    "isGiftCard": "gift_card",
    "lineItem": "line_item_id",
    "originalUnitPriceSet": "price",
    "priceSet": "price",
    "product": "product_id",
    "subtotalSet": "subtotal",
    "totalPriceSet": "total_price",
    "totalTaxSet": "total_tax",
}
_GID = re.compile(r"gid://shopify/\w+/([0-9]{1,19})")


class Nodes(Answer, frozen=True):
    nodes: tuple[dict[str, Any] | None, ...]


class PageInfo(Answer, frozen=True):
    has_next_page: bool
    end_cursor: str | None = None


class Page(Answer, frozen=True):
    page_info: PageInfo
    nodes: list[Any]


class RefundPages(Answer, frozen=True):
    refund_line_items: Page


class OrderPages(Answer, frozen=True):
    """What of an order may have been cut off."""

    line_items: Page
    refunds: tuple[RefundPages, ...]


class OrderFetch:
    """Reads orders as they are now; one that the shop does not have brings no delivery. Raises CallFailed."""

    def __init__(self, client: Client, context: ConnectionContext[ShopifySettings]) -> None:
        self._client = client
        self._context = context

    async def __call__(self, refs: Sequence[Refetch]) -> Sequence[Delivery]:
        references = dict.fromkeys(ref.reference for ref in refs if ref.kind == "order")
        found = [await self._delivery(reference) for reference in references]
        return [delivery for delivery in found if delivery is not None]

    async def _delivery(self, reference: str) -> Delivery | None:
        await self._context.clock.sleep(self._client.pace())
        now = self._context.clock.now()
        node = await self.order(reference)
        if node is None:
            return None
        read_at = int(now.timestamp() * 1_000_000)
        return Delivery(
            connection=self._context.name,
            key=f"fetch:order:{reference}:{read_at}",
            topic=FETCHED,
            body=msgspec.json.encode(node),
            received_at=now,
            read_at=read_at,
        )

    async def order(self, reference: str, size: int = SMALL) -> dict[str, Any] | None:
        """The order with all pages of its lines, and as many refunds as there are, up to 250."""
        lines: list[Any] = []
        after: str | None = None
        while True:
            variables = {"ids": [f"gid://shopify/Order/{reference}"], "after": after, "size": size}
            node = next(iter((await self._client.ask(ORDERS, variables, Nodes)).nodes), None)
            if not node:
                return None
            pages = _pages(node)
            cut = len(pages.refunds) >= size or any(r.refund_line_items.page_info.has_next_page for r in pages.refunds)
            if cut and size < LARGE:
                return await self.order(reference, LARGE)
            lines += pages.line_items.nodes
            after = pages.line_items.page_info.end_cursor
            if not pages.line_items.page_info.has_next_page:
                return node | {"lineItems": {"nodes": lines}}


def _pages(node: dict[str, Any]) -> OrderPages:
    try:
        return msgspec.convert(node, OrderPages)
    except msgspec.ValidationError as error:
        raise CallFailed(RetryLater(reason=f"Shopify's answer does not have the published shape: {error}")) from None


def read_node(body: bytes) -> OrderBody:
    """An order node of the Admin API as the body that a webhook would have brought; raises MalformedPayload."""
    try:
        return msgspec.convert(_as_body(read(body, dict[str, Any])), OrderBody)
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise MalformedPayload(f"not what the Admin API publishes: {error}") from None


def _as_body(value: Any) -> Any:
    if isinstance(value, str):
        number = _GID.fullmatch(value)
        return int(number[1]) if number else value
    if isinstance(value, list):
        return [_as_body(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "nodes" in value:
        return _as_body(value["nodes"])
    return dict(_renamed(name, _as_body(item)) for name, item in value.items())


def _renamed(name: str, value: Any) -> tuple[str, Any]:
    word = WORDS.get(name)
    if word is None:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(), value
    if isinstance(value, dict):
        value = value["id"] if word.endswith("_id") else value["shop_money"]["amount"]
    return word, value
