"""The orders of the simulated shop, listed by when they last changed or were placed."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from stampcard_shopify.simulated_asking import Asked
from stampcard_shopify.simulated_book import Book, Order
from stampcard_shopify.simulated_lines import moment

_CHANGED = re.compile(r"updated_at:>='([^']+)'")
_PLACED = re.compile(r"processed_at:>='([^']+)'")
_FIRST = re.compile(r"\bfirst : (\d+)")


class ListedOrders:
    """Answers for no other question than ours: since when, and behind which order."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def list(self, asked: Asked, _now: datetime) -> dict[str, Any]:
        query = str(asked.argument("query"))
        found = changed_in(self._book, query) if "UPDATED_AT" in asked.written else placed_in(self._book, query)
        ids = [f"cursor-{order.id}" for order in found]
        after, size = asked.argument("after"), int(_FIRST.findall(asked.written)[0])
        start = ids.index(after) + 1 if after in ids else 0
        shown = found[start : start + size]
        info = {"hasNextPage": start + size < len(found), "endCursor": f"cursor-{shown[-1].id}" if shown else None}
        nodes = [{"legacyResourceId": str(order.id), "updatedAt": moment(order.updated_at)} for order in shown]
        edges = [{"cursor": id_, "node": node} for id_, node in zip(ids[start:], nodes, strict=False)]
        return {"nodes": nodes, "edges": edges, "pageInfo": info}

    def count(self, asked: Asked, _now: datetime) -> dict[str, Any]:
        return {"count": len(placed_in(self._book, str(asked.argument("query")))), "precision": "EXACT"}


def changed_in(book: Book, query: str) -> list[Order]:
    """The orders that changed since the moment in a query, the longest ago first."""
    since = _moment(_CHANGED, query)
    changed = sorted(book.orders.values(), key=lambda order: (order.updated_at, order.id))
    return [order for order in changed if since is None or order.updated_at >= since]


def placed_in(book: Book, query: str) -> list[Order]:
    """The orders that were placed since the moment in a query, the longest ago first."""
    since = _moment(_PLACED, query)
    placed = sorted(book.orders.values(), key=lambda order: (order.created_at, order.id))
    return [order for order in placed if since is None or order.created_at >= since]


def _moment(form: re.Pattern[str], query: str) -> datetime | None:
    found = form.search(query)
    return datetime.fromisoformat(found[1]) if found else None
