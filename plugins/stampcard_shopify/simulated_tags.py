"""The tags of the simulated shop's customers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from stampcard_shopify.simulated_asking import Asked
from stampcard_shopify.simulated_book import Book
from stampcard_shopify.simulated_shelf import owner_of

LONGEST = 255


class Tags:
    """Tags by customer; as at Shopify, how they are spelt in capitals makes no difference."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._tags: dict[int, dict[str, str]] = {}

    def of(self, customer: int) -> set[str]:
        return set(self._tags.get(customer, {}).values())

    def put(self, customer: int, *tags: str) -> None:
        """What the shop's own people do."""
        self._tags.setdefault(customer, {}).update({tag.lower(): tag for tag in tags})

    def add(self, asked: Asked, _now: datetime) -> dict[str, Any]:
        return self._change(asked, lambda known, tag: known.setdefault(tag.lower(), tag))

    def remove(self, asked: Asked, _now: datetime) -> dict[str, Any]:
        return self._change(asked, lambda known, tag: known.pop(tag.lower(), None))

    def _change(self, asked: Asked, change: Callable[[dict[str, str], str], object]) -> dict[str, Any]:
        gid, tags = asked.argument("id"), asked.argument("tags") or []
        customer = owner_of({"ownerId": gid})
        if customer not in self._book.customers:
            return {"node": None, "userErrors": [{"field": ["id"], "message": f"{gid} does not exist"}]}
        if any(len(tag) > LONGEST for tag in tags):
            message = f"Tags is too long (maximum is {LONGEST} characters)"
            return {"node": None, "userErrors": [{"field": ["tags"], "message": message}]}
        for tag in tags:
            change(self._tags.setdefault(customer, {}), tag)
        return {"node": {"id": gid}, "userErrors": []}
