"""Bulk operations of the simulated shop: orders gathered in its own time, and served as a file.

Source of the shapes and refusals: the Admin GraphQL schema, version 2026-10, and
https://shopify.dev/docs/api/usage/bulk-operations/queries.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from aiohttp import web

from stampcard_shopify.simulated_asking import Asked
from stampcard_shopify.simulated_book import Book, Order
from stampcard_shopify.simulated_lines import gid
from stampcard_shopify.simulated_listing import placed_in
from stampcard_shopify.simulated_nodes import moment, order_node
from stampcard_shopify.simulated_replies import Json, number_of, payload, user_error

_KIND = "BulkOperation"
_FIRST = 9_300_000_000_001
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_LISTED_CONNECTION = re.compile(r"\brefunds\b[^{]*\{[^{}]*\b\w+\b[^{}]*\{\s*(edges|nodes)\b")
_CONNECTIONS = {"lineItems": "LineItem", "shippingLines": "ShippingLine"}


@dataclass(slots=True)
class Operation:
    """One export; the file is there once `ready_at` has come. `error`: what it fails with, after the first half."""

    id: int
    created_at: datetime
    ready_at: datetime
    query: str
    orders: list[Order]
    grouped: bool
    error: str = ""
    expired: bool = False
    content: bytes | None = None

    def gather(self) -> bytes:
        """The file; whatever happens later, it stays as it was."""
        if self.content is None:
            self.content = "".join(f"{line}\n" for line in _lines(self)).encode()
        return self.content


@dataclass(slots=True)
class Exports:
    """All that were ever begun. `takes`: seconds for each; `failing`: error codes of the next ones; `most`: at once."""

    book: Book
    takes: float = 0.0
    most: int = 5
    failing: deque[str] = field(default_factory=deque)
    all: dict[int, Operation] = field(default_factory=dict)
    origin: str = ""
    _gathering: asyncio.Lock = field(default_factory=asyncio.Lock)
    _numbers: Any = field(default_factory=lambda: count(_FIRST))

    def run(self, asked: Asked, now: datetime) -> Json:
        query = str(asked.argument("query"))
        if _LISTED_CONNECTION.search(query):
            message = "Queries that contain a connection field within a list field are not currently supported."
            return payload("bulkOperation", None, [user_error(["query"], message, "INVALID")])
        if sum(one.ready_at > now for one in self.all.values()) >= self.most:
            message = "A bulk query operation for this app and shop is already in progress."
            return payload("bulkOperation", None, [user_error(["query"], message, "OPERATION_IN_PROGRESS")])
        orders = placed_in(self.book, query)
        error = self.failing.popleft() if self.failing else ""
        shown = orders[: len(orders) // 2] if error else orders
        grouped = re.search(r"\bgroupObjects : true\b", asked.written) is not None
        one = Operation(next(self._numbers), now, now + timedelta(seconds=self.takes), query, shown, grouped, error)
        self.all[one.id] = one
        return payload("bulkOperation", self._shown(one, now))

    def look(self, asked: Asked, now: datetime) -> Json | None:
        one = self.all.get(number_of(asked.argument("id"), _KIND))
        return None if one is None else self._shown(one, now)

    def list(self, _asked: Asked, now: datetime) -> Json:
        newest = sorted(self.all.values(), key=lambda one: one.id, reverse=True)
        return {"nodes": [self._shown(one, now) for one in newest[:10]]}

    def expire(self) -> None:
        """Let a week pass over all files."""
        for one in self.all.values():
            one.expired = True

    async def file(self, request: web.Request) -> web.Response:
        """A file, or the bytes of it that are asked for."""
        one = self.all.get(int(request.match_info["number"]))
        if one is None or one.expired:
            return web.Response(status=400, text="<Error><Code>ExpiredToken</Code></Error>")
        async with self._gathering:  # in a thread: so long as that takes, the shop answers others
            content = await asyncio.to_thread(one.gather)
        asked = _RANGE.fullmatch(request.headers.get("Range", ""))
        if asked is None:
            return web.Response(body=content)
        first, last = int(asked[1]), min(int(asked[2]), len(content) - 1)
        if first >= len(content):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
        headers = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        return web.Response(status=206, body=content[first : last + 1], headers=headers)

    def _shown(self, one: Operation, now: datetime) -> Json:
        ready = now >= one.ready_at
        status = ("FAILED" if one.error else "COMPLETED") if ready else "RUNNING"
        address = f"{self.origin}/bulk-operation-outputs/{one.id}.jsonl?Expires=1" if one.orders and ready else None
        return {
            "id": gid(_KIND, one.id),
            "status": status,
            "errorCode": one.error or None if ready else None,
            "createdAt": moment(one.created_at),
            "completedAt": moment(one.ready_at) if status == "COMPLETED" else None,
            "objectCount": str(len(one.orders)),
            "rootObjectCount": str(len(one.orders) if ready else len(one.orders) // 2),
            "fileSize": None if one.content is None else str(len(one.content)),
            "query": one.query,
            "url": address if not one.error else None,
            "partialDataUrl": address if one.error else None,
            "type": "QUERY",
        }


def _lines(one: Operation) -> Iterator[str]:
    """Each order and, right behind it or else at the end, what stands in its connections."""
    words = {*re.findall(r"\w+", one.query)}
    later: deque[str] = deque()
    for order in one.orders:
        node = order_node(order)
        children = [
            _written({**_selected(child, words), "__typename": kind, "__parentId": node["id"]})
            for name, kind in _CONNECTIONS.items()
            for child in node.pop(name)["nodes"]
        ]
        node["refunds"] = [{"id": refund["id"]} for refund in node["refunds"]][:1]
        yield _written(_selected(node, words))
        if one.grouped:
            yield from children
        else:
            later.extend(children)
    yield from later


def _selected(value: Any, words: set[str]) -> Any:
    """Only what the query names."""
    if isinstance(value, list):
        return [_selected(item, words) for item in value]
    if isinstance(value, dict):
        return {name: _selected(item, words) for name, item in value.items() if name in words}
    return value


def _written(node: Json) -> str:
    return json.dumps(node, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
