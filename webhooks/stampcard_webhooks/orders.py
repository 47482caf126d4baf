"""Orders, and those that wait for a person."""

from __future__ import annotations

from datetime import datetime

import msgspec
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.clock import from_micros
from stampcard.storage.listing import orders_after
from stampcard_webhooks.asking import Nothing
from stampcard_webhooks.paging import Page, PageQuery, Text, cut, position
from stampcard_webhooks.routing import Call, Route

_UNDECIDED = msgspec.json.Decoder(list[str])


class OrdersQuery(PageQuery):
    """All orders, or those that wait for a person."""

    undecided: bool = Field(default=False, description="Only orders with a rule whose condition failed.")


class OrderItem(BaseModel):
    """An order in a list."""

    source: str
    reference: str
    member: str | None
    first_seen_at: datetime
    updated_at: datetime
    undecided: list[str] = Field(description="Rules whose condition failed, as `program/rule`.")


class OrderPage(Page[OrderItem]):
    """Orders by source and reference."""


async def list_orders(call: Call[OrdersQuery, Nothing]) -> OrderPage:
    """A page of orders."""

    def work(connection: Connection) -> OrderPage:
        query = call.query
        name = "undecided" if query.undecided else "orders"
        place = position(query, name, tuple[Text, Text])
        found = orders_after(connection, call.merchant, place, query.limit + 1, undecided=query.undecided)
        shown, following = cut(found, query, name, lambda row: (row.source, row.reference))
        items = [
            OrderItem(
                source=row.source,
                reference=row.reference,
                member=row.member,
                first_seen_at=from_micros(row.first_seen_at),
                updated_at=from_micros(row.updated_at),
                undecided=_UNDECIDED.decode(row.undecided),
            )
            for row in shown
        ]
        return OrderPage(items=items, next=following)

    return await call.read(work)


ROUTES = (
    Route(
        method="GET",
        path="/orders",
        scope="orders:read",
        summary="List orders, or those with undecided rules",
        handler=list_orders,
        query=OrdersQuery,
        gives=OrderPage,
    ),
)
