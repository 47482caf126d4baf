"""Shopify's bulk operations: it gathers all orders in its own time, and shows them as a file of one JSON object a line.

Source: the Admin GraphQL schema, version 2026-10, and https://shopify.dev/docs/api/usage/bulk-operations/queries.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

import httpx
import msgspec

from stampcard.plugin import ConnectionContext, RetryLater
from stampcard_shopify.asking import UserError
from stampcard_shopify.client import Answer, Client
from stampcard_shopify.posting import CallFailed
from stampcard_shopify.unfolding import Exported, Place, orders_of, place_of

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

#: Where Shopify keeps the files (its guide shows no other host).
STORAGE = "storage.googleapis.com"
RUN = """
mutation Run($query: String!) {
  bulkOperationRunQuery(query: $query, groupObjects: true) {
    bulkOperation { id }
    userErrors { field message code }
  }
}
"""
FIND = """
query Find {
  bulkOperations(first: 10, query: "operation_type:query") { nodes { id status query } }
}
"""
LOOK = """
query Look($id: ID!) {
  bulkOperation(id: $id) { status errorCode createdAt rootObjectCount url partialDataUrl }
}
"""
#: What is exported of each order. Shopify takes no connection below a list here, and so not what was refunded.
ORDERS = """
{
  orders%s {
    edges {
      node {
        id name createdAt processedAt updatedAt cancelledAt currencyCode displayFinancialStatus test taxesIncluded
        sourceName tags discountCodes displayFulfillmentStatus
        fulfillments(first: 50) { createdAt }
        customer { id }
        totalPriceSet { shopMoney { amount } }
        refunds(first: 1) { id }
        shippingLines {
          edges {
            node {
              __typename id
              discountedPriceSet { shopMoney { amount } } taxLines { priceSet { shopMoney { amount } } }
            }
          }
        }
        lineItems {
          edges {
            node {
              __typename id quantity currentQuantity isGiftCard sku vendor
              product { id }
              originalUnitPriceSet { shopMoney { amount } }
              discountAllocations { allocatedAmountSet { shopMoney { amount } } }
              taxLines { priceSet { shopMoney { amount } } }
            }
          }
        }
      }
    }
  }
}
"""
#: Bytes that are read of the file at once, and at most, where one order is longer.
SOME, MOST = 256 * 1024, 4 * 1024 * 1024
#: Seconds between two looks at an operation, and before one that failed is begun again, each time twice as long.
LOOKING, AGAIN, LONGEST = 5.0, 60.0, 3600.0
_BUSY = frozenset({"OPERATION_IN_PROGRESS", "LIMIT_REACHED"})
_RUNNING = frozenset({"CREATED", "RUNNING", "CANCELING"})
#: How the storage says that an address does not work any more; it does for seven days.
_EXPIRED = frozenset({400, 401, 403, 404, 410})


class Operation(Answer, frozen=True):
    status: str
    created_at: datetime
    error_code: str | None = None
    root_object_count: str | int = 0
    url: str | None = None
    partial_data_url: str | None = None


class Known(Answer, frozen=True):
    id: str
    status: str
    query: str


class Knowns(Answer, frozen=True):
    nodes: tuple[Known, ...]


class Found(Answer, frozen=True):
    bulk_operations: Knowns


class Looked(Answer, frozen=True):
    bulk_operation: Operation | None


class Begun(Answer, frozen=True):
    id: str


class Running(Answer, frozen=True):
    user_errors: tuple[UserError, ...]
    bulk_operation: Begun | None = None


class Run(Answer, frozen=True):
    bulk_operation_run_query: Running


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Some orders of the file, and the place behind them, as in a HistoryPage."""

    place: str
    orders: tuple[Exported, ...] = ()
    wait: float = 0.0
    note: str = ""


class Export:
    """Begins operations and reads their files piece by piece; every method raises CallFailed."""

    def __init__(self, client: Client, context: ConnectionContext[ShopifySettings]) -> None:
        self._client = client
        self._context = context

    async def begin(self, placed: str | None, failed: int) -> Part:
        """Let Shopify gather the orders; where it gathers something else for us already, that comes first."""
        query = ORDERS % (f" (query: {json.dumps(placed)})" if placed else "")
        # One whose beginning was never heard of, or was forgotten in a crash, is gone on with.
        known = (await self._client.ask(FIND, {}, Found)).bulk_operations.nodes
        running = next((one for one in known if one.status in _RUNNING and one.query.split() == query.split()), None)
        if running is not None:
            return _gathering(running.id, failed)
        answer = (await self._client.ask(RUN, {"query": query}, Run)).bulk_operation_run_query
        if answer.bulk_operation is not None and not answer.user_errors:
            return _gathering(answer.bulk_operation.id, failed)
        if answer.user_errors and all(error.code in _BUSY for error in answer.user_errors):
            note = "Shopify is busy with another bulk operation of this app"
            return Part(place=str(Place(failed=failed)), wait=AGAIN, note=note)
        reason = "; ".join(error.reason for error in answer.user_errors) or "no operation"
        raise CallFailed(RetryLater(reason=f"Shopify begins no bulk operation: {reason}"))

    async def read(self, placed: str | None, text: str) -> Part:
        """What is behind a place, once it is gathered."""
        place = place_of(text)
        if not place.operation:
            return await self.begin(placed, place.failed)
        identifier = f"gid://shopify/BulkOperation/{place.operation}"
        operation = (await self._client.ask(LOOK, {"id": identifier}, Looked)).bulk_operation
        if operation is None:
            return _again(place, "is not known any more")
        if operation.status in _RUNNING:
            note = f"Shopify gathers the orders: {operation.root_object_count} so far"
            return Part(place=str(place), wait=LOOKING, note=note)
        address = operation.url or operation.partial_data_url
        if address is None and operation.status == "COMPLETED":
            return Part(place="")  # there are no orders
        if address is None:
            return _again(place, _why(operation))
        return await self._piece(operation, address, place)

    async def _piece(self, operation: Operation, address: str, place: Place, size: int = 0) -> Part:
        """The orders that stand whole in the next piece of the file."""
        size = size or SOME
        response = await self._download(address, place.offset, size)
        if response.status_code in _EXPIRED:
            return _again(place, "is not shown any more")
        content, is_last = _content(response, place.offset)
        orders = orders_of(content, place, operation.created_at, is_last=is_last)
        if not orders and not is_last:
            if size >= MOST:
                raise CallFailed(RetryLater(reason=f"an order of the bulk operation is longer than {MOST} bytes"))
            return await self._piece(operation, address, place, size * 4)
        found = Part(place="", orders=tuple(orders))
        if not is_last:
            return msgspec.structs.replace(found, place=orders[-1].behind)
        if operation.status == "COMPLETED":
            return found
        # What a failed one gathered is taken; the whole is gathered again, and what is known already is known then.
        after = _again(place, _why(operation))
        return msgspec.structs.replace(found, place=after.place, wait=after.wait, note=after.note)

    async def _download(self, address: str, offset: int, size: int) -> httpx.Response:
        # The address is all that is needed: the shop's token is none of the storage's business.
        headers = {"range": f"bytes={offset}-{offset + size - 1}", "accept-encoding": "identity"}
        try:
            response = await self._context.http.get(address, headers=headers, follow_redirects=False)
        except httpx.HTTPError as error:
            reason = f"no answer from Shopify's storage: {type(error).__name__}"
            raise CallFailed(RetryLater(reason=reason)) from None
        known = {httpx.codes.OK, httpx.codes.PARTIAL_CONTENT, httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE, *_EXPIRED}
        if response.status_code not in known:
            raise CallFailed(RetryLater(reason=f"Shopify's storage answered {response.status_code}"))
        return response


def _gathering(identifier: str, failed: int) -> Part:
    place = Place(operation=identifier.rpartition("/")[2], failed=failed)
    return Part(place=str(place), wait=LOOKING, note="Shopify gathers the orders")


def _again(place: Place, why: str) -> Part:
    """Another operation, after a while."""
    wait = min(LONGEST, AGAIN * 2 ** min(place.failed, 10))
    note = f"Shopify's bulk operation {why}; another is begun"
    return Part(place=str(Place(failed=place.failed + 1)), wait=wait, note=note)


def _why(operation: Operation) -> str:
    advice = ": check the app's access scopes" if operation.error_code == "ACCESS_DENIED" else ""
    code = f" ({operation.error_code})" if operation.error_code else ""
    return f"ended as {operation.status.lower()}{code}{advice}"


def _content(response: httpx.Response, offset: int) -> tuple[bytes, bool]:
    """The bytes from the offset on, and whether they are the last; raises CallFailed where that is not told."""
    if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        return b"", True
    if response.status_code == httpx.codes.OK:
        return response.content[offset:], True
    total = response.headers.get("content-range", "").rpartition("/")[2]
    if not total.isdecimal() or not response.content:
        raise CallFailed(RetryLater(reason="Shopify's storage does not say how long the file is"))
    return response.content, offset + len(response.content) >= int(total)
