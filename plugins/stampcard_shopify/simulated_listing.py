"""The orders of the simulated shop, listed by when they last changed."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from stampcard_shopify.simulated_asking import Asked
from stampcard_shopify.simulated_book import Book
from stampcard_shopify.simulated_lines import moment

PAGE = 100
_SINCE = re.compile(r"updated_at:>='([^']+)'")


class ListedOrders:
    """Answers for no other question than ours: since when, and behind which order."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def list(self, asked: Asked, _now: datetime) -> dict[str, Any]:
        found = _SINCE.search(str(asked.argument("query")))
        since = datetime.fromisoformat(found[1]) if found else None
        orders = sorted(self._book.orders.values(), key=lambda order: (order.updated_at, order.id))
        changed = [order for order in orders if since is None or order.updated_at >= since]
        ids = [f"cursor-{order.id}" for order in changed]
        after = asked.argument("after")
        start = ids.index(after) + 1 if after in ids else 0
        shown = changed[start : start + PAGE]
        info = {"hasNextPage": start + PAGE < len(changed), "endCursor": f"cursor-{shown[-1].id}" if shown else None}
        nodes = [{"legacyResourceId": str(order.id), "updatedAt": moment(order.updated_at)} for order in shown]
        return {"nodes": nodes, "pageInfo": info}
