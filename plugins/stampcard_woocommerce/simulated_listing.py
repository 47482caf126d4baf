"""Collections of the simulated API: filtered, ordered and paged as WordPress does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from stampcard_woocommerce.simulated_bodies import Body
from stampcard_woocommerce.simulated_book import Book, Customer, Order

_MOST = 100


def paged(
    request: web.Request, records: Iterable[Any], body: Callable[[Any], Body], *, offsets: bool = True
) -> web.Response:
    """A page of records with its headers; only the fields that were asked for. `offsets`: whether it can begin anywhere."""
    query = request.query
    found = list(records)
    size = min(_MOST, int(query.get("per_page", "10")))
    start = int(query["offset"]) if "offset" in query and offsets else (int(query.get("page", "1")) - 1) * size
    fields = [name for name in query.get("_fields", "").split(",") if name]
    bodies = [body(record) for record in found[start : start + size]]
    if fields:
        bodies = [{name: value for name, value in one.items() if name in fields} for one in bodies]
    headers = {"X-WP-Total": str(len(found)), "X-WP-TotalPages": str(-(-len(found) // size))}
    return web.json_response(bodies, headers=headers)


def orders(request: web.Request, book: Book) -> list[Order]:
    """`any` leaves out the bin; times are compared without the very moment that was named."""
    query = request.query
    status = query.get("status", "any")
    found = [order for order in book.orders.values() if _has(order, status)]
    if after := query.get("modified_after"):
        found = [order for order in found if order.modified_at > _read(after, query)]
    if after := query.get("after"):
        found = [order for order in found if order.created_at > _read(after, query)]
    keys: dict[str, Callable[[Order], Any]] = {
        "id": lambda order: order.id,
        "modified": lambda order: (order.modified_at, order.id),
        "date": lambda order: (order.created_at, order.id),
    }
    key = keys[query.get("orderby", "date")]
    return sorted(found, key=key, reverse=query.get("order", "desc") == "desc")


def customers(request: web.Request, book: Book) -> list[Customer]:
    """Those of the role `customer` alone, unless all are asked for."""
    query = request.query
    role = query.get("role", "customer")
    found = [one for one in book.customers.values() if role in {"all", one.role}]
    if email := query.get("email"):
        found = [one for one in found if one.email.lower() == email.lower()]
    if include := query.get("include"):
        numbers = {int(number) for number in include.split(",")}
        found = [one for one in found if one.id in numbers]
    return found


def _has(order: Order, status: str) -> bool:
    return order.status != "trash" if status == "any" else order.status == status


def _read(text: str, query: Any) -> datetime:
    # The shop's own time would be meant otherwise, and nobody here asks for that.
    assert query.get("dates_are_gmt") == "true", "dates_are_gmt is missing"
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
