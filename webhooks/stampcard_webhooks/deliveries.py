"""What came in: deliveries, and those of them that were set aside."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy import Connection, Row

from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.clock import from_micros
from stampcard.domain.scopes import allows
from stampcard.errors import NotFound
from stampcard.storage import requeueing
from stampcard.storage.inboxing import delivery_of
from stampcard.storage.listing import deliveries_before, load_delivery, quarantine_groups
from stampcard.storage.rows import moment
from stampcard_webhooks.asking import Asked, Name, Nothing, Query
from stampcard_webhooks.paging import Number, Page, PageQuery, cut, position
from stampcard_webhooks.routing import Call, Route, given
from stampcard_webhooks.showing import Counted

Status = Literal["ready", "done", "quarantined", "dropped"]
BODIES = "deliveries:body"


class ConnectionQuery(PageQuery):
    """Of every connection, or of one."""

    connection: str | None = Field(default=None, max_length=64, pattern=r"^[^\x00]*$")


class DeliveriesQuery(ConnectionQuery):
    """Which deliveries."""

    status: Status | None = None


class DeliveryItem(BaseModel):
    """A delivery in a list."""

    id: str
    connection: str
    key: str
    topic: str
    status: str
    received_at: datetime
    read_at: datetime | None = Field(description="When it was fetched; null for what was sent to us.")
    settled_at: datetime | None
    attempts: int
    code: str | None
    detail: str | None
    member: str | None
    has_body: bool


class DeliveryPage(Page[DeliveryItem]):
    """Deliveries, newest first."""


class DeliveryView(DeliveryItem):
    """A delivery with what came with it."""

    headers: dict[str, str]
    body: str | None = Field(description=f"Only with the scope {BODIES}, while it is kept.")
    body_encoding: Literal["utf-8", "base64"] | None


class Group(BaseModel):
    """Deliveries set aside for the same reason."""

    connection: str
    code: str
    count: int
    oldest_received_at: datetime
    newest_received_at: datetime


class Quarantine(DeliveryPage):
    """What is set aside: all of it counted, and a page of it."""

    groups: list[Group]


class Selection(Asked):
    """Which of them; without either all."""

    connection: Name | None = None
    code: Name | None = None


async def list_deliveries(call: Call[DeliveriesQuery, Nothing]) -> DeliveryPage:
    """A page of deliveries."""
    query = call.query
    return await call.read(lambda connection: _page(connection, call, query, query.status, "deliveries"))


async def show_quarantine(call: Call[ConnectionQuery, Nothing]) -> Quarantine:
    """Counts and a page of what is set aside."""

    def work(connection: Connection) -> Quarantine:
        page = _page(connection, call, call.query, "quarantined", "quarantine")
        groups = [
            Group(
                connection=row[0],
                code=row[1],
                count=row[2],
                oldest_received_at=from_micros(row[3]),
                newest_received_at=from_micros(row[4]),
            )
            for row in quarantine_groups(connection, call.merchant)
        ]
        return Quarantine(items=page.items, next=page.next, groups=groups)

    return await call.read(work)


def _page(
    connection: Connection, call: Call[Any, Nothing], query: ConnectionQuery, status: str | None, name: str
) -> DeliveryPage:
    place = position(query, name, Number)
    found = deliveries_before(connection, call.merchant, status, query.connection, place, query.limit + 1)
    shown, following = cut(found, query, name, lambda row: row.id)
    return DeliveryPage(items=[DeliveryItem(**_metadata(row)) for row in shown], next=following)


def _metadata(row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "connection": row.connection,
        "key": row.key,
        "topic": row.topic,
        "status": row.status,
        "received_at": from_micros(row.received_at),
        "read_at": from_micros(row.read_at) if row.read_at else None,
        "settled_at": moment(row.settled_at),
        "attempts": row.attempts,
        "code": row.code,
        "detail": row.detail,
        "member": row.member,
        "has_body": row.has_body,
    }


async def show_delivery(call: Call[Query, Nothing]) -> DeliveryView:
    """One delivery; its body only for whom may see bodies."""
    id_ = call.number("id", "delivery")
    return await call.read(lambda connection: _view(connection, call, id_))


def _view(connection: Connection, call: Call[Any, Any], id_: int) -> DeliveryView:
    row = load_delivery(connection, call.merchant, id_)
    if row is None:
        raise NotFound("delivery", str(id_))
    body, encoding = None, None
    delivery = delivery_of(row, call.setting.sealer) if allows(call.key.scopes, BODIES) else None
    if delivery is not None:
        body, encoding = _text(delivery.body)
    return DeliveryView(**_metadata(row), headers=json.loads(row.headers), body=body, body_encoding=encoding)


def _text(body: bytes) -> tuple[str, Literal["utf-8", "base64"]]:
    try:
        return body.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), "base64"


async def replay_delivery(call: Call[Query, Nothing]) -> Answer:
    """Apply a delivery again; what it says twice counts once."""
    id_ = call.number("id", "delivery")

    def work(unit: Unit) -> Answer:
        requeueing.replay_delivery(unit.connection, call.merchant, id_)
        row = load_delivery(unit.connection, call.merchant, id_)
        assert row is not None
        return given(DeliveryItem(**_metadata(row)), row.member)

    answer = await call.write(work)
    call.application.wake()
    return answer


async def replay_quarantine(call: Call[Query, Selection]) -> Answer:
    """Apply everything again that is set aside, or that of one connection or code."""
    chosen = call.body
    return await call.write_in_steps(
        lambda connection, after: requeueing.replay_quarantined(
            connection, call.merchant, chosen.connection, chosen.code, after
        ),
        0,
    )


ROUTES = (
    Route(
        method="GET",
        path="/deliveries",
        scope="deliveries:read",
        summary="List deliveries",
        handler=list_deliveries,
        query=DeliveriesQuery,
        gives=DeliveryPage,
    ),
    Route(
        method="GET",
        path="/deliveries/{id}",
        scope="deliveries:read",
        summary="Show a delivery",
        handler=show_delivery,
        gives=DeliveryView,
    ),
    Route(
        method="POST",
        path="/deliveries/{id}/replay",
        scope="deliveries:write",
        summary="Apply a delivery again",
        handler=replay_delivery,
        gives=DeliveryItem,
    ),
    Route(
        method="GET",
        path="/quarantine",
        scope="deliveries:read",
        summary="Show what is set aside",
        handler=show_quarantine,
        query=ConnectionQuery,
        gives=Quarantine,
    ),
    Route(
        method="POST",
        path="/quarantine/replay",
        scope="deliveries:write",
        summary="Apply what is set aside again",
        handler=replay_quarantine,
        takes=Selection,
        gives=Counted,
    ),
)
