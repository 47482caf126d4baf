"""Imports from other platforms: what was imported when, and how far it is."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from stampcard.clock import to_micros
from stampcard.domain.imports import Intake
from stampcard.storage.importing import list_intakes
from stampcard_webhooks.asking import Nothing
from stampcard_webhooks.paging import Number, Page, PageQuery, Text, cut, position
from stampcard_webhooks.routing import Call, Route

_LIST = "imports"


class ImportItem(BaseModel):
    """One file; the numbers count its rows."""

    id: str
    holds: str = Field(description="`members`, `consents` or `suppressions`.")
    state: str = Field(description="`reading`, `sending` (the shop is told), `ended`, `undoing` or `undone`.")
    program: str
    connection: str = Field(description="Whose customers they are.")
    total: int
    applied: int
    known: int = Field(description="Brought by an earlier file, so they changed nothing.")
    refused: int
    members: int = Field(description="How many members it made.")
    started_at: datetime
    ended_at: datetime | None
    undone_at: datetime | None


class ImportPage(Page[ImportItem]):
    """Imports, the newest first."""


async def list_imports(call: Call[PageQuery, Nothing]) -> ImportPage:
    """A page of them."""
    query = call.query
    before: tuple[int, str] | None = position(query, _LIST, tuple[Number, Text])
    found = await call.read(lambda connection: list_intakes(connection, call.merchant, query.limit + 1, before))
    shown, following = cut(found, query, _LIST, lambda one: (to_micros(one.started_at), one.id))
    return ImportPage(items=[_item(one) for one in shown], next=following)


def _item(one: Intake) -> ImportItem:
    return ImportItem(**{name: getattr(one, name) for name in ImportItem.model_fields})


ROUTES = (
    Route(
        method="GET",
        path="/imports",
        scope="deliveries:read",
        summary="List imports from other platforms",
        handler=list_imports,
        query=PageQuery,
        gives=ImportPage,
    ),
)
